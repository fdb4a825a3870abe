"""Kernels: the table, closed forms against quadrature and Monte Carlo, and networks that jnn itself draws."""

import json
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.theory import gaussian, kernels

TABLE = json.loads((Path(__file__).parent / "reference" / "theory.json").read_text())["kernels"]["relu_2_0"]
X = np.array([[1.0, 0.0], [0.6, 0.8]])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"H={row['H']}")
def test_the_table(row):
    K, T = kernels.infinite_width(X, hidden=row["H"])
    for name, value in (("K11", K[0, 0]), ("K12", K[0, 1]), ("T11", T[0, 0]), ("T12", T[0, 1])):
        assert round(float(value), 6) == row[name]


PAIRS = [(1.0, 1.0, 0.3), (0.2, 3.0, -0.7), (2.0, 2.0, 1.0), (2.0, 2.0, -1.0), (0.5, 4.0, 0.999), (1.0, 0.3, 0.0)]


def gaussians(p, q, c):
    """200,000 pairs and their mirror images."""
    z = np.random.default_rng(0).standard_normal((2, 200_000))
    u, v = np.sqrt(p) * z[0], np.sqrt(q) * (c * z[0] + np.sqrt(1 - c * c) * z[1])
    return np.concatenate([u, -u]), np.concatenate([v, -v])


@pytest.mark.parametrize("name", jnn.ACTIVATIONS)
def test_expectations_are_those_of_gaussian_pairs(name, x64):
    p, q, c = np.array(PAIRS).T
    expected = gaussian.products(name)(p, q, c * np.sqrt(p * q))
    h = jnn.ACTIVATIONS[name]
    for i, pair in enumerate(PAIRS):
        u, v = gaussians(*pair)
        for f, value in zip((h.value, h.slope), expected, strict=True):
            products = np.asarray(f(jnp.asarray(u))) * np.asarray(f(jnp.asarray(v)))
            products = products.reshape(2, -1).mean(0)  # with its mirror image: a sample of independent numbers
            assert abs(products.mean() - value[i]) <= 4.5 * products.std() / np.sqrt(products.size) + 1e-6


@pytest.mark.parametrize("name", [name for name in gaussian.CLOSED if name != "hard_tanh"])
def test_closed_forms_are_what_quadrature_gives(name):
    p, q, c = np.array(PAIRS).T
    K = c * np.sqrt(p * q)
    for closed, numeric in zip(
        gaussian.CLOSED[name](p, q, K), gaussian.by_quadrature(jnn.ACTIVATIONS[name], p, q, K), strict=True
    ):
        np.testing.assert_allclose(closed, numeric, atol=2e-9)


def test_hard_tanh_of_equal_inputs():
    """E[h²] and P(|u| < 1) of one Gaussian, as integrals over it."""
    z = np.linspace(-1, 1, 200_001)
    for q in (0.1, 1.0, 9.0):
        density = np.exp(-z * z / (2 * q)) / np.sqrt(2 * np.pi * q)
        within = np.trapezoid(density, z)
        value, slope = gaussian._hard_tanh(*[np.array([q])] * 3)
        assert slope[0] == pytest.approx(within, abs=1e-9)
        assert value[0] == pytest.approx(np.trapezoid(z * z * density, z) + 1 - within, abs=1e-9)


def scaled_tanh(z):
    return jnp.tanh(z)


def test_a_function_is_its_name():
    named, own = (
        kernels.infinite_width(X, hidden=3, activation=h, sigma_w2=1.5, sigma_b2=0.1) for h in ("tanh", scaled_tanh)
    )
    np.testing.assert_allclose(own.nngp, named.nngp, atol=1e-12)
    np.testing.assert_allclose(own.ntk, named.ntk, atol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_kernels_are_symmetric_positive_and_made_of_pairs(activation):
    x = np.random.default_rng(0).standard_normal((12, 3))
    whole = kernels.infinite_width(x, hidden=2, activation=activation, sigma_w2=1.7, sigma_b2=0.2)
    part = kernels.infinite_width(x[:5], x[5:], hidden=2, activation=activation, sigma_w2=1.7, sigma_b2=0.2)
    for kernel, block in zip(whole, part, strict=True):
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
        assert np.linalg.eigvalsh(kernel).min() > 0
        np.testing.assert_allclose(kernel[:5, 5:], block, atol=1e-9)


def test_without_hidden_layers_both_are_the_inputs():
    K, T = kernels.infinite_width(X, hidden=0, sigma_w2=3, sigma_b2=0.5)
    np.testing.assert_allclose(K, 3 * X @ X.T / 2 + 0.5)
    np.testing.assert_array_equal(K, T)


def test_an_input_of_zero():
    for activation in ("relu", "tanh", "hard_tanh"):
        K, T = kernels.infinite_width([[0.0, 0.0], [1.0, 0.0]], hidden=2, activation=activation)
        np.testing.assert_allclose(K[0], 0, atol=1e-12)
        assert np.isfinite(T).all()


# ---- a network that is there ----


def jacobian_kernel(params, x, x2):
    """Θ from both Jacobians, formed by plain autodiff."""

    def jacobian(x):
        f = lambda p, x: jnn.forward(p, x, backprop="autodiff")  # noqa: E731
        each = jax.vmap(jax.jacrev(f), (None, 0))(params, x)
        return jnp.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in jax.tree.leaves(each)], -1)

    return jnp.einsum("nap,mbp->nmab", jacobian(x), jacobian(x2))


@pytest.mark.parametrize(
    ("sizes", "activation", "residual"),
    [
        ([2, 1], "tanh", False),
        ([1, 1, 1, 1], "sigmoid", False),
        ([3, 4, 4, 2], "relu", False),
        ([2, 4, 4, 2], "tanh", True),
    ],
)
def test_the_empirical_kernel_is_that_of_the_jacobian(sizes, activation, residual, x64):
    params = jnn.init_network_params(sizes, jax.random.key(1), activation=activation, residual=residual, init="normal")
    rng = np.random.default_rng(0)
    x, x2 = rng.standard_normal((4, sizes[0])), rng.standard_normal((3, sizes[0]))
    Θ = kernels.empirical_ntk(params, x, x2)
    assert Θ.shape == (4, 3, sizes[-1], sizes[-1])
    expected = jax.jit(jacobian_kernel)(params, jnp.asarray(x), jnp.asarray(x2))
    np.testing.assert_allclose(Θ, expected, rtol=1e-10, atol=1e-10)


def test_blocks_do_not_show(monkeypatch):
    params = jnn.init_network_params([2, 5, 2], jax.random.key(0))
    x = np.random.default_rng(0).standard_normal((6, 2))
    whole = kernels.empirical_ntk(params, x)
    monkeypatch.setattr(kernels, "_NUMBERS", 75)  # three examples at a time
    np.testing.assert_allclose(kernels.empirical_ntk(params, x), whole, rtol=1e-5, atol=1e-5)
    assert whole.dtype == jnp.float32


@pytest.mark.parametrize(("activation", "sigma_w2", "sigma_b2"), [("relu", 2.0, 0.0), ("tanh", 1.5, 0.2)])
def test_networks_of_width_512_have_the_kernel_of_infinite_width(activation, sigma_w2, sigma_b2):
    """Two hidden layers, 40 networks: the mean of their NTK within 3 standard errors, in the NTK parametrisation."""
    sizes, rng, drawn = [2, 512, 512, 1], np.random.default_rng(1), []
    for _ in range(40):
        pairs = [
            (np.sqrt(sigma_w2 / i) * rng.standard_normal((o, i)), np.sqrt(sigma_b2) * rng.standard_normal(o))
            for i, o in pairwise(sizes)
        ]
        params = jnn.from_layers([(jnp.asarray(w), jnp.asarray(b)) for w, b in pairs], activation=activation)
        drawn.append(kernels.empirical_ntk(params, X, sigma_w2=sigma_w2, sigma_b2=sigma_b2)[..., 0, 0])
    drawn = np.array(drawn)
    T = kernels.infinite_width(X, hidden=2, activation=activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2).ntk
    assert np.all(np.abs(drawn.mean(0) - T) < 3 * drawn.std(0) / np.sqrt(len(drawn)))


def test_the_output_of_wide_networks_has_the_covariance_of_nngp():
    init = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")

    def outputs(key):
        params = jnn.init_network_params([2, 256, 1], key, activation="relu", init=init)
        return jax.vmap(lambda x: jnn.forward(params, x)[0])(jnp.asarray(X, jnp.float32))

    f = np.asarray(jax.lax.map(outputs, jax.random.split(jax.random.key(0), 4000), batch_size=100))
    products = f[:, :, None] * f[:, None, :]
    K = kernels.infinite_width(X, hidden=1).nngp
    assert np.all(np.abs(products.mean(0) - K) < 3 * products.std(0) / np.sqrt(len(f)))


NET = jnn.from_layers([(np.ones((3, 2)), np.zeros(3)), (np.ones((1, 3)), np.zeros(1))])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.infinite_width([1.0, 2.0], hidden=1), ValueError, r"\(2,\)"),
        (lambda: kernels.infinite_width(X, X[:, :1], hidden=1), ValueError, r"\(2, 1\)"),
        (lambda: kernels.infinite_width([[np.nan, 0]], hidden=1), ValueError, "finite"),
        (lambda: kernels.infinite_width(X, hidden=-1), ValueError, "hidden must be"),
        (lambda: kernels.infinite_width(X, hidden=1.5), ValueError, "hidden must be"),
        (lambda: kernels.infinite_width(X, hidden=1, sigma_w2=0), ValueError, "sigma_w2 must be"),
        (lambda: kernels.infinite_width(X, hidden=1, sigma_b2=-1), ValueError, "sigma_b2 must be"),
        (lambda: kernels.infinite_width(X, hidden=1, activation="swish"), ValueError, "unknown activation"),
        (lambda: kernels.infinite_width(X, hidden=1, activation=jax.nn.softmax), ValueError, "each entry"),
        (lambda: kernels.empirical_ntk([(1, 2)], X), TypeError, "tuple of stacks"),
        (lambda: kernels.empirical_ntk(NET, X[0]), ValueError, "one example a row"),
        (lambda: kernels.empirical_ntk(NET, np.ones((2, 3))), ValueError, r"\(n, 2\)"),
        (lambda: kernels.empirical_ntk(NET, X, sigma_w2=2.0), ValueError, "together"),
        (lambda: kernels.empirical_ntk(NET, X, sigma_w2=-1.0, sigma_b2=0.0), ValueError, "sigma_w2 must be"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
