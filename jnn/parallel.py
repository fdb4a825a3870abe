"""Affine recurrences yₗ = Aₗ yₗ₋₁ + cₗ, all layers at once: a block-bidiagonal solve in O(log depth) steps.

The composition of affine maps is associative, so the layers can be taken in chunks: within a chunk the maps are
composed one after the other, for all chunks at the same time; the composed maps form a recurrence of the same kind, but
shorter, which is solved the same way; and from the value at the start of each chunk those inside it follow. (Blelloch
1990; for networks Wang, Bai & Pekhimenko 2020, BPPSA, and Danieli et al. 2023, DeepPCR.)

Products of many Jacobians leave the range of floats long before the values do that they act on. So every composed
matrix and vector carries an exponent, m · 2ᵉ with entries of m below 1, and is rescaled after each step, which is
exact: a value becomes zero or infinite only where the true one is out of range.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

SHORT = 16  # up to which a recurrence is walked


class Scaled(NamedTuple):
    """m · 2ᵉ, one exponent for each matrix or vector along the leading axes."""

    m: Array
    e: Array


class Affine(NamedTuple):
    """y ↦ A y + c."""

    A: Scaled  # (…, n, n)
    c: Scaled  # (…, n)


def affine_scan(
    A: Float[Array, "depth n n"], c: Float[Array, "depth n"], y: Float[Array, " n"], *, chunk: int | None = None
) -> Float[Array, "depth n"]:
    """All yₗ = Aₗ yₗ₋₁ + cₗ, l = 1 … depth, from y_0.

    Args:
      chunk: how many layers are composed one after the other at each level; None chooses.

    >>> affine_scan(jnp.full((3, 1, 1), 2.0), jnp.ones((3, 1)), jnp.zeros(1)).ravel().tolist()
    [1.0, 3.0, 7.0]
    """
    dtype = jnp.promote_types(A.dtype, jnp.float32)  # half precision has too few exponents to work with
    A_, c_, y_ = (a.astype(dtype) for a in (A, c, y))
    depth, chunk = len(c), chunk or chunk_length(len(c))
    starts, inside = y_[None], (A_[:, None], c_[:, None])  # a single chunk
    if depth > max(SHORT, chunk):
        inside = _chunks((A_, c_), chunk)
        starts = _values(_starts(Affine(_unscaled(inside[0]), _scaled(inside[1], 1)), _scaled(y_, 1), chunk))
    # inside the chunks plain numbers do, as they do for the layers one by one

    def step(y: Array, f: Any) -> tuple[Array, Array]:
        y = jnp.einsum("kij,kj->ki", f[0], y) + f[1]
        return y, y

    _, after = lax.scan(step, starts, inside)
    return _unchunked(after, depth).astype(A.dtype)


def chunk_length(depth: int) -> int:
    """Layers composed one after the other at each level.

    A CPU gains nothing from short chunks: there are two levels, which compile fast. An accelerator waits for each
    step of a level, 2 k log_k N of them, and 4 ≤ k ≤ 8 is best.
    """
    return max(2, math.isqrt(depth - 1) + 1) if jax.default_backend() == "cpu" else 8


def _scan(maps: Affine, y: Scaled, chunk: int) -> Scaled:
    """Every y after each of the maps."""
    depth = maps.c.m.shape[0]
    if depth <= max(SHORT, chunk):
        return lax.scan(_step, y, maps)[1]
    inside = _chunks(maps, chunk)
    _, after = lax.scan(_step, _starts(inside, y, chunk), inside)
    return jax.tree.map(lambda a: _unchunked(a, depth), after)


def _starts(inside: Affine, y: Scaled, chunk: int) -> Scaled:
    """y before each of the chunks."""
    first, rest = (jax.tree.map(lambda a, part=part: a[part], inside) for part in (0, slice(1, None)))
    composed, _ = lax.scan(lambda f, g: (_compose(f, g), None), first, rest)
    ends = _scan(composed, y, chunk)
    return jax.tree.map(lambda y_0, ends: jnp.concatenate([y_0[None], ends[:-1]]), y, ends)


def _chunks(maps: Any, chunk: int) -> Any:
    """(depth, …) as (chunk, chunks, …), the k-th map of every chunk; zeros at the end are cut off again."""

    def cut(a: Array) -> Array:
        chunks = -(-len(a) // chunk)
        padded = jnp.pad(a, [(0, chunks * chunk - len(a))] + [(0, 0)] * (a.ndim - 1))
        return jnp.swapaxes(padded.reshape(chunks, chunk, *a.shape[1:]), 0, 1)

    return jax.tree.map(cut, maps)


def _unchunked(a: Array, depth: int) -> Array:
    """(chunk, chunks, …) as (depth, …)."""
    return jnp.swapaxes(a, 0, 1).reshape(-1, *a.shape[2:])[:depth]


def _step(y: Scaled, f: Affine) -> tuple[Scaled, Scaled]:
    after = _add(_times(f.A, y), f.c)
    return after, after


def _compose(f: Affine, g: Affine) -> Affine:
    """g after f."""
    return Affine(_product(g.A, f.A), _add(_times(g.A, f.c), g.c))


# ---- arithmetic with exponents ----


_NEVER = -(2**28)  # the exponent of zero: below every other, and sums of a few stay integers


def _scaled(a: Array, axes: int, e: Any = 0) -> Scaled:
    """a · 2ᵉ with the largest entry of `a`, along its last axes, brought to between ½ and 1."""
    largest = jnp.max(jnp.abs(a), axis=tuple(range(-axes, 0)))
    shift = _exponent(largest)
    return Scaled(a * _power_of_two(-shift, a.dtype)[(..., *[None] * axes)], jnp.where(largest == 0, _NEVER, shift + e))


def _unscaled(a: Array) -> Scaled:
    return Scaled(a, jnp.zeros(a.shape[:2], int))


def _values(x: Scaled) -> Array:
    """Plain numbers; in two steps, because 2ᵉ itself may be out of range where m · 2ᵉ is not."""
    half = x.e // 2
    return x.m * _power_of_two(half, x.m.dtype)[..., None] * _power_of_two(x.e - half, x.m.dtype)[..., None]


def _product(a: Scaled, b: Scaled) -> Scaled:
    return _scaled(jnp.einsum("...ij,...jk->...ik", a.m, b.m), 2, a.e + b.e)


def _times(a: Scaled, x: Scaled) -> Scaled:
    return _scaled(jnp.einsum("...ij,...j->...i", a.m, x.m), 1, a.e + x.e)


def _add(x: Scaled, y: Scaled) -> Scaled:
    e = jnp.maximum(x.e, y.e)
    x_m, y_m = (v.m * _power_of_two(v.e - e, v.m.dtype)[..., None] for v in (x, y))
    return _scaled(x_m + y_m, 1, e)


def _exponent(a: Array) -> Array:
    """e with ½ ≤ a / 2ᵉ < 1 for a ≥ 0, within the range of normal numbers; read from the bits, which is exact."""
    bits, mantissa, bias = _format(a.dtype)
    field = lax.shift_right_logical(lax.bitcast_convert_type(a, bits), jnp.asarray(mantissa, bits)).astype(int)
    # zero has no exponent, and infinity and NaN stay what they are
    return jnp.where((a > 0) & (a < jnp.inf), jnp.clip(field - bias + 1, 2 - bias, bias - 1), 0)


def _power_of_two(e: Array, dtype: Any) -> Array:
    """2ᵉ, exactly; zero below the range of normal numbers, and the largest of them above it."""
    bits, mantissa, bias = _format(dtype)
    field = jnp.clip(e + bias, 0, 2 * bias).astype(bits)
    return lax.bitcast_convert_type(lax.shift_left(field, jnp.asarray(mantissa, bits)), dtype)


def _format(dtype: Any) -> tuple[Any, int, int]:
    """The integer type of a floating-point type's bits, the bits of its mantissa, and the bias of its exponent."""
    return (jnp.uint64, 52, 1023) if dtype == jnp.float64 else (jnp.uint32, 23, 127)
