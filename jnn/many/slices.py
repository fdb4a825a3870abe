"""Slices of the members of `fit_many`: what a worker is told of one, and what is kept of it.

A slice is whole groups of the call without executor, so that no bit depends on where it is trained.
"""

import dataclasses
import hashlib
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.checks import Thing
from jnn.files import cadence, checkpoints
from jnn.files.cadence import Checkpoint
from jnn.many.members import keys_of, on_host, stacked
from jnn.many.result import Fits

_SLICES = 64  # about the most: each costs a call, and what a worker that dies has begun is lost
# what may be an array with one entry for each member, or a record of such
_OF_MEMBERS = (
    "learning_rate", "dropout_rate", "patience", "clip_norm", "penalty", "stop", "plateau",
)  # fmt: skip


class Slice(NamedTuple):
    """The members from `first` to before `end`."""

    first: int
    end: int
    sent: dict[str, bytes]  # the arguments of `fit_many`, pickled
    identity: dict[str, Any]  # what must match where a finished one is taken up


def cut(
    members: Thing, data: Thing, options: dict[str, Any], count: int, group: int
) -> list[Slice]:
    """Slices of whole groups; what all have in common is in memory once.

    Args:
      members, data, options: arguments of `fit_many`, checked.
      count: of members.
      group: the members of one program.
    Raises:
      TypeError: an argument does not pickle; it says which.
    """
    whole = on_host(stacked(members)[0])
    keys = keys_of(options.get("key"), count)
    common = {"data": data, "key": keys[0]} | options
    own = [name for name in _OF_MEMBERS if name in options]
    if len(keys) > 1:
        common["key"], own = jnp.stack(keys), [*own, "key"]
    shared = {name: _pickled(name, common[name]) for name in common if name not in own}
    # of no single member: keys of its own and a key that all share would look the same
    width = max(2, group * -(-count // (group * _SLICES)))
    edges = [*range(0, max(1, count - 1), width), count]
    slices = []
    for first, end in pairwise(edges):
        part = slice(first, end)
        values = {name: _part(common[name], part) for name in own}
        values["members"] = jax.tree.map(lambda leaf, part=part: leaf[part], whole)
        sent = shared | {name: _pickled(name, value) for name, value in values.items()}
        values |= {name: common[name] for name in shared}
        identity = {name: _in_words(values[name], sent[name]) for name in sorted(sent)}
        slices.append(Slice(first, end, sent, identity | {"group": group}))
    return slices


def _part(value: Thing, part: slice) -> Any:
    """Some entries of what has one for each member; anything else as it is."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return type(value)(**{name: _part(entry, part) for name, entry in fields.items()})
    if isinstance(value, (list, tuple)):
        value = np.asarray(value)
    return value[part] if np.ndim(value) else value


def _pickled(name: str, value: Thing) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:  # pickle raises what it likes
        raise TypeError(
            f"{name} does not pickle ({error}), so that no worker of an executor can be told: give "
            "a name, or a function defined at the top of a module"
        ) from error


def _in_words(value: Thing, pickled: bytes) -> Any:
    """A value of JSON's, or sixteen digits that stand for it."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    return hashlib.sha256(pickled).hexdigest()[:16]


# ---- what is kept ----


class Kept:
    """Finished slices in a directory, each in one of its own, as `fit` keeps its checkpoints.

    Args:
      checkpoint: the directory, or a `jnn.Checkpoint` in it.
      none: what no epochs make of all members.
    Raises:
      ValueError, TypeError: it is no path of a directory.
    """

    def __init__(self, checkpoint: Thing, none: Fits) -> None:
        self.directory = Path(cadence.resolve(checkpoint).directory)
        self.directory.mkdir(parents=True, exist_ok=True)  # now, not after hours
        self.none = none

    def _where(self, one: Slice) -> Checkpoint:
        return Checkpoint(self.directory / f"members-{one.first:08d}-{one.end - 1:08d}", keep=1)

    def write(self, one: Slice, fits: Fits) -> None:
        """A slice that is finished, whole or not at all."""
        record = {
            "stopped": fits.stopped.tolist(),
            "epochs": fits.epochs.tolist(),
            "best_epoch": fits.best_epoch.tolist(),
            "compile_seconds": fits.compile_seconds,
            "run_seconds": fits.run_seconds,
        }
        epochs = int(fits.epochs.max())
        checkpoints.write(
            self._where(one), epochs, _arrays(fits), one.identity, record, fits.history
        )

    def read(self, one: Slice) -> Fits | None:
        """A slice that was finished, or None.

        Raises:
          ValueError: the directory holds one of another call.
        """
        none = self.none[one.first : one.end]
        found = checkpoints.latest(self._where(one), _arrays(none), one.identity)
        if found is None:
            return None
        last, best, optimizer = found.tree
        record = found.record
        return dataclasses.replace(
            none,
            params=best if none.restores_best else last,
            last_params=last,
            best_params=best,
            best_epoch=np.array(record["best_epoch"], int),
            epochs=np.array(record["epochs"], int),
            history=found.history,
            stopped=np.array(record["stopped"]),
            compile_seconds=record["compile_seconds"],
            run_seconds=record["run_seconds"],
            optimizer_state=optimizer,
        )


def _arrays(fits: Fits) -> Any:
    return fits.last_params, fits.best_params, fits.optimizer_state
