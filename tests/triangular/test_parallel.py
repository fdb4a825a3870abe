"""Affine recurrences in parallel: the recurrence itself, beyond the range of floats, too."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn.triangular import parallel

pytestmark = pytest.mark.table

affine_scan = jax.jit(parallel.affine_scan, static_argnames="chunk")


def recurrence(A, c, y):
    """In extended precision, whose exponents reach to ±16,000."""
    every = []
    for A_l, c_l in zip(np.asarray(A, np.longdouble), np.asarray(c, np.longdouble), strict=True):
        y = A_l @ np.asarray(y, np.longdouble) + c_l
        every.append(y)
    return np.stack(every)


@pytest.mark.parametrize("chunk", [None, 2, 3, 8, 1000])
@pytest.mark.parametrize("depth", [1, 2, 16, 17, 50, 333])
def test_it_is_the_recurrence(depth, chunk, x64):
    rng = np.random.default_rng(depth)
    A, c, y = (
        rng.standard_normal((depth, 3, 3)) / 2,
        rng.standard_normal((depth, 3)),
        rng.standard_normal(3),
    )
    expected = recurrence(A, c, y)
    actual = affine_scan(A, c, y, chunk=chunk)
    np.testing.assert_allclose(np.asarray(actual), expected.astype(float), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("chunk", [None, 2, 8])
@pytest.mark.parametrize("gain", [1e-9, 0.3, 3.0, 1e9])
def test_products_beyond_the_range_of_floats(gain, chunk, x64):
    """The product of all matrices is off by thousands of powers of ten; the values count."""
    rng = np.random.default_rng(0)
    depth, n = 900, 4
    Q = np.linalg.qr(rng.standard_normal((depth, n, n)))[0]
    # products stay in range in pairs only
    A = Q * np.where(np.arange(depth) % 2, gain, 1 / gain)[:, None, None]
    A[300:600] = Q[300:600] * 1e-2  # 1e-600 in all
    A[600:] = Q[600:] * 1e2
    y = rng.standard_normal(n)
    actual = np.asarray(affine_scan(A, jnp.zeros((depth, n)), y, chunk=chunk))
    expected = recurrence(A, np.zeros((depth, n)), y)
    representable = np.max(np.abs(expected), axis=1) > 1e-290
    assert np.all(np.isfinite(actual))
    error = np.max(np.abs(actual - expected), axis=1)[representable]
    assert np.max(error / np.max(np.abs(expected), axis=1)[representable]) < 1e-11
    assert np.all(np.abs(actual[~representable]) < 1e-280)


def test_what_overflows_is_infinite_and_spoils_nothing_behind_it(x64):
    A = np.full((400, 1, 1), 10.0)
    A[350:] = 1e-10
    actual = np.asarray(affine_scan(A, jnp.zeros((400, 1)), jnp.ones(1), chunk=8)).ravel()
    assert np.all(np.isinf(actual[312:340]))  # 10³¹³ and more
    # and from the next chunk on, where the true value is in range again, it is right again
    np.testing.assert_allclose(actual[[299, 360, 390]], [1e300, 1e240, 1e-60], rtol=1e-10)


def test_zeros_and_single_precision():
    A, c = jnp.zeros((40, 2, 2)), jnp.zeros((40, 2)).at[7].set(1.0)
    after = affine_scan(A, c, jnp.ones(2), chunk=4)
    np.testing.assert_array_equal(after, c)
    assert after.dtype == jnp.float32
    low = affine_scan(*(a.astype(jnp.bfloat16) for a in (A, c, jnp.ones(2))))
    assert low.dtype == jnp.bfloat16


def networks(regime, depth, width=4):
    """Tanh networks whose perturbations shrink, keep their size, or grow."""
    gain = {"ordered": 0.7, "critical": 1.0, "chaotic": 2.5}[regime]
    rng = np.random.default_rng(depth)
    w = gain * np.linalg.qr(rng.standard_normal((depth, width, width)))[0]
    b = 0.05 * rng.standard_normal((depth, width))
    return (jnn.Stack(jnp.asarray(w), jnp.asarray(b), "tanh"),), jnp.asarray(
        rng.standard_normal(width)
    )


def exact_gradient(params, states):
    """μ of all layers as mantissa and power of two: back substitution that rescales."""
    w = np.asarray(params[0].w)
    λ, e, μ = np.ones_like(states[-1]), 0, []
    for l in reversed(range(len(w))):
        m = (1 - states[l] ** 2) * λ
        μ.append((m, e))
        λ = w[l].T @ m
        shift = int(np.frexp(np.max(np.abs(λ)))[1]) if np.max(np.abs(λ)) > 0 else 0
        λ, e = np.ldexp(λ, -shift), e + shift
    return μ[::-1]


@pytest.mark.parametrize("method", ["substitution", "parallel"])
@pytest.mark.parametrize("regime", ["ordered", "critical", "chaotic"])
@pytest.mark.parametrize(
    "depth", [1, 2, 10, 100, 1_000, pytest.param(10_000, marks=pytest.mark.slow)]
)
def test_gradients_of_every_layer_at_any_depth(depth, regime, method, x64):
    """To 1e-10, each layer relative to its own gradient; NaN and ∞ only where they are true."""
    params, x = networks(regime, depth)

    # with its states: rounding makes those of another program others where perturbations grow
    def loss(params):
        states = jnn.hidden_states(params, x, backprop=method)[0]
        return jnp.sum(states[-1]), states

    gradient, states = jax.jit(jax.grad(loss, has_aux=True))(params)
    largest, error = [], []
    exact = exact_gradient(params, np.asarray(states))
    for actual, (m, e) in zip(np.asarray(gradient[0].b), exact, strict=True):
        top = int(np.frexp(np.max(np.abs(m)))[1]) + e
        largest.append(top)
        if -970 < top < 1020:
            error.append(np.max(np.abs(np.ldexp(actual, -e) - m)) / np.max(np.abs(m)))
        elif top <= -1080:
            np.testing.assert_array_equal(np.nan_to_num(actual, nan=1.0), 0)
    assert max(error) < 1e-10
    if regime == "ordered" and depth >= 10_000:
        assert min(largest) < -1070


@pytest.mark.parametrize("method", ["substitution", "parallel"])
@pytest.mark.parametrize("depth", [10, 1_000])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_parallel_and_substitution_are_autodiff(activation, depth, method, x64):
    params = oracles.network([6] * (depth + 1) + [2], activation, True, gain=0.1)
    X = jnp.asarray(np.random.default_rng(1).standard_normal((5, 6)))
    gradient = jax.jit(
        jax.grad(lambda p, b: jnp.mean(jnn.predict(p, X, backprop=b) ** 2)), static_argnums=1
    )
    assert oracles.apart(gradient(params, "autodiff"), gradient(params, method)) < 1e-10
