"""The classic problems of `scripts/examples`, over seeds: errors and iterations no larger than promised."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn

from jnn import figures

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def examples():
    spec = importlib.util.spec_from_file_location("examples_script", SCRIPTS / "examples.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(("method", "limit"), [("BFGS", 150), ("Levenberg–Marquardt", 50)])
def test_second_order_reaches_the_noise_of_the_ripple_on_nine_seeds_of_ten(method, limit, examples):
    reached = [examples.ripple_run(method, seed).iteration for seed in range(10)]
    assert sum(iteration is not None and iteration <= limit for iteration in reached) >= 9, reached


@pytest.mark.slow
def test_the_ripple_is_drawn_by_iterations_and_by_seconds(examples, tmp_path, capsys, monkeypatch):
    few = {name: {**options, "epochs": min(options["epochs"], 60)} for name, options in examples.RIPPLE.items()}
    monkeypatch.setattr(examples, "RIPPLE", few)
    examples.ripple(1, tmp_path)
    printed = capsys.readouterr().out
    assert all(method in printed for method in few)
    page = (tmp_path / "ripple.html").read_text()
    assert all(name in page for name in ("iterations", "seconds", "Levenberg"))


def test_convergence_shares_the_seconds_out():
    figure = figures.convergence({"a": (np.array([1.0, 0.5, 0.0]), 6.0)}, floor=0.1)
    by_count, by_seconds = figure.data
    assert by_count.x.tolist() == [1, 2, 3]
    assert by_seconds.x.tolist() == [2, 4, 6]
    assert by_count.y[:2].tolist() == [1.0, 0.5]
    assert np.isnan(by_count.y[2])  # 0 has no place on a logarithmic axis
    assert len(figure.layout.shapes) == 2
    with pytest.raises(ValueError, match=r"the run 'a' took 0\.0 seconds; expected a positive number"):
        figures.convergence({"a": (np.ones(2), 0.0)})


@pytest.mark.slow
def test_ten_features_as_published_and_as_recommended(examples):
    """Published: training error 38.3. Recommended: a test error near the noise, 0.0004."""
    published = np.array([examples.ten_features_run(seed, recommended=False) for seed in range(8)])
    assert np.median(published[:, 0]) <= 38.4
    assert np.median(published[:, 1]) <= 1.1 * 38.4
    recommended = np.array([examples.ten_features_run(seed, recommended=True) for seed in range(8)])
    assert np.median(recommended[:, 1]) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("iris", 0.95), ("digits", 0.97)])
def test_bundled_data_are_classified_and_reported_as_scikit_learn_does(name, least, examples):
    accuracies = []
    for seed in range(10):
        report, labels, predicted = examples.classify(name, seed)
        accuracies.append(report.accuracy)
        assert report.accuracy == sklearn.accuracy_score(labels, predicted)
        np.testing.assert_array_equal(report.confusion, sklearn.confusion_matrix(labels, predicted))
        for average, ours in ((None, report), ("macro", report.macro), ("weighted", report.weighted)):
            theirs = sklearn.precision_recall_fscore_support(labels, predicted, average=average)[:3]
            for a, b in zip((ours.precision, ours.recall, ours.f1), theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)
    assert np.median(accuracies) >= least, accuracies
