"""The compiled run: every epoch, with minibatches, validation and stopping rules, in one program.

What shapes the program is in `Settings`; what is mere numbers is in `Knobs`, so that a new learning
rate, penalty or limit compiles nothing anew. `run` takes as many epochs as it is told to: the host
may look in between (progress, checkpoints, Ctrl-C) without changing a single bit of the result.
Streams go through the same `steps.step` and `steps.finish`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import PartitionSpec as P

from jnn import meshes
from jnn.data.rows import Rows, minibatch
from jnn.meshes import compiled, same
from jnn.precision import wide
from jnn.training import objective, steps
from jnn.training.objective import Batch, restored
from jnn.training.options import Knobs, Settings
from jnn.training.state import Seen, State
from jnn.training.stopping import Reason
from jnn.training.sums import Sums
from jnn.triangular.slices import get, put


class Length(NamedTuple):
    """What a program must know of the number n of rows; n itself is a mere number."""

    filled: bool  # whether there are further rows, copies of weight zero
    even: bool  # whether all minibatches are as large


@partial(
    compiled, static=("settings", "length", "rows"), spread=lambda _, state, *__: (same(state), P())
)
def run(
    settings: Settings,
    state: State,
    knobs: Knobs,
    data: Rows,
    validation: Rows | None,
    order: Any,
    n: Any,
    steps_an_epoch: Any,
    length: Length,
    rows: int,
    epochs: Any,
) -> tuple[State, Array]:
    """Train for `epochs` epochs, or until a rule stops it.

    Args:
      data: n rows, and what they are filled up with.
      order: (R, rows of data and of a minibatch more), the examples in the order in which epoch i
        visits them, those that count first; None where that is the order of the data.
      n, length: how many count.
      steps_an_epoch: of minibatches.
      rows: R, the most epochs of one call.
      epochs: how many of them, at most R.
    Returns:
      The state then, and (R, names) numbers of `history_names`.
    """
    # without jit the host's arrays come in as they are
    state, data, validation = jax.tree.map(jnp.asarray, (state, data, validation))
    every = counted(data, n, length)

    def one(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        i, old, history = carry
        visits = None if order is None else get(order, i)
        new, row = epoch(
            settings, old, knobs, data, every, validation, visits, n, steps_an_epoch, length
        )
        return i + 1, new, put(history, row, i)

    def unfinished(carry: tuple[Array, State, Array]) -> Array:
        i, state, _ = carry
        return (i < epochs) & (state.reason == int(Reason.RUNNING))

    depth = sum(stack.depth for stack in restored(settings, state.params))
    names = steps.history_names(
        settings, knobs, depth, training=True, validation=validation is not None
    )
    history = jnp.zeros((rows, len(names)), state.memory.dtype)
    start: Any = (0, state, history)
    _, state, history = lax.while_loop(unfinished, one, start)
    return state, history


def counted(data: Rows, n: Any, length: Length) -> Rows:
    """All rows, with weights where some do not count: the n first do."""
    if not length.filled or data.weights is not None:
        return data
    there = jnp.arange(len(data.x)) < n
    return data._replace(weights=there.astype(wide(data.x.dtype)))


def epoch(
    settings: Settings,
    old: State,
    knobs: Knobs,
    data: Rows,
    every: Rows,
    validation: Rows | None,
    visits: Array | None,
    n: Any,
    steps_an_epoch: Any,
    length: Length,
) -> tuple[State, Array]:
    """One epoch of `run`, whose arguments these are; the state then, and a row of history.

    Args:
      every: `counted` rows.
      visits: in which order the examples are visited.
    """

    def examples(i: Any, state: State, before: Array | None) -> tuple[State, Batch]:
        if not settings.size:
            return state, Batch(every, jnp.asarray(n, wide(data.x.dtype)), None)
        return state, _minibatch(settings.size, data, visits, n, length, i, before)

    none = Sums.none(old.memory.dtype)
    count = steps_an_epoch if settings.size else 1
    most = -(-len(data.x) // settings.size) if settings.size else 1
    new, sums = steps.walk(settings, knobs, old, none, count, most, examples)
    found = steps.finish(settings, knobs, old, new, sums, every, None, validation)
    return meshes.whole(settings.axis, found)


def _minibatch(
    size: int,
    data: Rows,
    visits: Array | None,
    n: Any,
    length: Length,
    i: Any,
    before: Array | None,
) -> Batch:
    """Examples of step i; a smaller last batch is filled up with examples of weight zero."""
    first = start = i * size
    if visits is None:  # the last minibatch begins where its rows are there
        start = jnp.minimum(first, len(data.x) - size)
    rows = minibatch(data, visits, start, size)
    if length.even:
        return Batch(rows, size, before)
    place = start + jnp.arange(size)
    there = ((first <= place) & (place < n)).astype(wide(data.x.dtype))
    weights = there if rows.weights is None else there * rows.weights
    share = jnp.minimum(size, n - first).astype(there.dtype)
    return Batch(rows._replace(weights=weights), share, before)


@partial(compiled, static="settings", spread=lambda _, state, *__: (same(state), P()))
def block_steps(
    settings: Settings, state: State, sums: Sums, knobs: Knobs, block: Rows, count: Any
) -> tuple[State, Sums]:
    """The first `count` minibatches of a block of a stream, x: (steps, size, n_0).

    Where it is not known, the mean weight of a stream is that of all rows it has given so far,
    those of the batch included.
    """

    def examples(i: Any, state: State, before: Array | None) -> tuple[State, Batch]:
        rows = jax.tree.map(lambda a: a[i], block)
        seen = Seen(*state.seen)
        there = jnp.sum(rows.weights > 0).astype(state.seen.dtype)
        seen = seen._replace(
            weights=seen.weights + jnp.sum(rows.weights), examples=seen.examples + there
        )
        mean = seen.weights / seen.examples if knobs.mean_weight is None else knobs.mean_weight
        share = (there * mean).astype(there.dtype)
        return state._replace(seen=jnp.stack(seen)), Batch(rows, share, before)

    return steps.walk(settings, knobs, state, sums, count, len(block.x), examples)


@partial(compiled, static="settings")
def losses_again(
    settings: Settings, state: State, sums: Sums, knobs: Knobs, block: Rows, count: Any
) -> Sums:
    """Σ w ℓ and Σ w over the first minibatches of a block, for the parameters as they are."""
    params = restored(settings, state.params)

    def step(i: Any, sums: Sums) -> Sums:
        rows = jax.tree.map(lambda a: a[i], block)
        _, (total, _) = objective.value(settings, knobs, params, Batch(rows, 1, None), None)
        weight, nothing = jnp.sum(rows.weights).astype(total.dtype), jnp.zeros_like(total)
        return sums.plus(jnp.stack([total, weight, nothing]), 1, norm=sums.norm)

    return lax.fori_loop(0, count, step, sums)


@partial(compiled, static="settings", spread=lambda _, old, *__: (same(old), P()))
def finish(
    settings: Settings,
    old: State,
    new: State,
    sums: Sums,
    again: Sums | None,
    knobs: Knobs,
    validation: Rows | None,
) -> tuple[State, Array]:
    """The end of an epoch of a stream.

    Args:
      old: the state at its beginning.
      again: the losses of the parameters at its end, where rules look at them.
    """
    found = steps.finish(settings, knobs, old, new, sums, None, again, validation)
    return meshes.whole(settings.axis, found)
