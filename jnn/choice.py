"""How a network is computed and differentiated: the names of the ways, and what "auto" means."""

import math
from typing import NamedTuple

import jax

from jnn.params import Stack
from jnn.substitution import columns

METHODS = ("auto", "autodiff", "dense", "substitution", "parallel", "fused")
FORWARD = ("sequential", "newton")


class Method(NamedTuple):
    """One choice; hashable, so that `jit` keys on it."""

    backprop: str = "auto"
    forward: str = "sequential"
    checkpoint_every: int | None = None


def check_method(backprop: str = "auto", forward: str = "sequential", checkpoint_every: int | None = None) -> Method:
    """The choice, or an error where there is no such way or the ways do not go together.

    Raises:
      ValueError: an unknown name, Newton together with a way of differentiating that does not solve the system, or a
        distance that is no positive integer.

    >>> check_method(forward="newton", backprop="dense")
    Traceback (most recent call last):
      ...
    ValueError: forward "newton" is differentiated by backprop "substitution" or "parallel" ("auto"), not "dense"
    """
    if backprop not in METHODS:
        raise ValueError(f"unknown backprop {backprop!r}; known: {', '.join(METHODS)}")
    if forward not in FORWARD:
        raise ValueError(f"unknown forward {forward!r}; known: {', '.join(FORWARD)}")
    if forward == "newton" and backprop in ("autodiff", "dense"):
        raise ValueError(
            f'forward "newton" is differentiated by backprop "substitution" or "parallel" ("auto"), not "{backprop}"'
        )
    if checkpoint_every is not None:
        whole = isinstance(checkpoint_every, int) and not isinstance(checkpoint_every, bool)
        if not whole or checkpoint_every < 1:
            raise ValueError(f"checkpoint_every must be a positive number of layers, got {checkpoint_every!r}")
        if backprop == "dense":
            raise ValueError('backprop "dense" assembles the whole system: leave checkpoint_every out, or take another')
    return Method(backprop, forward, checkpoint_every)


def chosen(stack: Stack, method: Method, batch: int) -> Method:
    """How a stack is computed: as asked for, or the fastest way for "auto"."""
    depth, width = stack.w.shape[:2]
    if method.backprop != "auto":
        return method
    if method.forward == "newton":
        return method._replace(backprop="parallel")
    way = fastest(depth, width, batch)
    kept = columns(width, batch, stack.w.dtype)
    if method.checkpoint_every is None and way == "substitution" and states_leave_the_cache(depth, width, kept):
        return method._replace(backprop=way, checkpoint_every=math.isqrt(depth))
    return method._replace(backprop=way)


def states_leave_the_cache(depth: int, width: int, batch: int) -> bool:
    """Whether it is faster to compute states again than to wait for them, on a CPU.

    16 MiB of states come from memory that has to be had first, page by page; narrow layers are computed sooner. At
    depth 10,000, width 16, batch 32 the gradient takes 3.9 in place of 5.3 µs a layer; at width 32 it takes longer.
    """
    return jax.default_backend() == "cpu" and 1 < width <= 16 and batch > 1 and depth * width * batch > 2**22


# On an accelerator each step of a `lax.scan` waits some microseconds, however little it does. The parallel solve has
# 2 k log_k N steps in place of N, each with n times the arithmetic of a product W x for every example: it pays where
# the stack is deep, and where width and batch are too small to fill the device. One row for each width: up to which
# batch. Estimated from the costs of launches and of memory, not measured: `scripts/bench crossover` measures the map.
_DEEP = 64  # layers from which on
_PARALLEL = ((4, 4096), (8, 1024), (16, 256), (32, 32))  # (width, batch) up to which


def fastest(depth: int, width: int, batch: int = 1, backend: str | None = None) -> str:
    """The fastest way to differentiate so many layers on a backend (None: the default one).

    >>> fastest(depth=1, width=100), fastest(10_000, 8, backend="cpu"), fastest(10_000, 8, backend="gpu")
    ('autodiff', 'substitution', 'parallel')
    """
    if depth == 1:  # nothing to gain
        return "autodiff"
    if (backend or jax.default_backend()) == "cpu":
        return "autodiff" if width == 1 else "substitution"
    small = any(width <= n and batch <= most for n, most in _PARALLEL)
    return "parallel" if depth >= _DEEP and small else "substitution"
