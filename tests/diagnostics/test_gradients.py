"""Gradients against JAX's own, dense systems, and closed forms at any depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.networks import NETWORKS, chain, problem

import jnn
from jnn import diagnostics


@pytest.mark.table
@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
@pytest.mark.parametrize("loss", ["half_mse", "log_cosh", "rmse"])
def test_gradient_norms_are_those_of_jax(sizes, activation, residual, loss, x64):
    params, x, y = problem(sizes, activation, residual)
    weights = jnp.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0])

    def mean_loss(p):
        return jnn.losses.mean_loss(jnn.losses.resolve(loss), jnn.predict(p, x), y, weights)

    found = diagnostics.gradient_norms(params, x, y, loss=loss, weights=weights)
    gradient = jax.jit(jax.grad(mean_loss))(params)
    by_layer = [(np.linalg.norm(w), np.linalg.norm(b)) for w, b in jnn.layers(gradient)]
    np.testing.assert_allclose(np.exp(found.log_weights), [w for w, _ in by_layer], rtol=1e-11)
    np.testing.assert_allclose(np.exp(found.log_biases), [b for _, b in by_layer], rtol=1e-11)


def test_adjoints_of_states_are_those_of_the_dense_system(x64):
    params, x, y = problem([3, 4, 4, 2], "tanh", False, n=1)
    system = jnn.linear_system(params, x[0])
    rhs = np.zeros(len(system.L))
    rhs[-2:] = np.asarray(system.states[-1] - y[0]) / 2  # half_mse is the mean over outputs
    λ = np.linalg.solve(np.eye(len(rhs)) - np.asarray(system.L).T, rhs)
    expected = [np.linalg.norm(part) for part in np.split(λ, [4, 8])]
    found = diagnostics.gradient_norms(params, x, y)
    ratio = np.exp(found.log_states) / expected
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)


@pytest.mark.table
@pytest.mark.parametrize("depth", [50, 63, 64, 100, 1_000, 10_000])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_chain_of_quarters_is_exact_at_any_depth(depth, dtype):
    params, x = chain(depth, dtype), [[0.5]]
    layers_above = np.arange(depth, -1, -1.0)
    found = diagnostics.gradient_norms(params, x, [[-0.5]]).log_biases / np.log(4)
    np.testing.assert_allclose(found, -layers_above, rtol=1e-14)
    found = diagnostics.output_norms(params, x)[:-1] / np.log(4)
    np.testing.assert_allclose(found, -layers_above[1:], rtol=1e-14)


@pytest.mark.slow
@pytest.mark.table
@pytest.mark.parametrize(("dtype", "last"), [("float32", 63), ("float64", 511)])
def test_plain_gradients_of_the_chain_end_where_the_logarithms_say(dtype, last, x64):
    for depth, alive in ((last, True), (last + 1, False)):
        params = chain(depth, dtype)
        gradient = jax.grad(lambda p: jnn.forward(p, jnp.array([0.5], dtype))[0])(params)
        assert bool(gradient[0].b[0, 0] != 0) is alive
        log = diagnostics.gradient_norms(params, [[0.5]], [[-0.5]]).log_biases[0]
        assert (log >= np.log(float(jnp.finfo(dtype).tiny)) - 1e-9) is np.bool_(alive)


def test_exploding_gradients_have_logarithms_too():
    params = (jnn.Stack(jnp.full((5_000, 1, 1), 3.0), jnp.zeros((5_000, 1)), "identity"),)
    found = diagnostics.output_norms(params, [[0.0]])
    np.testing.assert_allclose(found, np.log(3) * np.arange(4_999, -1, -1.0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_every_dtype_has_a_range_without_end(dtype):
    params = (
        jnn.Stack(jnp.full((5_000, 1, 1), 4.0, dtype), jnp.zeros((5_000, 1), dtype), "identity"),
    )
    found = diagnostics.output_norms(params, [[0.0]])
    np.testing.assert_allclose(found / np.log(4), np.arange(4_999, -1, -1.0), rtol=1e-14)


def test_exponents_cost_no_digit(x64):
    params = jnn.from_layers([(np.array([[1e71]]), np.zeros(1))])
    found = diagnostics.gradient_norms(params, [[1.0]], [[0.0]])
    assert found.log_biases[0] == pytest.approx(np.log(1e71), rel=1e-15)


def test_what_is_exactly_zero_has_no_logarithm():
    params = jnn.from_layers([(1.0, 1.0), (1.0, -9.0), (1.0, 0.0)], activation="relu")
    found = diagnostics.gradient_norms(params, [[1.0]], [[1.0]])
    assert found.log_states[:2].tolist() == [-np.inf, found.log_states[1]]
    assert found.log_weights[0] == -np.inf


def test_a_perfect_fit_has_neither_gradient_nor_noise():
    params = jnn.from_layers([(1.0, 0.0)] * 3, activation="identity")
    found = diagnostics.gradient_norms(params, [[1.0], [2.0]], [[1.0], [2.0]])
    assert all((column == -np.inf).all() for column in found)
    assert diagnostics.noise_scale(params, [[1.0], [2.0]], [[1.0], [2.0]]).total == 0


@pytest.mark.slow
@pytest.mark.table
@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_the_noise_scale_is_that_of_single_gradients(sizes, activation, residual, x64):
    params, x, y = problem(sizes, activation, residual, n=8)

    def one(x, y):
        loss = jnn.losses.resolve("half_mse")
        return jax.grad(lambda p: jnn.losses.mean_loss(loss, jnn.predict(p, x[None]), y[None]))(
            params
        )

    g = np.stack(
        [
            np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(one(*row))])
            for row in zip(x, y, strict=True)
        ]
    )
    noise = np.sum(np.var(g, axis=0, ddof=1))
    signal = np.sum(np.mean(g, 0) ** 2) - noise / 8
    found = diagnostics.noise_scale(params, x, y)
    assert found.total == pytest.approx(noise / signal if signal > 0 else np.inf, rel=1e-9)
    assert found.layers.shape == (len(sizes) - 1,)


def test_out_of_range_is_said_and_not_taken_for_a_number():
    params = jnn.from_layers([(4.0, 0.0)] * 100, activation="identity")
    x, y = [[1.0], [2.0]], [[0.0], [1.0]]
    assert np.isnan(diagnostics.gradient_norms(params, x, y).log_weights).all()
    assert np.isnan(diagnostics.noise_scale(params, x, y).total)


def test_bad_input_is_refused():
    params, x, y = problem([3, 4, 2], "tanh", False)
    params = jax.tree.map(lambda a: a.astype(jnp.float32), params)
    for call in (diagnostics.gradient_norms, diagnostics.noise_scale):
        with pytest.raises(ValueError, match="shape"):
            call(params, x[:, :2], y)
    with pytest.raises(ValueError, match="shape"):
        diagnostics.output_norms(params, x[:, :2])
    with pytest.raises(ValueError, match="at least two"):
        diagnostics.noise_scale(params, x[:1], y[:1])
