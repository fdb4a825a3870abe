"""Power series: composition with the inverse, and powers as repeated products."""

import numpy as np
import pytest

from jnn.theory import power_series


def composed(f, g):
    """f(g(t)), by Horner's scheme."""
    total = np.zeros_like(f)
    for coefficient in f[::-1]:
        total = power_series.times(total, g)
        total[0] += coefficient
    return total


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_inverse_undoes_the_series(n, seed):
    f = np.random.default_rng(seed).uniform(-1, 1, n)
    f[:2] = 0, 1.5
    identity = np.eye(1, n, 1)[0]
    np.testing.assert_allclose(composed(f, power_series.inverse(f)), identity, atol=1e-10)
    np.testing.assert_allclose(composed(power_series.inverse(f), f), identity, atol=1e-10)


@pytest.mark.parametrize("exponent", [0, 1, 2, 5, 8])
def test_powers_are_repeated_products(exponent):
    a = np.random.default_rng(0).uniform(-1, 1, 6)
    expected = np.eye(1, 6)[0]
    for _ in range(exponent):
        expected = power_series.times(expected, a)
    np.testing.assert_allclose(power_series.power(a, exponent), expected, atol=1e-14)
