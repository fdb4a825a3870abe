"""Small problems with known answers: the lectures' targets, a noisy ripple, a linear function."""

from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks, memory
from jnn.checks import Thing
from jnn.data.scaling import standardization, standardize
from jnn.data.splits import host_generator
from jnn.shapes import Float

Column: TypeAlias = Float[np.ndarray, "n 1"]


def ripple(key: Array, n: int = 100, dtype: Thing = np.float32) -> tuple[Column, Column]:
    """A noisy line with a ripple: x is n even steps from 0 to 1, standardised, and

        g = 20 x + N(0, 1),   y = (g − mean g) / std g + ½ sin(4x)

    It is the standardised x that enters g: the noise of y then has variance 1/401 ≈ 0.0025, the
    floor of any fit.

    >>> [a.shape for a in ripple(jax.random.key(0))]
    [(100, 1), (100, 1)]
    """
    dtype = _floating(dtype)
    x = np.linspace(0, 1, _rows(n, 2, 6))[:, None]
    x = standardize(standardization(x), x)
    g = 20 * x + host_generator(key).normal(size=x.shape)
    y = standardize(standardization(g), g) + 0.5 * np.sin(4 * x)
    return x.astype(dtype), y.astype(dtype)


def ten_features(
    key: Array, n: int = 1000, dtype: Thing = np.float32
) -> tuple[Float[np.ndarray, "n 10"], Column]:
    """A linear function of ten features, with a little noise.

        y = x₁ + 10x₂ − 7x₃ + 2x₄ + 3x₅ − 14x₆ + x₇ + 3x₈ − x₉ + 11x₁₀ − 40 + 0.02 N(0, 1)

    The features are independent and standard normal, so y has mean −40 and variance 491.

    >>> [a.shape for a in ten_features(jax.random.key(0))]
    [(1000, 10), (1000, 1)]
    """
    dtype = _floating(dtype)
    generator = host_generator(key)
    x = generator.normal(size=(_rows(n, 1, 24), 10))
    coefficients = np.array([1.0, 10, -7, 2, 3, -14, 1, 3, -1, 11])[:, None]
    y = x @ coefficients - 40 + 0.02 * generator.normal(size=(n, 1))
    return x.astype(dtype), y.astype(dtype)


def line(n: int = 200, dtype: Thing = np.float32) -> tuple[Column, Column]:
    """The lecture's first target, y = −3x + 2 on n grid points in [0.5, 3].

    >>> line(2)[1].tolist()
    [[0.5], [-7.0]]
    """
    x = _grid(n, dtype)
    return x, -3 * x + 2


def logarithm(n: int = 200, dtype: Thing = np.float32) -> tuple[Column, Column]:
    """The lecture's second target, y = log x on n grid points in [0.5, 3].

    >>> x, y = logarithm()
    >>> bool(np.allclose(np.exp(y), x))
    True
    """
    x = _grid(n, dtype)
    return x, np.log(x)


def _grid(n: int, dtype: Thing) -> Column:
    return np.linspace(0.5, 3, _rows(n, 2, 3), dtype=_floating(dtype))[:, None]


def _rows(n: Thing, least: int, numbers: int) -> int:
    """n, where that many numbers a row, those on the way among them, can be had."""
    n = checks.integer("n", n, least, meaning="how many rows")
    memory.check(f"what {n:,} rows are made of", 8 * n * numbers, "ask for fewer")
    return n


def _floating(dtype: Thing) -> np.dtype:
    """The type of rows on the host, where float64 needs no x64."""
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype is {dtype!r}; it must be a floating-point type such as np.float32")
    return np.dtype(dtype)
