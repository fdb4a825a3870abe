"""What a run carries from step to step and from epoch to epoch."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnn.checks import Tree
from jnn.meshes import compiled
from jnn.params import Params
from jnn.precision import wide
from jnn.training import objective, stopping
from jnn.training.options import Settings


class State(NamedTuple):
    """All that is carried from epoch to epoch, and what a checkpoint holds."""

    params: Any  # of the network, or `Packed`, as `Settings.packing` says
    optimizer: Any
    step: Any  # updates so far
    epoch: Any  # epochs begun so far, one that diverged included
    reason: Any  # a `stopping.Reason`
    memory: Any  # a `stopping.Memory` as one vector
    seen: Any  # a `Seen` as one vector
    best: Any  # parameters of the best epoch, where a loss is monitored, or else None


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
    p: Any = params
    if dtype != settings.dtype:  # a half's steps would round to nothing, or its ε to 0
        p = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    if settings.packing is not None:
        p = settings.packing.flatten(jax.tree.map(np.asarray, p))
    state = _init(settings.optimizer, p)
    step = zero
    if optimizer_state is not None:
        state = _taken_up(settings, optimizer_state, state)
        counts = optax.tree.get_all_with_path(state, "count")  # schedules go on from there
        step = jnp.asarray(counts[0][1], jnp.int32).reshape(-1)[0] if counts else zero
    return State(
        params=p,
        optimizer=state,
        step=step,
        epoch=zero,
        reason=zero,
        memory=np.asarray(stopping.START, dtype),
        seen=np.zeros(len(Seen._fields), dtype),
        best=p if settings.monitors else None,
    )


def _taken_up(settings: Settings, given: Tree, fresh: Tree) -> Tree:
    """A state that was handed out, as the run keeps it."""
    if settings.packing is not None:
        given = settings.packing.flatten_state(jax.tree.map(np.asarray, given))

    def kinds(tree: Tree) -> list[Any]:
        return [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(tree)]

    alike = jax.tree.structure(given) == jax.tree.structure(fresh)
    if not alike or kinds(given) != kinds(fresh):
        raise ValueError(
            "optimizer_state is not of this optimizer and network: give that of a result of fit "
            "with the same optimizer and sizes, or leave it out"
        )
    return jax.tree.map(jnp.asarray, given)  # copies of what the caller may change


@partial(compiled, static="optimizer")
def _init(optimizer: optax.GradientTransformation, p: Tree) -> Any:
    return optimizer.init(p)


def with_best(state: State) -> State:
    """The state with the best parameters: the last, where no loss is monitored."""
    return state if state.best is not None else state._replace(best=state.params)


@partial(jax.jit, static_argnums=0)
def unpacked(settings: Settings, found: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """The last parameters, the best and the optimizer's state, of a network again."""
    *params, optimizer = found
    if settings.packing is not None:
        optimizer = settings.packing.restore_state(optimizer)
    last, best = (p if p is None else objective.restored(settings, p) for p in params)
    return last, best, optimizer
