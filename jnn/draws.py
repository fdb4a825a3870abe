"""Random numbers for initial parameters, of many layers at once.

Of a key that is at hand they are drawn by NumPy, at once: the bits are `jax.random`'s (threefry),
the numbers its own to rounding. Of a traced key, or one of another kind, by `jax.random` itself,
which a program has to be compiled for.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jnn.checks import Thing


class OnHost(NamedTuple):
    """Drawn by NumPy, for the layers of keys (layers, 2)."""

    keys: np.ndarray
    xp: Any = np  # what computes with the numbers

    @property
    def leading(self) -> tuple[int, ...]:
        """(layers,)"""
        return (len(self.keys),)

    def split(self, n: int) -> "list[OnHost]":
        """As `jax.random.split`, of every layer."""
        first, second = _threefry(self.keys, n)
        return [OnHost(np.stack([first[:, i], second[:, i]], -1)) for i in range(n)]

    def uniform(
        self, shape: tuple[int, ...], dtype: Thing, low: float = 0.0, high: float = 1.0
    ) -> np.ndarray:
        """As `jax.random.uniform`, of every layer."""
        dtype = np.dtype(dtype)
        first, second = _threefry(self.keys, math.prod(shape))
        bits = first ^ second if dtype.itemsize == 4 else _joined(first, second)
        mantissa = np.finfo(dtype).nmant
        # a number in [1, 2), of which the bits are the mantissa, less one
        ones = np.ones((), dtype).view(bits.dtype)
        bits = bits >> bits.dtype.type(8 * dtype.itemsize - mantissa) | ones
        low, high = dtype.type(low), dtype.type(high)
        numbers = (bits.view(dtype) - dtype.type(1)) * (high - low) + low
        return np.maximum(numbers, low).reshape(*self.leading, *shape)

    def normal(self, shape: tuple[int, ...], dtype: Thing) -> np.ndarray:
        """As `jax.random.normal`, of every layer."""
        above = float(np.nextafter(np.array(-1, dtype), np.array(0, dtype)))
        uniform = self.uniform(shape, dtype, above, 1.0)
        return _erf_inv(uniform) * uniform.dtype.type(2**0.5)

    def truncated_normal(self, shape: tuple[int, ...], dtype: Thing, end: float) -> np.ndarray:
        """As `jax.random.truncated_normal`, of every layer."""
        edge = math.erf(end / 2**0.5)
        uniform = self.uniform(shape, dtype, -edge, edge)
        below = np.nextafter(np.array(end, dtype), np.array(0, dtype))
        return np.clip(_erf_inv(uniform) * uniform.dtype.type(2**0.5), -below, below)


class Traced(NamedTuple):
    """Drawn by `jax.random`, for one layer."""

    key: Array
    xp: Any = jnp

    @property
    def leading(self) -> tuple[int, ...]:
        """()"""
        return ()

    def split(self, n: int) -> "list[Traced]":
        """As `jax.random.split`."""
        return [Traced(key) for key in jax.random.split(self.key, n)]

    def uniform(
        self, shape: tuple[int, ...], dtype: Thing, low: float = 0.0, high: float = 1.0
    ) -> Array:
        """As `jax.random.uniform`."""
        return jax.random.uniform(self.key, shape, dtype, low, high)

    def normal(self, shape: tuple[int, ...], dtype: Thing) -> Array:
        """As `jax.random.normal`."""
        return jax.random.normal(self.key, shape, dtype)

    def truncated_normal(self, shape: tuple[int, ...], dtype: Thing, end: float) -> Array:
        """As `jax.random.truncated_normal`."""
        return jax.random.truncated_normal(self.key, -end, end, shape, dtype)


# of both, numbers have the shape (*leading, *shape)
Draws: TypeAlias = OnHost | Traced


def on_host(key: Array, layers: int) -> OnHost | None:
    """Draws for so many layers, a key each; None where only JAX can draw from the key.

    >>> draws = on_host(jax.random.key(0), 3)
    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> jnp.array_equal(draws.uniform((2,), np.float32)[1], jax.random.uniform(keys[1], (2,)))
    Array(True, dtype=bool)
    """
    if isinstance(key, Tracer) or not jax.threefry_partitionable.value:
        return None
    if str(jax.random.key_impl(key)) != "threefry2x32":
        return None
    root = np.asarray(jax.random.key_data(key))[None]
    first, second = _threefry(root, layers)
    return OnHost(np.stack([first[0], second[0]], -1))


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def _threefry(keys: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first n blocks of two words of every key, (…, n) each.

    Threefry-2x32 with 20 rounds, a counter enciphered by a key; Salmon et al. 2011.
    """
    with np.errstate(over="ignore"):  # sums are meant modulo 2³²
        k0, k1 = keys[..., 0, None], keys[..., 1, None]
        words = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
        counter = np.arange(n, dtype=np.uint64)
        a = (counter >> np.uint64(32)).astype(np.uint32) + words[0]
        b = counter.astype(np.uint32) + words[1]
        for i in range(5):
            for rotation in _ROTATIONS[i % 2]:
                a = a + b
                b = a ^ (b << np.uint32(rotation) | b >> np.uint32(32 - rotation))
            a = a + words[(i + 1) % 3]
            b = b + words[(i + 2) % 3] + np.uint32(i + 1)
    return a, b


def _joined(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)


# Giles 2010, single precision: polynomials in w − 5/2 and √w − 3 of w = −log(1 − x²)
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def _erf_inv(x: np.ndarray) -> np.ndarray:
    """The inverse of the error function within ±1."""
    if x.dtype == np.float64:
        from scipy.special import erfinv  # an import of a tenth of a second

        return erfinv(x)
    w = -np.log1p(-x * x)
    centre = np.polyval(np.asarray(_CENTRE, np.float32), w - np.float32(2.5))
    tail = np.polyval(np.asarray(_TAIL, np.float32), np.sqrt(w) - np.float32(3))
    return x * np.where(w < 5, centre, tail)
