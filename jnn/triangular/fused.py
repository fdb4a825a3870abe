"""A stack in one kernel: the loops of `substitution`, each a single launch on a GPU.

A `lax.scan` on a GPU launches some kernels for every layer, 8 µs a layer whatever the layer does.
Here one Pallas kernel walks all layers: a program of it takes a few columns of the batch, keeps
their state in registers, and streams weights in and results out. On a CPU the kernels are
interpreted, slowly, to check them.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn import activations
from jnn.params import Stack
from jnn.triangular.substitution import Pass, keeps_z, slopes

Block = tuple[Array, ...]

_COLUMNS = 8  # of the batch in one program
# the width up to which products are sums; wider ones use the matrix units, with 16 columns at least
_WRITTEN_OUT = 32


def walk(stack: Stack, x: Array) -> Pass:
    """One pass through a stack, as `substitution.walk`."""
    h = activations.resolve(stack.activation)
    outputs = 2 if keeps_z(stack) else 1

    def layer(x: Array, block: Block) -> tuple[Array, Block]:
        w, b = block
        z = _times(w, x) + b
        y = h.value(z) + x if stack.residual else h.value(z)
        return y, (x, z)[:outputs]

    output, (inputs, *z) = _one_kernel(layer, x, (stack.w, stack.b[..., None]), outputs=outputs)
    return Pass(inputs, output, z[0] if z else None)


def forward_substitution(stack: Stack, done: Pass, dx: Array, r: Array) -> tuple[Array, Array]:
    """dz of all layers and dx of the last, as `substitution.forward_substitution`."""

    def layer(dx: Array, block: Block) -> tuple[Array, Block]:
        w, δ, r = block
        dz = _times(w, dx) + r
        return δ * dz + dx if stack.residual else δ * dz, (dz,)

    dx, (dz,) = _one_kernel(layer, dx, (stack.w, slopes(stack, done), r))
    return dz, dx


def back_substitution(stack: Stack, done: Pass, g: Array, adjoint: Array) -> tuple[Array, Array]:
    """μ of all layers and λ_0, as `substitution.back_substitution`."""

    def layer(λ: Array, block: Block) -> tuple[Array, Block]:
        w, δ, g = block
        μ = δ * λ + g
        below = _times(w.T, μ)
        return below + λ if stack.residual else below, (μ,)

    λ, (μ,) = _one_kernel(layer, adjoint, (stack.w, slopes(stack, done), g), reverse=True)
    return μ, λ


def _times(w: Array, x: Array) -> Array:
    if max(w.shape) > _WRITTEN_OUT:
        return jnp.dot(w, x, precision=lax.Precision.HIGHEST)
    return jnp.sum(w[:, :, None] * x[None], axis=1)


def _one_kernel(
    layer: Callable[[Array, Block], tuple[Array, Block]],
    x: Array,
    blocks: Block,
    *,
    outputs: int = 1,
    reverse: bool = False,
) -> tuple[Array, list[Array]]:
    """`lax.scan(layer, x, blocks, reverse=reverse)` in one kernel, for x: (n,) or (n, batch).

    Blocks have the shape (depth, …), the weights first; those that belong to single examples are
    (depth, n, batch), as the outputs.
    """
    from jax.experimental import pallas as pl  # slow to import

    if x.ndim == 1:
        single = tuple(block if block.ndim == 3 else block[..., None] for block in blocks)
        x, out = _one_kernel(layer, x[:, None], single, outputs=outputs, reverse=reverse)
        return x[:, 0], [o[..., 0] for o in out]
    depth = len(blocks[0])
    n, batch = x.shape
    # zeros up to what a GPU's kernel can hold, a power of two rows; zero weights keep them apart
    # from the rest. Of columns whole programs, one at least.
    rows = 2 ** math.ceil(math.log2(n))
    columns = _COLUMNS if n <= _WRITTEN_OUT else 16
    more = max(columns, -(-batch // columns) * columns) - batch
    batched = [i > 0 and block.shape[1:] == x.shape for i, block in enumerate(blocks)]
    wider = [more if own else 0 for own in batched]
    wider[0] = rows - n
    x = _padded(x, (rows - n, more))
    blocks = tuple(_padded(block, (rows - n, w)) for block, w in zip(blocks, wider, strict=True))

    def kernel(x_ref: Any, *refs: Any) -> None:
        block_refs, (last_ref, *out_refs) = refs[: len(blocks)], refs[len(blocks) :]

        def step(i: Any, x: Array) -> Array:
            l = depth - 1 - i if reverse else i
            x, out = layer(x, tuple(ref[l] for ref in block_refs))
            for ref, value in zip(out_refs, out, strict=True):
                ref[l] = value
            return x

        last_ref[...] = lax.fori_loop(0, depth, step, x_ref[...])

    column = pl.BlockSpec((rows, columns), lambda i: (0, i))
    every_column = pl.BlockSpec((depth, rows, columns), lambda i: (0, 0, i))
    in_specs = [
        every_column if own else pl.BlockSpec(block.shape, lambda _: (0, 0, 0))
        for own, block in zip(batched, blocks, strict=True)
    ]
    every_output = jax.ShapeDtypeStruct((depth, *x.shape), x.dtype)
    last, *out = pl.pallas_call(
        kernel,
        grid=(x.shape[1] // columns,),
        in_specs=[column, *in_specs],
        out_specs=[column, *outputs * [every_column]],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype), *outputs * [every_output]],
        interpret=jax.default_backend() == "cpu",
    )(x, *blocks)
    return last[:n, :batch], [o[:, :n, :batch] for o in out]


def _padded(a: Array, ends: tuple[int, int]) -> Array:
    """Zeros behind the last two axes."""
    return jnp.pad(a, [(0, 0)] * (a.ndim - 2) + [(0, end) for end in ends]) if any(ends) else a
