"""Dropout: a plain loop with the same masks, their statistics, derivatives, refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn.params import hidden_and_readout
from jnn.training import dropout
from jnn.triangular import network
from jnn.triangular.method import Method

pytestmark = pytest.mark.table

EXACT = 1e-12  # relative, in float64
KEY = jax.random.key(7)


def masks_of(params, batch, key, rate):
    """The multipliers 0 or 1/(1 − rate) of each hidden layer, (batch, n_l); ones at the end."""
    every = []
    for i, stack in enumerate(hidden_and_readout(params)[0]):
        keep = dropout._keep(jax.random.fold_in(key, i), rate, dropout._mask_shape(stack, batch))
        keep = np.asarray(keep).swapaxes(1, 2) if dropout._by_columns(stack) else np.asarray(keep)
        every.extend(keep / (1 - rate))
    return [*every, np.ones((batch, params[-1].w.shape[1]))]


def by_loop(params, X, masks):
    """Example by example, layer by layer."""
    kinds = [stack for stack in params for _ in range(stack.depth)]
    rows = []
    for i in range(len(X)):
        x = X[i]
        for (w, b), stack, m in zip(jnn.layers(params), kinds, masks, strict=True):
            h = (
                oracles.ACTIVATIONS[stack.activation]
                if isinstance(stack.activation, str)
                else stack.activation
            )
            y = m[i] * h(w @ x + b)
            x = y + x if stack.residual else y
        rows.append(x)
    return jnp.stack(rows)


def batch(n, rows=3, seed=0):
    return jnp.asarray(np.random.default_rng([seed, n]).standard_normal((rows, n)))


NETWORKS = [
    ([2, 5, 1], "tanh", False),
    ([3, 4, 4, 4, 2], "gelu", False),
    ([3, 4, 4, 4, 2], "tanh", True),
    ([1, 1, 1, 1], "sigmoid", False),
    ([3, 40, 40, 40, 2], "silu", True),
    ([3, 3, 3, 3], "identity", False),  # hidden layers and readout in one stack
    ([3, 2], "tanh", False),  # nothing to drop
    ([2, 4, 4, 3, 3, 3, 2], oracles.bent, True),
]
table = pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)


@table
@pytest.mark.parametrize("backprop", ["auto", "autodiff"])
def test_value_and_gradient_are_those_of_the_loop(sizes, activation, residual, backprop, x64):
    params, X, rate = oracles.network(sizes, activation, residual), batch(sizes[0]), 0.3
    masks, weight = masks_of(params, len(X), KEY, rate), batch(sizes[-1], seed=1)

    def objective(f, params, X):
        return jnp.sum(weight * jnp.sin(f(params, X)))

    f = partial(dropout.batch_output, key=KEY, rate=rate, method=Method(backprop))
    by_hand, by_rule = (
        jax.jit(
            lambda params, X, g=g: (
                g(params, X),
                jax.grad(partial(objective, g), (0, 1))(params, X),
            )
        )
        for g in (partial(by_loop, masks=masks), f)
    )
    for expected, actual in zip(by_hand(params, X), by_rule(params, X), strict=True):
        assert oracles.apart(expected, actual) < EXACT


@pytest.mark.parametrize("residual", [False, True])
def test_a_deep_stack_is_the_loop(residual, x64):
    params, X = oracles.network([4] * 66, "tanh", residual, gain=1.2), batch(4)
    f = jax.jit(lambda params, X, rate: dropout.batch_output(params, X, KEY, rate))
    assert (
        oracles.apart(by_loop(params, X, masks_of(params, 3, KEY, 0.1)), f(params, X, 0.1)) < EXACT
    )


@pytest.mark.parametrize("residual", [False, True])
def test_gradient_is_the_finite_difference(residual, x64):
    params, X = oracles.network([2, 3, 3, 3, 1], "tanh", residual), batch(2)
    direction = oracles.network([2, 3, 3, 3, 1], "tanh", residual, seed=3)

    @jax.jit
    def along(t):
        moved = jax.tree.map(lambda p, d: p + t * d, params, direction)
        return jnp.sum(dropout.batch_output(moved, X, KEY, 0.4) ** 2)

    difference = (along(1e-5) - along(-1e-5)) / 2e-5
    assert float(jax.grad(along)(0.0)) == pytest.approx(float(difference), rel=1e-6)
    assert float(difference) != 0


@pytest.mark.slow
def test_it_solves_the_triangular_system_with_masked_slopes(x64):
    """(I − L) dx = D dp by hand: λₗ₋₁ = Wₗᵀ (mₗ ∘ δₗ ∘ λₗ) [+ λₗ₋₁], ∂ℓ/∂bₗ = mₗ ∘ δₗ ∘ λₗ."""
    params, X = oracles.network([3, 4, 4, 4, 2], "tanh", True), batch(3, rows=1)
    masks, kinds = masks_of(params, 1, KEY, 0.5), [s for s in params for _ in range(s.depth)]
    states, blocks = [np.asarray(X[0])], []
    for (w, b), stack, m in zip(jnn.layers(params), kinds, masks, strict=True):
        z = np.asarray(w @ states[-1] + b)
        h, δ = (
            (np.tanh(z), 1 - np.tanh(z) ** 2)
            if stack.activation == "tanh"
            else (z, np.ones_like(z))
        )
        blocks.append((np.asarray(w), m[0] * δ, stack.residual))
        states.append(m[0] * h + (states[-1] if stack.residual else 0))
    λ, expected = states[-1], []
    for w, δ, residual in reversed(blocks):
        expected.insert(0, δ * λ)
        λ = w.T @ (δ * λ) + (λ if residual else 0)
    gradient = jax.grad(lambda p: 0.5 * jnp.sum(dropout.batch_output(p, X, KEY, 0.5) ** 2))(params)
    for (_, g), μ in zip(jnn.layers(gradient), expected, strict=True):
        np.testing.assert_allclose(g, μ, rtol=1e-12, atol=1e-15)


# ---- rate 0 ----


@table
def test_rate_0_is_the_plain_network(sizes, activation, residual, x64):
    params, X = oracles.network(sizes, activation, residual), batch(sizes[0])
    plain = network.batch_output(params, X, Method())
    for zero in (0, 0.0):
        np.testing.assert_array_equal(dropout.batch_output(params, X, KEY, zero), plain)
    traced = jax.jit(lambda rate: dropout.batch_output(params, X, KEY, rate))(0.0)
    assert oracles.apart(plain, traced) < 1e-14


def test_rate_0_takes_every_method():
    params, X = oracles.network([2, 3, 3, 1]), batch(2)
    for method in map(Method, jnn.METHODS):
        np.testing.assert_array_equal(
            dropout.batch_output(params, X, KEY, 0.0, method),
            network.batch_output(params, X, method),
        )


# ---- statistics ----

SAMPLES = 200_000


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_mean_and_variance_of_a_linear_readout(rate, x64):
    """y = Σ mⱼ vⱼ hⱼ + c: E y is the plain output, Var y = rate / (1 − rate) Σ vⱼ² hⱼ²."""
    params, x = oracles.network([3, 10, 1], "tanh"), oracles.example(3)
    y = np.asarray(dropout.batch_output(params, jnp.tile(x, (SAMPLES, 1)), KEY, rate))[:, 0]
    terms = np.asarray(params[-1].w[0, 0]) * np.asarray(oracles.states(params, x)[0])
    variance = rate / (1 - rate) * np.sum(terms**2)
    plain = float(oracles.forward(params, x)[0])
    assert abs(y.mean() - plain) < 4 * np.sqrt(variance / SAMPLES)
    fourth = np.mean((y - plain) ** 4)
    assert abs(np.mean((y - plain) ** 2) - variance) < 4 * np.sqrt((fourth - variance**2) / SAMPLES)


@pytest.mark.parametrize("sizes", [[2, 4, 4, 4, 1], [2, 40, 40, 1], [2, 3, 5, 1]], ids=str)
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_masks_have_their_rate_and_know_nothing_of_each_other(sizes, rate):
    masks = masks_of(oracles.network(sizes), 8192, KEY, rate)[:-1]
    dropped = np.concatenate(masks, axis=1) == 0  # (example, unit of any layer)
    units = dropped.shape[1]
    standard_error = np.sqrt(rate * (1 - rate) / 8192)
    assert abs(dropped.mean() - rate) < 4 * standard_error / np.sqrt(units)
    assert np.all(np.abs(dropped.mean(axis=0) - rate) < 5 * standard_error)
    # between units of one layer and of different layers, at equal examples and at neighbouring ones
    centred = (dropped - rate) / np.sqrt(rate * (1 - rate))
    same, next_ = centred.T @ centred / 8192, centred[1:].T @ centred[:-1] / 8191
    np.fill_diagonal(same, 0)
    assert np.abs(same).max() < 5.5 / np.sqrt(8192)
    assert np.abs(next_).max() < 5.5 / np.sqrt(8192)


def test_kept_units_are_divided_by_1_minus_rate(x64):
    params = jnn.from_layers(
        [(np.ones((50, 1)), np.zeros(50)), (np.eye(50), np.zeros(50))], activation="identity"
    )
    y = np.asarray(dropout.batch_output(params, jnp.ones((100, 1)), KEY, 0.3))
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-12)


def test_the_same_key_draws_the_same_masks_and_another_others():
    params, X = oracles.network([2, 30, 30, 1]), batch(2, rows=8)
    f = jax.jit(dropout.batch_output)
    first, again, other = (np.asarray(f(params, X, jax.random.key(s), 0.5)) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)


def test_equal_examples_of_a_batch_get_masks_of_their_own():
    y = dropout.batch_output(oracles.network([2, 30, 30, 1]), jnp.ones((20, 2)), KEY, 0.5)
    assert len(np.unique(np.asarray(y))) == 20


def test_a_rate_just_under_1_drops_nearly_all():
    for rate in (0.999, np.nextafter(np.float32(1), np.float32(0))):
        keep = dropout._keep(KEY, rate, (100, 100, 10))
        assert np.mean(keep) < 0.0015


def test_an_odd_number_of_units_and_none():
    assert dropout._keep(KEY, 0.5, (3, 5, 7)).shape == (3, 5, 7)
    assert dropout.batch_output(oracles.network([2, 3, 1]), jnp.zeros((0, 2)), KEY, 0.5).shape == (
        0,
        1,
    )


# ---- programs ----


def test_a_new_rate_recompiles_nothing():
    traces = []

    @jax.jit
    def f(params, X, key, rate):
        traces.append(rate)
        return dropout.batch_output(params, X, key, rate)

    params, X = oracles.network([2, 3, 3, 1]), batch(2)
    assert len({float(f(params, X, KEY, rate)[0, 0]) for rate in (0.0, 0.2, 0.5)}) > 1
    assert len(traces) == 1


def test_the_program_does_not_grow_with_depth():
    def length(depth):
        params = oracles.network([4] * (depth + 1))
        gradient = jax.grad(lambda p: jnp.sum(dropout.batch_output(p, batch(4), KEY, 0.1)))
        return len(str(jax.make_jaxpr(gradient)(params)).splitlines())

    assert length(10) == length(100)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("sizes", [[2, 4, 4, 1], [2, 40, 40, 1]], ids=str)
def test_dtype_follows_the_parameters(dtype, sizes):
    params = jnn.init_network_params(sizes, KEY, dtype=dtype)
    X = jnp.ones((3, 2), dtype)
    f = jax.jit(jax.value_and_grad(lambda p, rate: jnp.sum(dropout.batch_output(p, X, KEY, rate))))
    assert {leaf.dtype for leaf in jax.tree.leaves(f(params, 0.5))} == {jnp.dtype(dtype)}


def test_keys_of_another_generator():
    y = dropout.batch_output(
        oracles.network([2, 30, 1]), batch(2), jax.random.key(0, impl="rbg"), 0.5
    )
    assert np.all(np.isfinite(y))


# ---- wrong input ----


@pytest.mark.parametrize("rate", [0, 0.0, 0.5, np.float32(0.9), jnp.array(0.25)], ids=repr)
def test_rates_that_are_let_through(rate):
    assert dropout.check_rate(rate) == float(rate)


@pytest.mark.parametrize("rate", [1, 1.0, 1.5, -0.1, np.nan, np.inf])
def test_a_rate_outside_of_0_and_1_is_refused(rate):
    with pytest.raises(ValueError, match=r"dropout_rate is .*; it must be at least 0 and below 1"):
        dropout.check_rate(rate)


@pytest.mark.parametrize("rate", ["0.5", None, True, np.array([0.5]), 1j, [0.1]], ids=str)
def test_a_rate_that_is_no_number_is_refused(rate):
    with pytest.raises(TypeError, match=r"dropout_rate is .*; it must be a number"):
        dropout.check_rate(rate)


@pytest.mark.parametrize("method", ["dense", "substitution"])
def test_a_method_that_knows_no_masks_is_refused(method):
    message = f"backprop '{method}' takes no dropout; use one of: auto, autodiff"
    with pytest.raises(ValueError, match=message):
        dropout.batch_output(oracles.network([2, 3, 1]), batch(2), KEY, 0.5, Method(method))


@pytest.mark.parametrize("method", [Method(states="newton"), Method(recompute_every=2)], ids=str)
def test_a_pass_that_knows_no_masks_is_refused(method):
    with pytest.raises(ValueError, match="leave states and recompute_every out"):
        dropout.check_dropout(method)
