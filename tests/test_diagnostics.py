"""Diagnostics against JAX's own gradients, NumPy's factorisations, dense systems, and closed forms at any depth."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import diagnostics
from jnn.theory import linear

NETWORKS = [
    ([3, 4, 4, 4, 2], "tanh", False),
    ([3, 4, 4, 4, 2], "relu", True),
    ([1, 1, 1, 1], "sigmoid", False),
    ([2, 6, 3, 3, 5, 1], "gelu", False),
    ([4, 4, 4, 4], "sin", True),
    ([3, 3, 3], "identity", False),
    ([2, 1], "tanh", False),
]


def problem(sizes, activation, residual, n=6):
    rng = np.random.default_rng(0)
    return (
        oracles.network(sizes, activation, residual),
        jnp.asarray(rng.standard_normal((n, sizes[0]))),
        jnp.asarray(rng.standard_normal((n, sizes[-1]))),
    )


def chain(depth, w=1.0, b=-0.5, dtype=None):
    """Sigmoid layers that hand on x = ½, each with the slope ¼."""
    stack = jnn.Stack(jnp.full((depth, 1, 1), w, dtype), jnp.full((depth, 1), b, dtype), "sigmoid")
    return stack, jnn.Stack(jnp.ones((1, 1, 1), dtype), jnp.zeros((1, 1), dtype))


# ---- gradients ----


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


@pytest.mark.parametrize("depth", [50, 63, 64, 100, 1_000, 10_000])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_chain_of_quarters_is_exact_at_any_depth(depth, dtype):
    params, x = chain(depth, dtype=dtype), [[0.5]]
    layers_above = np.arange(depth, -1, -1.0)
    for found in (diagnostics.gradient_norms(params, x, [[-0.5]]).log_biases / np.log(4),):
        np.testing.assert_allclose(found, -layers_above, rtol=1e-14)
    np.testing.assert_allclose(diagnostics.output_norms(params, x)[:-1] / np.log(4), -layers_above[1:], rtol=1e-14)


@pytest.mark.parametrize(("dtype", "last"), [("float32", 63), ("float64", 511)])
def test_plain_gradients_of_the_chain_end_where_the_logarithms_say(dtype, last, x64):
    for depth, alive in ((last, True), (last + 1, False)):
        params = chain(depth, dtype=dtype)
        gradient = jax.grad(lambda p: jnn.forward(p, jnp.array([0.5], dtype))[0])(params)
        assert bool(gradient[0].b[0, 0] != 0) is alive
        log = diagnostics.gradient_norms(params, [[0.5]], [[-0.5]]).log_biases[0]
        assert (log >= np.log(float(jnp.finfo(dtype).tiny)) - 1e-9) is np.bool_(alive)


def test_exploding_gradients_have_logarithms_too():
    params = (jnn.Stack(jnp.full((5_000, 1, 1), 3.0), jnp.zeros((5_000, 1)), "identity"),)
    found = diagnostics.output_norms(params, [[0.0]])
    np.testing.assert_allclose(found, np.log(3) * np.arange(4_999, -1, -1.0), rtol=1e-6, atol=1e-6)


def test_what_is_exactly_zero_has_no_logarithm():
    params = jnn.from_layers([(1.0, 1.0), (1.0, -9.0), (1.0, 0.0)], activation="relu")
    found = diagnostics.gradient_norms(params, [[1.0]], [[1.0]])
    assert found.log_states[:2].tolist() == [-np.inf, found.log_states[1]]
    assert found.log_weights[0] == -np.inf


@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_the_noise_scale_is_that_of_single_gradients(sizes, activation, residual, x64):
    params, x, y = problem(sizes, activation, residual, n=8)

    def one(x, y):
        return jax.grad(
            lambda p: jnn.losses.mean_loss(jnn.losses.resolve("half_mse"), jnn.predict(p, x[None]), y[None])
        )(params)

    g = np.stack(
        [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(one(*row))]) for row in zip(x, y, strict=True)]
    )
    noise = np.sum(np.var(g, axis=0, ddof=1))
    signal = np.sum(np.mean(g, 0) ** 2) - noise / 8
    found = diagnostics.noise_scale(params, x, y)
    assert found.total == pytest.approx(noise / signal if signal > 0 else np.inf, rel=1e-9)
    assert found.layers.shape == (len(sizes) - 1,)


# ---- states ----


@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_statistics_are_those_of_the_loop(sizes, activation, residual, x64):
    params, x, _ = problem(sizes, activation, residual)
    found = diagnostics.statistics(params, x)
    states = [np.stack(column) for column in zip(*(oracles.states(params, row) for row in x), strict=True)]
    np.testing.assert_allclose(found.x_mean, [s.mean() for s in states], atol=1e-13)
    np.testing.assert_allclose(found.x_std, [s.std() for s in states], rtol=1e-10)
    inputs = [np.asarray(x), *states[:-1]]
    z = [i @ np.asarray(w).T + np.asarray(b) for i, (w, b) in zip(inputs, jnn.layers(params), strict=True)]
    np.testing.assert_allclose(found.z_std, [a.std() for a in z], rtol=1e-10)
    assert (found.constant == 0).all()


def test_saturated_dead_and_constant_units():
    w = np.array([[[9.0], [0.001], [0.0]]], np.float32)
    hidden = jnn.Stack(jnp.asarray(w), jnp.asarray([[9.0, 0.0, 0.3]], jnp.float32), "tanh")
    params = (hidden, jnn.Stack(jnp.ones((1, 1, 3)), jnp.zeros((1, 1))))
    found = diagnostics.statistics(params, [[0.1], [0.2], [0.9]])
    assert found.saturated.tolist() == pytest.approx([1 / 3, 0])
    assert found.constant.tolist() == [2, 0]  # the third, and the first to rounding
    assert found.dead.tolist() == [1, 0]  # the first: 1 − tanh² is 0 in float32


@pytest.mark.parametrize("n", [3, 20])
def test_effective_rank(n, x64):
    params, x, _ = problem([5, 4, 4, 4, 2], "tanh", False, n)
    found = diagnostics.effective_rank(params, x)
    states = [np.stack(column) for column in zip(*(oracles.states(params, row) for row in x), strict=True)]
    for rank, s in zip(found, states, strict=True):
        values = np.linalg.svd(s - s.mean(0), compute_uv=False)
        p = values[values > 0] / values.sum()
        assert rank == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-9)
    assert (found <= min(n - 1, 4) + 1e-9).all()
    assert diagnostics.effective_rank(params, x[:1]).tolist() == [0, 0, 0, 0]


def test_correlations_of_the_first_layers(x64):
    params, x, _ = problem([3, 4, 4, 2], "tanh", False)
    found = diagnostics.correlations(params, x[0], x[1])
    states = [np.stack(column) for column in zip(*(oracles.states(params, row) for row in x), strict=True)]
    for l, (w, b) in enumerate(jnn.layers(params)):
        u, v = (np.asarray(w) @ (np.asarray(x) if l == 0 else states[l - 1])[i] + np.asarray(b) for i in (0, 1))
        assert found[l] == pytest.approx(1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v), rel=1e-10)


# ---- Jacobians ----


@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_singular_values_are_those_of_the_product(sizes, activation, residual, x64):
    params, x, _ = problem(sizes, activation, residual)
    J = np.asarray(jax.jit(jax.jacobian(lambda x: jnn.forward(params, x)))(x[0]))
    found = np.exp(diagnostics.log_singular_values(params, x[0], tolerance=1e-12, sweeps=200))
    expected = np.linalg.svd(J, compute_uv=False)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-6)
    singles = diagnostics.layer_singular_values(params, x[0])
    mean_squares = [np.sum(row**2) / n for row, n in zip([row for s in singles for row in s], sizes, strict=False)]
    np.testing.assert_allclose(diagnostics.mean_squared_singular_values(params, x[:1]), mean_squares, rtol=1e-10)
    layers = np.concatenate([np.prod(s, 1) for s in singles])
    assert len(layers) == len(sizes) - 1
    if len(set(sizes)) == 1:  # |det J| is the product of them all
        assert np.prod(layers) == pytest.approx(abs(np.linalg.det(J)), rel=1e-9)


def test_singular_values_far_beyond_floats():
    """Rotations between equal stretchings: s = 2^±N, from 1e3010 to 1e−3010."""
    rng, N = np.random.default_rng(0), 10_000
    Q = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(5)]
    stretch = np.diag([2.0, 1.0, 0.5])
    blocks = [Q[(l + 1) % 5] @ stretch @ Q[l % 5].T for l in range(N)]
    stack = jnn.Stack(jnp.asarray(np.stack(blocks), jnp.float32), jnp.zeros((N, 3)), "identity")
    found = diagnostics.log_singular_values((stack,), jnp.zeros(3))
    np.testing.assert_allclose(found, np.log(2) * np.array([N, 0, -N]), atol=0.05)
    exponents = diagnostics.lyapunov_exponents((stack,), jnp.zeros(3))
    np.testing.assert_allclose(exponents, np.log(2) * np.array([1, 0, -1]), atol=1e-3)


def test_singular_values_that_are_nearly_equal():
    """Of a product of orthogonal matrices that overflows, 2^200 all of them but for rounding."""
    params = jnn.init_network_params([20] * 202, jax.random.key(0), activation="identity", init="orthogonal")
    doubled = (jnn.Stack(2 * params[0].w[:200], params[0].b[:200], "identity"),)
    found = diagnostics.log_singular_values(doubled, jnp.ones(20))
    np.testing.assert_allclose(found, 200 * np.log(2), atol=1e-3)


@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_the_sensitivity_map_is_the_inverse(sizes, activation, residual, x64):
    params, x, _ = problem(sizes, activation, residual)
    L = np.asarray(jnn.linear_system(params, x[0]).L)
    inverse, edges = np.linalg.inv(np.eye(len(L)) - L), np.cumsum([0, *sizes[1:]])
    found = diagnostics.sensitivity_map(params, x[0])
    for i in range(len(sizes) - 1):
        for j in range(len(sizes) - 1):
            block = inverse[edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
            assert np.exp(found.log_norms[i, j]) == pytest.approx(np.linalg.norm(block), rel=1e-10, abs=1e-14)


def test_the_sensitivity_map_of_a_selection():
    params = chain(10_000)
    found = diagnostics.sensitivity_map(params, jnp.array([0.5]), points=11)
    assert found.layers.tolist() == [1, *range(1001, 10_002, 1000)]
    i, j = np.tril_indices(11, -1)
    layers_between = found.layers[i] - found.layers[j] - (found.layers[i] == 10_001)  # the readout's slope is 1
    np.testing.assert_allclose(found.log_norms[i, j], -np.log(4) * layers_between, rtol=1e-12)
    assert (found.log_norms[np.triu_indices(11, 1)] == -np.inf).all()


# ---- curvature ----


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


def test_the_hessian_of_a_linear_chain(x64):
    """The closed form for weights alone: biases add to the largest eigenvalue."""
    w, r = 1.0, 0.5  # five weights, ŷ − y
    params = jnn.from_layers([(w, 0.0)] * 5, activation="identity")
    found = diagnostics.top_eigenvalues(params, [[1.0]], [[w - r]], k=10, iterations=10)
    H = jax.hessian(lambda p: 0.5 * (jnp.prod(p) - (w - r)) ** 2)(jnp.ones(5))
    weights_alone = np.linalg.eigvalsh(H)
    assert weights_alone[[0, -1]] == pytest.approx(linear.chain_curvature(1, 0.5, 5)[1::-1])
    assert found[0] > weights_alone[-1]


def test_out_of_range_is_said_and_not_taken_for_a_number():
    params = jnn.from_layers([(4.0, 0.0)] * 100, activation="identity")
    x, y = [[1.0], [2.0]], [[0.0], [1.0]]
    for call in (diagnostics.top_eigenvalues, diagnostics.trace):
        with pytest.raises(FloatingPointError, match="the range of float32"):
            call(params, x, y)
    assert np.isnan(diagnostics.gradient_norms(params, x, y).log_weights).all()
    assert np.isnan(diagnostics.noise_scale(params, x, y).total)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        assert diagnostics.trace(wide, x, y).mean > 1e100
        assert np.isfinite(diagnostics.top_eigenvalues(wide, x, y, iterations=5)).all()


def test_bad_input_is_refused():
    params, x, y = problem([3, 4, 2], "tanh", False)
    params = jax.tree.map(lambda a: a.astype(jnp.float32), params)
    for call in (diagnostics.gradient_norms, diagnostics.noise_scale, diagnostics.trace):
        with pytest.raises(ValueError, match="shape"):
            call(params, x[:, :2], y)
    with pytest.raises(ValueError, match="at least two"):
        diagnostics.noise_scale(params, x[:1], y[:1])
    with pytest.raises(ValueError, match="k must be"):
        diagnostics.top_eigenvalues(params, x, y, k=0)
    with pytest.raises(ValueError, match="no hidden layer"):
        diagnostics.lyapunov_exponents(params[-1:], jnp.ones(4))
    with pytest.raises(ValueError, match="shape"):
        diagnostics.statistics(params, x[0])
