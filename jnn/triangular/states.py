"""Every state of a forward pass, and every pre-activation, by layer."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jnn.checks import renamed
from jnn.equality import by_value
from jnn.meshes import compiled
from jnn.params import Params, Stack, up_to_logits
from jnn.shapes import Float
from jnn.triangular import dense, loops, rule, substitution
from jnn.triangular.inputs import check_example
from jnn.triangular.method import Method, check_method, chosen
from jnn.triangular.network import OLD_NAMES, in_dtype, of_method, read_out
from jnn.triangular.platforms import by_platform


@renamed(**OLD_NAMES)
def hidden_states(
    params: Params, x: ArrayLike, *, backprop: str | Method = "auto", states: str = "sequential"
) -> tuple[Array, ...]:
    """Every state x_1, …, x_N for one example, an array (depth, n_out) for each stack.

    Args:
      x: (n_0,).
      backprop, states: as in `forward`.
    Raises:
      ValueError: as in `forward`.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> [states.tolist() for states in hidden_states(params, jnp.array([3.0]))]
    [[[7.0]], [[-6.5]]]
    """
    return every_state(*check_example(params, x), check_method(backprop, states))


@of_method
def every_state(params: Params, x: Float[Array, " n_0"], method: Method) -> tuple[Array, ...]:
    """`hidden_states`."""
    params, x = in_dtype(method, params, x)
    if method.backprop == "dense":
        every = iter(dense.dense_states(params, x)[1:])
        return tuple(jnp.stack([next(every) for _ in range(stack.depth)]) for stack in params)
    found = []
    for stack in up_to_logits(params):
        of_platform = partial(chosen, stack, method, 1)
        found.append(by_platform(_stack_states, of_platform, stack, x))
        x = found[-1][-1]
    return (*found[:-1], jax.vmap(read_out(params))(found[-1]))


def _stack_states(method: Method, stack: Stack, x: Array) -> Array:
    """x_1, …, x_N of a stack: (depth, n_out)."""
    if method.backprop == "autodiff":
        return loops.scan(_emitting(loops.plain_layer(stack)), x, (stack.w, stack.b))[1]
    return substitution.states(rule.solved_pass(stack, x, method.backprop, method.states))


def _emitting(layer: Callable[..., Any]) -> Callable[..., Any]:
    """A layer as `lax.scan` takes it that gives out its state."""

    def emitting(x: Array, wb: tuple[Array, Array]) -> tuple[Array, Array]:
        y, _ = layer(x, wb)
        return y, y

    return emitting


@by_value
class ForwardPass(NamedTuple):
    """What a program written from scratch keeps of a forward pass, layer by layer."""

    pre_activations: tuple[Array, ...]  # (z_1, …, z_N), zₗ = Wₗ xₗ₋₁ + bₗ: (n_l,)
    states: tuple[Array, ...]  # (x_0, x_1, …, x_N), xₗ = h(zₗ) [+ xₗ₋₁]: (n_l,)


def forward_pass(params: Params, x: ArrayLike) -> ForwardPass:
    """Every zₗ and every xₗ for one example, layer by layer.

    For a batch, `jax.vmap(jnn.forward_pass, (None, 0))(params, X)`. Deep networks are better served
    by `hidden_states`, which keeps the layers of a stack in one array.

    Args:
      params: the network.
      x: (n_0,).
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> z, x = forward_pass(params, jnp.array([3.0]))
    >>> [z_l.tolist() for z_l in z], [x_l.tolist() for x_l in x]
    ([[7.0], [-6.5]], [[3.0], [7.0], [-6.5]])
    """
    return _forward_pass(*check_example(params, x))


@compiled
def _forward_pass(params: Params, x: Array) -> ForwardPass:
    zs: list[Array] = []
    states = [x]
    for stack, after in zip(params, every_state(params, x, Method()), strict=True):
        before = states[-1][None]  # the width of a single layer may change
        if stack.depth > 1:
            before = jnp.concatenate([before, after[:-1]])
        zs += list(jnp.einsum("lij,lj->li", stack.w, before) + stack.b)
        states += list(after)
    return ForwardPass(tuple(zs), tuple(states))
