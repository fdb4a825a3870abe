"""Our estimators against the installed scikit-learn's, weight for weight, in float64 and float32.

The tables go through data, solvers, activations, schedules, batches, stopping, weights, warm
starts, `partial_fit`, sparse rows, several labels and outputs, counts and labels of any kind. The
oracle is the scikit-learn that is installed, so that its next version shows itself.
"""

import warnings
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.preprocessing import StandardScaler, scale

from jnn import sklearn as ours

IRIS, SPECIES = load_iris(return_X_y=True)
IRIS = scale(IRIS)
DIGITS, DIGIT = (a[:430] for a in load_digits(return_X_y=True))
DIGITS = DIGITS / 16
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
PATIENTS, PROGRESS = scale(PATIENTS), StandardScaler().fit_transform(PROGRESS[:, None])[:, 0]
LABELLED, LABELS = make_multilabel_classification(220, 6, n_classes=4, random_state=0)
LABELLED = scale(LABELLED)
WEIGHTS = np.random.default_rng(0).uniform(0, 3, 500)
WEIGHTS[::7] = 0  # a row of weight 0 stays in its minibatch
WEIGHTS[::31] = -0.2  # and one below 0 is taken

BINARY = (DIGITS, DIGIT > 4)
TWO_OUTPUTS = (PATIENTS, np.stack([PROGRESS, np.sin(3 * PROGRESS)], axis=1))
COUNTS = (PATIENTS, np.round(np.exp(PROGRESS)))

# estimator, data, parameters, weights of rows
CLASSIFIER, REGRESSOR = "MLPClassifier", "MLPRegressor"
DATA = {
    "iris": (CLASSIFIER, IRIS, SPECIES),
    "names": (CLASSIFIER, IRIS, np.array(["setosa", "versicolor", "virginica"])[SPECIES]),
    "digits": (CLASSIFIER, DIGITS, DIGIT),
    "two classes": (CLASSIFIER, *BINARY),
    "two names": (CLASSIFIER, DIGITS, np.where(DIGIT > 4, "high", "low").astype(object)),
    "labels": (CLASSIFIER, LABELLED, LABELS),
    "sparse": (CLASSIFIER, scipy.sparse.csr_matrix(DIGITS), DIGIT),
    "diabetes": (REGRESSOR, PATIENTS, PROGRESS),
    "a column": (REGRESSOR, PATIENTS, PROGRESS[:, None]),
    "two outputs": (REGRESSOR, *TWO_OUTPUTS),
    "counts": (REGRESSOR, *COUNTS),
    "sparse columns": (REGRESSOR, scipy.sparse.csc_matrix(PATIENTS), PROGRESS),
}
SGD = {"solver": "sgd", "learning_rate_init": 0.05}
EARLY = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 30}
CASES: list[tuple[str, dict[str, Any], bool]] = [
    # data, parameters, whether rows are weighted
    *((name, {}, False) for name in DATA if name != "counts"),
    *((name, {}, True) for name in ("iris", "digits", "two classes", "labels", "diabetes")),
    *((name, {"activation": h}, False) for name in ("digits", "diabetes")
      for h in ("identity", "logistic", "tanh")),
    *((name, {"hidden_layer_sizes": sizes}, False) for name in ("digits", "two outputs")
      for sizes in ((), 5, (6, 6, 6), [7, 4])),
    *((name, {"batch_size": n}, False) for name in ("digits", "diabetes") for n in (1000, 37)),
    ("iris", {"batch_size": 1, "max_iter": 3}, False),
    ("digits", {"shuffle": False}, False),
    ("digits", {"alpha": 3.0, "batch_size": 300}, True),  # the last batch is penalised more
    ("digits", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01, "learning_rate_init": 0.02}, False),
    ("digits", {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 60}, False),
    ("diabetes", {"n_iter_no_change": np.inf}, False),
    *((name, SGD | {"learning_rate": rate, "tol": 1e-2, "n_iter_no_change": 2, "max_iter": 40}, w)
      for name, w in (("digits", False), ("diabetes", True))
      for rate in ("constant", "invscaling", "adaptive")),
    ("digits", SGD | {"nesterovs_momentum": False, "momentum": 0.3}, False),
    ("diabetes", SGD | {"momentum": 0.0, "power_t": 0.1, "learning_rate": "invscaling"}, False),
    ("labels", SGD, False),
    *((name, EARLY, w) for name in ("digits", "two classes", "labels", "diabetes", "two outputs")
      for w in (False, True)),
    ("digits", EARLY | SGD | {"learning_rate": "adaptive", "validation_fraction": 0.3}, False),
    ("sparse", EARLY | {"tol": 0.0}, False),
    ("counts", {"loss": "poisson"}, False),
    ("counts", {"loss": "poisson", **EARLY}, True),
    *((name, {"solver": "lbfgs"}, w) for name in ("iris", "two classes", "diabetes", "sparse")
      for w in (False, True)),
    ("counts", {"solver": "lbfgs", "loss": "poisson", "max_iter": 12}, False),
    ("labels", {"solver": "lbfgs", "activation": "tanh", "alpha": 0.1}, False),
]  # fmt: skip


def name_of(case: tuple[str, dict[str, Any], bool]) -> str:
    data, parameters, weighted = case
    words = (f"{name}={value}" for name, value in parameters.items())
    return " ".join([data, *words, *(["weighted"] if weighted else [])])


ROWS = {name_of(case): case for case in CASES}
FITTED = ("coefs_", "intercepts_", "loss_", "loss_curve_", "n_iter_", "t_", "best_loss_",
          "validation_scores_", "best_validation_score_", "n_layers_", "n_outputs_",
          "out_activation_", "n_features_in_", "classes_")  # fmt: skip


def both(kind: str, **parameters: Any) -> tuple[Any, Any]:
    defaults: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 3}
    return tuple(getattr(module, kind)(**defaults | parameters) for module in (theirs, ours))


def silently(f: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f(*args, **options)


def apart(a: Any, b: Any) -> float:
    """How far two arrays are apart, relative to the largest entry; of the same shape and dtype."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if a.dtype.kind not in "fc":
        assert (a == b).all()
        return 0.0
    np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
    there = np.isfinite(a)
    return float(np.abs(a - b)[there].max(initial=0) / max(np.abs(a)[there].max(initial=0), 1e-300))


def compared(one: Any, other: Any, X: Any) -> dict[str, float]:
    """How far everything is apart that two fitted estimators show."""
    found = {}
    for name in FITTED:
        if name == "loss_curve_" and one.solver == "lbfgs":
            continue  # theirs has none
        assert hasattr(one, name) == hasattr(other, name), name
        a, b = getattr(one, name, None), getattr(other, name, None)
        if a is None or isinstance(a, (int, str)):
            assert a == b, name
            continue
        if name in ("coefs_", "intercepts_"):
            assert isinstance(b, list)
            assert all(type(array) is np.ndarray for array in b)
            found |= {f"{name}[{l}]": apart(*pair) for l, pair in enumerate(zip(a, b, strict=True))}
        else:
            found[name] = apart(a, b)
    methods = ["predict", "predict_proba", "predict_log_proba"]
    for method in methods if hasattr(one, "predict_proba") else methods[:1]:
        found[method] = apart(getattr(one, method)(X), getattr(other, method)(X))
    return found


@cache
def differences(name: str) -> dict[str, float]:
    data, parameters, weighted = ROWS[name]
    kind, X, y = DATA[data]
    pair = both(kind, **parameters)
    for estimator in pair:
        silently(estimator.fit, X, y, WEIGHTS[: X.shape[0]] if weighted else None)
    return compared(*pair, X)


@pytest.mark.table
@pytest.mark.parametrize("name", ROWS)
def test_a_fit_is_scikit_learns(name):
    assert len(ROWS) >= 50
    far = {what: distance for what, distance in differences(name).items() if distance > 1e-6}
    assert far == {}


@pytest.mark.exhaustive
def test_most_are_equal_to_rounding():
    assert median(d for name in ROWS for d in differences(name).values()) <= 1e-12


# ---- calls that go on ----


class Step(NamedTuple):
    method: str
    rows: slice
    options: dict[str, Any] = {}  # noqa: RUF012


def part(estimator: Any, step: Step, X: Any, y: Any) -> None:
    options = dict(step.options)
    silently(getattr(estimator, step.method), X[step.rows], y[step.rows], **options)


CLASSES = {"classes": np.arange(10)}
FIRST, SECOND, ALL = slice(0, 250), slice(250, 430), slice(None)
SEQUENCES = {
    "warm adam": ({"warm_start": True}, [Step("fit", ALL), Step("fit", ALL)]),
    "warm sgd": (SGD | {"warm_start": True, "learning_rate": "invscaling"}, [Step("fit", ALL)] * 3),
    "warm, early": (EARLY | {"warm_start": True}, [Step("fit", ALL), Step("fit", ALL)]),
    "cold": ({}, [Step("fit", ALL), Step("fit", ALL)]),
    "partial adam": ({}, [Step("partial_fit", FIRST, CLASSES), Step("partial_fit", SECOND)] * 2),
    "partial sgd": (
        SGD | {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
        [Step("partial_fit", FIRST, CLASSES), *[Step("partial_fit", SECOND)] * 5],
    ),
    "fit, then partial": ({"shuffle": False}, [Step("fit", ALL), Step("partial_fit", SECOND)]),
    "partial, then fit": ({}, [Step("partial_fit", FIRST, CLASSES), Step("fit", ALL)]),
    "partial, weighted": (
        {},
        [Step("partial_fit", ALL, CLASSES | {"sample_weight": WEIGHTS[:430]})] * 2,
    ),
    "warm, then partial": (
        {"warm_start": True},
        [Step("fit", ALL), Step("partial_fit", ALL), Step("fit", ALL)],
    ),
    "lbfgs, warm": (
        {"solver": "lbfgs", "warm_start": True, "max_iter": 5},
        [Step("fit", ALL), Step("fit", ALL)],
    ),
}


@pytest.mark.parametrize("kind", [CLASSIFIER, REGRESSOR])
@pytest.mark.parametrize("name", SEQUENCES)
def test_so_is_a_sequence_of_calls(kind, name):
    parameters, steps = SEQUENCES[name]
    pair = both(kind, **parameters)
    X, y = DIGITS, DIGIT if kind == CLASSIFIER else DIGIT / 5
    for step in steps:
        options = step.options
        if kind == REGRESSOR:
            options = {key: value for key, value in options.items() if key != "classes"}
        for estimator in pair:
            part(estimator, step._replace(options=options), X, y)
    assert max(compared(*pair, X).values()) <= 1e-6


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_so_is_what_follows_weights_that_a_user_wrote(method):
    pair = both(CLASSIFIER, warm_start=True)
    for estimator in pair:
        silently(estimator.fit, DIGITS, DIGIT)
        estimator.coefs_[0][:] = 0.01
        estimator.intercepts_[1] = np.linspace(0, 1, 10)
    assert compared(*pair, DIGITS)["predict_proba"] <= 1e-12
    for estimator in pair:
        silently(getattr(estimator, method), DIGITS, DIGIT)
    assert max(compared(*pair, DIGITS).values()) <= 1e-6


@pytest.mark.parametrize("parameters", [{}, EARLY, {"tol": 0.3, "n_iter_no_change": 1}])
@pytest.mark.parametrize("data", ["digits", "iris"])
def test_a_generator_is_left_as_scikit_learn_leaves_it(data, parameters):
    """Also where a run stops early, for which orders of later epochs had been drawn."""
    _, X, y = DATA[data]
    generators = np.random.RandomState(5), np.random.RandomState(5)
    pair = both(CLASSIFIER, **{"max_iter": 40, **parameters})
    for estimator, random in zip(pair, generators, strict=True):
        estimator.set_params(random_state=random)
        silently(estimator.fit, X, y)
        silently(estimator.fit, X, y)
    one, other = (random.random_sample() for random in generators)
    assert one == other
    assert max(compared(*pair, X).values()) <= 1e-6


# ---- float32 ----


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        ("digits", {}),
        ("digits", EARLY),
        ("diabetes", SGD),
        ("two outputs", {"activation": "tanh"}),
        ("two classes", {"solver": "lbfgs"}),
        ("counts", {"loss": "poisson"}),
    ],
)
def test_in_float32_they_agree_to_two_digits(data, parameters):
    kind, X, y = DATA[data]
    X, y = X.astype(np.float32), y if kind == CLASSIFIER else y.astype(np.float32)
    one, other = both(kind, **parameters)
    for estimator in (one, other):
        silently(estimator.fit, X, y)
    assert abs(one.n_iter_ - other.n_iter_) <= 2
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert apart(a, b) <= 1e-2
    last = "predict_proba" if kind == CLASSIFIER else "predict"
    assert apart(getattr(one, last)(X), getattr(other, last)(X)) <= 1e-2
