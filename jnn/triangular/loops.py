"""The pieces of a loop over layers, for one example or a batch.

A batch stands in columns, x: (n, batch), so that the innermost loops run along it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn import activations
from jnn.checks import Tree
from jnn.params import Stack
from jnn.triangular.products import times
from jnn.triangular.slices import Index, get


def scan(layer: Callable[..., Any], x: Tree, blocks: Tree, *, reverse: bool = False) -> Any:
    """`lax.scan` over the layers, and a plain call for a single one, whose width may change."""
    if len(blocks[0]) > 1:
        return lax.scan(layer, x, blocks, reverse=reverse)
    x, out = layer(x, jax.tree.map(lambda block: block[0], blocks))
    return x, jax.tree.map(lambda leaf: leaf[None], out)


def column(b: Array, x: Array) -> Array:
    """The biases (…, n), with an axis of length one where x: (n, …) has its batch."""
    return b.reshape(b.shape + (1,) * (x.ndim - 1))


def layer(stack: Stack, l: Index, x: Array) -> tuple[Array, Array]:
    """zₗ = Wₗ xₗ₋₁ + bₗ and xₗ = h(zₗ) [+ xₗ₋₁]."""
    z = times(get(stack.w, l), x) + column(get(stack.b, l), x)
    y = activations.resolve(stack.activation).value(z)
    return z, y + x if stack.residual else y


def plain_layer(stack: Stack) -> Callable[..., Any]:
    """One layer as `lax.scan` takes it, (x, (W, b)) -> (x', None), for JAX to differentiate."""
    h = activations.resolve(stack.activation).value

    def layer(x: Array, wb: tuple[Array, Array]) -> tuple[Array, None]:
        w, b = wb
        y = h(w @ x + b)
        return y + x if stack.residual else y, None

    return layer


def jacobians(stack: Stack, slopes: Array) -> Array:
    """Jₗ = diag(δₗ) Wₗ [+ I] of all layers at one example, (depth, n_out, n_in)."""
    J = slopes[:, :, None] * stack.w
    return J + jnp.eye(J.shape[1], dtype=J.dtype)[None] if stack.residual else J
