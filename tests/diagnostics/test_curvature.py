"""Curvature against JAX's own Hessian, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.networks import problem

import jnn
from jnn import diagnostics
from jnn.theory import linear


@pytest.mark.slow
@pytest.mark.table
@pytest.mark.parametrize("loss", ["half_mse", "log_cosh"])
def test_eigenvalues_and_trace_of_the_hessian(loss, x64):
    params, x, y = problem([3, 4, 4, 2], "tanh", False)
    flat, restore = jax.flatten_util.ravel_pytree(params)

    def objective(p):
        return jnn.losses.mean_loss(jnn.losses.resolve(loss), jnn.predict(restore(p), x), y)

    H = np.asarray(jax.hessian(objective)(flat))
    values = np.linalg.eigvalsh(H)
    values = values[np.argsort(-np.abs(values))]
    found = diagnostics.top_eigenvalues(params, x, y, loss=loss, k=4, iterations=40)
    np.testing.assert_allclose(found, values[:4], rtol=1e-7)
    estimate = diagnostics.trace(params, x, y, loss=loss, samples=400)
    assert abs(estimate.mean - np.trace(H)) <= 4 * estimate.standard_error


# sizes, activation, rows, k, iterations; H has 8, 90, 82 and 20 rows and columns
HESSIANS = {
    "every eigenvalue twice, all of them": ([3, 2], "identity", 50, 8, 50),
    "every eigenvalue nine times, by blocks": ([9, 9], "identity", 4, 9, 9),
    "of rank two, by blocks": ([40, 2], "identity", 1, 5, 12),
    "zeros of a deep network, all of them": ([2, 3, 2, 1], "relu", 1, 20, 20),
}


def dense_hessian(params, x, y):
    """By NumPy's dense solver, largest size first."""
    flat, restore = jax.flatten_util.ravel_pytree(params)
    H = jax.hessian(lambda p: jnp.mean((jnn.predict(restore(p), x) - y) ** 2) / 2)(flat)
    values = np.linalg.eigvalsh(np.asarray(H, np.float64))
    return values[np.argsort(-np.abs(values), kind="stable")]


@pytest.mark.parametrize(
    "wide", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["float32", "float64"]
)
@pytest.mark.parametrize("name", HESSIANS)
def test_repeated_eigenvalues_are_given_as_often_as_they_are_there(name, wide):
    sizes, activation, n, k, iterations = HESSIANS[name]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, sizes[0])), rng.normal(size=(n, sizes[-1]))
    with jax.enable_x64(wide):
        params = jnn.init_network_params(sizes, jax.random.key(0), activation=activation)
        expected = dense_hessian(params, x, y)[:k]
        found = diagnostics.top_eigenvalues(params, x, y, k=k, iterations=iterations)
    error = 1e-9 if wide else 2e-5
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=error * abs(expected[0]))
    assert np.all(np.diff(np.abs(found)) <= 0)


def test_eigenvalues_of_either_sign_and_a_hessian_of_zeros():
    # ℓ = (w_2 w_1 − 1)²/2 at 0, for the weights [[0, −1], [−1, 0]], and the readout's bias
    saddle = jnn.from_layers([(0.0, 0.0)] * 2)
    found = diagnostics.top_eigenvalues(saddle, [[1.0]], [[1.0]], k=4)
    H = np.array([[0, 0, -1, 0], [0, 0, -1, 0], [-1, -1, 0, 0], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(np.sort(found), np.linalg.eigvalsh(H), atol=1e-6)
    for iterations in (3, 50):  # by blocks, and all of it
        found = diagnostics.top_eigenvalues(
            saddle * 2,
            [[1.0]],
            [[1.0]],
            loss=lambda p, y: 0 * jnp.sum(p),
            k=2,
            iterations=iterations,
        )
        np.testing.assert_array_equal(found, [0, 0])


def test_what_has_not_converged_is_said():
    params, x, y = problem([9, 9, 9, 2], "tanh", False)
    with pytest.warns(
        RuntimeWarning, match=r"of 3 eigenvalues have not .* after 3 iterations: .* a"
    ):
        diagnostics.top_eigenvalues(params, x, y, k=3, iterations=3)


@pytest.mark.slow
def test_the_hessian_of_a_linear_chain(x64):
    """The closed form for weights alone: biases add to the largest eigenvalue."""
    w, r = 1.0, 0.5  # five weights, ŷ − y
    params = jnn.from_layers([(w, 0.0)] * 5, activation="identity")
    found = diagnostics.top_eigenvalues(params, [[1.0]], [[w - r]], k=10, iterations=10)
    H = jax.hessian(lambda p: 0.5 * (jnp.prod(p) - (w - r)) ** 2)(jnp.ones(5))
    weights_alone = np.linalg.eigvalsh(H)
    assert weights_alone[[0, -1]] == pytest.approx(linear.chain_curvature(1, 0.5, 5)[1::-1])
    assert found[0] > weights_alone[-1]


@pytest.mark.slow
def test_out_of_range_is_said_and_not_taken_for_a_number():
    params = jnn.from_layers([(4.0, 0.0)] * 100, activation="identity")
    x, y = [[1.0], [2.0]], [[0.0], [1.0]]
    for call in (diagnostics.top_eigenvalues, diagnostics.trace):
        with pytest.raises(FloatingPointError, match="the range of float32"):
            call(params, x, y)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        assert diagnostics.trace(wide, x, y).mean > 1e100
        assert np.isfinite(diagnostics.top_eigenvalues(wide, x, y, iterations=5)).all()


def test_bad_input_is_refused():
    params, x, y = problem([3, 4, 2], "tanh", False)
    for call in (diagnostics.top_eigenvalues, diagnostics.trace):
        with pytest.raises(ValueError, match="shape"):
            call(params, x[:, :2], y)


@pytest.mark.parametrize(
    ("call", "options", "error", "message"),
    [
        ("trace", {"samples": 2.5}, TypeError, "samples is 2.5; it must be an integer"),
        ("trace", {"samples": True}, TypeError, "samples is True"),
        ("trace", {"samples": 1}, ValueError, "samples is 1; .* from 2 to 1000000"),
        ("trace", {"key": 0}, TypeError, "key is 0; it must be one JAX key"),
        ("top_eigenvalues", {"iterations": 3.5}, TypeError, "iterations is 3.5; .* an integer"),
        ("top_eigenvalues", {"iterations": 0}, ValueError, "iterations is 0; .* of at least 1"),
        ("top_eigenvalues", {"k": 1.0}, TypeError, "k is 1.0; it must be an integer"),
        ("top_eigenvalues", {"k": 0}, ValueError, "k is 0; it must be an integer from 1 to 4"),
        ("top_eigenvalues", {"k": 5}, ValueError, "k is 5; .* from 1 to 4: no more than .* param"),
        ("top_eigenvalues", {"k": 3, "iterations": 2}, ValueError, "k is 3; .* from 1 to 2"),
        ("top_eigenvalues", {"key": 0}, TypeError, "key is 0; it must be one JAX key"),
    ],
)
def test_options_out_of_bounds_are_refused(call, options, error, message, as_a_user):
    params = jnn.from_layers([(0.5, 0.0)] * 2)  # four parameters
    with pytest.raises(error, match=message):
        getattr(diagnostics, call)(params, [[1.0]], [[1.0]], **options)


def test_integers_of_numpy_are_integers(as_a_user):
    data = jnn.from_layers([(1.0, 0.0)]), [[2.0], [-2.0]], [[0.0], [0.0]]
    assert diagnostics.trace(*data, samples=np.int64(8)).mean == 5
    found = diagnostics.top_eigenvalues(*data, k=np.int8(1), iterations=np.int64(2))
    assert found == pytest.approx([4])
