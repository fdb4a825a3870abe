"""Slices of the members of `fit_many`: what a worker is told of one, and what is kept of it.

A slice is whole groups of the call without executor, so that no bit depends on where it is trained.
"""

import dataclasses
import hashlib
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn import losses
from jnn.checks import Thing
from jnn.files import cadence, checkpoints
from jnn.files.cadence import Checkpoint
from jnn.losses import Loss
from jnn.many import groups
from jnn.many.folded import Folded
from jnn.many.members import by_structure, keys_of, one_of, together
from jnn.many.parts import platform_of
from jnn.many.result import Fits
from jnn.many.sources import examples_a_step
from jnn.training.options import Plan

_SLICES = 64  # about the most: each costs a call, and what a worker that dies has begun is lost
# what may be an array with one entry for each member, or a record of such
_OF_MEMBERS = (
    "learning_rate", "dropout_rate", "patience", "clip_norm", "penalty", "stop", "plateau",
    "loss",
)  # fmt: skip


class Slice(NamedTuple):
    """Some members of one structure."""

    places: np.ndarray  # which of all members they are
    group: int  # how many of them one program trains
    sent: dict[str, bytes]  # the arguments of `fit_many`, pickled
    identity: dict[str, Any]  # what must match where a finished one is taken up


def cut(members: Thing, data: Thing, options: dict[str, Any]) -> list[Slice]:
    """Slices of whole groups; what all have in common is in memory once.

    Args:
      members, data, options: arguments of `fit_many`, checked.
    Raises:
      TypeError: an argument does not pickle; it says which.
    """
    alike = by_structure(members)
    asked = {name: options[name] for name in ("optimizer", "batch_size") if name in options}
    examples = examples_a_step(Plan(**asked), data)
    keys = keys_of(options.get("key"), sum(len(one.places) for one in alike))
    common = {"data": data, "key": keys[0]} | options
    own = [name for name in _OF_MEMBERS if name in options]
    if isinstance(data, Folded):  # rows that all share; which fold, each has for itself
        common |= {"data": data._replace(of=data.of[:0]), "fold": data.of}
        own.append("fold")
    if len(keys) > 1:
        common["key"], own = jnp.stack(keys), [*own, "key"]
    shared = {name: _pickled(name, common[name]) for name in common if name not in own}
    slices = []
    for one in alike:
        places, params = one
        group = groups.of_structure(one, len(alike), examples, platform_of(None))
        width = group * -(-len(places) // (group * _SLICES))
        for first in range(0, len(places), width):
            part = np.arange(first, min(first + width, len(places)))
            if len(keys) > 1 and len(part) == 1:  # a key of its own would look like one for all
                part = np.repeat(part, 2)
            values = {name: _of(common[name], places[part]) for name in own}
            values["members"] = one_of(params, part)
            sent = shared | {name: _pickled(name, value) for name, value in values.items()}
            values |= {name: common[name] for name in shared}
            identity = {name: _in_words(values[name], sent[name]) for name in sorted(sent)}
            slices.append(Slice(np.unique(places[part]), group, sent, identity | {"group": group}))
    return slices


def _of(value: Thing, places: np.ndarray) -> Any:
    """Some entries of what has one for each member; anything else as it is."""
    if isinstance(value, Loss):
        smoothed = value.smoothing is not None and value.measured
        return losses.smoothed(smoothed, _of(value.smoothing, places)) if smoothed else value
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return type(value)(**{name: _of(entry, places) for name, entry in fields.items()})
    if hasattr(value, "__len__") and not isinstance(value, (str, bytes, jax.Array)):
        value = np.asarray(value)
    return value[places] if np.ndim(value) else value


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
        first, last = one.places[[0, -1]]
        return Checkpoint(self.directory / f"members-{first:08d}-{last:08d}", keep=1)

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
        where = self._where(one)
        checkpoints.write(where, epochs, _arrays(fits), one.identity, record, fits.history)

    def read(self, one: Slice) -> Fits | None:
        """A slice that was finished, or None.

        Raises:
          ValueError: the directory holds one of another call.
        """
        none = _stacked(self.none[one.places])
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
            best_epoch=np.array(record["best_epoch"], none.best_epoch.dtype),
            epochs=np.array(record["epochs"], none.epochs.dtype),
            history=found.history,
            stopped=np.array(record["stopped"]),
            compile_seconds=record["compile_seconds"],
            run_seconds=record["run_seconds"],
            optimizer_state=optimizer,
        )


def _arrays(fits: Fits) -> Any:
    return fits.last_params, fits.best_params, fits.optimizer_state


def _stacked(fits: Fits) -> Fits:
    """Members of one structure as one tree, where those of all are a list."""
    if not isinstance(fits.params, list):
        return fits
    names = ("params", "last_params", "best_params", "optimizer_state")
    trees = {name: jax.tree.map(_stack, *getattr(fits, name)) for name in names}
    return dataclasses.replace(fits, **trees)


def _stack(*leaves: Any) -> Any:
    return jax.device_put(np.stack([np.asarray(leaf) for leaf in leaves]))


# ---- all of them ----


def joined(none: Fits, slices: list[Slice], parts: list[Fits], seconds: float) -> Fits:
    """One result of those of the slices.

    Args:
      none: what no epochs make of all members.
      slices, parts: what was cut, and what became of each.
      seconds: how long all of them took together.
    """
    epochs = max(int(part.epochs.max()) for part in parts)

    def tree(name: str) -> Any:
        found = [getattr(part, name) for part in parts]
        if isinstance(none.params, list):
            return together([(one.places, t) for one, t in zip(slices, found, strict=True)])
        return jax.tree.map(lambda *leaves: jax.device_put(np.concatenate(leaves)), *found)

    def column(name: str) -> np.ndarray:
        like = none.history[name]
        whole = np.full((len(none), epochs, *like.shape[2:]), np.nan, like.dtype)
        for one, part in zip(slices, parts, strict=True):
            found = part.history[name]
            within = tuple(slice(0, length) for length in found.shape[1:])
            whole[(one.places, *within)] = found
        return whole

    order = np.argsort(np.concatenate([one.places for one in slices]))

    def numbers(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    names = ("params", "last_params", "best_params", "optimizer_state")
    return dataclasses.replace(
        none,
        **{name: tree(name) for name in names},
        **{name: numbers(name) for name in ("best_epoch", "epochs", "stopped")},
        history={name: column(name) for name in none.history},
        compile_seconds=max(part.compile_seconds for part in parts),
        run_seconds=seconds,
    )
