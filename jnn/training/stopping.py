"""When a run stops, and when its learning rate is cut: one rule for device and host.

All limits are numbers handed to the compiled program, so that another limit compiles nothing anew;
a rule that was not asked for is not in the program.
The loss that decides is called the monitored one: that on the validation data, or else the training
loss.
"""

import dataclasses
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks
from jnn.checks import Real, Reals

# of a field of options: a run that is resumed may have another value of it
LIMIT = {"resumes": False}


class Reason(IntEnum):
    """Why the device ended a run, in the order of precedence."""

    RUNNING = 0
    DIVERGED = 1
    TARGET = 2
    PATIENCE = 3
    TOLERANCE = 4
    GRADIENT = 5
    CONVERGED = 6
    HALVED = 7  # by the host, of many


@dataclasses.dataclass(frozen=True)
class Stop:
    """What ends a run before its last epoch, beside `patience`; None is a limit that never acts.

    For `fit_many` each but `seconds` may be an array (M,), one number for each member.

    BFGS, L-BFGS and Levenberg–Marquardt also end by themselves, "converged", after an epoch that
    has changed neither parameters nor what the method has learnt: every later one would be the
    same. No gradient is small enough to end them unasked, as SciPy's gtol = 1e-5 is: it depends on
    the unit of the loss, and a network may leave a plateau of that gradient.

    Args:
      target: stop once the monitored loss is at most this.
      tolerance: stop once the training loss changes by no more than this, relative, from one epoch
        to the next.
      gradient: stop once ‖∂ℓ/∂p‖, the history's "gradient_norm", is at most this: that of the
        epoch's last minibatch, before its step.
      seconds: stop after about this many seconds of running, earlier sessions included, compilation
        not.
      min_improvement: what counts as an improvement of the monitored loss, to `patience` and to the
        best parameters: a fall by more than this.
    Raises:
      ValueError: a limit is out of its range.
      TypeError: a limit is not a number.

    >>> Stop(target=1e-3)
    Stop(target=0.001, tolerance=None, gradient=None, seconds=None, min_improvement=0.0)
    """

    target: Reals | None = dataclasses.field(default=None, metadata=LIMIT)
    tolerance: Reals | None = dataclasses.field(default=None, metadata=LIMIT)
    gradient: Reals | None = dataclasses.field(default=None, metadata=LIMIT)
    seconds: Real | None = dataclasses.field(default=None, metadata=LIMIT)
    min_improvement: Reals = 0.0

    def __post_init__(self) -> None:
        if self.target is not None:
            checks.numbers("target", self.target)
        if self.tolerance is not None:
            checks.numbers("tolerance", self.tolerance, least=0)
        if self.gradient is not None:
            checks.numbers("gradient", self.gradient, least=0)
        if self.seconds is not None:
            checks.number("seconds", self.seconds, above=0)
        checks.numbers("min_improvement", self.min_improvement, least=0)


@dataclasses.dataclass(frozen=True)
class Plateau:
    """Cut the learning rate where the monitored loss no longer falls, η ← max(factor · η, …).

    For `fit_many` each may be an array (M,), one number for each member.

    Args:
      factor: of each cut, between 0 and 1.
      patience: epochs without improvement before a cut, counted anew after each.
      minimum: the least the product of all cuts may be.
    Raises:
      ValueError: a number is out of its range.
      TypeError: something is not a number, or patience not an integer.

    >>> Plateau(factor=0.5, patience=5)
    Plateau(factor=0.5, patience=5, minimum=0.0)
    """

    factor: Reals = 0.5
    patience: Any = 10
    minimum: Reals = 0.0

    def __post_init__(self) -> None:
        checks.numbers("factor", self.factor, above=0, below=1)
        for patience in np.atleast_1d(np.asarray(self.patience, object)):
            checks.integer("patience", patience, 1)
        checks.numbers("minimum", self.minimum, least=0, below=1)


class Cut(NamedTuple):
    """A `Plateau`, as numbers."""

    factor: Any
    patience: Any  # epochs
    minimum: Any


class Limits(NamedTuple):
    """What ends a run before its last epoch, as numbers; None leaves a rule out."""

    patience: Any = None  # epochs without improvement of the monitored loss
    min_improvement: Any = 0.0  # what counts as one
    target: Any = None  # of the monitored loss
    tolerance: Any = None  # relative change of the training loss from one epoch to the next
    gradient: Any = None  # its norm
    cut: Cut | None = None


def limits(patience: int | None, stop: Stop, plateau: Plateau | None) -> Limits:
    """The limits as numbers.

    >>> limits(3, Stop(), None).patience
    3.0
    """
    cut = None
    if plateau is not None:
        cut = Cut(plateau.factor, plateau.patience, plateau.minimum)
    found = Limits(patience, stop.min_improvement, stop.target, stop.tolerance, stop.gradient, cut)
    # an integer would be another type to the compiler
    return jax.tree.map(float, found)


class Memory(NamedTuple):
    """What is remembered from epoch to epoch; one vector in the program, `jnp.stack(memory)`."""

    best: Any  # the least monitored loss so far
    since_best: Any  # epochs
    since_cut: Any  # epochs since best or the last cut
    scale: Any  # product of the cuts of the learning rate
    previous: Any  # training loss


# A loss before the first, above every other: finite, as jax_debug_infs lets no infinity pass.
NO_LOSS = float(np.finfo(np.float32).max)
START = Memory(best=NO_LOSS, since_best=0, since_cut=0, scale=1, previous=NO_LOSS)


def holding(
    limits: Limits, *, since_best: Any, monitored: Any, loss: Any, previous: Any, gradient: Any
) -> dict[Reason, Any]:
    """Which rules say stop, for numbers of the device or of the host; the last takes precedence.

    >>> epoch = {"since_best": 0, "monitored": 0.5, "loss": 0.5, "previous": NO_LOSS, "gradient": 1}
    >>> [reason.name for reason, holds in holding(Limits(target=1.0), **epoch).items() if holds]
    ['TARGET']
    """
    rules = {}
    if limits.gradient is not None:
        rules[Reason.GRADIENT] = gradient <= limits.gradient
    if limits.tolerance is not None:
        change = abs(loss - previous)
        settled = change <= limits.tolerance * abs(loss)
        settled |= change <= limits.tolerance * abs(previous)
        # before the second epoch there is nothing to compare with
        rules[Reason.TOLERANCE] = settled & (previous < NO_LOSS)
    if limits.patience is not None:
        rules[Reason.PATIENCE] = since_best >= limits.patience
    if limits.target is not None:
        rules[Reason.TARGET] = monitored <= limits.target
    return rules


def judge(
    memory: Memory,
    limits: Limits,
    loss: Array,
    monitored: Array | None,
    gradient: Array,
    still: Array | None,
) -> tuple[Memory, Array, Array]:
    """Update the memory after a finite epoch; returns (memory, improved, reason).

    Args:
      memory: of the epochs before.
      limits: of the run.
      loss: the training loss.
      monitored: None where no rule looks at it: then every epoch is the best so far.
      gradient: its norm.
      still: whether neither this epoch nor any later one changes anything; None: it may.
    """
    improved = jnp.array(True)
    if monitored is not None:
        monitored = monitored.astype(loss.dtype)
        improved = monitored < memory.best - limits.min_improvement
        memory = memory._replace(
            best=jnp.where(improved, monitored, memory.best),
            since_best=jnp.where(improved, 0, memory.since_best + 1),
            since_cut=jnp.where(improved, 0, memory.since_cut + 1),
        )
    if limits.cut is not None:
        cut = memory.since_cut >= limits.cut.patience
        smaller = jnp.maximum(memory.scale * limits.cut.factor, limits.cut.minimum)
        memory = memory._replace(
            since_cut=jnp.where(cut, 0, memory.since_cut),
            scale=jnp.where(cut, smaller, memory.scale),
        )
    reason = jnp.int32(Reason.RUNNING)
    if still is not None:
        reason = jnp.where(still, jnp.int32(Reason.CONVERGED), reason)
    rules = holding(
        limits,
        since_best=memory.since_best,
        monitored=monitored,
        loss=loss,
        previous=memory.previous,
        gradient=gradient,
    )
    for rule, holds in rules.items():
        reason = jnp.where(holds, jnp.int32(rule), reason)
    return memory._replace(previous=loss), improved, reason
