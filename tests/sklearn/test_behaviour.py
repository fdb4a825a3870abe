"""What scikit-learn's two classes do beside their numbers: warnings, errors, attributes, files."""

import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pytest
import sklearn
from hypothesis import Phase, given, settings, strategies as st
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import get_tags

from jnn import sklearn as ours
from jnn.sklearn import MLPClassifier, MLPRegressor, epochs, stochastic

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = scale(X)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
GENERATOR = np.random.mtrand._rand  # NumPy's own, of np.random.seed
KINDS = ("MLPClassifier", "MLPRegressor")
BOTH = [MLPClassifier, MLPRegressor]
SMALL: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}


# ---- parameters and attributes ----


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_have_their_names_order_and_defaults(kind):
    one, other = (inspect.signature(getattr(module, kind)) for module in (theirs, ours))
    before = [(p.name, p.default, p.kind) for p in one.parameters.values()]
    after = [(p.name, p.default, p.kind) for p in other.parameters.values()]
    assert after[: len(before)] == before
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, _, kind in after[len(before) :])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}, {"solver": "sgd"}]
)
def test_fitted_attributes_are_there_where_theirs_are(kind, options):
    one, other = (getattr(module, kind)(**SMALL | options).fit(X, Y) for module in (theirs, ours))
    public = [
        {name: value is None for name, value in vars(estimator).items() if name[-1] == "_"}
        for estimator in (one, other)
    ]
    more = public[1].keys() - public[0].keys()
    assert more <= {"scales_", "validation_loss_curve_", "loss_curve_"}
    assert public[0] == {name: value for name, value in public[1].items() if name not in more}
    assert get_tags(one) == get_tags(other)
    assert one.loss == other.loss


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("activation", "silly"), ("solver", "newton"), ("alpha", -1), ("batch_size", 0),
        ("learning_rate", "fast"), ("learning_rate_init", 0), ("power_t", -0.1), ("max_iter", 0),
        ("shuffle", "yes"), ("random_state", "seed"), ("tol", -1e-9), ("momentum", 1.1),
        ("validation_fraction", 1.0), ("beta_1", 1.0), ("beta_2", -0.5), ("epsilon", 0),
        ("n_iter_no_change", 0), ("max_fun", 0), ("hidden_layer_sizes", (3, 0)),
        ("hidden_layer_sizes", -1), ("loss", "hinge"),
    ],
)  # fmt: skip
def test_ranges_are_refused_in_their_words(kind, parameter, value):
    if parameter not in getattr(ours, kind)().get_params():
        return
    said = []
    for module in (theirs, ours):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            getattr(module, kind)(**{parameter: value}).fit(X, Y)
        said.append((type(raised.value), str(raised.value)))
    if parameter in ("activation", "alpha", "solver", "learning_rate", "loss"):  # ours may be more
        said = [(kind, words.partition(" must be ")[0]) for kind, words in said]
    one, other = ((kind, sorted(words)) for kind, words in said)  # a set has no order
    assert one == other


# ---- warnings and errors, which begin with their words ----


def refused(Estimator: Any, *calls: tuple[str, tuple, dict], **options: Any) -> Any:
    def call() -> None:
        estimator = Estimator(**SMALL | options)
        for method, args, keywords in calls:
            getattr(estimator, method)(*args, **keywords)

    return call


def fitting(x: Any = X, y: Any = Y, **keywords: Any) -> tuple[str, tuple, dict]:
    return "fit", (x, y), keywords


def going_on(x: Any = X, y: Any = Y, **keywords: Any) -> tuple[str, tuple, dict]:
    return "partial_fit", (x, y), keywords


HUGE = np.full_like(X, 1e200)
CASES = {
    "Solver produced non-finite": (
        ValueError, refused(MLPRegressor, fitting(HUGE)),
    ),
    "The validation set is too small. Increase 'validation_fraction' or the size of your": (
        ValueError, refused(MLPClassifier, fitting(X[:8], Y[:8]), early_stopping=True),
    ),
    "partial_fit does not support early_stopping=True": (
        ValueError, refused(MLPRegressor, going_on(), early_stopping=True),
    ),
    "classes must be passed on the first call to partial_fit.": (
        ValueError, refused(MLPClassifier, going_on()),
    ),
    "`y` has classes not in `self.classes_`. `self.classes_` has [0 1]. 'y' has [0 1 2].": (
        ValueError, refused(MLPClassifier, going_on(classes=[0, 1])),
    ),
    "`classes=[0, 1]` is not the same as on last call to partial_fit, was: array([0, 1, 2])": (
        ValueError, refused(MLPClassifier, fitting(), going_on(classes=[0, 1])),
    ),
    "warm_start can only be used where `y` has the same classes as in the previous call to": (
        ValueError, refused(MLPClassifier, fitting(), fitting(X[:99], Y[:99]), warm_start=True),
    ),
    "hidden_layer_sizes must be > 0, got [3, 0].": (
        ValueError, refused(MLPClassifier, fitting(), hidden_layer_sizes=(3, 0)),
    ),
    "each entry of hidden_layer_sizes is 2.5; it must be an integer": (
        TypeError, refused(MLPClassifier, fitting(), hidden_layer_sizes=(2.5,)),
    ),
    "Sample weights must contain at least one non-zero number.": (
        ValueError,
        refused(MLPClassifier, fitting(sample_weight=np.zeros(150))),
    ),
    "Weights sum to zero, can't be normalized: those of sample_weight in minibatch 2 of 15": (
        ZeroDivisionError,
        refused(
            MLPRegressor, fitting(sample_weight=np.repeat([1, 0, 1], [10, 10, 130])),
            batch_size=10, shuffle=False,
        ),
    ),
    "y has entries below 0, the least of them -1.0; loss='poisson' is for counts": (
        ValueError, refused(MLPRegressor, fitting(y=Y - 1.0), loss="poisson"),
    ),
    "X has 3 features, but MLPRegressor is expecting 4 features as input": (
        ValueError, refused(MLPRegressor, fitting(), going_on(X[:, :3])),
    ),
    "This MLPClassifier instance is not fitted yet": (
        ValueError, refused(MLPClassifier, ("predict", (X,), {})),
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", CASES)
def test_what_is_wrong_is_refused(words):
    kind, call = CASES[words]
    with pytest.raises(kind) as raised:
        call()
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda e: e.coefs_.__setitem__(0, np.ones((4, 6))), "(4, 6), (5, 3)"),
        (lambda e: e.intercepts_.__setitem__(1, np.ones(2)), "(5,), (2,)"),
        (lambda e: e.coefs_.pop(), "(4, 5)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(write, what):
    network = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    write(network)
    with pytest.raises(ValueError, match="they must lead from 4 features to 3 outputs") as raised:
        network.fit(X, Y)
    assert what in str(raised.value)


@pytest.mark.parametrize("Estimator", BOTH)
def test_without_epochs_there_is_no_partial_fit(Estimator):
    network = Estimator(solver="lbfgs")
    assert not hasattr(network, "partial_fit")
    with pytest.raises(AttributeError) as raised:
        network.partial_fit(X, Y)
    assert "partial_fit is only available for stochastic" in str(raised.value.__cause__)


WARNED = {
    "Stochastic Optimizer: Maximum iterations (3) reached and the optimization hasn't converged "
    "yet.": (ConvergenceWarning, {}),
    "lbfgs failed to converge after 3 iteration(s) (status=1):": (
        ConvergenceWarning, {"solver": "lbfgs"},
    ),
    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped": (
        UserWarning, {"batch_size": 151, "tol": 1e9, "n_iter_no_change": 1},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("words", WARNED)
@pytest.mark.parametrize("Estimator", BOTH)
def test_what_is_doubtful_is_warned_of(Estimator, words):
    kind, options = WARNED[words]
    with pytest.warns(kind) as caught:
        Estimator(**SMALL | options).fit(X, Y)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(words)
    assert caught[0].filename == __file__


def test_scores_that_are_nan_train_on_and_end_in_an_error():
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        MLPRegressor(**SMALL, early_stopping=True).fit(HUGE, Y)


# ---- what is printed ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tol": 10.0, "n_iter_no_change": 2},
        {"early_stopping": True, "n_iter_no_change": 2},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1,
         "learning_rate_init": 1e-4, "max_iter": 30},
    ],
)  # fmt: skip
def test_epochs_are_printed_as_they_print_them(kind, options, capsys):
    printed = []
    for module in (theirs, ours):
        network = getattr(module, kind)(**{**SMALL, "max_iter": 12, "verbose": True, **options})
        network.fit(X, Y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0]


# ---- Ctrl-C ----


def test_ctrl_c_keeps_the_network_reached(monkeypatch):
    run = stochastic.Run.take

    def pressed(self: Any, *args: Any) -> None:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            run(self, *args)
        finally:
            timer.cancel()

    monkeypatch.setattr(stochastic.Run, "take", pressed)
    network = MLPClassifier((50,), max_iter=10**6, tol=0, n_iter_no_change=np.inf)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        network.fit(X, Y)
    assert 0 < network.n_iter_ < 10**6
    assert len(network.loss_curve_) == network.n_iter_
    assert network.score(X, Y) > 0.5


# ---- what is left alone ----


@pytest.mark.parametrize("Estimator", BOTH)
def test_nothing_but_the_estimator_changes(Estimator):
    before = dict(jax.config.values), GENERATOR.get_state()[1].copy(), X.copy(), Y.copy()
    network = Estimator(**SMALL, early_stopping=True)
    parameters = network.get_params()
    network.fit(X, Y, sample_weight=np.ones(150))
    network.predict(X)
    assert dict(jax.config.values) == before[0]
    for old, new in zip(before[1:], (GENERATOR.get_state()[1], X, Y), strict=True):
        np.testing.assert_array_equal(old, new)
    assert network.get_params() == parameters
    assert all(a.flags.writeable and a.flags.owndata for a in network.coefs_)


def test_none_draws_from_numpys_own_generator_as_theirs_does():
    found = []
    for module in (theirs, ours):
        np.random.seed(4)  # noqa: NPY002
        network = module.MLPRegressor(**{**SMALL, "random_state": None}).fit(PATIENTS, PROGRESS)
        found.append((network.loss_, np.random.random_sample()))  # noqa: NPY002
    np.testing.assert_allclose(*found, rtol=1e-12)


# ---- equal runs ----


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "sgd"}])
@pytest.mark.parametrize("Estimator", BOTH)
def test_pickled_cloned_and_refitted_networks_are_equal_to_the_bit(Estimator, options):
    network = Estimator(**SMALL | options).fit(X, Y)
    again = pickle.loads(pickle.dumps(network))
    refitted = clone(network).fit(X, Y)
    if not options.get("early_stopping"):
        for one in (network, again, refitted):
            one.partial_fit(X, Y)
    for other in (again, refitted):
        for a, b in zip(network.coefs_, other.coefs_, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "sgd"}])
def test_how_often_the_host_looks_changes_no_bit(options, monkeypatch):
    """Nor what is drawn: orders are drawn a chunk ahead."""
    found = []
    for seconds in (1e-9, 10.0):
        monkeypatch.setattr(epochs, "_LOOK_SECONDS", seconds)
        random = np.random.RandomState(1)
        settings = {**SMALL, "random_state": random, "batch_size": 20, "max_iter": 30, "tol": 1e-2}
        network = MLPClassifier(**settings | options, n_iter_no_change=2).fit(X, Y)
        found.append([*network.coefs_, network.loss_curve_, random.random_sample(3)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_do_not_disturb_each_other():
    jobs = [
        (Estimator, dtype, seed) for Estimator in BOTH for dtype in ("f4", "f8") for seed in (0, 1)
    ]

    def fitted(job: Any) -> np.ndarray:
        Estimator, dtype, seed = job
        return Estimator(**{**SMALL, "random_state": seed}).fit(X.astype(dtype), Y).coefs_[0]

    alone = [fitted(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = [*pool.map(fitted, jobs)]
    for a, b in zip(alone, together, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


DRAWN = st.fixed_dictionaries(
    {
        "hidden_layer_sizes": st.sampled_from([(), (3,), (4, 4)]),
        "activation": st.sampled_from(["identity", "logistic", "tanh", "relu"]),
        "solver": st.sampled_from(["adam", "sgd", "lbfgs"]),
        "alpha": st.floats(0, 10),
        "batch_size": st.sampled_from(["auto", 20]),
        "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
        "learning_rate_init": st.floats(1e-4, 1e-2),
        "max_iter": st.integers(1, 6),
        "shuffle": st.booleans(),
        "random_state": st.integers(0, 2**31),
        "tol": st.floats(0, 1),
        "warm_start": st.booleans(),
        "early_stopping": st.booleans(),
    }
)
GOES_ON = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
found = []
for network, X, y in pickle.load(sys.stdin.buffer):
    found.append(going_on(network, X, y))
pickle.dump(found, sys.stdout.buffer)
"""


def goes_on(network: Any, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    partial = hasattr(network, "partial_fit") and not network.early_stopping
    (network.partial_fit if partial else network.fit)(x, y)
    return [*network.coefs_, *network.intercepts_, network.predict(x)]


@pytest.mark.slow
@settings(max_examples=5, deadline=None, phases=[Phase.generate], database=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(BOTH), DRAWN, st.sampled_from(["f4", "f8"]), st.integers(60, 150)
        ),
        min_size=20,
        max_size=20,
    )
)
def test_random_estimators_go_on_in_a_new_process_as_if_they_had_stayed(cases):
    jobs = []
    for Estimator, parameters, dtype, n in cases:
        x, y = X[::-1][:n].astype(dtype), Y[::-1][:n]
        network = Estimator(**parameters).fit(x, y)
        fitted = pickle.dumps(network)
        again = clone(network).fit(x, y)
        for a, b in zip(network.coefs_, again.coefs_, strict=True):
            np.testing.assert_array_equal(a, b)
        jobs.append((pickle.loads(fitted), x, y))
    code = inspect.getsource(goes_on).replace("goes_on", "going_on")
    code = f"import numpy as np\nfrom typing import Any\n{code}{GOES_ON}"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(jobs), capture_output=True, check=True
    )
    for job, elsewhere in zip(jobs, pickle.loads(done.stdout), strict=True):
        for a, b in zip(goes_on(*job), elsewhere, strict=True):
            np.testing.assert_array_equal(a, b)


# ---- in company ----


@pytest.mark.slow
def test_they_work_where_scikit_learn_takes_an_estimator():
    classifier, regressor = MLPClassifier(**SMALL), MLPRegressor(**SMALL)
    make_pipeline(StandardScaler(), classifier).fit(X, Y).predict_proba(X)
    search = GridSearchCV(classifier, {"alpha": [0.1, 1.0]}, cv=2, n_jobs=2)
    assert set(search.fit(X, Y).best_params_) == {"alpha"}
    assert cross_val_predict(classifier, X, Y, method="predict_proba").shape == (150, 3)
    CalibratedClassifierCV(classifier, cv=2).fit(X, Y).predict_proba(X)
    BaggingRegressor(regressor, 2, random_state=0).fit(PATIENTS, PROGRESS).predict(PATIENTS)
    permutation_importance(classifier.fit(X, Y), X, Y, n_repeats=1)
    TransformedTargetRegressor(regressor, transformer=StandardScaler()).fit(PATIENTS, PROGRESS)


def test_weights_are_routed():
    weights = np.linspace(0.5, 2, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        network = MLPClassifier(**SMALL).set_fit_request(sample_weight=True)
        network.set_score_request(sample_weight=True)
        found = cross_validate(network, X, Y, cv=2, params={"sample_weight": weights})
    assert len(found["test_score"]) == 2


def test_without_scikit_learn_it_says_what_to_install():
    code = """
import sys
sys.modules["sklearn"] = None
import jnn
try:
    import jnn.sklearn
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install ".[sklearn]"' in done.stdout


def test_importing_jnn_loads_no_scikit_learn():
    code = "import sys, jnn; print('sklearn' in sys.modules, 'jnn.sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
