"""When a run stops, and when its learning rate is cut: decided on the device, epoch by epoch.

All limits are numbers handed to the compiled program, so that another limit compiles nothing anew.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

REASONS = ("running", "diverged", "target", "patience", "tolerance")  # what the device says, by its number


@dataclass(frozen=True)
class Plateau:
    """Cut the learning rate where the watched loss no longer falls: η ← factor · η, at most down to minimum · η.

    Args:
      factor: of each cut, between 0 and 1.
      patience: epochs without improvement before a cut, counted anew after each.
      minimum: the least the product of all cuts may be.
    Raises:
      ValueError: a number is out of its range.

    >>> Plateau(factor=0.5, patience=5)
    Plateau(factor=0.5, patience=5, minimum=0.0)
    """

    factor: float = 0.5
    patience: int = 10
    minimum: float = 0.0

    def __post_init__(self) -> None:
        numbers = all(isinstance(v, (int, float, np.number)) for v in (self.factor, self.patience, self.minimum))
        if not (numbers and 0 < self.factor < 1 and self.patience >= 1 and 0 <= self.minimum < 1):
            raise ValueError(f"{self}: the factor must be between 0 and 1, patience at least 1, 0 ≤ minimum < 1")


class Limits(NamedTuple):
    """What ends a run before its last epoch; the defaults never do."""

    patience: float = np.inf  # epochs without improvement of the watched loss
    min_improvement: float = 0.0  # what counts as one
    target: float = -np.inf  # watched loss
    tolerance: float = -1.0  # relative change of the training loss from one epoch to the next
    cut: float = 1.0  # a Plateau's factor, …
    cut_patience: float = np.inf
    cut_minimum: float = 0.0


def limits(
    patience: int | None,
    min_improvement: float,
    target: float | None,
    tolerance: float | None,
    plateau: Plateau | None,
) -> Limits:
    """The limits as numbers, None being the one that never acts.

    Raises:
      ValueError: a limit is not a number, or negative where it may not be.
      TypeError: plateau is no `Plateau`.
    """
    for name, value, least in (
        ("patience", patience, 1),
        ("min_improvement", min_improvement, 0),
        ("target", target, -np.inf),
        ("tolerance", tolerance, 0),
    ):
        if value is None and name != "min_improvement":
            continue
        if isinstance(value, bool) or not (isinstance(value, (int, float, np.number)) and value >= least):
            raise ValueError(f"{name} is {value!r}; it must be a number{'' if least < 0 else f' of at least {least}'}")
    if not isinstance(plateau, (Plateau, type(None))):
        raise TypeError(f"plateau must be a jnn.Plateau(factor, patience), got {plateau!r}")
    usual = Limits()
    cut = (plateau.factor, plateau.patience, plateau.minimum) if plateau else usual[4:]
    values = (
        usual.patience if patience is None else patience,
        min_improvement,
        usual.target if target is None else target,
        usual.tolerance if tolerance is None else tolerance,
        *cut,
    )
    return Limits(*map(float, values))  # an integer would be another type to the compiler


class Watch(NamedTuple):
    """What is remembered from epoch to epoch to decide by; one vector in the compiled program, `jnp.stack(watch)`."""

    best: Any  # the least watched loss so far
    since_best: Any  # epochs
    since_cut: Any  # epochs since best or the last cut
    scale: Any  # product of the cuts of the learning rate
    previous: Any  # training loss


START = Watch(best=np.inf, since_best=0, since_cut=0, scale=1, previous=np.inf)


def judge(watch: Watch, limits: Limits, loss: Array, watched: Array) -> tuple[Watch, Array, Array]:
    """After an epoch of finite losses: what to remember, whether it was the best so far, and a number of REASONS."""
    improved = watched < watch.best - limits.min_improvement
    since_best = jnp.where(improved, 0, watch.since_best + 1)
    since_cut = jnp.where(improved, 0, watch.since_cut + 1)
    cut = since_cut >= limits.cut_patience
    scale = jnp.where(cut, jnp.maximum(watch.scale * limits.cut, limits.cut_minimum), watch.scale)
    change = jnp.abs(loss - watch.previous)
    settled = change <= limits.tolerance * jnp.maximum(jnp.abs(loss), jnp.abs(watch.previous))
    settled &= jnp.isfinite(watch.previous)  # ∞ ≤ ∞ before the second epoch
    reason = jnp.where(settled, 4, 0)
    reason = jnp.where(since_best >= limits.patience, 3, reason)
    reason = jnp.where(watched <= limits.target, 2, reason)
    best = jnp.where(improved, watched, watch.best)
    return Watch(best, since_best, jnp.where(cut, 0, since_cut), scale, loss), improved, reason.astype(jnp.int32)
