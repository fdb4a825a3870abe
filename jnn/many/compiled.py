"""The compiled epochs of a group of members, abreast or in turn.

Abreast is `jax.vmap` of the epoch that `fit` runs. A member that is done (stopped, or diverged) is
frozen; it costs what it did until the host leaves it out of the next group. In turn each member
runs all epochs of the call before the next begins: for networks of which several at once would
leave the cache.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import sequential_vmap

from jnn.data.rows import Rows
from jnn.training.compiled import Length, counted, epoch
from jnn.training.options import Knobs, Settings
from jnn.training.state import State
from jnn.training.stopping import Reason
from jnn.triangular.slices import get, put


class Own(NamedTuple):
    """What each member has of its own, beside its state and its numbers."""

    key: bool
    rows: bool  # training and validation rows
    order: bool


def run(
    settings: Settings,
    states: State,
    knobs: Knobs,
    data: Rows,
    validation: Rows | None,
    order: Array | None,
    n: Any,
    steps_an_epoch: Any,
    length: Length,
    shape: tuple[int, int],
    own: Own,
    in_turn: bool,
    epochs: Any,
) -> tuple[State, Array]:
    """Train G members for `epochs` epochs, or until all of them are done.

    Args:
      settings, steps_an_epoch, length, epochs: as in `training.compiled.run`.
      states, knobs: leaves (G, …), but a key that all share.
      data, validation, n: with a leading G where each has its own rows.
      order: (R, …), or (G, R, …) where each has its own; None: the order of the data.
      shape: R, the most epochs of one call, and how many columns their history has.
      in_turn: one member after the other, not abreast.
    Returns:
      The states then, and (G, R, names) numbers of `history_names`.
    """
    of_knobs = jax.tree.map(lambda _: 0, knobs._replace(key=None))
    if knobs.key is not None:
        of_knobs = of_knobs._replace(key=0 if own.key else None)
    of_rows = 0 if own.rows else None

    of_order = 0 if own.order else None

    def of_member(
        old: State, knobs: Knobs, data: Rows, validation: Rows | None, n: Any, visits: Array | None
    ) -> tuple[State, Array]:
        every = counted(data, n, length)
        return epoch(
            settings, old, knobs, data, every, validation, visits, n, steps_an_epoch, length
        )

    if in_turn:

        @sequential_vmap
        def each(
            state: State, knobs: Any, data: Any, validation: Any, n: Any, order: Any, epochs: Any
        ) -> tuple[State, Array]:
            def one(state: State, visits: Array | None) -> tuple[State, Array]:
                return of_member(state, knobs, data, validation, n, visits)

            return _repeated(one, state, order, 0, shape, epochs)

        axes = (0, of_knobs, of_rows, of_rows, of_rows, of_order, None)
        return jax.vmap(each, axes)(states, knobs, data, validation, n, order, epochs)

    def frozen_if_done(old: State, *others: Any) -> tuple[State, Array]:
        new, row = of_member(old, *others)
        runs = old.reason == int(Reason.RUNNING)
        return jax.tree.map(lambda a, b: jnp.where(runs, a, b), new, old), row

    of_all = jax.vmap(frozen_if_done, (0, of_knobs, of_rows, of_rows, of_rows, of_order))

    def all_of_them(states: State, visits: Array | None) -> tuple[State, Array]:
        return of_all(states, knobs, data, validation, n, visits)

    return _repeated(all_of_them, states, order, int(own.order), shape, epochs)


_jitted = partial(jax.jit, run, static_argnames=("settings", "length", "shape", "own", "in_turn"))
# vectors of 512 bits where a CPU has them (XLA's default is 256): 4 to 13% less time
_on_cpu = _jitted(compiler_options={"xla_cpu_prefer_vector_width": 512})
_elsewhere = _jitted()


def on(platform: str) -> Any:
    """`run` as it is compiled for a platform."""
    return _on_cpu if platform == "cpu" else _elsewhere


def _repeated(
    epoch: Callable[[State, Array | None], tuple[State, Array]],
    states: State,
    order: Array | None,
    axis: int,
    shape: tuple[int, int],
    epochs: Any,
) -> tuple[State, Array]:
    """So many epochs of one member or of some abreast, or until they are done.

    Args:
      epoch: (states, visits) to the states then and rows of history (…, names).
      states: to begin with.
      order: of visits, or None; its epochs lie along `axis`.
      shape, epochs: as in `run`.
    """

    def one(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        i, states, history = carry
        visits = None
        if order is not None:
            visits = get(order, i, axis)
        states, row = epoch(states, visits)
        return i + 1, states, put(history, row, i, history.ndim - 2)

    def unfinished(carry: tuple[Array, State, Array]) -> Array:
        i, states, _ = carry
        return (i < epochs) & jnp.any(states.reason == int(Reason.RUNNING))

    history = jnp.zeros((*states.epoch.shape, *shape), states.memory.dtype)
    start: Any = (0, states, history)
    _, states, history = lax.while_loop(unfinished, one, start)
    return states, history
