"""The triangular system solved for all layers at once, in O(log depth) steps.

Affine recurrences yₗ = Aₗ yₗ₋₁ + cₗ: the composition of affine maps is associative, so the layers
can be taken in chunks. Within a chunk the maps are composed one after the other, for all chunks at
the same time; the composed maps form a recurrence of the same kind, but shorter, which is solved
the same way; and from the value at the start of each chunk those inside it follow. (Blelloch 1990;
for networks Wang, Bai & Pekhimenko 2020, BPPSA, and Danieli et al. 2023, DeepPCR.)

Composed maps carry exponents (`scaled`), because products of many Jacobians leave the range of
floats.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn.checks import Tree
from jnn.params import Stack
from jnn.precision import wide
from jnn.shapes import Float
from jnn.triangular import scaled
from jnn.triangular.loops import jacobians
from jnn.triangular.platforms import by_platform
from jnn.triangular.scaled import Scaled
from jnn.triangular.substitution import Pass, slopes

SHORT = 16  # up to which a recurrence is walked
CHUNK = 8  # the most layers of a chunk on an accelerator

# ---- the system of a stack ----


def forward_substitution(
    stack: Stack, done: Pass, dx: Array, r: Array, *, chunk: int | None = None
) -> tuple[Array, Array]:
    """dz and dx_N from dxₗ = Jₗ dxₗ₋₁ + δₗ ∘ rₗ."""

    δ = slopes(stack, done)
    after = _affine_columns(_jacobians(stack, δ), δ * r, dx, chunk)
    before = jnp.concatenate([dx[None], after[:-1]])
    return jnp.einsum("lij,lj...->li...", stack.w, before) + r, after[-1]


def back_substitution(
    stack: Stack, done: Pass, g: Array, adjoint: Array, *, chunk: int | None = None
) -> tuple[Array, Array]:
    """μ and λ_0 from λₗ₋₁ = Jₗᵀ λₗ + Wₗᵀ gₗ."""

    δ = slopes(stack, done)
    J_T = jnp.swapaxes(_jacobians(stack, δ), -1, -2)
    W_T_g = jnp.einsum("lij,li...->lj...", stack.w, g)
    before = _affine_columns(J_T[::-1], W_T_g[::-1], adjoint, chunk)[::-1]  # λ_0, …, λ_{N−1}
    return δ * jnp.concatenate([before[1:], adjoint[None]]) + g, before[0]


def _jacobians(stack: Stack, slope: Array) -> Array:
    """Jₗ at one example, (depth, n, n), or at every example of a batch, (depth, batch, n, n)."""
    if slope.ndim == 2:
        return jacobians(stack, slope)
    return jax.vmap(partial(jacobians, stack), in_axes=-1, out_axes=1)(slope)


def _affine_columns(A: Array, c: Array, y: Array, chunk: int | None) -> Array:
    """`affine_scan` with a batch in columns, c: (depth, n, batch).

    Not by `vmap`: what is traced for a batch once more takes half as long again.
    """
    if y.ndim == 1:
        return affine_scan(A, c, y, chunk=chunk)
    return jnp.swapaxes(affine_scan(A, jnp.swapaxes(c, 1, 2), y.T, chunk=chunk), 1, 2)


# ---- affine recurrences ----


class Affine(NamedTuple):
    """y ↦ A y + c."""

    A: Scaled  # (…, n, n)
    c: Scaled  # (…, n)


def affine_scan(
    A: Float[Array, "depth *batch n n"],
    c: Float[Array, "depth *batch n"],
    y: Float[Array, "*batch n"],
    *,
    chunk: int | None = None,
) -> Float[Array, "depth *batch n"]:
    """All yₗ = Aₗ yₗ₋₁ + cₗ, l = 1 … depth, from y_0; of each example of a batch by itself.

    Args:
      chunk: how many layers are composed one after the other at each level; None chooses, by
        the platform.

    >>> affine_scan(jnp.full((3, 1, 1), 2.0), jnp.ones((3, 1)), jnp.zeros(1)).ravel().tolist()
    [1.0, 3.0, 7.0]
    """
    depth = len(c)
    if chunk is None:
        return by_platform(_affine_scan, partial(chunk_length, depth), A, c, y)
    return _affine_scan(chunk, A, c, y)


@partial(jax.jit, static_argnums=0, inline=True)  # the two solves are traced once
def _affine_scan(chunk: int, A: Array, c: Array, y: Array) -> Array:
    # half precision has too few exponents to work with
    dtype = wide(A.dtype)
    A_, c_, y_ = (a.astype(dtype) for a in (A, c, y))
    depth = len(c)
    starts, inside = y_[None], (A_[:, None], c_[:, None])  # a single chunk
    if depth > max(SHORT, chunk):
        inside = _chunks((A_, c_), chunk)
        maps = Affine(scaled.unscaled(inside[0], 2), scaled.rescaled(inside[1], 1))
        starts = scaled.values(_starts(maps, scaled.rescaled(y_, 1), chunk))

    # inside the chunks plain numbers do, as they do for the layers one by one
    def step(y: Array, f: tuple[Array, Array]) -> tuple[Array, Array]:
        y = jnp.einsum("...ij,...j->...i", f[0], y) + f[1]
        return y, y

    _, after = lax.scan(step, starts, inside)
    return _unchunked(after, depth).astype(A.dtype)


def chunk_length(depth: int, platform: str) -> int:
    """Layers composed one after the other at each level.

    A CPU gains nothing from short chunks: there are two levels, which compile fast. An accelerator
    waits for each step of a level, 2 k log_k N of them, and 4 ≤ k ≤ 8 is best.

    >>> [chunk_length(depth, "cpu") for depth in (64, 10_000)], chunk_length(10_000, "gpu")
    ([8, 100], 8)
    """
    two_levels = max(2, math.isqrt(depth - 1) + 1)
    return two_levels if platform == "cpu" else min(two_levels, CHUNK)


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
    first, rest = (
        jax.tree.map(lambda a, part=part: a[part], inside) for part in (0, slice(1, None))
    )
    composed, _ = lax.scan(lambda f, g: (_compose(f, g), None), first, rest)
    ends = _scan(composed, y, chunk)
    return jax.tree.map(lambda y_0, ends: jnp.concatenate([y_0[None], ends[:-1]]), y, ends)


def _step(y: Scaled, f: Affine) -> tuple[Scaled, Scaled]:
    after = scaled.add(scaled.times(f.A, y), f.c)
    return after, after


def _compose(f: Affine, g: Affine) -> Affine:
    """g after f."""
    return Affine(scaled.product(g.A, f.A), scaled.add(scaled.times(g.A, f.c), g.c))


def _chunks(maps: Tree, chunk: int) -> Any:
    """(depth, …) as (chunk, chunks, …), the k-th map of every chunk; zeros fill up the last."""

    def cut(a: Array) -> Array:
        chunks = -(-len(a) // chunk)
        padded = jnp.pad(a, [(0, chunks * chunk - len(a))] + [(0, 0)] * (a.ndim - 1))
        return jnp.swapaxes(padded.reshape(chunks, chunk, *a.shape[1:]), 0, 1)

    return jax.tree.map(cut, maps)


def _unchunked(a: Array, depth: int) -> Array:
    """(chunk, chunks, …) as (depth, …)."""
    return jnp.swapaxes(a, 0, 1).reshape(-1, *a.shape[2:])[:depth]
