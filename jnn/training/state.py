"""What a run carries from step to step and from epoch to epoch."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jnn.checks import Tree
from jnn.params import Params
from jnn.precision import wide
from jnn.training import stopping
from jnn.training.options import Settings


class State(NamedTuple):
    """All that is carried from epoch to epoch, and what a checkpoint holds."""

    params: Any  # a tree, or a vector, as `Settings.packing` says
    optimizer: Any
    step: Array  # updates so far
    epoch: Array  # epochs begun so far, one that diverged included
    reason: Array  # a `stopping.Reason`
    memory: Array  # a `stopping.Memory` as one vector
    seen: Array  # a `Seen` as one vector
    best: Any  # parameters of the best epoch


class Seen(NamedTuple):
    """What is known of all examples, beyond one batch; one vector in the program."""

    loss: Any  # Σ w ℓ in the epoch before
    weight: Any  # Σ w there
    weights: Any  # Σ w of a stream from its beginning
    examples: Any  # … and how many that were


def begin(settings: Settings, params: Params, optimizer_state: Tree = None) -> State:
    """The state before the first epoch.

    Raises:
      ValueError: the optimizer's state is of another optimizer or network.
    """
    zero: Any = np.int32(0)  # the first call moves them all to the device
    dtype = wide(settings.dtype)
    memory: Any = np.asarray(stopping.START, dtype)
    p: Any = params
    if dtype != settings.dtype:  # a half's steps would round to nothing, or its ε to 0
        p = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    if settings.packing is not None:
        p = settings.packing.flatten(jax.device_get(p))
    nothing: Any = np.zeros(len(Seen._fields), dtype)
    state = _first(settings.optimizer, p)
    step = zero
    if optimizer_state is not None:
        state = _taken_up(settings, optimizer_state, state)
        counts = optax.tree.get_all_with_path(state, "count")  # schedules go on from there
        step = jnp.asarray(counts[0][1], jnp.int32).reshape(-1)[0] if counts else zero
    return State(p, state, step, zero, zero, memory, nothing, p)


def _taken_up(settings: Settings, given: Tree, fresh: Tree) -> Tree:
    """A state that was handed out, as the run keeps it."""
    if settings.packing is not None:
        given = settings.packing.flatten_state(given)

    def kinds(tree: Tree) -> list[Any]:
        return [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(tree)]

    alike = jax.tree.structure(given) == jax.tree.structure(fresh)
    if not alike or kinds(given) != kinds(fresh):
        raise ValueError(
            "optimizer_state is not of this optimizer and network: give that of a result of fit "
            "with the same optimizer, clip_norm and sizes, or leave it out"
        )
    return jax.tree.map(jnp.asarray, given)  # copies of what the caller may change


def _first(optimizer: optax.GradientTransformation, p: Tree) -> Any:
    """optimizer.init(p); of constants alone it is made on the host, as a program costs 60 ms."""
    if not isinstance(p, np.ndarray):
        return _init(optimizer, p)
    traced = _init.trace(optimizer, p)
    program = traced.jaxpr.jaxpr
    constant = {}
    for eqn in program.eqns:
        value = getattr(eqn.invars[0], "val", None) if eqn.invars else None
        if eqn.primitive.name != "broadcast_in_dim" or value is None:
            return _init(optimizer, p)
        constant[eqn.outvars[0]] = value
    leaves = []
    for out in program.outvars:
        value = out.val if hasattr(out, "val") else constant.get(out)
        if value is None:  # a parameter
            return _init(optimizer, p)
        leaves.append(np.full(out.aval.shape, value, out.aval.dtype))
    return jax.tree.unflatten(jax.tree.structure(traced.out_info), leaves)


@partial(jax.jit, static_argnums=0)
def _init(optimizer: optax.GradientTransformation, p: Tree) -> Any:
    return optimizer.init(p)
