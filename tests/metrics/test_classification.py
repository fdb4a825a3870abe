"""The report of classes: against scikit-learn, a case worked by hand, and all kinds of targets."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference

from jnn.metrics.classification import (
    Averages,
    ClassificationReport,
    check_labels,
    classes,
    classification_report,
)

N = 60


def case(K, seed=0):
    """Labels, and logits that are often right."""
    rng = np.random.default_rng([seed, K])
    y = rng.integers(0, K, N)
    return y, rng.normal(size=(N, K)) + 1.5 * np.eye(K)[y]


def weighting(kind):
    rng = np.random.default_rng(3)
    return {"none": None, "floats": rng.uniform(0.1, 2, N), "integers": rng.integers(0, 3, N)}[kind]


def numbers(report):
    fields = ("confusion", "precision", "recall", "f1", "support", "macro", "weighted", "accuracy")
    return {name: np.asarray(getattr(report, name)) for name in fields}


def assert_same(one, other, rtol=1e-12):
    for name, value in numbers(one).items():
        np.testing.assert_allclose(value, numbers(other)[name], rtol=rtol, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("kind", ["none", "floats", "integers"])
@pytest.mark.parametrize("K", [2, 3, 9])
def test_the_report_is_scikit_learns(K, kind):
    y, logits = case(K)
    w, p = weighting(kind), logits.argmax(axis=1)
    report = classification_report(y, logits, weights=w)
    expected = reference.classification_report(
        y, p, sample_weight=w, output_dict=True, zero_division=0
    )
    for k in range(K):
        for name, field in {"precision": "precision", "recall": "recall", "f1": "f1-score"}.items():
            assert getattr(report, name)[k] == pytest.approx(expected[str(k)][field], rel=1e-12)
        assert report.support[k] == pytest.approx(expected[str(k)]["support"], rel=1e-12)
    for average in ("macro", "weighted"):
        wanted = [
            expected[f"{average} avg"][field] for field in ("precision", "recall", "f1-score")
        ]
        np.testing.assert_allclose(getattr(report, average), wanted, rtol=1e-12)
    assert report.accuracy == pytest.approx(expected["accuracy"], rel=1e-12)
    np.testing.assert_allclose(
        report.confusion, reference.confusion_matrix(y, p, sample_weight=w), rtol=1e-12
    )


@pytest.mark.parametrize("kind", ["none", "floats"])
@pytest.mark.parametrize("K", [2, 3, 9])
def test_everything_follows_from_the_confusion(K, kind):
    report = classification_report(*case(K), weights=weighting(kind))
    C = report.confusion
    precision, recall = np.diag(C) / C.sum(axis=0), np.diag(C) / C.sum(axis=1)
    np.testing.assert_allclose(report.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(report.recall, recall, rtol=1e-12)
    np.testing.assert_allclose(report.f1, 2 * precision * recall / (precision + recall), rtol=1e-12)
    np.testing.assert_allclose(report.support, C.sum(axis=1), rtol=1e-12)
    assert report.accuracy == pytest.approx(np.trace(C) / C.sum(), rel=1e-12)
    assert report.accuracy == pytest.approx(report.weighted.recall, rel=1e-12)


HAND = ([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0])  # 2 is never predicted


def test_a_case_worked_by_hand():
    report = classification_report(*HAND)
    np.testing.assert_array_equal(report.confusion, [[2, 1, 0], [0, 2, 0], [1, 0, 0]])
    np.testing.assert_allclose(report.precision, [2 / 3, 2 / 3, 0], rtol=1e-15)
    np.testing.assert_allclose(report.recall, [2 / 3, 1, 0], rtol=1e-15)
    np.testing.assert_allclose(report.f1, [2 / 3, 4 / 5, 0], rtol=1e-15)
    np.testing.assert_array_equal(report.support, [3, 2, 1])
    assert report.macro == pytest.approx(Averages(4 / 9, 5 / 9, 22 / 45), rel=1e-15)
    assert report.weighted == pytest.approx(Averages(5 / 9, 2 / 3, 3 / 5), rel=1e-15)
    assert report.accuracy == pytest.approx(2 / 3, rel=1e-15)


def test_it_prints_as_tables():
    assert str(
        classification_report(*HAND, labels=["ant", "bumblebee", "cicada"])
    ).splitlines() == [
        "           precision  recall     f1  support",
        "ant            0.667   0.667  0.667        3",
        "bumblebee      0.667   1.000  0.800        2",
        "cicada         0.000   0.000  0.000        1",
        "macro          0.444   0.556  0.489        6",
        "weighted       0.556   0.667  0.600        6",
        "accuracy                      0.667        6",
        "",
        "true ↓ predicted →  ant  bumblebee  cicada",
        "ant                   2          1       0",
        "bumblebee             0          2       0",
        "cicada                1          0       0",
    ]


def test_weights_print_as_they_are():
    lines = str(classification_report(*HAND, weights=[0.5, 0.25, 1, 1, 1, 2])).splitlines()
    assert lines[1].split() == ["0", "0.273", "0.429", "0.333", "1.75"]
    assert lines[-3].split() == ["0", "0.75", "1", "0"]


@pytest.mark.parametrize(("K", "printed"), [(20, True), (21, False)])
def test_a_large_confusion_is_not_printed(K, printed):
    text = str(classification_report(np.arange(K), np.arange(K)))
    assert ("true ↓ predicted →" in text) is printed
    assert (f"confusion: ({K}, {K}), too wide to print" in text) is not printed


def test_every_kind_of_targets_and_predictions_is_the_same_report():
    y, logits = case(4)
    report, rows = classification_report(y, logits), np.eye(4)[y]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for targets in (y, rows, 0.9 * rows + 0.1 / 4, jnp.asarray(y), y.tolist(), y.astype(np.uint8)):
        for predictions in (logits, probabilities, jnp.asarray(logits), logits.argmax(axis=1)):
            assert_same(classification_report(targets, predictions), report)


def test_one_column_of_logits_is_a_binary_choice():
    y, logits = case(2)
    logit = logits[:, 1:] - logits[:, :1]
    report = classification_report(y, logits)
    for targets in (y, y[:, None], y.astype(bool), y[:, None].astype(float)):
        for predictions in (logit, logit[:, 0] > 0, (logit[:, 0] > 0).astype(int)):
            assert_same(classification_report(targets, predictions), report)
    assert report.labels == ("0", "1")


def test_one_column_of_probabilities_is_cut_at_one_half():
    y, logits = case(2)
    logit = logits[:, 1:] - logits[:, :1]
    report = classification_report(y, logits)
    assert_same(classification_report(y, 1 / (1 + np.exp(-logit)), threshold=0.5), report)
    assert_same(classification_report(y, logit, threshold=0), report)
    # everything is above 0, and targets and labels know no threshold
    ones = classification_report(y, 1 / (1 + np.exp(-logit)))
    assert_same(ones, classification_report(y, np.ones_like(y)))
    assert_same(classification_report(np.eye(2)[y], logits, threshold=0.5), report)


def test_integer_weights_are_repeated_rows():
    y, logits = case(3)
    w = weighting("integers")
    assert_same(
        classification_report(y, logits, weights=w),
        classification_report(y.repeat(w), logits.repeat(w, 0)),
    )


def test_a_class_without_rows_scores_zero_and_stays_out_of_the_averages():
    y, p, w = [0, 0, 1, 2], [0, 1, 1, 2], [1, 1, 1, 0]  # the one row of 2 has no weight
    report = classification_report(y, p, labels="abcd", weights=w)
    np.testing.assert_array_equal(report.support, [2, 1, 0, 0])
    for scores in (report.precision, report.recall, report.f1):
        np.testing.assert_array_equal(scores[2:], 0)
    assert report.macro == pytest.approx(Averages(3 / 4, 3 / 4, 2 / 3), rel=1e-15)
    assert report.accuracy == pytest.approx(2 / 3)


def test_without_names_the_classes_are_numbered_up_to_the_largest():
    assert classification_report([0, 1], [0, 3]).labels == ("0", "1", "2", "3")
    assert classification_report([0, 0], [0, 0]).labels == ("0", "1")
    assert classification_report([0, 0], [[1.0, 0, 0], [0, 1.0, 0]]).labels == ("0", "1", "2")


def test_a_report_is_frozen():
    report = classification_report(*HAND)
    assert isinstance(report, ClassificationReport)
    with pytest.raises(AttributeError):
        report.accuracy = 1.0  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("targets", "predictions", "options", "message"),
    [
        (
            [0, 1],
            [0, 1, 1],
            {},
            r"targets have shape \(2,\), predictions \(3,\); expected \(n,\) or \(n, K\)",
        ),
        ([], [], {}, "with one row or more"),
        (0, [0], {}, r"targets have shape \(\)"),
        ([0], np.zeros((1, 2, 2)), {}, r"predictions \(1, 2, 2\)"),
        ([0, 1], np.zeros((2, 0)), {}, "with one row or more"),
        (np.eye(3), np.zeros((3, 2)), {}, "their columns are not the same classes"),
        ([0.0, 1.0], [0, 1], {}, r"labels must be integers, got float64: use y.astype\(int\)"),
        (["a", "b"], [0, 1], {}, "labels must be integers, got <U1"),
        ([0, -1], [0, 1], {}, "labels run from -1 to 0; they start from 0"),
        ([0, 3], np.zeros((2, 3)), {}, "labels run from 0 to 3; 3 classes are 0 … 2"),
        ([0, 1], [0, 3], {"labels": ["a", "b"]}, "labels run from 0 to 3; 2 classes are 0 … 1"),
        (
            [0, 1],
            [0.2, 0.7],
            {},
            r"must be integer labels, got float64: logits and prob.* a column, p\[:, None\]",
        ),
        (
            [0, 1],
            [[0], [1]],
            {},
            r"of shape \(2, 1\) must be logits or prob.*, got int64: labels go as p\[:, 0\]",
        ),
        ([0, 1], [[0.0, 1.0], [np.nan, 1.0]], {}, "predictions hold NaN, first in row 1"),
        ([[0.3], [1.0]], [[0.1], [1.0]], {}, "must be 0 or 1"),
        (2 * np.eye(2), np.eye(2), {}, "must be one-hot, or probabilities that sum to 1"),
        ([0, 1], np.eye(2), {"labels": ["a"]}, "there are 1 names in labels for 2 classes"),
        ([0, 1], [0, 1], {"labels": ["a"]}, "there are 1 names in labels for 2 classes"),
        (
            [0, 1],
            [[1.0], [1.0]],
            {"labels": ["a", "b", "c"]},
            "there are 3 names in labels for 2 classes",
        ),
        (
            [0, 1],
            [0, 1],
            {"weights": [1.0]},
            r"weights has shape \(1,\); expected one for each row, \(2,\)",
        ),
        ([0, 1], [0, 1], {"weights": [1.0, -1.0]}, "not negative"),
        ([0, 1], [0, 1], {"weights": [0.0, 0.0]}, "not all zero"),
        ([0, 1], [0, 1], {"weights": [np.inf, 1.0]}, "finite"),
        ([0, 1], [0, 1], {"threshold": np.nan}, "threshold is nan; it must be finite"),
    ],
)
def test_what_does_not_match_is_refused(targets, predictions, options, message):
    with pytest.raises(ValueError, match=message):
        classification_report(targets, predictions, **options)


def test_a_threshold_is_a_number(as_a_user):
    for threshold in ("half", True, [0.5]):
        with pytest.raises(TypeError, match=r"threshold is .*; it must be a number"):
            classification_report([0, 1], [[0.1], [0.6]], threshold=threshold)


def test_without_scikit_learn_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn: pip install scikit-learn"):
        classification_report([0], [0])


@pytest.mark.parametrize("module", [np, jnp])
@pytest.mark.parametrize(
    ("rows", "threshold", "expected"),
    [
        ([2, 0, 5], 0.5, [2, 0, 5]),
        ([True, False], 0.5, [1, 0]),
        ([[0.5], [0.6]], 0.5, [0, 1]),
        ([[0.0], [1e-6], [-3.0]], 0.0, [0, 1, 0]),
        ([[1.0, 3.0, 2.0], [4.0, 4.0, 0.0]], 0.0, [1, 0]),
    ],
)
def test_the_class_of_a_row(module, rows, threshold, expected):
    np.testing.assert_array_equal(classes(module.asarray(rows), threshold), expected)


@pytest.mark.parametrize(
    ("y", "n_out"),
    [
        (np.array([0, 1]), 1),
        (np.array([0, 4]), None),
        (np.array([], int), 3),
        (np.array([[0.0], [1.0]]), 1),
        (np.full((2, 3), 1 / 3, jnp.bfloat16), 3),
        (np.eye(3), None),
    ],
)
def test_labels_that_match_are_let_through(y, n_out):
    check_labels(y, n_out)
