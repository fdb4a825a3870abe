"""Memory: what cannot be had is refused with the number of bytes, before it is asked for.

A machine that is asked for more than it has waits, or ends the process without a word.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax

_UNKNOWN = 2**42  # 4 TiB, where a system does not say what it has


def check(what: str, n_bytes: int, remedy: str) -> None:
    """Raise where an array, or what is computed at once, is larger than the machine's memory.

    Args:
      what: the thing, as it begins a sentence.
      n_bytes: how much it takes.
      remedy: what to do instead.
    Raises:
      ValueError: neither the machine nor one of its devices has so much.

    >>> check("the Hessian of 1,000,000 parameters", 8 * 10**18, "give fewer")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    ValueError: the Hessian of 1,000,000 parameters would take 8,000,000,000,000,000,000 bytes, ...
    """
    # devices are asked last: that starts them
    if n_bytes > _of_the_machine() and n_bytes > _of_devices():
        raise ValueError(
            f"{what} would take {n_bytes:,} bytes, more than this machine's memory; {remedy}"
        )


@contextmanager
def uncollected() -> Iterator[None]:
    """While much is made that stays, as when a program is traced: nothing is collected.

    Python's collector would look through all objects there are, again and again, and find nothing:
    a sixth of the time of a trace, a third of it in a process that holds much else.

    >>> with uncollected():
    ...     gc.isenabled()
    False
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def holds(n_bytes: int) -> bool:
    """Whether the machine's memory holds so much.

    >>> holds(10), holds(10**18)
    (True, False)
    """
    return n_bytes <= _of_the_machine()


def _of_the_machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return _UNKNOWN


def _of_devices() -> int:
    """That of the largest, 0 where they do not say."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return max(device.get("bytes_limit", 0) for device in stats)
