"""How many members one program trains, and how many programs run at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

# Members of one program: from some dozens on each takes as long, and more would leave the cache
# (1–16–16–1, batch 200).
_GROUP = 64
_of_the_call: ContextVar[int | None] = ContextVar("_of_the_call", default=None)


def group_size(members: int, threads: int) -> int:
    """How many members one program trains: a few sizes, and as many groups on every thread.

    >>> group_size(1024, 2), group_size(100, 2), group_size(5, 2), group_size(1, 2)
    (64, 56, 4, 1)
    """
    given = _of_the_call.get()
    if given is not None:
        return given
    rounds = -(-members // (_GROUP * threads))
    size = -(-members // (rounds * threads))
    return -(-size // 8) * 8 if size > 8 else 2 ** (size - 1).bit_length()


def of_structure(members: int, structures: int) -> int:
    """Members of one program, where networks of several structures share the threads.

    >>> with of(16):
    ...     of_structure(100, 3)
    16
    """
    return group_size(members, max(1, threads() // structures))


@contextmanager
def of(size: int) -> Iterator[None]:
    """Groups of that size: a part of a call is trained in the groups of the whole.

    >>> with of(64):
    ...     group_size(5, 2)
    64
    """
    token = _of_the_call.set(size)
    try:
        yield
    finally:
        _of_the_call.reset(token)


def threads() -> int:
    """On a CPU a program fills one core; on an accelerator a batch fills the device."""
    if jax.default_backend() != "cpu":
        return 1
    cores = getattr(os, "sched_getaffinity", None)
    return len(cores(0)) if cores else os.cpu_count() or 1
