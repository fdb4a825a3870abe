"""How a network is computed and differentiated: the names of the methods, and what "auto" means."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jnn import checks
from jnn.params import Stack
from jnn.triangular.products import WRITTEN_OUT

METHODS = ("auto", "autodiff", "dense", "substitution", "parallel", "fused")
STATES = ("sequential", "newton")


class Method(NamedTuple):
    """A choice of how to compute; hashable, so that `jit` keys on it.

    Wherever `backprop=` takes a name it takes a Method, too.

    >>> Method("parallel", states="newton")
    Method(backprop='parallel', states='newton', recompute_every=None, dtype=None)
    """

    backprop: str = "auto"  # a name of METHODS
    states: str = "sequential"  # a name of STATES
    recompute_every: int | None = None  # keep every k-th state, and compute the others again
    dtype: Any = None  # to compute in, None: that of the parameters


AUTO = Method()


def check_method(
    backprop: str | Method = "auto",
    states: str = "sequential",
    recompute_every: int | None = None,
) -> Method:
    """The validated method; raises for an unknown name or a combination that does not work.

    Args:
      backprop: a name, or a whole `Method`, in place of the other two.
      states, recompute_every: as in `Method`.
    Raises:
      ValueError: a name is unknown, Newton meets a method that does not solve the system, a
        distance is not positive, or an option is given beside a Method.
      TypeError: the distance is not an integer, or the dtype not a floating-point type.

    >>> check_method(states="newton", backprop="dense")
    Traceback (most recent call last):
      ...
    ValueError: states "newton" is differentiated by backprop "substitution" or "parallel" \
("auto"), not "dense"
    """
    if isinstance(backprop, Method):
        if (states, recompute_every) != ("sequential", None):
            raise ValueError(f"{backprop} is the whole method: give states and the like in it")
        backprop, states, recompute_every, dtype = backprop
    else:
        dtype = None
    checks.known("backprop", backprop, METHODS)
    checks.known("states", states, STATES)
    if states == "newton" and backprop in ("autodiff", "dense"):
        raise ValueError(
            'states "newton" is differentiated by backprop "substitution" or "parallel" '
            f'("auto"), not "{backprop}"'
        )
    if recompute_every is not None:
        meaning = "every so many layers a state is kept"
        recompute_every = checks.integer("recompute_every", recompute_every, 1, meaning=meaning)
        if backprop == "dense":
            raise ValueError(
                'backprop "dense" assembles the whole system: leave recompute_every out, or take '
                "another"
            )
    dtype = None if dtype is None else checks.floating_dtype("dtype", dtype)
    return Method(backprop, states, recompute_every, dtype)


# ---- what "auto" means ----


def chosen(stack: Stack, method: Method, batch: int, platform: str = "cpu") -> Method:
    """How a stack is computed on a platform: as asked for, or the fastest way for "auto".

    "auto" is left where the platforms differ in the solver alone, as `rule.SOLVERS` has it.
    """
    depth, width = len(stack.w), max(stack.w.shape[1:])
    if method.backprop != "auto":
        return method
    if method.states == "newton":
        return method._replace(backprop="parallel")
    backprop = fastest(depth, width, batch, platform)
    kept = columns(width, batch, stack.w.dtype)
    walked = platform == "cpu" and backprop == "substitution"
    leaves = walked and states_leave_the_cache(depth, width, kept)
    if method.recompute_every is None and leaves:
        method = method._replace(recompute_every=math.isqrt(depth))
    return method._replace(backprop=solver(depth, width, batch) or backprop)


# On an accelerator a step of `lax.scan` waits some microseconds. The parallel solve has 2 k log_k N
# of them for N, each with n times the arithmetic of W x: it pays for deep stacks too small to fill
# the device. Estimated from costs of launches and memory: `scripts/bench crossover` measures it.
_DEEP = 64  # layers from which on
_PARALLEL = ((4, 4096), (8, 1024), (16, 256), (32, 32))  # (width, batch) up to which
# A single layer has no system to solve, but the batch as columns makes its loops long: 1–16–16–1 at
# batch 200 takes 14.6 in place of 21 µs. (width, columns) up to which, and from which on, it pays.
_COLUMNS = ((WRITTEN_OUT, 2), (128, 48))


def fastest(depth: int, width: int, batch: int = 1, backend: str = "cpu") -> str:
    """The fastest way to differentiate so many layers on a backend.

    >>> fastest(depth=1, width=100), fastest(10_000, 8, backend="cpu")
    ('autodiff', 'substitution')
    >>> fastest(10_000, 8, backend="gpu")
    'parallel'
    """
    if depth == 1:
        pays = any(width <= most and batch >= least for most, least in _COLUMNS)
        return "substitution" if pays else "autodiff"
    small = any(width <= n and batch <= most for n, most in _PARALLEL)
    if backend != "cpu" and depth >= _DEEP and small:
        return "parallel"
    return "autodiff" if width == 1 else "substitution"


def solver(depth: int, width: int, batch: int = 1) -> str | None:
    """The solver "auto", where that is substitution on a CPU and parallel elsewhere.

    >>> solver(10_000, 8), solver(16, 16)
    ('auto', None)
    """
    ways = [fastest(depth, width, batch, platform) for platform in ("cpu", "gpu")]
    return "auto" if ways == ["substitution", "parallel"] else None


def states_leave_the_cache(depth: int, width: int, batch: int) -> bool:
    """Whether it is faster to compute states again than to wait for them, on a CPU.

    16 MiB of states come from memory that has to be had first, page by page; narrow layers are
    computed sooner. At depth 10,000, width 16, batch 32 the gradient takes 3.9 in place of 5.3 µs a
    layer; at width 32 it takes longer.
    """
    return 1 < width <= 16 and batch > 1 and depth * width * batch > 2**22


# ---- whole vector registers ----


def columns(width: int, batch: int, dtype: Any) -> int:
    """How many columns are best computed for a batch, on a CPU 8 floats or 4 doubles at a time.

    What is left over beside whole vector registers is computed number by number: at width 16 a
    batch of 10 takes 2.6 µs a layer, 16 columns 1.35. At width 2, and below 4 columns, more do not
    always pay. Rows whose places differ by a multiple of 4096 bytes push each other out of the
    cache: 1,024 columns take 1.2 µs each, 1,032 take 0.8. No platform differs: nothing branches.

    >>> columns(16, 30, jnp.dtype("float32")), columns(16, 1024, jnp.dtype("float32"))
    (32, 1032)
    """
    register = 32 // max(dtype.itemsize, 4)  # bytes; what is narrower is computed in float32
    narrow = 4 <= width <= WRITTEN_OUT and batch >= 4
    if not narrow:
        return batch
    kept = -(-batch // register) * register
    return kept + register if kept * dtype.itemsize % 4096 == 0 else kept


def filled(x: Array) -> Array:
    """A batch as columns, the last repeated until there are as many as are best computed.

    Repeated and not zero: h may have no slope at 0.
    """
    width, batch = x.shape
    more = columns(width, batch, x.dtype) - batch
    return jnp.pad(x, ((0, 0), (0, more)), mode="edge") if more else x
