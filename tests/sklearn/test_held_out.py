"""Estimators with alpha="held-out": parameters, what they leave, and what they refuse."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from jnn.sklearn import MLPClassifier, MLPRegressor, held_out, recommended

QUICK = {"hidden_layer_sizes": (6,), "max_iter": 150, "random_state": 0}


def data(n=60):
    x = np.random.default_rng(0).normal(size=(n, 3))
    return x, 100 + 20 * x[:, 0] - 10 * x[:, 1]


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_parameters_are_those_said_and_clone_keeps_them(kind):
    network = kind.recommended(max_iter=7)
    expected = kind().get_params() | held_out.PARAMETERS | {"max_iter": 7}
    assert network.get_params() == clone(network).get_params() == expected
    with pytest.raises(TypeError, match="depth"):
        kind.recommended(depth=3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_regressor_in_the_units_of_y(dtype):
    x, y = data()
    x = x.astype(dtype)
    network = MLPRegressor.recommended(**QUICK).fit(x, y.astype(dtype))
    assert network.score(x, y) > 0.9
    assert network.predict(x).dtype == dtype
    assert [w.shape for w in network.coefs_] == [(3, 48), (48, 1)]
    assert list(network.held_out_losses_) == list(recommended.ALPHAS)
    assert set(network.alphas_) <= set(recommended.ALPHAS)
    assert len(network.alphas_) == recommended.MEMBERS
    assert network.n_iter_ == len(network.loss_curve_) == 150
    copy = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(copy.predict(x), network.predict(x))


@pytest.mark.parametrize("names", [["no", "yes"], ["a", "b", "c"]])
def test_a_classifier_of_names(names):
    x, y = data()
    cuts = np.quantile(y, np.arange(1, len(names)) / len(names))
    labels = np.array(names)[np.digitize(y, cuts)]
    network = MLPClassifier.recommended(**QUICK).fit(x, labels)
    assert network.score(x, labels) > 0.8
    np.testing.assert_allclose(network.predict_proba(x).sum(axis=1), 1)
    again = clone(network).fit(x, labels)
    np.testing.assert_array_equal(again.predict_proba(x), network.predict_proba(x))


def test_a_number_as_alpha_gives_the_plain_estimator():
    x, y = data()
    network = MLPRegressor.recommended(**QUICK, alpha=0.1, solver="lbfgs", tol=1e3).fit(x, y)
    assert [w.shape for w in network.coefs_] == [(3, 6), (6, 1)]
    assert not hasattr(network, "alphas_")


@pytest.mark.parametrize(
    ("kind", "overrides", "named"),
    [
        (MLPClassifier, {"early_stopping": True}, "early_stopping is True, but alpha='held-out'"),
        (MLPClassifier, {"warm_start": True}, "warm_start is True"),
        (MLPClassifier, {"solver": "sgd"}, "solver is 'sgd'"),
        (MLPRegressor, {"loss": "poisson"}, "loss is 'poisson'"),
        (MLPRegressor, {"tol": 0.1}, r"tol is 0\.1"),
    ],
)
def test_what_the_recipe_would_pass_over_is_refused(kind, overrides, named):
    x, y = data()
    with pytest.raises(ValueError, match=named):
        kind.recommended(**QUICK, **overrides).fit(x, (y > 100).astype(float))


def test_calls_that_the_recipe_does_not_serve_are_refused():
    x, y = data()
    network = MLPRegressor.recommended(**QUICK)
    with pytest.raises(ValueError, match="partial_fit does not support alpha='held-out'"):
        network.partial_fit(x, y)
    with pytest.raises(ValueError, match=r"give X\.toarray\(\)"):
        network.fit(scipy.sparse.csr_matrix(x), y)
    with pytest.raises(ValueError, match="does not support sample_weight"):
        network.fit(x, y, sample_weight=np.ones(len(x)))
    with pytest.raises(ValueError, match="alpha"):
        MLPRegressor(alpha="held out").fit(x, y)
