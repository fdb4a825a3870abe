"""A stack in one kernel: the loops of `substitution`, each a single launch on a GPU.

A `lax.scan` on a GPU launches some kernels for every layer, 8 µs a layer whatever the layer does.
Here one Pallas kernel walks all layers: a program of it takes a few columns of the batch and keeps
their state in registers. Weights, and all else that there is of every layer, stay in the device's
memory; one layer of them is on chip at a time, at any depth.

Which platforms have it is decided where the program is lowered: NVIDIA's and AMD's GPUs (CUDA and
ROCm), through Triton, of which JAX announces the end. On a CPU the kernels are interpreted, slowly,
to check them. On a TPU, for layers wider than 128, and for the pass of an activation that Triton
does not know (gelu, erf), there are the loops of `substitution` in its place.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn import activations
from jnn.params import Stack
from jnn.precision import wide
from jnn.triangular import substitution
from jnn.triangular.substitution import Pass, keeps_z, slopes

Block = tuple[Array, ...]

_COLUMNS = 8  # of the batch in one program
# the width up to which products are sums; wider ones use the matrix units, with 16 columns at least
_WRITTEN_OUT = 32
_WIDEST = 128  # 64 KiB of weights a layer: with twice the width they leave no room on chip


def walk(stack: Stack, x: Array) -> Pass:
    """One pass through a stack, as `substitution.walk`."""
    known = _in_triton(activations.resolve(stack.activation).value, x)
    return _by_platform(_walk, substitution.walk, known, stack, x)


def forward_substitution(stack: Stack, done: Pass, dx: Array, r: Array) -> tuple[Array, Array]:
    """dz of all layers and dx of the last, as `substitution.forward_substitution`."""
    loops = substitution.forward_substitution
    return _by_platform(_forward_substitution, loops, True, stack, done, dx, r)


def back_substitution(stack: Stack, done: Pass, g: Array, adjoint: Array) -> tuple[Array, Array]:
    """μ of all layers and λ_0, as `substitution.back_substitution`."""
    loops = substitution.back_substitution
    return _by_platform(_back_substitution, loops, True, stack, done, g, adjoint)


# ---- the three loops, a layer of each ----


def _walk(interpret: bool, stack: Stack, x: Array) -> Pass:
    h = activations.resolve(stack.activation)
    outputs = 2 if keeps_z(stack) else 1

    def layer(x: Array, block: Block) -> tuple[Array, Block]:
        w, b = block
        z = _times(w, x) + b
        y = h.value(z) + x if stack.residual else h.value(z)
        return y, (x, z)[:outputs]

    blocks = (stack.w, stack.b[..., None])
    output, (inputs, *z) = _one_kernel(layer, x, blocks, outputs=outputs, interpret=interpret)
    return Pass(inputs, output, z[0] if z else None)


def _forward_substitution(
    interpret: bool, stack: Stack, done: Pass, dx: Array, r: Array
) -> tuple[Array, Array]:
    def layer(dx: Array, block: Block) -> tuple[Array, Block]:
        w, δ, r = block
        dz = _times(w, dx) + r
        return δ * dz + dx if stack.residual else δ * dz, (dz,)

    blocks = (stack.w, slopes(stack, done), r)
    dx, (dz,) = _one_kernel(layer, dx, blocks, interpret=interpret)
    return dz, dx


def _back_substitution(
    interpret: bool, stack: Stack, done: Pass, g: Array, adjoint: Array
) -> tuple[Array, Array]:
    def layer(λ: Array, block: Block) -> tuple[Array, Block]:
        w, δ, g = block
        μ = δ * λ + g
        below = _times(w.T, μ)
        return below + λ if stack.residual else below, (μ,)

    blocks = (stack.w, slopes(stack, done), g)
    λ, (μ,) = _one_kernel(layer, adjoint, blocks, reverse=True, interpret=interpret)
    return μ, λ


def _times(w: Array, x: Array) -> Array:
    if max(w.shape) > _WRITTEN_OUT:
        return jnp.dot(w, x, precision=lax.Precision.HIGHEST)
    return jnp.sum(w[:, :, None] * x[None], axis=1)


# ---- the kernel ----


def _by_platform(
    kernel: Callable[..., Any], loops: Callable[..., Any], known: bool, stack: Stack, *operands: Any
) -> Any:
    """`kernel(interpret, …)` where the platform has it, else `loops(…)`."""
    compiled = partial(kernel, False) if known and stack.w.shape[1] <= _WIDEST else loops
    ways = {"cpu": partial(kernel, True), "cuda": compiled, "rocm": compiled, "default": loops}
    return lax.platform_dependent(stack, *operands, **ways)


def _one_kernel(
    layer: Callable[[Array, Block], tuple[Array, Block]],
    x: Array,
    blocks: Block,
    *,
    interpret: bool,
    outputs: int = 1,
    reverse: bool = False,
) -> tuple[Array, list[Array]]:
    """`lax.scan(layer, x, blocks, reverse=reverse)` in one kernel, for x: (n,) or (n, batch).

    Blocks have the shape (depth, …), the weights first; those that belong to single examples are
    (depth, n, batch), as the outputs. What is narrower than float32 is computed in it, and every
    state rounded: Triton has few functions of less.
    """
    from jax.experimental import pallas as pl  # slow to import
    from jax.experimental.pallas import triton

    if x.ndim == 1:
        single = tuple(block if block.ndim == 3 else block[..., None] for block in blocks)
        x, out = _one_kernel(
            layer, x[:, None], single, interpret=interpret, outputs=outputs, reverse=reverse
        )
        return x[:, 0], [o[..., 0] for o in out]
    depth, (n, batch), dtype = len(blocks[0]), x.shape, wide(x.dtype)
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
        own_columns = pl.ds(columns * pl.program_id(0), columns)

        def load(ref: Any, own: bool, l: Any) -> Array:
            return (ref[l, :, own_columns] if own else ref[l]).astype(dtype)

        def step(i: Any, x: Array) -> Array:
            l = depth - 1 - i if reverse else i
            block = tuple(load(ref, own, l) for ref, own in zip(block_refs, batched, strict=True))
            y, out = layer(x.astype(dtype), block)
            for ref, value in zip(out_refs, out, strict=True):
                ref[l, :, own_columns] = value.astype(ref.dtype)
            return y.astype(x.dtype)

        last_ref[...] = lax.fori_loop(0, depth, step, x_ref[...])

    column = pl.BlockSpec((rows, columns), lambda i: (0, i))
    in_memory = pl.BlockSpec(memory_space=pl.ANY)  # read and written a layer at a time
    every_output = jax.ShapeDtypeStruct((depth, *x.shape), x.dtype)
    last, *out = pl.pallas_call(
        kernel,
        grid=(x.shape[1] // columns,),
        in_specs=[column, *len(blocks) * [in_memory]],
        out_specs=[column, *outputs * [in_memory]],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype), *outputs * [every_output]],
        interpret=interpret,
        compiler_params=triton.CompilerParams(),
    )(x, *blocks)
    return last[:n, :batch], [o[:, :n, :batch] for o in out]


def _padded(a: Array, ends: tuple[int, int]) -> Array:
    """Zeros behind the last two axes."""
    return jnp.pad(a, [(0, 0)] * (a.ndim - 2) + [(0, end) for end in ends]) if any(ends) else a


# ---- what Triton knows ----

_ELEMENTWISE = {
    "abs", "acos", "acosh", "add", "and", "asin", "asinh", "atan", "atan2", "atanh",
    "broadcast_in_dim", "cbrt", "clamp", "convert_element_type", "cos", "cosh", "div", "eq",
    "exp", "exp2", "expm1", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p",
    "logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow", "rsqrt",
    "select_n", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor",
}  # fmt: skip


def _in_triton(h: activations.Elementwise, x: Array) -> bool:
    """Whether all that a function consists of can be lowered for Triton."""
    few = jax.ShapeDtypeStruct((2, 2), wide(x.dtype))
    return _primitives(jax.make_jaxpr(h)(few)) <= _ELEMENTWISE


def _primitives(jaxpr: Any) -> set[str]:
    """The names of all primitives, in the place of functions those that they consist of."""
    found = set()
    for equation in jaxpr.eqns:
        inner = [part for part in equation.params.values() if hasattr(part, "eqns")]
        parts = [_primitives(part) for part in inner] or [{equation.primitive.name}]
        found |= set.union(*parts)
    return found
