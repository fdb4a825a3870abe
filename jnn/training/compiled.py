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

from jnn.data.rows import Rows
from jnn.meshes import compiled, same
from jnn.precision import wide
from jnn.training import objective, steps
from jnn.training.objective import Batch, restored
from jnn.training.options import Knobs, Settings
from jnn.training.state import Seen, State
from jnn.training.stopping import Reason
from jnn.training.sums import Sums


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
    length: Length,
    rows: int,
    epochs: Any,
) -> tuple[State, Array]:
    """Train for `epochs` epochs, or until a rule stops it.

    Args:
      data: n rows, and what they are filled up with.
      order: (R, rows of data), the examples in the order in which epoch i visits them, those that
        count first; None where every step takes all.
      n, length: how many count.
      rows: R, the most epochs of one call.
      epochs: how many of them, at most R.
    Returns:
      The state then, and (R, names) numbers of `history_names`.
    """
    size = settings.size
    count = 1 if order is None else -(-n // size)
    if length.filled and data.weights is None:
        there = jnp.arange(len(data.x)) < n
        every = data._replace(weights=there.astype(wide(data.x.dtype)))
    else:
        every = data

    def batch(visits: Array | None, i: Array, state: State, sums: Sums) -> Batch:
        """Examples of step i; a smaller last batch is filled up with examples of weight zero."""
        if visits is None:
            return Batch(every, jnp.asarray(n, wide(data.x.dtype)), None)
        index = lax.dynamic_slice(visits, (i * size,), (size,))
        weights = None if data.weights is None else data.weights[index]
        share: Any = size
        if not length.even:
            there = (i * size + jnp.arange(size) < n).astype(wide(data.x.dtype))
            weights = there if weights is None else there * weights
            share = jnp.minimum(size, n - i * size).astype(there.dtype)
        return Batch(Rows(data.x[index], data.y[index], weights), share, steps.before(state, sums))

    def epoch(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        i, old, history = carry
        visits = None if order is None else order[i]
        if visits is not None and not length.even:
            visits = jnp.pad(visits, (0, size))  # for the last minibatch

        def step(i: Array, carry: tuple[State, Sums]) -> tuple[State, Sums]:
            return steps.step(settings, knobs, *carry, batch(visits, i, *carry))

        new, sums = lax.fori_loop(0, count, step, (old, Sums.none(state.memory.dtype)))
        new, row = steps.finish(settings, knobs, old, new, sums, every, None, validation)
        return i + 1, new, history.at[i].set(row)

    def unfinished(carry: tuple[Array, State, Array]) -> Array:
        i, state, _ = carry
        return (i < epochs) & (state.reason == int(Reason.RUNNING))

    depth = sum(stack.depth for stack in restored(settings, state.params))
    names = steps.history_names(
        settings, knobs, depth, training=True, validation=validation is not None
    )
    history = jnp.zeros((rows, len(names)), state.memory.dtype)
    start: Any = (0, state, history)
    _, state, history = lax.while_loop(unfinished, epoch, start)
    return state, history


@partial(compiled, static="settings", spread=lambda _, state, *__: (same(state), P()))
def block_steps(
    settings: Settings, state: State, sums: Sums, knobs: Knobs, block: Rows, count: Any
) -> tuple[State, Sums]:
    """The first `count` minibatches of a block of a stream, x: (steps, size, n_0).

    Where it is not known, the mean weight of a stream is that of all rows it has given so far,
    those of the batch included.
    """

    def step(i: Array, carry: tuple[State, Sums]) -> tuple[State, Sums]:
        state, sums = carry
        rows = jax.tree.map(lambda a: a[i], block)
        seen = Seen(*state.seen)
        examples = jnp.sum(rows.weights > 0).astype(state.seen.dtype)
        seen = seen._replace(
            weights=seen.weights + jnp.sum(rows.weights), examples=seen.examples + examples
        )
        mean = seen.weights / seen.examples if knobs.mean_weight is None else knobs.mean_weight
        share = (examples * mean).astype(examples.dtype)
        state = state._replace(seen=jnp.stack(seen))
        return steps.step(
            settings, knobs, state, sums, Batch(rows, share, steps.before(state, sums))
        )

    return lax.fori_loop(0, count, step, (state, sums))


@partial(compiled, static="settings")
def losses_again(
    settings: Settings, state: State, sums: Sums, knobs: Knobs, block: Rows, count: Any
) -> Sums:
    """Σ w ℓ and Σ w over the first minibatches of a block, for the parameters as they are."""
    params = restored(settings, state.params)

    def step(i: Array, sums: Sums) -> Sums:
        rows = jax.tree.map(lambda a: a[i], block)
        batch = Batch(rows, 1, None)
        _, (total, _) = objective.value(settings, knobs, params, batch, None)
        return sums.plus(total=total, weight=jnp.sum(rows.weights))

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
    return steps.finish(settings, knobs, old, new, sums, None, again, validation)
