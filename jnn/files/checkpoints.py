"""Checkpoints: the state of a run as a sealed file; the newest whole one of that run is read.

The arrays are "tree.0", "tree.1", … (the leaves in order) and "history.loss", …; the texts are
format and version, and as JSON the settings that identify the run, its progress, and path, dtype
and shape of every leaf.
"""

import errno
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn import callers, checks
from jnn.checks import Data, Tree, short
from jnn.files import matching
from jnn.files.atomic import remove_leftovers, sync_directory, write_atomically
from jnn.files.cadence import Checkpoint
from jnn.files.sealed import DamagedError, device, fits, read, seal, unseal

FORMAT, VERSION = "jnn.checkpoint", "1"
_TOLD = 3  # files that were refused
_NAME = re.compile(r"epoch-([0-9]{12,})\.safetensors")


class Found(NamedTuple):
    """A checkpoint that was read."""

    epoch: int
    tree: Tree  # as the `like` that was given, of JAX's arrays
    record: dict[str, Any]
    history: dict[str, np.ndarray]
    path: Path


def write(
    where: Checkpoint,
    epoch: int,
    tree: Tree,
    settings: Mapping[str, Any],
    record: Mapping[str, Any],
    history: Mapping[str, Data],
) -> Path:
    """Write the state after an epoch, whole or not at all; returns the path of the file.

    Then delete what is older than the newest `where.keep`. Files of later epochs stay: they are
    there where a damaged one was passed over, and go once the run is past them.

    Args:
      where: the directory, made with its parents if it is missing, and how many files stay.
      epoch: how many epochs have been run; the file's name.
      tree: of arrays, keys of JAX among them: all that the run needs to go on.
      settings: what identifies the run, for `latest` to compare; names to JSON values, NumPy's
        numbers included.
      record: how far the run is, likewise; numbers come back exactly.
      history: arrays by name.
    Raises:
      OSError: the disk is full or the directory cannot be written; what was there is as it was.
      ValueError: the epoch is negative.
      TypeError: the epoch is not an integer, settings or record are not JSON, or an array is of a
        dtype that a file or, x64 being off, JAX lacks.

    >>> import tempfile
    >>> state = {"w": jnp.ones((2, 3)), "steps": jnp.array(7)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     where = Checkpoint(folder)
    ...     path = write(where, 20, state, {"batch_size": 32}, {"seconds": 0.1}, {})
    ...     found = latest(where, state, {"batch_size": 32})
    >>> path.name, found.epoch, found.tree["steps"].item(), found.record
    ('epoch-000000000020.safetensors', 20, 7, {'seconds': 0.1})
    """
    checks.integer("epoch", epoch, 0)
    data = _sealed(tree, settings, record, history)
    path = Path(where.directory) / f"epoch-{epoch:012d}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        message = (
            f"the checkpoint of epoch {epoch} was not written ({error.strerror or error}), earlier "
            "ones stay; make room there, or give another directory"
        )
        raise OSError(error.errno, message, str(path)) from error
    _tidy(path, epoch, where.keep)
    return path


def latest(
    where: Checkpoint,
    like: Tree,
    settings: Mapping[str, Any],
    check: Callable[[Found], None] | None = None,
) -> Found | None:
    """The newest checkpoint that is whole and of this run, or None where there is none.

    Args:
      where: the directory; it may be missing.
      like: a tree of the same structure, shapes and dtypes as was written, such as the state at the
        start.
      settings: those of the run that asks. Static parts of the tree (activations, functions) are
        not in the file: what matters of them belongs here.
      check: raises a DamagedError where a run could not go on from what was found.
    Raises:
      ValueError: none can be used, and one is whole but of other settings or another tree, of
        float64 while x64 is off, or of another version of the format: to begin anew would in the
        end delete it.
    Warns:
      UserWarning: files were refused, which and why, and the one used instead, if any.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(Checkpoint(folder), 20, [jnp.ones(2)], {"batch_size": 32}, {}, {})
    ...     latest(Checkpoint(folder), [jnp.ones(2)], {"batch_size": 50})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    ValueError: ... holds checkpoints of another run: batch_size was 32, is 50; give another ...
    """
    now = json.loads(matching.as_json("settings", settings))
    specs = matching.specs(like)
    directory = Path(where.directory)
    refused: dict[str, ValueError] = {}
    result = None
    # Beside a busy writer a listing may miss the old ones, deleted by now, and the new: that there
    # is none is said after two.
    for epoch, path in sorted(_ours(directory) or _ours(directory), reverse=True):
        try:
            texts, arrays = _read(path)
            matching.check_same(texts, specs, now)
            found = _restored(epoch, path, texts, arrays, like)
            if check is not None:
                check(found)
        except FileNotFoundError:
            # deleted since the directory was listed, for newer ones: look anew
            return latest(where, like, settings, check)
        except ValueError as error:
            refused[path.name] = error
        else:
            result = found
            break
    if result is None:
        _check_damaged(directory, refused)
    if refused:
        _warn(directory, refused, result)
    return result


def _sealed(
    tree: Tree, settings: Mapping[str, Any], record: Mapping[str, Any], history: Mapping[str, Data]
) -> bytes:
    """The file of a state."""
    arrays = {f"tree.{i}": leaf for i, leaf in enumerate(jax.tree.leaves(tree))}
    arrays |= {f"history.{name}": array for name, array in history.items()}
    texts = {
        "format": FORMAT,
        "version": VERSION,
        "leaves": json.dumps(matching.specs(tree)),
        "settings": matching.as_json("settings", settings),
        "record": matching.as_json("record", record),
    }
    return seal(arrays, texts)


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Texts and arrays of a file that is whole, and of this version."""
    try:
        texts, arrays = unseal(read(path))
    except OSError as error:
        if error.errno != errno.EIO:  # such as missing rights: the file may be good
            raise
        raise DamagedError(f"damaged: {error}") from error
    kind = texts.get("format"), texts.get("version")
    if kind != (FORMAT, VERSION):
        raise ValueError(
            f"it is of format {short(f'{kind[0]} {kind[1]}')}, this jnn reads {FORMAT} {VERSION}; "
            "update jnn, or give another directory"
        )
    return texts, arrays


def _restored(
    epoch: int, path: Path, texts: dict[str, str], arrays: dict[str, np.ndarray], like: Tree
) -> Found:
    """The state that a file holds, as a tree like the one given.

    Raises:
      DamagedError: its arrays are not those that its texts speak of.
    """
    leaves, structure = jax.tree.flatten(like)
    for i, leaf in enumerate(leaves):
        if not fits(arrays.get(f"tree.{i}"), leaf):
            raise DamagedError(f"damaged: its tree.{i} is not the array that its leaves tell of")
    record = matching.read_json(texts, "record", dict)
    placed = [device(arrays[f"tree.{i}"], leaf) for i, leaf in enumerate(leaves)]
    tree = jax.tree.unflatten(structure, placed)
    history = {
        name.removeprefix("history."): array
        for name, array in arrays.items()
        if name.startswith("history.")
    }
    return Found(epoch, tree, record, history, path)


def _check_damaged(directory: Path, refused: dict[str, ValueError]) -> None:
    """Raise if one of the files refused is whole: it is another run's."""
    for name, error in refused.items():
        if not isinstance(error, DamagedError):
            others = f" ({name}; {len(refused) - 1} more refused)" if len(refused) > 1 else ""
            raise ValueError(
                f"{directory} holds checkpoints of another run: {error}{others}"
            ) from error


def _warn(directory: Path, refused: dict[str, ValueError], result: Found | None) -> None:
    """Say which files were refused and why, in the name of whoever called `fit`."""
    reasons = ", ".join(f"{name}: {error}" for name, error in [*refused.items()][:_TOLD])
    if len(refused) > _TOLD:
        reasons += f", and {len(refused) - _TOLD} more"
    then = f"{result.path.name} is used instead" if result else "none is left, the run begins anew"
    callers.warn(f"checkpoints in {directory} were refused, {reasons}; {then}", UserWarning)


def _ours(directory: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a directory, by epoch."""
    if not directory.is_dir():
        return []
    named = [(_NAME.fullmatch(path.name), path) for path in directory.iterdir()]
    return [(int(match[1]), path) for match, path in named if match and path.is_file()]


def _tidy(written: Path, epoch: int, keep: int) -> None:
    """Delete the older checkpoints beyond `keep`, and what writes that were killed have left."""
    directory = written.parent
    sync_directory(directory)
    older = sorted((pair for pair in _ours(directory) if pair[0] < epoch), reverse=True)
    for _, path in older[keep - 1 :]:
        path.unlink(missing_ok=True)
    remove_leftovers(written)
