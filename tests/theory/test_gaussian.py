"""Expectations over Gaussians: closed forms, other quadratures, and Monte Carlo."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy.integrate import quad

import jnn
from jnn.theory import gaussian


def erf_by_hand(z):
    """No closed form is known of it to jnn."""
    return jax.scipy.special.erf(z)


# ---- one Gaussian ----


@pytest.mark.table
@pytest.mark.parametrize("q", [1e-8, 0.01, 0.5, 3.0, 40.0])
def test_closed_forms_of_relu_and_erf(q):
    relu, erf = gaussian.moments("relu", q), gaussian.moments(erf_by_hand, q)
    np.testing.assert_allclose(relu[:3], [q / 2, 0.5, 0.5], rtol=1e-13)
    closed = [2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)), 4 / np.pi / np.sqrt(1 + 4 * q)]
    np.testing.assert_allclose(erf[:2], closed, rtol=1e-12)
    growth = 4 / np.pi / np.sqrt(1 + 4 * q) / (1 + 2 * q)  # d/dq of the first
    np.testing.assert_allclose(erf.growth, growth, rtol=1e-11)


@pytest.mark.table
@pytest.mark.parametrize("name", jnn.ACTIVATIONS)
@pytest.mark.parametrize("q", [0.03, 2.0, 25.0])
def test_moments_by_an_adaptive_quadrature(name, q, x64):
    h, found = jnn.ACTIVATIONS[name], gaussian.moments(name, q)

    def expectation(f):
        def integrand(z):
            return float(f(jnp.asarray(np.sqrt(q) * z))) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        kinks = sorted({0.0, *(k for k in np.array([-1.0, 1.0]) / np.sqrt(q) if abs(k) < 9)})
        ends = [-9.0, *kinks, 9.0]
        return sum(quad(integrand, a, b, epsabs=1e-8, limit=60)[0] for a, b in pairwise(ends))

    value2 = expectation(lambda u: h.value(u) ** 2)
    slope2 = expectation(lambda u: h.slope(u) ** 2)
    np.testing.assert_allclose(found.value2, value2, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.slope2, slope2, rtol=1e-7, atol=1e-9)


@pytest.mark.table
@pytest.mark.parametrize("activation", ["tanh", "gelu", "elu", "softplus", "sigmoid"])
def test_the_growth_is_the_derivative_of_the_length_map(activation):
    q, ε = 1.3, 1e-5
    ends = gaussian.mean_square(activation, np.array([q - ε, q + ε]))
    growth = gaussian.moments(activation, q).growth
    np.testing.assert_allclose(growth, np.diff(ends)[0] / (2 * ε), rtol=1e-8)


def test_kinks_of_the_record_lie_on_edges(monkeypatch):
    """A step of the slope at 0.7 costs nothing where the record says so."""

    def ramp(z):
        return jnp.maximum(z - 0.7, 0.0)

    def slope(z):
        return jnp.where(z > 0.7, 1.0, 0.0)

    record = jnn.ACTIVATIONS["relu"]._replace(value=ramp, slope=slope, kinks=(0.7,), family=None)
    monkeypatch.setitem(jnn.ACTIVATIONS, "ramp", record)
    for q in (0.3, 1.0, 5.0):
        beyond = (1 - scipy.special.erf(0.7 / np.sqrt(2 * q))) / 2
        assert float(gaussian.moments("ramp", q).slope2) == pytest.approx(beyond, rel=1e-12)


# ---- two Gaussians ----


PAIRS = [
    (1.0, 1.0, 0.3),
    (0.2, 3.0, -0.7),
    (2.0, 2.0, 1.0),
    (2.0, 2.0, -1.0),
    (0.5, 4.0, 0.999),
    (1.0, 0.3, 0.0),
]


def gaussians(p, q, c):
    """200,000 pairs and their mirror images."""
    z = np.random.default_rng(0).standard_normal((2, 200_000))
    u, v = np.sqrt(p) * z[0], np.sqrt(q) * (c * z[0] + np.sqrt(1 - c * c) * z[1])
    return np.concatenate([u, -u]), np.concatenate([v, -v])


@pytest.mark.table
@pytest.mark.parametrize("name", jnn.ACTIVATIONS)
def test_expectations_are_those_of_gaussian_pairs(name, x64):
    p, q, c = np.array(PAIRS).T
    expected = gaussian.products(name)(p, q, c * np.sqrt(p * q))
    h = jnn.ACTIVATIONS[name]
    for i, pair in enumerate(PAIRS):
        u, v = gaussians(*pair)
        for f, value in zip((h.value, h.slope), expected, strict=True):
            products = np.asarray(f(jnp.asarray(u))) * np.asarray(f(jnp.asarray(v)))
            # with its mirror image: a sample of independent numbers
            products = products.reshape(2, -1).mean(0)
            error = products.std() / np.sqrt(products.size)
            assert abs(products.mean() - value[i]) <= 4.5 * error + 1e-6


@pytest.mark.table
@pytest.mark.parametrize("name", [name for name in gaussian.CLOSED if name != "hard_tanh"])
def test_closed_forms_are_what_quadrature_gives(name):
    p, q, c = np.array(PAIRS).T
    K = c * np.sqrt(p * q)
    pair = gaussian.CLOSED[name](p, q, K)
    by_quadrature = gaussian.by_quadrature(jnn.ACTIVATIONS[name], p, q, K)
    for closed, numeric in zip(pair, by_quadrature, strict=True):
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


@pytest.mark.table
@pytest.mark.parametrize("activation", ["erf", "relu", "sin", "tanh"])
@pytest.mark.parametrize("distance", [1e-9, 1e-4, 0.3, 1.7])
def test_half_a_squared_difference(activation, distance):
    """Against the closed forms where digits are left, and against χ₁ for small distances."""
    q, ε = 0.8, distance
    found = float(gaussian.half_difference(activation, q, ε))
    if ε > 1e-3:
        same, apart = (
            float(gaussian.products(activation)(*np.array([[q], [q], [q * c]]))[0][0])
            for c in (1, 1 - ε)
        )
        np.testing.assert_allclose(found, same - apart, rtol=1e-8)
    elif activation != "relu":  # whose map has a root of ε in its next term
        slope2 = gaussian.moments(activation, q).slope2
        np.testing.assert_allclose(found, q * ε * slope2, rtol=3 * ε + 1e-7)
