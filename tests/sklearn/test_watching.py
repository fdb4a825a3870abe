"""Who looks on while an estimator is fitted, and ends it."""

import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from jnn.sklearn import MLPClassifier, MLPRegressor

callback = pytest.importorskip("sklearn.callback")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)


def same(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return all((a == b).all() for a, b in pairs)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_time_ends_a_fit_and_keeps_the_network_reached(solver):
    endless = {"max_iter": 10**7, "n_iter_no_change": np.inf, "tol": 0.0, "max_fun": 10**9}
    MLPClassifier((40, 40), solver=solver, max_iter=2).fit(IRIS, SPECIES)  # compiled
    found = MLPClassifier((40, 40), solver=solver, max_seconds=0.5, random_state=0, **endless)
    start = time.monotonic()
    found.fit(IRIS, SPECIES)
    if solver != "lbfgs":  # which comes to an end by itself
        assert 0.5 <= time.monotonic() - start < 10
    assert 0 < found.n_iter_ < 10**7
    assert len(found.loss_curve_) == found.n_iter_
    assert found.score(IRIS, SPECIES) > 0.9


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_is_a_bar_and_changes_no_bit(solver, capsys):
    found, plain = (MLPClassifier(solver=solver, progress=shown, max_iter=7, random_state=0)
                    for shown in (True, False))  # fmt: skip
    plain.fit(IRIS, SPECIES)
    assert capsys.readouterr().err == ""
    found.fit(IRIS, SPECIES)
    assert "7/7" in capsys.readouterr().err
    assert same(found, plain)


class Recorder:
    """Sees every epoch, with the network reached so far, and may end the fit."""

    def __init__(self, last=None):
        self.seen = []
        self.names = []
        self.last = last

    def setup(self, estimator, context):
        self.names.append("setup")

    def teardown(self, estimator, context):
        self.names.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X, y):
        self.names.append("begin " + context.task_name)
        assert X is IRIS
        assert y is SPECIES

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.seen.append(fitted_estimator.score(IRIS, SPECIES))
            return len(self.seen) == self.last
        return None


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_of_scikit_learn_see_every_epoch(solver):
    plain = MLPClassifier(solver=solver, max_iter=8, random_state=0).fit(IRIS, SPECIES)
    found = MLPClassifier(solver=solver, max_iter=8, random_state=0)
    recorder = Recorder()
    found.set_callbacks(recorder).fit(IRIS, SPECIES)
    assert same(found, plain)
    assert len(recorder.seen) == 8
    assert recorder.seen[-1] == found.score(IRIS, SPECIES)
    assert recorder.names == ["setup", "begin fit", *["begin epoch"] * 8, "teardown"]
    assert not hasattr(found, "_callback_fit_ctx")


def test_a_callback_may_end_a_fit():
    recorder = Recorder(last=3)
    found = MLPClassifier(max_iter=8, random_state=0).set_callbacks(recorder)
    found.fit(IRIS, SPECIES)
    assert found.n_iter_ == 3
    assert same(found, MLPClassifier(max_iter=3, random_state=0).fit(IRIS, SPECIES))


def test_a_callback_that_fails_is_torn_down():
    class Broken(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyError("mine")

    broken = Broken()
    with pytest.raises(KeyError, match="mine"):
        MLPClassifier(max_iter=8).set_callbacks(broken).fit(IRIS, SPECIES)
    assert broken.names[-1] == "teardown"


def test_their_monitor_of_scores_follows_the_epochs():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    found = MLPClassifier(max_iter=5, random_state=0).set_callbacks(monitor)
    found.fit(IRIS, SPECIES)
    assert found.n_iter_ == 5


def test_in_a_search_they_are_handed_on():
    search = GridSearchCV(MLPRegressor(max_iter=3, random_state=0), {"alpha": [0.1, 1.0]}, cv=2)
    recorder = Recorder()
    recorder.on_fit_task_begin = lambda estimator, context: None
    recorder.on_fit_task_end = lambda estimator, context: None
    search.set_callbacks(recorder)
    search.fit(IRIS, SPECIES * 1.0)
    assert recorder.names[-1] == "teardown"


def test_a_scikit_learn_without_callbacks_will_do():
    """Before 1.9; in a process of its own."""
    code = """
import sys
import sklearn.neural_network
for name in [name for name in sys.modules if name.startswith("sklearn.callback")]:
    del sys.modules[name]
del sklearn.callback
class Older:
    def find_spec(self, name, *_):
        if name == "sklearn.callback":
            raise ImportError(name)
sys.meta_path.insert(0, Older())
from jnn.sklearn import MLPRegressor
print(hasattr(MLPRegressor(), "set_callbacks"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
