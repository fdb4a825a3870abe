"""Checkpoints of many runs: one file for all members, from which the same call goes on."""

import copy
import time
from functools import partial
from typing import Any

import jax
import numpy as np

from jnn import callers, checks
from jnn.files import checkpoints
from jnn.files.checkpoints import Found
from jnn.files.sealed import DamagedError, fingerprint
from jnn.many import parts
from jnn.many.host import Runs
from jnn.many.members import Alike, on_host, one_of
from jnn.training import sources
from jnn.training.state import with_best


class Keeper:
    """Writes a checkpoint of the runs where one is due, and goes on from the newest.

    Args:
      runs: whose plan has a `Checkpoint`.
      members: as they start, by structure.
      arrays: the options that differ between members, by name.
    """

    def __init__(self, runs: Runs, members: list[Alike], arrays: dict[str, np.ndarray]) -> None:
        self.runs = runs
        self.where: Any = runs.plan.checkpoint
        self.written = time.perf_counter()
        self.identity = _identity(runs, members, arrays)

    def resume(self) -> None:
        """Go on from the newest checkpoint, where there is one."""
        runs = self.runs
        like = [with_best(part.states) for part in runs.parts]
        check = partial(_check, runs)
        found = checkpoints.latest(self.where, like, self.identity, check)
        if found is None:
            return
        for part, states in zip(runs.parts, on_host(found.tree), strict=True):
            best = states.best if part.settings.monitors else None
            part.states = states._replace(best=best)
        parts.restore(runs.parts, found.history)
        for generator, state in zip(
            runs.orders.generators, found.record["generators"], strict=True
        ):
            generator.bit_generator.state = state
        runs.done = runs.resumed = found.epoch
        runs.clock.earlier = found.record["seconds"]

    def write(self, last: bool) -> None:
        """Write what is there, where it is due or the last."""
        runs, now = self.runs, time.perf_counter()
        if not (last or self.where.due(runs.done, now - self.written)):
            return
        self.written = now
        generators = [generator.bit_generator.state for generator in runs.orders.generators]
        record = {"seconds": runs.clock.seconds(), "generators": generators}
        states = [with_best(part.states) for part in runs.parts]
        history = parts.columns(runs.parts)
        try:
            checkpoints.write(self.where, runs.done, states, self.identity, record, history)
        except OSError as error:  # a full disk: what was trained for hours is not lost for it
            callers.warn(f"{error}; the runs go on, and try again when it is due")


def _identity(runs: Runs, members: list[Alike], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What must match: options, their numbers, networks, rows and keys.

    Another limit would let members go on that had stopped, behind the others: limits belong here.
    """
    rows = runs.sources
    of_fit = sources.Sources(rows.data, rows.validation, rows.size)
    identity = sources.run_identity(runs.plan, one_of(members[0].params, 0), of_fit)
    limits = runs.plan.limits
    structures = [
        [len(alike.places), *(list(np.shape(leaf)) for leaf in jax.tree.leaves(alike.params))]
        for alike in members
    ]
    return identity | {
        "members": structures,
        "start": fingerprint(jax.tree.leaves([alike.params for alike in members])),
        "limits": {name: value for name, value in limits._asdict().items() if name != "cut"},
        "sets": fingerprint([rows.n] if rows.of is None else [rows.n, rows.of]),
        "rungs": [list(runs.rungs.at), runs.rungs.keep],
        "keys": fingerprint([np.asarray(jax.random.key_data(key)) for key in runs.keys]),
        "numbers": {name: fingerprint([array]) for name, array in arrays.items()},
    }


def _check(runs: Runs, found: Found) -> None:
    """Refuse a file that the runs could not go on from, though its seal is whole."""
    try:
        checks.number("seconds", found.record.get("seconds"), least=0)
        states: Any = found.record.get("generators")
        for generator, state in zip(runs.orders.generators, states, strict=True):
            one_like_it = copy.deepcopy(generator.bit_generator)
            one_like_it.state = state
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise DamagedError(f"damaged: its record is not that of such runs: {error!r}") from error
    epochs = max(int(np.max(states.epoch, initial=0)) for states in found.tree)
    for name, column in parts.columns(runs.parts).items():
        shape = (column.shape[0], epochs, *column.shape[2:])
        if name not in found.history or found.history[name].shape != shape:
            raise DamagedError(f"damaged: its history of {name} is not of shape {shape}")
