"""Where a run keeps its state, how often, and how many files stay."""

import dataclasses
import os
from pathlib import Path

from jnn import checks
from jnn.checks import Real, Thing

_EVERY_SECONDS = 30.0


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
      ValueError: the directory is an empty path or a file, a cadence is not positive, `keep` is
        less than 1.
      TypeError: the directory is not a path, a number is not one.

    >>> Checkpoint("runs/a")
    Checkpoint(directory='runs/a', every_epochs=None, every_seconds=30.0, keep=3)
    """

    directory: str | os.PathLike[str]
    every_epochs: int | None = None
    every_seconds: Real | None = None
    keep: int = 3

    def __post_init__(self) -> None:
        check_directory(self.directory)
        checks.integer("keep", self.keep, 1)
        if self.every_epochs is not None:
            checks.integer("every_epochs", self.every_epochs, 1)
        if self.every_seconds is not None:
            checks.number("every_seconds", self.every_seconds, above=0)
        if self.every_epochs is None and self.every_seconds is None:
            # the class is frozen to others
            object.__setattr__(self, "every_seconds", _EVERY_SECONDS)

    def due(self, epoch: int, seconds: float) -> bool:
        """Whether one is due after an epoch, so many seconds after the last.

        >>> Checkpoint("runs/a", every_epochs=10).due(20, seconds=0.0)
        True
        """
        if self.every_epochs is not None and epoch % self.every_epochs == 0:
            return True
        return self.every_seconds is not None and seconds >= self.every_seconds


def resolve(checkpoint: Checkpoint | str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint given, or the default one in the directory given.

    >>> resolve("runs/a") == Checkpoint("runs/a")
    True
    """
    return checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


def check_directory(directory: Thing) -> Path:
    """A path that is no file."""
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(f"directory is {directory!r}; it must be a path, 'runs/a'")
    path = Path(directory)
    if not os.fspath(directory) or (path.exists() and not path.is_dir()):
        raise ValueError(
            f"directory is {os.fspath(directory)!r}; it must be a non-empty path that is not a file"
        )
    return path
