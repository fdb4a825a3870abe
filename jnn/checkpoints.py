"""Checkpoints: the state of a run, a sealed file each, of which the newest that is whole and ours is found.

The arrays are "tree.0", "tree.1", … (the leaves in order) and "history.loss", …; the texts are format and version, and
as JSON the settings that identify the run, its progress, and path, dtype and shape of every leaf.
"""

import dataclasses
import errno
import json
import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.files import write_atomically
from jnn.sealed import DamagedError, host, is_key, seal, unseal

FORMAT, VERSION = "jnn.checkpoint", "1"
_EVERY_SECONDS = 30.0
_WIDE = ("float64", "int64", "uint64")  # what JAX has under x64 only
_NAME = re.compile(r"epoch-([0-9]{12,})\.safetensors")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")  # as `write_atomically` names them
_STALE_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a run keeps its state, how often it writes it, and how many of the newest files stay.

    With neither cadence given it is every 30 s; with both, whichever comes first.

    Args:
      directory: made when the first checkpoint is written. One run, one directory.
      every_epochs: epochs between two checkpoints.
      every_seconds: seconds between two checkpoints.
      keep: how many stay; more than one, so that a damaged file has one before it.
    Raises:
      ValueError: the directory is an empty name or a file, a cadence is no positive number, `keep` is less than 1.
      TypeError: the directory is no path.

    >>> Checkpoint("runs/a")
    Checkpoint(directory='runs/a', every_epochs=None, every_seconds=30.0, keep=3)
    """

    directory: str | os.PathLike[str]
    every_epochs: int | None = None
    every_seconds: int | float | None = None
    keep: int = 3

    def __post_init__(self) -> None:
        if not isinstance(self.directory, (str, os.PathLike)):
            raise TypeError(f"directory must be a path, 'runs/a', got {self.directory!r}")
        if not os.fspath(self.directory) or (Path(self.directory).exists() and not Path(self.directory).is_dir()):
            raise ValueError(f"{str(self.directory)!r} is no name for a directory; checkpoints need one of their own")
        _check_count("keep", self.keep, 1)
        if self.every_epochs is not None:
            _check_count("every_epochs", self.every_epochs, 1)
        elif self.every_seconds is None:
            object.__setattr__(self, "every_seconds", _EVERY_SECONDS)  # the class is frozen to others
        seconds = self.every_seconds
        if seconds is not None and not (isinstance(seconds, Real) and 0 < seconds < inf):
            raise ValueError(f"every_seconds is {seconds!r}; it must be a positive, finite number")


class Found(NamedTuple):
    """A checkpoint that was read."""

    epoch: int
    tree: Any  # as the `like` that was given, of JAX's arrays
    record: dict[str, Any]
    history: dict[str, np.ndarray]
    path: Path


def resolve(checkpoint: Checkpoint | str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint given, or the usual one in the directory given.

    >>> resolve("runs/a") == Checkpoint("runs/a")
    True
    """
    return checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


def write(
    where: Checkpoint,
    epoch: int,
    tree: Any,
    settings: Mapping[str, Any],
    record: Mapping[str, Any],
    history: Mapping[str, np.ndarray],
) -> Path:
    """Write the state after an epoch, whole or not at all, then delete what is older than the newest `where.keep`.

    Files of later epochs stay: they are there where a damaged one was passed over, and go once the run is past them.

    Args:
      where: the directory, made with its parents if it is missing, and how many files stay.
      epoch: how many epochs have been run; the file's name.
      tree: of arrays, keys of JAX among them: all that the run needs to go on.
      settings: what identifies the run, for `latest` to compare; names to JSON values, NumPy's numbers included.
      record: how far the run is, likewise; numbers come back exactly.
      history: arrays by name.
    Returns:
      The path of the file.
    Raises:
      OSError: the disk is full or the directory cannot be written; what was there is as it was.
      ValueError: the epoch is no integer of at least 0.
      TypeError: settings or record are not JSON, or an array is of a dtype that a file or, x64 being off, JAX lacks.

    >>> import tempfile
    >>> state = {"w": jnp.ones((2, 3)), "steps": jnp.array(7)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     where = Checkpoint(folder)
    ...     path = write(where, 20, state, {"batch_size": 32}, {"seconds": 0.1}, {"loss": np.ones(20)})
    ...     found = latest(where, state, {"batch_size": 32})
    >>> path.name, found.epoch, found.tree["steps"].item(), found.record
    ('epoch-000000000020.safetensors', 20, 7, {'seconds': 0.1})
    """
    _check_count("epoch", epoch, 0)
    arrays = {f"tree.{i}": host(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
    arrays |= {f"history.{name}": host(array) for name, array in history.items()}
    texts = {"format": FORMAT, "version": VERSION, "leaves": json.dumps(_specs(tree))}
    sealed = seal(arrays, texts | {"settings": _json("settings", settings), "record": _json("record", record)})
    path = Path(where.directory) / f"epoch-{epoch:012d}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, sealed)
    except OSError as error:
        reason = f"the checkpoint of epoch {epoch} was not written ({error.strerror or error}), earlier ones stay"
        raise OSError(error.errno, f"{reason}; make room there, or give another directory", str(path)) from error
    _tidy(path, epoch, where.keep)
    return path


def latest(where: Checkpoint, like: Any, settings: Mapping[str, Any]) -> Found | None:
    """The newest checkpoint that is whole and of this run, or None where there is nothing to go on from.

    Args:
      where: the directory; it may be missing.
      like: a tree of the same structure, shapes and dtypes as was written, such as the state at the start.
      settings: those of the run that asks. Static parts of the tree (activations, functions) are not in the file:
        what matters of them belongs here.
    Raises:
      ValueError: none can be used, and one is whole but of other settings or another tree, of float64 while x64 is
        off, or of another version of the format: to begin anew would in the end delete it.
    Warns:
      UserWarning: files were refused, which and why, and the one used instead, if any.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(Checkpoint(folder), 20, [jnp.ones(2)], {"batch_size": 32}, {}, {})
    ...     latest(Checkpoint(folder), [jnp.ones(2)], {"batch_size": 50})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    ValueError: ... holds checkpoints of another run: batch_size was 32, is 50; give another directory, or the ...
    """
    wanted, specs, found = json.loads(_json("settings", settings)), _specs(like), None
    refused: dict[str, ValueError] = {}
    directory = Path(where.directory)
    # beside a busy writer a listing may miss the old ones, deleted by now, and the new: none is said after two
    for epoch, path in sorted(_ours(directory) or _ours(directory), reverse=True):
        try:
            texts, arrays = _read(path)
            _check_run(texts, specs, wanted)
        except FileNotFoundError:
            return latest(where, like, settings)  # deleted since the directory was listed, for newer ones: look anew
        except ValueError as error:
            refused[path.name] = error
            continue
        leaves = [_device(arrays[f"tree.{i}"], leaf) for i, leaf in enumerate(jax.tree.leaves(like))]
        history = {name.removeprefix("history."): a for name, a in arrays.items() if name.startswith("history.")}
        tree = jax.tree.unflatten(jax.tree.structure(like), leaves)
        found = Found(epoch, tree, json.loads(texts["record"]), history, path)
        break
    for name, error in refused.items() if found is None else ():
        if not isinstance(error, DamagedError):
            others = f" ({name}; {len(refused) - 1} more refused)" if len(refused) > 1 else ""
            raise ValueError(f"{where.directory} holds checkpoints of another run: {error}{others}") from error
    if refused:
        reasons = ", ".join(f"{name}: {error}" for name, error in refused.items())
        then = f"{found.path.name} is used instead" if found else "none is left, the run begins anew"
        warnings.warn(f"checkpoints in {where.directory} were refused, {reasons}; {then}", UserWarning, stacklevel=4)
    return found


def _check_count(name: str, value: Any, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValueError(f"{name} is {value!r}; it must be an integer of at least {low}")


def _specs(tree: Any) -> list[list[Any]]:
    """Path, dtype and shape of every leaf, as they stand in the file."""
    leaves = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]
    typed = [(name, a if hasattr(a, "dtype") else np.asarray(a)) for name, a in leaves]
    specs = [[name, a.dtype.name, list(a.shape)] for name, a in typed]
    if not jax.config.read("jax_enable_x64") and (wide := [spec for spec in specs if spec[1] in _WIDE]):
        name, dtype, _ = wide[0]
        raise TypeError(f"leaf {name} is {dtype}, which JAX would cut while x64 is off; make it 32 bits wide")
    return specs


def _device(a: np.ndarray, like: Any) -> Any:
    """The array of the file in JAX, which may take over its memory: nothing else holds it."""
    if is_key(like):
        return jax.random.wrap_key_data(jax.device_put(a), impl=jax.random.key_impl(like))
    # where it was before; not `jnp.array`, which compiles a copy for every shape
    return jax.device_put(a, getattr(like, "sharding", None))


def _json(name: str, values: Mapping[str, Any]) -> str:
    """The values as JSON, NumPy's as Python's."""
    try:
        return json.dumps(dict(values), default=lambda value: value.tolist())
    except (AttributeError, TypeError, ValueError) as error:
        raise TypeError(f"{name} must be names and JSON values (numbers, strings, lists, dicts): {error}") from error


def _ours(directory: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a directory, by epoch."""
    files = [(_NAME.fullmatch(path.name), path) for path in directory.iterdir()] if directory.is_dir() else []
    return [(int(match[1]), path) for match, path in files if match and path.is_file()]


def _tidy(written: Path, epoch: int, keep: int) -> None:
    """Delete the older checkpoints beyond `keep`, and what writes that were killed have left."""
    with suppress(OSError):  # not every file system has it
        directory = os.open(written.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # or a crash of the machine could keep the deletions and lose the new name
        finally:
            os.close(directory)
    older = sorted((pair for pair in _ours(written.parent) if pair[0] < epoch), reverse=True)
    for _, path in older[keep - 1 :]:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # another process tidies here, or they are another user's
        now = written.stat().st_mtime  # by the clock of the file system, which may be another machine's
        for path in written.parent.iterdir():
            # By name and age, because a younger one may be a file that another process is writing at this moment.
            if _TEMPORARY.fullmatch(path.name) and now - path.lstat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Texts and arrays of a file that is whole, and of this version."""
    try:
        texts, arrays = unseal(path.read_bytes())
    except OSError as error:
        if error.errno != errno.EIO:  # such as missing rights: the file may be good
            raise
        raise DamagedError(f"damaged: {error}") from error
    found = texts.get("format"), texts.get("version")
    if found != (FORMAT, VERSION):
        reason = f"it is of format {found[0]} {found[1]}, this jnn reads {FORMAT} {VERSION}"
        raise ValueError(f"{reason}; update jnn, or give another directory")
    return texts, arrays


def _check_run(texts: dict[str, str], specs: list[list[Any]], settings: dict[str, Any]) -> None:
    """Refuse a file of other settings, or of another tree."""
    there, remedy = json.loads(texts["leaves"]), "give another directory, or the same settings"
    wide = sorted({dtype for _, dtype, _ in there} & set(_WIDE))
    if wide and not jax.config.read("jax_enable_x64"):
        remedy = "call jax.config.update('jax_enable_x64', True) first, or give another directory"
        raise ValueError(f"it holds {', '.join(wide)}, which JAX would cut while x64 is off; {remedy}")
    before = json.loads(texts["settings"])
    # As texts, because NaN is not equal to itself, and 1 is to True.
    old, new = ({name: json.dumps(v, sort_keys=True) for name, v in d.items()} for d in (before, settings))
    if differ := [name for name in old | new if old.get(name) != new.get(name)]:
        shown = [f"{name} was {_short(old.get(name))}, is {_short(new.get(name))}" for name in differ]
        raise ValueError(f"{'; '.join(shown)}; {remedy}")
    if len(there) != len(specs):
        raise ValueError(f"its state has {len(there)} arrays, this run's has {len(specs)}; {remedy}")
    for was, now in zip(there, specs, strict=True):
        if was != now:
            shown = [" ".join(map(str, spec)) for spec in (was, now)]
            raise ValueError(f"an array of its state was {shown[0]}, is {shown[1]}; {remedy}")


def _short(text: str | None) -> str:
    return "absent" if text is None else text if len(text) <= 60 else f"{text[:40]} … {text[-15:]}"
