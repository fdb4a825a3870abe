"""Compiled programs, kept from one process to the next."""

import os
import tempfile
import time
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from jnn.checks import Thing
from jnn.files.cadence import check_directory

_DAYS = 30


def keep_compiled(directory: Thing = None) -> Path:
    """Keep compiled programs in a directory, where later processes find them again.

    This is JAX's persistent compilation cache, for programs of any size: JAX alone keeps those that
    took a second and more, which a small network's do not. Call it first, once a process; programs
    that were compiled before the call are not kept. What was written 30 days ago is deleted, and
    compiled again when it is next needed. Whoever can write to the directory can run code.

    Args:
      directory: a path; None is `jnn` in the user's folder of caches (`XDG_CACHE_HOME`, ~/.cache).
    Returns:
      The directory.
    Raises:
      TypeError: the directory is not a path.
      ValueError: it is a file.
      OSError: it cannot be made or written to.

    >>> import tempfile
    >>> keep_compiled(tempfile.mkdtemp()).is_dir()
    True
    """
    if directory is None:
        caches = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        directory = Path(caches) / "jnn"
    path = check_directory(directory).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()  # what is read-only is found out by writing
    except OSError as error:
        remedy = "give keep_compiled another directory"
        raise OSError(f"{path} cannot be written to, {error.strerror}: {remedy}") from error
    _delete_old(path)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache.reset_cache()  # JAX looks where it is when it first compiles
    return path


def _delete_old(path: Path) -> None:
    oldest = time.time() - _DAYS * 86_400
    for file in path.glob("*-cache"):
        try:
            if file.stat().st_mtime < oldest:
                file.unlink()
        except OSError:  # another process was faster
            continue
