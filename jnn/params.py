"""Parameters: a network is a tuple of stacks, a stack a run of equal layers along a depth axis.

Storing equal layers along one axis lets `lax.scan` walk them, so that neither compile time nor code
grows with depth. What is not a number (activation, residual) is static: part of the tree's
structure, and of what `jit` keys on.
"""

import dataclasses
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from jnn.activations import ActivationLike
from jnn.equality import by_value
from jnn.outputs import mixing


@by_value
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["w", "b"],
    meta_fields=["activation", "residual"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Stack:
    """A run of equal layers, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁], stored along a leading depth axis.

    The leaves are typed `Any` because JAX rebuilds trees with leaves that are not arrays.

    >>> Stack(w=jnp.zeros((5, 2, 2)), b=jnp.zeros((5, 2)), activation="tanh").depth
    5
    """

    w: Any  # (depth, n_out, n_in)
    b: Any  # (depth, n_out)
    activation: ActivationLike = "identity"
    residual: bool = False

    @property
    def depth(self) -> int:
        """How many layers the stack holds."""
        return self.w.shape[0]


Params: TypeAlias = tuple[Stack, ...]


def layers(params: Params) -> list[tuple[Array, Array]]:
    """The parameters layer by layer, [(W_1, b_1), …, (W_N, b_N)], as a lecture writes them.

    >>> params = jnn.init_network_params([2, 3, 1], jax.random.key(0))
    >>> [w.shape for w, _ in layers(params)]
    [(3, 2), (1, 3)]
    """
    stacks = ((jnp.asarray(stack.w), jnp.asarray(stack.b)) for stack in params)
    return [(w, b) for ws, bs in stacks for w, b in zip(ws, bs, strict=True)]


def sizes(params: Params) -> tuple[int, ...]:
    """The layer sizes (n_0, …, n_N).

    >>> sizes(jnn.init_network_params([2, 8, 8, 1], jax.random.key(0)))
    (2, 8, 8, 1)
    """
    widths = (stack.w.shape[1] for stack in params for _ in range(stack.depth))
    return (params[0].w.shape[2], *widths)


def hidden_and_readout(params: Params) -> tuple[Params, Stack]:
    """All layers but the last, and the last, which may share a stack with those before it.

    >>> linear = jnn.from_layers([(1.0, 0.0)] * 3, activation="identity")
    >>> hidden, readout = hidden_and_readout(linear)
    >>> [stack.depth for stack in hidden], readout.depth
    ([2], 1)
    """
    *before, last = params
    if last.depth == 1:
        return tuple(before), last
    hidden, readout = (
        dataclasses.replace(last, w=last.w[part], b=last.b[part])
        for part in (slice(-1), slice(-1, None))
    )
    return (*before, hidden), readout


def up_to_logits(params: Params) -> Params:
    """The network without an output that mixes entries: softmax taken off, all else as it is.

    >>> up_to_logits(jnn.from_layers([(1.0, 0.0)], output="softmax"))[-1].activation
    'identity'
    """
    *before, last = params
    if mixing(last.activation) is None:
        return params
    return (*before, dataclasses.replace(last, activation="identity"))
