"""One pass through a stack, and its triangular system solved block by block, O(depth) work.

A layer is zₗ = Wₗ xₗ₋₁ + bₗ, xₗ = h(zₗ) [+ xₗ₋₁], with slope δₗ = h'(zₗ). Three loops stand here:

    the pass itself         xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁]
    forward substitution    dzₗ = Wₗ dxₗ₋₁ + rₗ,         dxₗ = δₗ ∘ dzₗ [+ dxₗ₋₁]
    back substitution       λₗ₋₁ = Wₗᵀ μₗ [+ λₗ],        μₗ = δₗ ∘ λₗ + gₗ

for one example, x: (n,), or for a batch as columns, x: (n, batch). A loop reads the next layer's
input from where it wrote, one array (depth, n, …): nothing is carried beside it, nothing copied.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jnn import activations
from jnn.activations import Elementwise
from jnn.params import Stack
from jnn.shapes import Float
from jnn.triangular.loops import layer
from jnn.triangular.products import times, transpose_times
from jnn.triangular.slices import Index, get, put


class Pass(NamedTuple):
    """What one pass through a stack leaves behind; with a trailing batch axis where x has one."""

    inputs: Array  # (depth, n_in): xₗ₋₁ of every layer
    output: Array  # (n_out,): the last state
    z: Array | None  # (depth, n_out), or None where the slopes can be had from the states


def walk(stack: Stack, x: Float[Array, " n_in *batch"]) -> Pass:
    """The pass, layer after layer."""
    return walk_from(0, stack, *room(stack, x))


def room(stack: Stack, x: Array) -> tuple[Array, Array | None]:
    """Room for the inputs of all layers, the first in place, and for z where it is kept."""
    every_z = jnp.zeros((*stack.b.shape, *x.shape[1:]), x.dtype) if keeps_z(stack) else None
    return put(jnp.zeros((stack.depth, *x.shape), x.dtype), x, 0), every_z


def walk_from(first: int, stack: Stack, inputs: Array, every_z: Array | None) -> Pass:
    """The pass from layer `first` on, whose input stands in `inputs`, the layers before it done."""

    def step(l: Index, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        x, inputs, every_z = kept
        z, y = layer(stack, l, get(inputs, l) if x is None else x)
        inputs = put(inputs, y, l + 1)
        return (None, inputs, None) if every_z is None else (y, inputs, put(every_z, z, l))

    last = stack.depth - 1
    # of two arrays that are written none may be read as well, or all of it is copied every time
    x = None if every_z is None else get(inputs, first)
    if last > first:  # else the width may change from input to output
        _, inputs, every_z = lax.fori_loop(first, last, step, (x, inputs, every_z))
    z, output = layer(stack, last, get(inputs, last))
    return Pass(inputs, output, None if every_z is None else put(every_z, z, last))


def forward_substitution(stack: Stack, done: Pass, dx: Array, r: Array) -> tuple[Array, Array]:
    """dz of all layers and dx of the last, from dx_0 and the right-hand sides r: (depth, n_out)."""

    def step(l: Index, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        dz, dx = carry
        dz_l = times(get(stack.w, l), dx) + get(r, l)
        dx_l = _slope(stack, done, l) * dz_l
        return put(dz, dz_l, l), dx_l + dx if stack.residual else dx_l

    last = stack.depth - 1
    carry = jnp.zeros_like(r), dx
    if last > 0:
        carry = lax.fori_loop(0, last, step, carry)
    return step(last, carry)


def back_substitution(stack: Stack, done: Pass, g: Array, adjoint: Array) -> tuple[Array, Array]:
    """μ of all layers and λ_0, from right-hand sides g: (depth, n_out) and the last adjoint λ_N."""
    last = stack.depth - 1

    def λ_before(l: Index, μ: Array, λ: Array | None) -> Array:
        below = transpose_times(get(stack.w, l), get(μ, l))
        return below if λ is None else below + λ

    def step(i: Index, carry: tuple[Array, Array | None]) -> tuple[Array, Array | None]:
        μ, λ = carry
        l = last - i
        λ = λ_before(l, μ, λ)
        μ = put(μ, _slope(stack, done, l - 1) * λ + get(g, l - 1), l - 1)
        return μ, λ if stack.residual else None

    # not over g, which is zero where the loss asks for the output alone: then nothing reads it
    μ = put(jnp.zeros_like(g), _slope(stack, done, last) * adjoint + g[last], last)
    carried = adjoint if stack.residual else None
    if last > 0:
        μ, carried = lax.fori_loop(0, last, step, (μ, carried))
    return μ, λ_before(0, μ, carried)


# ---- states and slopes of a pass ----


def states(done: Pass) -> Array:
    """x_1, …, x_N: (depth, n_out)."""
    last = done.output[None]
    return last if len(done.inputs) == 1 else jnp.concatenate([done.inputs[1:], last])


def slopes(stack: Stack, done: Pass) -> Array:
    """δ of all layers: (depth, n_out)."""
    if done.z is None:
        return _slope_of_value(stack)(states(done))
    return activations.resolve(stack.activation).slope(done.z)


def keeps_z(stack: Stack) -> bool:
    """Whether the slopes need z: with a residual, or where h' cannot be had from h without loss."""
    return stack.residual or activations.resolve(stack.activation).slope_of_value is None


def _slope(stack: Stack, done: Pass, l: Index) -> Array:
    """δ of one layer, computed where it is needed: to read it from an array a loop would wait."""
    if done.z is not None:
        return activations.resolve(stack.activation).slope(get(done.z, l))
    at_the_end = isinstance(l, int) and l == stack.depth - 1
    return _slope_of_value(stack)(done.output if at_the_end else get(done.inputs, l + 1))


def _slope_of_value(stack: Stack) -> Elementwise:
    slope = activations.resolve(stack.activation).slope_of_value
    assert slope is not None  # or the pass would have kept z
    return slope
