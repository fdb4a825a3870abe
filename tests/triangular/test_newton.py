"""Newton on all layers at once: the states of the walk, in few iterations, or a walk."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn.triangular import newton, substitution
from jnn.triangular.method import Method

pytestmark = pytest.mark.table


def stack(depth, width, gain, weights="orthogonal", activation="tanh", residual=False, dtype=float):
    rng = np.random.default_rng([depth, width])
    w = rng.standard_normal((depth, width, width)) / np.sqrt(width)
    if weights == "orthogonal":
        w = np.linalg.qr(w)[0]
    b = 0.05 * rng.standard_normal((depth, width))
    return jnn.Stack(jnp.asarray(gain * w, dtype), jnp.asarray(b, dtype), activation, residual)


def batch(width, dtype=float):
    return jnp.asarray(np.random.default_rng(3).standard_normal((width, 3)), dtype)


solve = jax.jit(newton.solve)
walk = jax.jit(substitution.walk)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("gain", [0.8, 1.0])
@pytest.mark.parametrize("depth", [100, 1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_at_or_below_criticality_ten_iterations_do(depth, gain, weights, dtype, x64):
    params, x = stack(depth, 8, gain, weights, dtype=dtype), batch(8, dtype)
    solution = solve(params, x)
    assert not solution.sequential
    assert 1 <= solution.iterations <= 10
    assert solution.residual <= 16 * jnp.finfo(dtype).eps
    assert solution.exponent.shape == (3,)
    tolerance = {"float32": 1e-3, "float64": 1e-10}[dtype]  # what rounding does to the walk itself
    assert oracles.apart(walk(params, x).output, solution.result.output) < tolerance


@pytest.mark.parametrize("depth", [100, 1_000])
@pytest.mark.parametrize("gain", [1.5, 4.0])
def test_a_chaotic_network_is_walked(depth, gain, x64):
    params, x = stack(depth, 16, gain, "gaussian"), batch(16)
    solution = solve(params, x)
    np.testing.assert_allclose(
        solution.result.output, walk(params, x).output, rtol=1e-9, atol=1e-12
    )
    if depth == 1_000:
        assert solution.sequential
        assert solution.residual == 0


@pytest.mark.parametrize(
    ("activation", "residual"), [("gelu", False), ("relu", True), ("sin", True), ("sigmoid", False)]
)
def test_every_activation_and_residual_stacks(activation, residual, x64):
    params, x = stack(200, 4, 0.2, activation=activation, residual=residual), batch(4)
    expected, actual = walk(params, x), solve(params, x).result
    assert oracles.apart(expected.output, actual.output) < 1e-10
    assert oracles.apart(expected.inputs, actual.inputs) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("backprop", ["auto", "substitution"])
def test_the_gradient_is_that_of_the_walk(backprop, x64):
    params = oracles.network([2, *[5] * 120, 1], "tanh")
    X = jnp.asarray(np.random.default_rng(0).standard_normal((4, 2)))
    for f in (
        lambda p, **how: jnp.mean(jnp.sin(jnn.predict(p, X, **how))),
        lambda p, **how: jnp.mean(jnp.sin(jnn.forward(p, X[0], **how))),
    ):
        expected = jax.jit(jax.grad(lambda p, f=f: f(p, backprop="autodiff")))(params)
        actual = jax.jit(jax.grad(lambda p, f=f: f(p, states="newton", backprop=backprop)))(params)
        assert oracles.apart(expected, actual) < 1e-10


@pytest.mark.slow
def test_it_trains():
    x = np.linspace(-1, 1, 16)[:, None]
    params = jnn.init_network_params([1, *[4] * 50, 1], jax.random.key(0), init="orthogonal")
    ways = (Method(states=states) for states in ("sequential", "newton"))
    runs = [
        jnn.fit(params, (x, x), optimizer="sgd", epochs=3, backprop=way, progress=False)
        for way in ways
    ]
    losses = [result.history["loss"] for result in runs]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.slow
def test_solve_states_reports_stack_by_stack():
    params = jnn.init_network_params([2, *[4] * 60, 1], jax.random.key(0), init="orthogonal")
    reports = jnn.solve_states(params, jnp.ones((3, 2)))
    assert [report is None for report in reports] == [True, False, True]
    np.testing.assert_allclose(
        reports[1].result.output,
        jnn.hidden_states(params, jnp.ones(2))[1][-1][:, None] * np.ones(3),
        atol=1e-5,
    )
    with pytest.raises(
        ValueError, match=r"x has shape \(2,\); a batch for this network is \(batch, 2\)"
    ):
        jnn.solve_states(params, jnp.ones(2))
