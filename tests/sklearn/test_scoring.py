"""Rows held out: the user's own, what they are judged by, and their loss epoch by epoch."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import log_loss, make_scorer, mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from sklearn.utils import compute_sample_weight

from jnn.sklearn import MLPClassifier, MLPRegressor, draws, scoring

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
PATIENTS, PROGRESS = scale(PATIENTS), scale(PROGRESS)
EARLY = {"early_stopping": True, "n_iter_no_change": 3}
TASKS = {
    "classifier": (MLPClassifier, IRIS, SPECIES),
    "regressor": (MLPRegressor, PATIENTS, PROGRESS),
}


def same(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    assert all((a == b).all() for a, b in pairs)
    assert one.n_iter_ == other.n_iter_
    assert one.loss_curve_ == other.loss_curve_


# ---- weights of classes ----


@pytest.mark.parametrize("weights", ["balanced", {0: 1.0, 1: 2.0, 2: 0.5}])
@pytest.mark.parametrize("own", [None, np.linspace(0, 2, 150)])
@pytest.mark.parametrize("more", [{}, {"solver": "lbfgs"}, EARLY])
def test_class_weights_are_weights_of_rows_to_the_bit(weights, own, more):
    X, y = IRIS[:130], np.array(["a", "b", "c"])[SPECIES[:130]]
    own = None if own is None else own[:130]
    if isinstance(weights, dict):
        weights = {"abc"[label]: weight for label, weight in weights.items()}
    found = MLPClassifier(class_weight=weights, max_iter=20, random_state=0, **more).fit(X, y, own)
    by_row = compute_sample_weight(weights, y) * (1 if own is None else own)
    expected = MLPClassifier(max_iter=20, random_state=0, **more).fit(X, y, by_row)
    same(found, expected)


def test_partial_fit_takes_class_weights_but_cannot_balance():
    weights = {0: 1.0, 1: 2.0, 2: 0.5}
    found = MLPClassifier(class_weight=weights, random_state=0)
    expected = MLPClassifier(random_state=0)
    for rows in (slice(0, 100), slice(50, 150)):
        found.partial_fit(IRIS[rows], SPECIES[rows], classes=[0, 1, 2])
        by_row = compute_sample_weight(weights, SPECIES[rows])
        expected.partial_fit(IRIS[rows], SPECIES[rows], by_row, classes=[0, 1, 2])
    same(found, expected)
    with pytest.raises(ValueError, match="class_weight='balanced' needs all rows"):
        MLPClassifier(class_weight="balanced").partial_fit(IRIS, SPECIES, classes=[0, 1, 2])


# ---- rows of one's own ----


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_ones_own_are_the_split_made_by_hand(task, weighted):
    kind, X, y = TASKS[task]
    w = np.linspace(0.5, 2, len(X)) if weighted else np.ones(len(X))
    parameters = EARLY | {"max_iter": 60, "random_state": 5, "shuffle": False}
    expected = kind(**parameters).fit(X, y, w)
    # what the estimator draws: its weights, then the split
    random = np.random.RandomState(5)
    draws.glorot(random, [X.shape[1], 100, len(expected.intercepts_[-1])], "relu", X.dtype)
    parts = train_test_split(X, y, w, test_size=0.1, random_state=random)
    train, held_out = parts[::2], parts[1::2]
    found = kind(**parameters).fit(
        *train, X_val=held_out[0], y_val=held_out[1], sample_weight_val=held_out[2]
    )
    same(found, expected)
    assert found.validation_scores_ == expected.validation_scores_
    assert found.validation_loss_curve_ == expected.validation_loss_curve_


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_without_early_stopping_they_change_no_bit_and_their_loss_is_recorded(solver):
    parameters = {"solver": solver, "max_iter": 12, "random_state": 0, "alpha": 1.0}
    train, held_out = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0
    plain = MLPClassifier(**parameters).fit(IRIS[train], SPECIES[train])
    found = MLPClassifier(**parameters).fit(
        IRIS[train], SPECIES[train], X_val=IRIS[held_out], y_val=SPECIES[held_out]
    )
    same(found, plain)
    assert plain.validation_loss_curve_ is None
    assert len(found.validation_loss_curve_) == found.n_iter_ == len(found.loss_curve_)
    assert found.history_.keys() == {"loss", "validation_loss"}
    assert found.history_["loss"].tolist() == found.loss_curve_
    loss = log_loss(SPECIES[held_out], found.predict_proba(IRIS[held_out]))
    assert found.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"X_val": IRIS}, "X_val and y_val go together"),
        ({"X_val": IRIS[:, :2], "y_val": SPECIES}, "X has 2 features"),
        ({"X_val": IRIS, "y_val": SPECIES + 1}, "classes not in"),
        ({"X_val": IRIS, "y_val": SPECIES, "sample_weight_val": [1.0]}, "sample_weight.shape"),
    ],
)
def test_rows_that_do_not_fit_are_refused(held_out, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(max_iter=2).fit(IRIS, SPECIES, **held_out)


# ---- what they are judged by ----


def test_by_loss_iris_reaches_the_accuracy_of_no_early_stopping():
    """With 15 rows held out accuracy stands still in the first epochs, and ends the training."""
    plain = MLPClassifier(random_state=0).fit(IRIS, SPECIES)
    by_accuracy = MLPClassifier(random_state=0, early_stopping=True).fit(IRIS, SPECIES)
    by_loss = MLPClassifier(random_state=0, early_stopping=True, scoring="loss")
    by_loss.fit(IRIS, SPECIES)
    assert by_accuracy.score(IRIS, SPECIES) < 0.8
    assert by_loss.score(IRIS, SPECIES) >= plain.score(IRIS, SPECIES)


def negative_absolute_error(estimator, X, y):
    return -np.abs(estimator.predict(X) - y).mean()


SAME = {
    "classifier": [("loss", "log_loss", "neg_log_loss"), (None, "accuracy")],
    "regressor": [
        ("mae", "neg_mean_absolute_error", negative_absolute_error,
         make_scorer(mean_absolute_error, greater_is_better=False)),
        (None, "r2"),
        ("mse", "neg_mean_squared_error"),
    ],
}  # fmt: skip
ROWS = [(task, group) for task, groups in SAME.items() for group in groups]


@pytest.mark.parametrize(("task", "names"), ROWS)
def test_the_same_criterion_by_another_name_is_the_same_run(task, names):
    """JAX's, within the program, and scikit-learn's, which see the estimator after each epoch."""
    kind, X, y = TASKS[task]
    parameters = EARLY | {"max_iter": 40, "random_state": 1}
    first, *others = (kind(scoring=name, **parameters).fit(X, y) for name in names)
    for other in others:
        same(first, other)
        np.testing.assert_allclose(
            other.validation_scores_, first.validation_scores_, rtol=1e-9, atol=1e-12
        )


def test_a_score_of_the_users_own_is_what_keeps_the_best_weights():
    def late(estimator, X, y):
        return -((len(estimator.loss_curve_) - 7) ** 2)

    found = MLPClassifier(scoring=late, random_state=0, max_iter=40, **EARLY).fit(IRIS, SPECIES)
    assert found.best_validation_score_ == 0
    assert found.n_iter_ == 7 + 1 + 4  # n_iter_no_change more, then one too many


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scoring": "accuracies", "early_stopping": True}, "unknown scoring 'accuracies'"),
        ({"scoring": "loss"}, "early_stopping is False"),
        ({"scoring": "cross_entropy", "early_stopping": True}, "cross_entropy"),
        ({"scoring": 3, "early_stopping": True}, "'scoring' parameter"),
    ],
)
def test_another_criterion_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(max_iter=2, **parameters).fit(IRIS, SPECIES)


def test_an_error_in_a_scorer_is_the_users_to_see():
    def broken(estimator, X, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        MLPClassifier(scoring=broken, **EARLY).fit(IRIS, SPECIES)


def test_a_criterion_is_known_by_its_kind():
    kinds = [None, "loss", "accuracy", "neg_log_loss", negative_absolute_error]
    found = [scoring.kind_of(MLPClassifier(scoring=kind)) for kind in kinds]
    on_host = scoring.ON_HOST
    assert found == [scoring.DEFAULT, scoring.LOSS, "accuracy", on_host, on_host]


# ---- lbfgs ----


def test_the_losses_of_lbfgs_are_recorded_and_printed(capsys):
    found = MLPRegressor(solver="lbfgs", random_state=0, max_iter=15, verbose=True)
    found.fit(PATIENTS, PROGRESS)
    assert len(found.loss_curve_) == found.n_iter_
    assert found.loss_curve_ == sorted(found.loss_curve_, reverse=True)
    assert found.loss_curve_[-1] == found.loss_
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Iteration 15, loss = {found.loss_:.8f}"
    assert len(lines) == 15
