"""One pass through a stack, and its triangular system solved by substitution: block by block, O(depth) work.

A layer is zₗ = Wₗ xₗ₋₁ + bₗ, xₗ = h(zₗ) [+ xₗ₋₁], with slope δₗ = h'(zₗ). Three loops over the layers stand here:

    the pass itself         xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁]
    forward substitution    dzₗ = Wₗ dxₗ₋₁ + rₗ,         dxₗ = δₗ ∘ dzₗ [+ dxₗ₋₁]
    back substitution       λₗ₋₁ = Wₗᵀ μₗ [+ λₗ],        μₗ = δₗ ∘ λₗ + gₗ

for one example, x: (n,), or for a batch as columns, x: (n, batch). A loop writes its results where it reads the next
layer's input from, one array (depth, n, …), so that nothing is carried beside it and nothing copied.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from jnn import activations
from jnn.params import Stack


class Run(NamedTuple):
    """What one pass through a stack leaves behind; with a trailing batch axis where x has one."""

    inputs: Array  # (depth, n_in): xₗ₋₁ of every layer
    output: Array  # (n_out,): the last state
    z: Array | None  # (depth, n_out), or None where the slopes can be had from the states


def run(stack: Stack, x: Float[Array, " n_in *batch"]) -> Run:
    """The pass, layer after layer."""
    return run_from(0, stack, *empty(stack, x))


def empty(stack: Stack, x: Array) -> tuple[Array, Array | None]:
    """Room for the inputs of all layers, the first in place, and for z where it is kept."""
    every_z = jnp.zeros((*stack.b.shape, *x.shape[1:]), x.dtype) if keeps_z(stack) else None
    return put(jnp.zeros((stack.depth, *x.shape), x.dtype), x, 0), every_z


def run_from(first: int, stack: Stack, inputs: Array, every_z: Array | None) -> Run:
    """The pass from layer `first` on, whose input stands in `inputs` and whose predecessors' values are kept."""

    def step(l: Any, kept: Any) -> Any:
        inputs, every_z = kept
        z, y = layer(stack, l, get(inputs, l))
        return put(inputs, y, l + 1), None if every_z is None else put(every_z, z, l)

    last = stack.depth - 1
    if last > first:  # else the width may change from input to output
        inputs, every_z = lax.fori_loop(first, last, step, (inputs, every_z))
    z, output = layer(stack, last, get(inputs, last))
    return Run(inputs, output, None if every_z is None else put(every_z, z, last))


def layer(stack: Stack, l: Any, x: Array) -> tuple[Array, Array]:
    """zₗ and xₗ from xₗ₋₁."""
    h = activations.resolve(stack.activation)
    z = times(get(stack.w, l), x) + column(get(stack.b, l), x)
    return z, h.value(z) + x if stack.residual else h.value(z)


def keeps_z(stack: Stack) -> bool:
    """Whether the slopes need z: with a residual, or where h' is no function of h without loss."""
    return stack.residual or activations.resolve(stack.activation).slope_of_value is None


def states(run: Run) -> Array:
    """x_1, …, x_N: (depth, n_out)."""
    last = run.output[None]
    return last if len(run.inputs) == 1 else jnp.concatenate([run.inputs[1:], last])


def slopes(stack: Stack, run: Run) -> Array:
    """δ of all layers: (depth, n_out)."""
    if run.z is None:
        return _slope_of_value(stack)(states(run))
    return activations.resolve(stack.activation).slope(run.z)


def _slope(stack: Stack, run: Run, l: Any) -> Array:
    """δ of one layer, computed where it is needed: a loop that read it from an array would wait for memory."""
    if run.z is not None:
        return activations.resolve(stack.activation).slope(get(run.z, l))
    x = run.output if isinstance(l, int) and l == stack.depth - 1 else get(run.inputs, l + 1)
    return _slope_of_value(stack)(x)


def _slope_of_value(stack: Stack) -> Any:
    return activations.resolve(stack.activation).slope_of_value


def forward_substitution(stack: Stack, run: Run, dx: Array, r: Array) -> tuple[Array, Array]:
    """dz of all layers and dx of the last, from dx_0 and the right-hand sides r: (depth, n_out)."""

    def step(l: Any, carry: Any) -> Any:
        dx, dz = carry
        dzₗ = times(get(stack.w, l), dx) + get(dz, l)
        dxₗ = _slope(stack, run, l) * dzₗ
        return dxₗ + dx if stack.residual else dxₗ, put(dz, dzₗ, l)

    last = stack.depth - 1
    if last > 0:
        dx, r = lax.fori_loop(0, last, step, (dx, r))
    dx, dz = step(last, (dx, r))
    return dz, dx


def back_substitution(stack: Stack, run: Run, g: Array, λ: Array) -> tuple[Array, Array]:
    """μ of all layers and λ_0, from the right-hand sides g: (depth, n_out) and λ of the last layer."""
    last = stack.depth - 1

    def λ_before(l: Any, μ: Array, λ: Any) -> Array:
        below = _transpose_times(get(stack.w, l), get(μ, l))
        return below + λ if stack.residual else below

    def step(i: Any, carry: Any) -> Any:
        μ, λ = carry
        l = last - i
        λ = λ_before(l, μ, λ)
        return put(μ, _slope(stack, run, l - 1) * λ + get(μ, l - 1), l - 1), λ if stack.residual else None

    μ = put(g, _slope(stack, run, last) * λ + g[last], last)
    carried = λ if stack.residual else None
    if last > 0:
        μ, carried = lax.fori_loop(0, last, step, (μ, carried))
    return μ, λ_before(0, μ, carried)


# ---- the pieces of a loop ----


def walk(layer: Callable[..., Any], x: Any, blocks: Any, *, reverse: bool = False) -> Any:
    """`lax.scan` over the layers, and a plain call for a single one, whose width may change."""
    if len(blocks[0]) > 1:
        return lax.scan(layer, x, blocks, reverse=reverse)
    x, out = layer(x, jax.tree.map(lambda block: block[0], blocks))
    return x, jax.tree.map(lambda leaf: leaf[None], out)


def get(array: Any, l: Any) -> Array:
    """Layer l of an array (depth, …)."""
    return lax.dynamic_index_in_dim(array, l, keepdims=False)


def put(array: Array, value: Array, l: Any) -> Array:
    """The array with layer l replaced, in place once compiled."""
    return lax.dynamic_update_index_in_dim(array, value, l, 0)


def column(b: Array, x: Array) -> Array:
    """The biases (…, n), with an axis of length one where x: (n, …) has its batch."""
    return b.reshape(b.shape + (1,) * (x.ndim - 1))


# A product of small factors is written out as sums of columns: compiled, that is one loop that keeps its sums in
# registers and takes the activation along. XLA's own product is a call into a library, which costs more than it does
# at these widths; forward + gradient at width 16, batch 32 takes 2.3 in place of 4.5 µs a layer.
_WRITTEN_OUT = 32  # the width up to which; measured on CPUs
_PARTIAL_SUMS = 4  # that do not wait for each other


def columns(width: int, batch: int, dtype: Any) -> int:
    """How many columns are best computed for a batch: on a CPU as many as fill vector registers, 8 floats or 4 doubles.

    What is left over beside them is computed number by number: at width 16 the gradient of a batch of 10 takes 2.6 µs a
    layer, of 16 columns 1.35 (tanh, float32). At width 2, and below 4 columns, more columns do not always pay.
    """
    register = 32 // max(dtype.itemsize, 4)  # bytes; what is narrower is computed in float32
    pays = jax.default_backend() == "cpu" and 4 <= width <= _WRITTEN_OUT and batch >= 4
    return -(-batch // register) * register if pays else batch


def filled(x: Array) -> Array:
    """A batch as columns, its last repeated (h may have no slope at 0) until there are as many as are best computed."""
    width, batch = x.shape
    more = columns(width, batch, x.dtype) - batch
    return jnp.pad(x, ((0, 0), (0, more)), mode="edge") if more else x


def times(w: Array, x: Array) -> Array:
    """W x for x: (n_in,) or (n_in, batch)."""
    if max(w.shape) > _WRITTEN_OUT:
        return w @ x
    if x.ndim == 1:
        return jnp.sum(w * x, axis=1)
    return _sum([w[:, k, None] * x[k] for k in range(w.shape[1])])


def _transpose_times(w: Array, x: Array) -> Array:
    """Wᵀ x for x: (n_out,) or (n_out, batch)."""
    if max(w.shape) > _WRITTEN_OUT:
        return w.T @ x
    if x.ndim == 1:
        return jnp.sum(w * x[:, None], axis=0)
    return _sum([w[k, :, None] * x[k] for k in range(w.shape[0])])


def _sum(terms: list[Array]) -> Array:
    parts = [sum(terms[i + _PARTIAL_SUMS :: _PARTIAL_SUMS], terms[i]) for i in range(min(_PARTIAL_SUMS, len(terms)))]
    return sum(parts[1:], parts[0])
