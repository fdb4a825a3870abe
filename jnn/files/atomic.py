"""Writing a file whole or not at all: the only way in which this package writes files."""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

STALE_SECONDS = 3600.0
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all; a link is followed.

    What goes wrong leaves no temporary file behind. Only a process killed on the way leaves one
    (".….tmp"), beside a file that is as it was.

    Args:
      path: of the file; its directory must exist.
      data: all of its content.
    Raises:
      FileNotFoundError: the directory does not exist.
      ValueError: the path is a directory or a device.
      OSError: the disk is full, or the directory cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/a", b"new")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a']
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise ValueError(f"{path} is not a regular file; pass the path of a file")
    if not target.parent.is_dir():
        remedy = "make it first, Path(…).mkdir(parents=True)"
        raise FileNotFoundError(
            f"{path} cannot be written: there is no directory {target.parent}; {remedy}"
        )
    # Beside the target, because a rename is atomic within one file system only; and not by
    # `tempfile`, whose files are readable to their owner alone.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            # or a crash of the machine could leave the new name on an empty file
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on the disk before going on, where the file system can do so.

    A crash of the machine could otherwise keep the deletion of an old file and lose the name of the
    new one.
    """
    with suppress(OSError):  # not every file system has it
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(written: Path) -> None:
    """Delete what writes that were killed an hour ago or earlier have left beside a file.

    They are known by name and age, because a younger one may be a file that another process is
    writing at this moment.

    Args:
      written: a file just written. Its time is that of the clock of the file system, which may be
        another machine's.
    """
    with suppress(OSError):  # another process tidies here, or they are another user's
        now = written.stat().st_mtime
        for path in written.parent.iterdir():
            named = _TEMPORARY.fullmatch(path.name)
            if named and now - path.lstat().st_mtime > STALE_SECONDS:
                path.unlink()
