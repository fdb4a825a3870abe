"""Numbers with an exponent, m · 2ᵉ: products of thousands of Jacobians beyond the range of floats.

Products of many Jacobians leave the range of floats long before the values do that they act on. A
matrix or a vector here carries one exponent for all its entries, the largest of which is between ½
and 1, and is rescaled after each step. That is exact: a value becomes zero or infinite only where
the true one is out of range.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jnn.precision import wide

_NEVER = -(2**28)  # the exponent of zero: below every other, and sums of a few stay integers


class Scaled(NamedTuple):
    """m · 2ᵉ, one exponent for each matrix or vector along the leading axes."""

    m: Array
    e: Array


def rescaled(a: Array, axes: int, e: Array | int = 0) -> Scaled:
    """a · 2ᵉ with the largest entry of `a`, along its last `axes` axes, between ½ and 1.

    >>> x = rescaled(jnp.array([3.0, -8.0]), 1)
    >>> x.m.tolist(), int(x.e)
    ([0.1875, -0.5], 4)
    """
    widened = a.astype(wide(a.dtype))
    largest = jnp.max(jnp.abs(widened), axis=tuple(range(-axes, 0)))
    shift = _exponent(largest)
    m = widened * _power_of_two(-shift, widened.dtype)[(..., *[None] * axes)]
    return Scaled(m.astype(a.dtype), jnp.where(largest == 0, _NEVER, shift + e))


def unscaled(a: Array, axes: int) -> Scaled:
    """The entries as they are, with exponent 0."""
    return Scaled(a, jnp.zeros(a.shape[: a.ndim - axes], int))


def values(x: Scaled) -> Array:
    """Vectors in plain numbers; in two steps, as 2ᵉ may be out of range where m · 2ᵉ is not."""
    half = x.e // 2
    dtype = x.m.dtype
    return x.m * _power_of_two(half, dtype)[..., None] * _power_of_two(x.e - half, dtype)[..., None]


def log(sizes: Any, exponents: Any) -> np.ndarray:
    """ln(size · 2ᵉ) on the host, in float64; −∞ for zero.

    >>> log([1.0, 0.0], [-2000, 0]).round(3).tolist()
    [-1386.294, -inf]
    """
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(sizes, np.float64)) + np.asarray(exponents, float) * np.log(2)


# ---- arithmetic ----


def product(a: Scaled, b: Scaled) -> Scaled:
    """A B of matrices."""
    return rescaled(jnp.einsum("...ij,...jk->...ik", a.m, b.m), 2, a.e + b.e)


def times(a: Scaled, x: Scaled) -> Scaled:
    """A x of a matrix and a vector."""
    return rescaled(jnp.einsum("...ij,...j->...i", a.m, x.m), 1, a.e + x.e)


def add(x: Scaled, y: Scaled) -> Scaled:
    """x + y of vectors."""
    e = jnp.maximum(x.e, y.e)
    x_m, y_m = (v.m * _power_of_two(v.e - e, v.m.dtype)[..., None] for v in (x, y))
    return rescaled(x_m + y_m, 1, e)


# ---- bits ----


def _exponent(a: Array) -> Array:
    """e with ½ ≤ a / 2ᵉ < 1 for a ≥ 0, within the range of normal numbers; read from the bits."""
    bits, mantissa, bias = _format(a.dtype)
    shift = jnp.asarray(mantissa, bits)
    field = lax.shift_right_logical(lax.bitcast_convert_type(a, bits), shift).astype(int)
    # zero has no exponent, and infinity and NaN stay what they are
    return jnp.where((a > 0) & (a < jnp.inf), jnp.clip(field - bias + 1, 2 - bias, bias - 1), 0)


def _power_of_two(e: Array, dtype: Any) -> Array:
    """2ᵉ, exactly; zero below the range of normal numbers, and the largest of them above it."""
    bits, mantissa, bias = _format(dtype)
    field = jnp.clip(e + bias, 0, 2 * bias).astype(bits)
    return lax.bitcast_convert_type(lax.shift_left(field, jnp.asarray(mantissa, bits)), dtype)


def _format(dtype: Any) -> tuple[Any, int, int]:
    """The integer type of a float's bits, the bits of its mantissa, the bias of its exponent."""
    return (jnp.uint64, 52, 1023) if dtype == jnp.float64 else (jnp.uint32, 23, 127)
