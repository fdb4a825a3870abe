"""How many members one program trains, and how many programs run at a time."""

import os

import jax

# Members of one program: from some dozens on each takes as long, and more would leave the cache
# (1–16–16–1, batch 200).
_GROUP = 64


def group_size(members: int, threads: int) -> int:
    """How many members one program trains: a few sizes, and as many groups on every thread.

    >>> group_size(1024, 2), group_size(100, 2), group_size(5, 2), group_size(1, 2)
    (64, 56, 4, 1)
    """
    rounds = -(-members // (_GROUP * threads))
    size = -(-members // (rounds * threads))
    return -(-size // 8) * 8 if size > 8 else 2 ** (size - 1).bit_length()


def threads() -> int:
    """On a CPU a program fills one core; on an accelerator a batch fills the device."""
    if jax.default_backend() != "cpu":
        return 1
    cores = getattr(os, "sched_getaffinity", None)
    return len(cores(0)) if cores else os.cpu_count() or 1
