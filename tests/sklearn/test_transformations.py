"""Solvers of jnn's and of optax, and a warm start that keeps their state."""

import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.preprocessing import scale

import jnn
from jnn.sklearn import MLPClassifier, MLPRegressor
from jnn.sklearn.transformations import THEIRS

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
PATIENTS, PROGRESS = scale(PATIENTS), scale(PROGRESS)
OTHERS = [name for name in jnn.OPTIMIZERS if name not in THEIRS]


def same(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return all((a == b).all() for a, b in pairs)


@pytest.mark.parametrize("name", OTHERS)
def test_each_optimizer_of_jnns_is_a_solver(name):
    rate = jnn.OPTIMIZERS[name].learning_rate or 1e-3
    found = MLPRegressor(
        hidden_layer_sizes=(8,), solver=name, learning_rate_init=rate, random_state=0, max_iter=60,
        activation="tanh",
    ).fit(PATIENTS, PROGRESS)  # fmt: skip
    assert found.loss_curve_[-1] < found.loss_curve_[0]
    full_batch = name in ("bfgs", "levenberg_marquardt")
    if full_batch:
        assert found.loss_ < 0.2
    assert hasattr(found, "partial_fit") is not full_batch


@pytest.mark.parametrize("name", ["bfgs", "levenberg_marquardt"])
@pytest.mark.parametrize("several", [False, True])
def test_second_order_without_hidden_layers_is_ridge_regression(name, several):
    y = np.stack([PROGRESS, PATIENTS[:, 0] ** 2], axis=1) if several else PROGRESS
    found = MLPRegressor(hidden_layer_sizes=(), solver=name, alpha=20.0, max_iter=100, tol=0,
                         n_iter_no_change=5, random_state=0).fit(PATIENTS, y)  # fmt: skip
    expected = Ridge(alpha=20.0).fit(PATIENTS, y)
    np.testing.assert_allclose(found.predict(PATIENTS), expected.predict(PATIENTS), atol=1e-6)


def test_optaxs_adam_is_theirs_up_to_epsilon():
    """Whose ε is not corrected for bias; without it they are equal."""
    parameters = {"random_state": 0, "max_iter": 20, "shuffle": False}
    found = MLPClassifier(solver=optax.adam(1e-3, eps=1e-16), **parameters).fit(IRIS, SPECIES)
    expected = MLPClassifier(epsilon=1e-16, **parameters).fit(IRIS, SPECIES)
    for a, b in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)  # optax corrects in float32
    by_name = MLPClassifier(solver="momentum", learning_rate_init=0.1, **parameters)
    given = MLPClassifier(solver=optax.sgd(0.1, momentum=0.9), **parameters)
    for a, b in zip(
        by_name.fit(IRIS, SPECIES).coefs_, given.fit(IRIS, SPECIES).coefs_, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert clone(given).solver == given.solver


@pytest.mark.parametrize("solver", ["adam", "sgd", "lamb", optax.adam(1e-3)])
def test_a_full_warm_start_is_one_long_fit(solver):
    """Theirs forgets Adam's moments between calls."""
    parameters = {"solver": solver, "shuffle": False, "random_state": 0, "tol": 0}
    found = MLPClassifier(max_iter=4, warm_start="full", **parameters)
    theirs = MLPClassifier(max_iter=4, warm_start=True, **parameters)
    for _ in range(3):
        found.fit(IRIS, SPECIES)
        theirs.fit(IRIS, SPECIES)
    whole = MLPClassifier(max_iter=12, **parameters).fit(IRIS, SPECIES)
    assert same(found, whole)
    assert found.loss_curve_ == whole.loss_curve_
    assert not same(theirs, whole)


def test_a_full_warm_start_takes_a_new_rate_and_a_new_cosine():
    parameters = {"shuffle": False, "random_state": 0, "tol": 0, "learning_rate": "cosine"}
    found = MLPClassifier(max_iter=4, warm_start="full", **parameters).fit(IRIS, SPECIES)
    before = found.coefs_[0]
    found.set_params(learning_rate_init=0.01).fit(IRIS, SPECIES)
    assert np.abs(found.coefs_[0] - before).max() > 0.01


def test_an_optimizers_state_survives_a_file(tmp_path):
    found = MLPClassifier(solver="lamb", random_state=0)
    found.partial_fit(IRIS, SPECIES, classes=[0, 1, 2])
    found.save(tmp_path / "net")
    again = MLPClassifier.load(tmp_path / "net")
    for estimator in (found, again):
        estimator.partial_fit(IRIS, SPECIES)
    assert same(found, again)
