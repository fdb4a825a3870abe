"""The last layer by least squares: polynomials, normal equations, weights, minimal norm."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import polynomial_features
from jnn.training.readout import solve_readout


def data(n, d, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, k))


def one_layer(d, k):
    return jnn.init_network_params([d, k], jax.random.key(0))


def readout_of(params):
    return tuple(np.asarray(a) for a in jnn.layers(params)[-1])


def test_a_polynomial_is_that_of_polyfit(x64):
    x, _ = data(40, 1, 1)
    y = np.sin(2 * x) + 0.1 * np.cos(40 * x)
    W, b = readout_of(solve_readout(one_layer(5, 1), (polynomial_features(x, 5), y)))
    np.testing.assert_allclose([*W[0, ::-1], b[0]], np.polyfit(x[:, 0], y[:, 0], 5), rtol=1e-8)


@pytest.mark.parametrize("l2", [0.0, 1e-3, 0.5])
def test_the_normal_equations_hold(l2, x64):
    x, y = data(30, 4, 2)
    w = np.random.default_rng(1).uniform(0, 2, 30)
    W, b = readout_of(solve_readout(one_layer(4, 2), (x, y), weights=w, l2=l2))
    r = (x @ W.T + b - y) * (w / w.sum())[:, None]
    np.testing.assert_allclose(r.T @ x + l2 * W, 0, atol=1e-12)
    np.testing.assert_allclose(r.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_it_is_the_regression_of_scikit_learn(alpha, x64):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = data(30, 4, 2)
    expected = (linear_model.Ridge(alpha) if alpha else linear_model.LinearRegression()).fit(x, y)
    W, b = readout_of(solve_readout(one_layer(4, 2), (x, y), l2=alpha / 30))
    np.testing.assert_allclose(W, expected.coef_, rtol=1e-10)
    np.testing.assert_allclose(b, expected.intercept_, rtol=1e-9)


def test_a_weight_is_the_number_of_times_a_row_counts(x64):
    x, y = data(20, 3, 2)
    counts = np.random.default_rng(2).integers(0, 4, 20)
    weighted = solve_readout(one_layer(3, 2), (x, y, counts), l2=0.1)
    repeated = solve_readout(
        one_layer(3, 2), (x.repeat(counts, axis=0), y.repeat(counts, axis=0)), l2=0.1
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), weighted, repeated)
    by_name = solve_readout(one_layer(3, 2), (x, y), weights=counts, l2=0.1)
    jax.tree.map(np.testing.assert_array_equal, by_name, weighted)


def test_of_many_solutions_it_is_the_one_of_smallest_weights(x64):
    x, y = data(5, 12, 2)
    W, b = readout_of(solve_readout(one_layer(12, 2), (x, y)))
    np.testing.assert_allclose(x @ W.T + b, y, atol=1e-12)
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(W.T, np.linalg.pinv(centred) @ (y - y.mean(axis=0)), atol=1e-12)
    W_ridge, b_ridge = readout_of(solve_readout(one_layer(12, 2), (x, y), l2=1e-10))
    np.testing.assert_allclose(W_ridge, W, atol=1e-7)
    np.testing.assert_allclose(b_ridge, b, atol=1e-7)


def test_equal_features_share_their_weight():
    x, _ = data(50, 1, 1)
    W, _ = readout_of(solve_readout(one_layer(2, 1), (np.hstack([x, x]), 3 * x)))
    np.testing.assert_allclose(W, [[1.5, 1.5]], rtol=1e-6)


@pytest.mark.parametrize("sizes", [[2, 6, 1], [2, 5, 5, 3], [2, 2, 2]])
@pytest.mark.parametrize("activation", ["tanh", pytest.param("identity", marks=pytest.mark.slow)])
def test_the_last_layer_changes_to_the_best_one_and_no_other(sizes, activation):
    x, y = data(40, sizes[0], sizes[-1])
    params = jnn.init_network_params(sizes, jax.random.key(1), activation=activation)
    solved = solve_readout(params, (x, y))
    assert jax.tree.structure(solved) == jax.tree.structure(params)
    for before, after in zip(jnn.layers(params)[:-1], jnn.layers(solved)[:-1], strict=True):
        jax.tree.map(np.testing.assert_array_equal, before, after)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(solved))

    def loss(p):
        return jnp.mean((jnn.predict(p, x) - y.astype(np.float32)) ** 2)

    assert loss(solved) < loss(params)
    last = jax.grad(loss)(solved)[-1]
    np.testing.assert_allclose(last.w[-1], 0, atol=2e-5)
    np.testing.assert_allclose(last.b[-1], 0, atol=2e-5)


X, Y = data(6, 2, 1)
LINEAR = one_layer(2, 1)


@pytest.mark.parametrize(
    ("params", "rows", "options", "message"),
    [
        (
            jax.tree.map(lambda a: a, (dataclasses.replace(LINEAR[0], activation="tanh"),)),
            (X, Y),
            {},
            "has activation",
        ),
        (
            (dataclasses.replace(one_layer(1, 1)[0], residual=True),),
            (X[:, :1], Y),
            {},
            r"the last layer adds its input \(residual\); solve_readout needs a linear one",
        ),
        (LINEAR, (X, Y), {"l2": -1.0}, "l2 is -1.0"),
        (LINEAR, (X, Y), {"l2": float("nan")}, "l2 is nan"),
        (LINEAR, (X, Y, np.ones(6)), {"weights": np.ones(6)}, "weights are given twice"),
        (LINEAR, (X, Y), {"weights": np.ones(5)}, r"weights of data has shape \(5,\)"),
        (LINEAR, (X, Y[:5]), {}, "differ in length"),
        (LINEAR, (X[:, :1], Y), {}, r"x of data has shape \(6, 1\); this network takes \(n, 2\)"),
        (LINEAR, (X, np.hstack([Y, Y])), {}, "targets have shape"),
        (LINEAR, (X, Y[:, 0]), {}, "reshape them"),
        (LINEAR, (X * np.inf, Y), {}, "x of data holds NaN or infinity"),
        (LINEAR, X, {}, "data must be"),
    ],
)
def test_wrong_input_is_refused(params, rows, options, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        solve_readout(params, rows, **options)


def test_hidden_states_that_are_not_finite_are_refused():
    params = jnn.init_network_params([2, 3, 1], jax.random.key(0))
    broken = (dataclasses.replace(params[0], w=params[0].w * jnp.nan), params[1])
    with pytest.raises(ValueError, match="the hidden states of these data hold NaN or infinity"):
        solve_readout(broken, (X, Y))


def test_a_readout_that_does_not_fit_the_dtype_is_refused():
    params = jnn.init_network_params([1, 1], jax.random.key(0), dtype=jnp.float16)
    x = np.array([[0.0], [1e-4]])
    with pytest.raises(ValueError, match="the best readout is too large for float16, up to"):
        solve_readout(params, (x, 1e6 * x * 1e3))
