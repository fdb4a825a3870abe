"""Jacobians against JAX's own, NumPy's factorisations, dense systems, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.networks import NETWORKS, chain, problem

import jnn
from jnn import diagnostics


@pytest.mark.slow
@pytest.mark.table
@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_singular_values_are_those_of_the_product(sizes, activation, residual, x64):
    params, x, _ = problem(sizes, activation, residual)
    J = np.asarray(jax.jit(jax.jacobian(lambda x: jnn.forward(params, x)))(x[0]))
    found = np.exp(diagnostics.log_singular_values(params, x[0], tolerance=1e-12, sweeps=200))
    expected = np.linalg.svd(J, compute_uv=False)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-6)
    singles = diagnostics.layer_singular_values(params, x[0])
    rows = [row for s in singles for row in s]
    mean_squares = [np.sum(row**2) / n for row, n in zip(rows, sizes, strict=False)]
    found = diagnostics.mean_squared_singular_values(params, x[:1])
    np.testing.assert_allclose(found, mean_squares, rtol=1e-10)
    layers = np.concatenate([np.prod(s, 1) for s in singles])
    assert len(layers) == len(sizes) - 1
    if len(set(sizes)) == 1:  # |det J| is the product of them all
        assert np.prod(layers) == pytest.approx(abs(np.linalg.det(J)), rel=1e-9)


@pytest.mark.slow
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
    params = jnn.init_network_params(
        [20] * 202, jax.random.key(0), activation="identity", init="orthogonal"
    )
    doubled = (jnn.Stack(2 * params[0].w[:200], params[0].b[:200], "identity"),)
    found = diagnostics.log_singular_values(doubled, jnp.ones(20))
    np.testing.assert_allclose(found, 200 * np.log(2), atol=1e-3)


def test_a_singular_value_that_is_exactly_zero():
    params = jnn.from_layers(
        [(jnp.diag(jnp.array([2.0, 0.0])), jnp.zeros(2))] * 5, activation="identity"
    )
    found = diagnostics.log_singular_values(params, jnp.ones(2))
    assert found.tolist() == [pytest.approx(5 * np.log(2)), -np.inf]


@pytest.mark.table
@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_the_sensitivity_map_is_the_inverse(sizes, activation, residual, x64):
    params, x, _ = problem(sizes, activation, residual)
    L = np.asarray(jnn.linear_system(params, x[0]).L)
    inverse, edges = np.linalg.inv(np.eye(len(L)) - L), np.cumsum([0, *sizes[1:]])
    found = diagnostics.sensitivity_map(params, x[0])
    for i in range(len(sizes) - 1):
        for j in range(len(sizes) - 1):
            block = inverse[edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
            assert np.exp(found.log_norms[i, j]) == pytest.approx(
                np.linalg.norm(block), rel=1e-10, abs=1e-14
            )


def test_the_sensitivity_map_of_a_selection():
    params = chain(10_000)
    found = diagnostics.sensitivity_map(params, jnp.array([0.5]), points=11)
    assert found.layers.tolist() == [1, *range(1001, 10_002, 1000)]
    i, j = np.tril_indices(11, -1)
    # the readout's slope is 1
    layers_between = found.layers[i] - found.layers[j] - (found.layers[i] == 10_001)
    np.testing.assert_allclose(found.log_norms[i, j], -np.log(4) * layers_between, rtol=1e-12)
    assert (found.log_norms[np.triu_indices(11, 1)] == -np.inf).all()


@pytest.mark.slow
def test_each_layer_has_the_slopes_of_its_own_activation(x64):
    params, x, _ = problem([3, 3, 3, 3, 3], ["relu", "tanh", "sin"], False)
    J = np.asarray(jax.jacobian(lambda x: jnn.forward(params, x))(x[0]))
    found = np.exp(diagnostics.log_singular_values(params, x[0], tolerance=1e-12, sweeps=200))
    np.testing.assert_allclose(found, np.linalg.svd(J, compute_uv=False), rtol=1e-6, atol=1e-12)
    whole = diagnostics.sensitivity_map(params, x[0]).log_norms[-1]
    J_1 = np.asarray(jax.jacobian(lambda x: jnn.forward(params[:1], x))(x[0]))
    behind = np.asarray(
        jax.jacobian(lambda x: jnn.forward(params[1:], x))(jnn.forward(params[:1], x[0]))
    )
    np.testing.assert_allclose(behind @ J_1, J, atol=1e-14)
    assert np.exp(whole[0]) == pytest.approx(np.linalg.norm(behind), rel=1e-10)


def test_bad_input_is_refused():
    params, x, _ = problem([3, 4, 2], "tanh", False)
    with pytest.raises(ValueError, match="no hidden layer"):
        diagnostics.lyapunov_exponents(params[-1:], jnp.ones(4))
    for call in (
        diagnostics.layer_singular_values,
        diagnostics.log_singular_values,
        diagnostics.lyapunov_exponents,
        diagnostics.sensitivity_map,
    ):
        with pytest.raises(ValueError, match="shape"):
            call(params, x)
    with pytest.raises(ValueError, match="shape"):
        diagnostics.mean_squared_singular_values(params, x[0])


@pytest.mark.parametrize(
    ("call", "options", "error", "message"),
    [
        ("sensitivity_map", {"points": 2.5}, TypeError, "points is 2.5; it must be an integer"),
        ("sensitivity_map", {"points": True}, TypeError, "points is True"),
        ("sensitivity_map", {"points": 0}, ValueError, "points is 0; .* of at least 1"),
        ("log_singular_values", {"sweeps": 3.5}, TypeError, "sweeps is 3.5; it must be an integer"),
        ("log_singular_values", {"sweeps": -1}, ValueError, "sweeps is -1; .* of at least 0"),
        ("log_singular_values", {"tolerance": "1"}, TypeError, "tolerance is '1'; .* a number"),
        ("log_singular_values", {"tolerance": True}, TypeError, "tolerance is True"),
        ("log_singular_values", {"tolerance": -1}, ValueError, "tolerance is -1; .* at least 0"),
        ("log_singular_values", {"tolerance": np.nan}, ValueError, "tolerance is nan"),
    ],
)
def test_options_out_of_bounds_are_refused(call, options, error, message, as_a_user):
    params = jnn.from_layers([(0.5, 0.0)] * 3)
    with pytest.raises(error, match=message):
        getattr(diagnostics, call)(params, jnp.ones(1), **options)


def test_integers_of_numpy_are_integers(as_a_user):
    params = jnn.from_layers([(0.5, 0.0)] * 3, activation="identity")
    found = diagnostics.sensitivity_map(params, jnp.ones(1), points=np.int64(2))
    assert found.layers.tolist() == [1, 3]
    found = diagnostics.log_singular_values(
        params, jnp.ones(1), sweeps=np.int32(3), tolerance=np.float32(0.1)
    )
    assert found == pytest.approx(3 * np.log(0.5))
