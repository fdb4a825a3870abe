"""The maps of length and correlation from layer to layer, and the length they lead to."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import elementwise

from jnn import activations
from jnn.activations import ActivationLike
from jnn.theory import gaussian
from jnn.theory.gaussian import mean_square, moments


def length_map(q: Any, activation: ActivationLike = "tanh", *, sigma_w2: float | int, sigma_b2: float | int) -> Any:
    """V(q) = σ_w² E[h(√q z)²] + σ_b², the length of the next layer, for q of any shape.

    Raises:
      ValueError: q is negative, or a variance is.

    >>> float(length_map(1.0, "tanh", sigma_w2=1, sigma_b2=0).round(6))
    0.394294
    """
    check(activation, sigma_w2, sigma_b2)
    q = np.asarray(q, np.float64)
    if not np.all(q >= 0):
        raise ValueError(f"q is a mean square, at least 0; got {q}")
    return sigma_w2 * moments(activation, q).value2 + sigma_b2


def correlation_map(
    c: Any,
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int,
    q: float | None = None,
) -> Any:
    """C(c), the correlation in the next layer of two inputs of length q and correlation c; q = None stands for q*.

    Raises:
      ValueError: c is outside of [−1, 1], or a variance is negative.

    >>> float(correlation_map(0.6, "relu", sigma_w2=2, sigma_b2=0).round(6))
    0.677548
    """
    check(activation, sigma_w2, sigma_b2)
    c = np.asarray(c, np.float64)
    if not np.all(np.abs(c) <= 1):
        raise ValueError(f"c is a correlation, from −1 to 1; got {c}")
    q = within(length(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2) if q is None else q)
    V = sigma_w2 * float(moments(activation, q).value2) + sigma_b2
    return (sigma_w2 * gaussian.products(activation)(np.full_like(c, q), np.full_like(c, q), q * c)[0] + sigma_b2) / V


def through_depth(
    depth: int,
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int,
    q: float = 1.0,
    c: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths q_0 … q_depth and correlations c_0 … c_depth of two inputs of length q and correlation c.

    Raises:
      ValueError: a number lies outside of its limits.

    >>> q, c = through_depth(10, "relu", sigma_w2=2, sigma_b2=0, c=0.6)
    >>> float(q[10].round(6)), float(c[10].round(6))
    (1.0, 0.906611)
    """
    lengths, correlations = [np.float64(q)], [np.float64(c)]
    for _ in range(depth):
        q, c = lengths[-1], correlations[-1]
        variances = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
        lengths.append(length_map(q, activation, **variances))
        correlations.append(np.clip(correlation_map(c, activation, **variances, q=within(q)), -1, 1))
    return np.array(lengths), np.array(correlations)


LEAST, MOST = 1e-30, 1e30  # lengths between which fixed points are looked for; beyond they count as 0 and ∞
SCAN = np.geomspace(LEAST, MOST, 1201)


@lru_cache(maxsize=32)
def on_scan(activation: ActivationLike) -> gaussian.Moments:
    """The moments at every length of SCAN."""
    return moments(activation, SCAN)


def length(activation: ActivationLike = "tanh", *, sigma_w2: Any, sigma_b2: Any, start: float = 1.0) -> Any:
    """q*, the fixed point of the length map that lengths from `start` end in; 0 or ∞ where they shrink or grow on.

    Args:
      activation: a name or a function.
      sigma_w2, sigma_b2: numbers or arrays, which broadcast.
      start: the length to start from.
    Raises:
      ValueError: a variance is negative, or start not positive.

    >>> length("tanh", sigma_w2=0.9, sigma_b2=0), length("relu", sigma_w2=2.1, sigma_b2=0)
    (0.0, inf)
    """
    check(activation, sigma_w2, sigma_b2)
    if not 0 < start < math.inf:
        raise ValueError(f"a length must be positive and finite to start from, got {start}")
    w, b = (np.asarray(a, np.float64) for a in np.broadcast_arrays(sigma_w2, sigma_b2))

    def gap(log_q: np.ndarray, w: np.ndarray, b: np.ndarray) -> Any:
        """V(q)/q − 1."""
        q = np.exp(log_q)
        return (w * mean_square(activation, q) + b) / q - 1

    # on a grid of lengths, the first beyond the start at which the gap has changed its sign, by more than rounding
    at_start = gap(np.full_like(w, math.log(start)), w, b)
    up = at_start > 0
    on_grid = (w[..., None] * on_scan(activation).value2 + b[..., None]) / SCAN - 1
    beyond = np.where(up[..., None], start < SCAN, start > SCAN)
    crossed = beyond & (on_grid * np.sign(at_start)[..., None] < -1e-13)
    cell = np.where(up, np.argmax(crossed, -1), len(SCAN) - 1 - np.argmax(crossed[..., ::-1], -1))
    q = np.where(up, np.inf, 0.0)
    kept = np.abs(at_start) < 1e-14  # relu on its critical point keeps every length
    q[kept] = start
    found = crossed.any(-1) & ~kept
    if found.any():
        near = np.full(found.sum(), math.log(start))
        q[found] = np.exp(roots(gap, near, np.log(SCAN[cell[found]]), w[found], b[found]))
    return float(q) if q.ndim == 0 else q


# ---- pieces that its neighbours use, too ----


def within(q: float) -> float:
    """A length that can be computed with, where q may be 0 or ∞."""
    return min(max(float(q), LEAST), MOST)


def roots(f: Callable[..., Any], low: Any, high: Any, *args: Any) -> Any:
    """Roots between low and high, elementwise (Chandrupatla 1997), to rounding."""
    return elementwise.find_root(f, (low, high), args=args, tolerances={"xrtol": 4e-16, "xatol": 1e-15}).x


def check(activation: ActivationLike, sigma_w2: Any, sigma_b2: Any) -> None:
    """Refuse what is no activation, and variances that are none."""
    activations.check(activation)
    w, b = np.asarray(sigma_w2), np.asarray(sigma_b2)
    if not (np.all(w > 0) and np.all(np.isfinite(w))):
        raise ValueError(f"sigma_w2 must be positive and finite (weight variance times fan_in), got {sigma_w2}")
    if not (np.all(b >= 0) and np.all(np.isfinite(b))):
        raise ValueError(f"sigma_b2 must be finite and at least 0 (bias variance), got {sigma_b2}")
