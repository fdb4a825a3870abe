"""How many members one program trains, and how many programs run at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

from jnn.many.members import Alike

# Members of one program on a CPU: from some dozens on each takes as long; no more than what stays
# in the cache, parameters, gradient and two moments, states and adjoints (1–16–16–1, batch 200: 16
# to 32 take 0.8 to 0.9 of the time of 64, a member; 64–100–10: 8 take 0.55), though no fewer than
# the lanes of a vector: 4 are slower.
_GROUP, _LANES = 64, 8
_BYTES = 3 * 2**19
# On an accelerator a thousand fill the device (not measured); of its memory no more than this.
_BATCH, _BATCH_BYTES = 2**10, 2**30
_DEEP = 64  # layers of one shape
_of_the_call: ContextVar[int | None] = ContextVar("_of_the_call", default=None)


def group_size(
    members: int, threads: int, numbers: int, turns: bool = False, platform: str = "cpu"
) -> int:
    """How many members, each of so many numbers, one program trains, abreast or in turn.

    A few sizes, and as many groups on every thread.

    >>> group_size(1024, 2, 3400), group_size(100, 2, 3400), group_size(5, 2, 3400)
    (64, 56, 4)
    >>> group_size(1024, 2, 70_000), group_size(1, 2, 70_000), group_size(5, 2, 70_000, turns=True)
    (8, 1, 3)
    """
    given = _of_the_call.get()
    if given is not None:
        return given
    group, space = (_GROUP, _BYTES) if platform == "cpu" else (_BATCH, _BATCH_BYTES)
    most = min(group, max(_LANES, _whole_lanes(space // (4 * numbers))))
    rounds = -(-members // (most * threads))
    size = -(-members // (rounds * threads))
    if turns:  # no lanes to fill
        return size
    return _whole_lanes(size + _LANES - 1) if size > _LANES else 2 ** (size - 1).bit_length()


def _whole_lanes(count: int) -> int:
    return count - count % _LANES


def of_structure(alike: Alike, structures: int, examples: int, platform: str) -> int:
    """Members of one program, where networks of several structures share the threads.

    Args:
      alike: the members.
      structures: how many structures there are.
      examples: of a step.
      platform: where they are trained.
    """
    parameters = sum(leaf[0].size for leaf in jax.tree.leaves(alike.params))
    states = sum(stack.b[0].size for stack in alike.params)  # of an example
    share = max(1, threads(platform) // structures)
    numbers = 4 * parameters + 2 * examples * states
    return group_size(len(alike.places), share, numbers, in_turn(alike, platform), platform)


def in_turn(alike: Alike, platform: str) -> bool:
    """Whether a program trains its members one after the other, as `fit` would: the deep ones.

    Abreast all of them go through a layer before any goes on, and find nothing in the cache when
    they come back.
    """
    deepest = max(leaf.shape[1] for leaf in jax.tree.leaves(alike.params))
    return platform == "cpu" and deepest >= _DEEP


@contextmanager
def of(size: int) -> Iterator[None]:
    """Groups of that size: a part of a call is trained in the groups of the whole.

    >>> with of(64):
    ...     group_size(5, 2, 321)
    64
    """
    token = _of_the_call.set(size)
    try:
        yield
    finally:
        _of_the_call.reset(token)


def threads(platform: str) -> int:
    """On a CPU a program fills one core; on an accelerator a batch fills the device."""
    if platform != "cpu":
        return 1
    cores = getattr(os, "sched_getaffinity", None)
    return len(cores(0)) if cores else os.cpu_count() or 1
