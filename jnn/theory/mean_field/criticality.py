"""The critical line and points of an activation, and its phase diagram."""

import math
from typing import Any, NamedTuple

import numpy as np

from jnn import activations
from jnn.activations import ActivationLike
from jnn.theory import gaussian
from jnn.theory.gaussian import moments
from jnn.theory.mean_field.maps import LEAST, MOST, SCAN, check, length, on_scan, roots


class CriticalPoint(NamedTuple):
    """Where χ₁ = 1."""

    sigma_w2: float
    sigma_b2: float
    q: float  # q* there


def critical(sigma_b2: float | int, activation: ActivationLike = "tanh") -> CriticalPoint:
    """The point of the critical line over a bias variance: the σ_w² for which χ₁ = 1 at q*.

    The line is traced by its q: σ_w² = 1/E[h'²] and σ_b² = q − E[h²]/E[h'²]. Where it has several points over one
    σ_b², the one of the shortest q whose length is stable (χ_q ≤ 1) is taken.

    Raises:
      ValueError: there is no such point (relu has only σ_b² = 0), or σ_b² is negative.

    >>> [round(number, 6) for number in critical(0.05, "tanh")]
    [1.760955, 0.05, 0.570048]
    >>> critical(0, "relu")
    CriticalPoint(sigma_w2=2.0, sigma_b2=0.0, q=1.0)
    """
    check(activation, 1, sigma_b2)
    at = on_scan(activation)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = SCAN - at.value2 / at.slope2 - sigma_b2
    if sigma_b2 == 0:
        if np.all(np.abs(gap) <= 1e-12 * SCAN):  # every length is kept: relu and its like
            return CriticalPoint(float(1 / at.slope2[0]), 0.0, 1.0)
        slope, value = (float(gaussian.double(f, 0.0)) for f in reversed(activations.resolve(activation)[:2]))
        if value == 0 and slope != 0 and _shrinks(at, slope):
            return CriticalPoint(1 / slope**2, 0.0, 0.0)

    def residual(log_q: Any) -> Any:
        at = moments(activation, np.exp(log_q))
        return np.exp(log_q) - at.value2 / at.slope2 - sigma_b2

    significant = np.abs(gap) > 1e-13 * SCAN
    for i in np.flatnonzero((np.sign(gap[:-1]) != np.sign(gap[1:])) & significant[:-1] & significant[1:]):
        q = math.exp(roots(residual, *np.log(SCAN[i : i + 2])))
        here = moments(activation, q)
        if here.growth <= here.slope2 * (1 + 1e-9):
            return CriticalPoint(float(1 / here.slope2), float(sigma_b2), q)
    raise ValueError(
        f"{activation!r} has no critical network with sigma_b2={sigma_b2}: "
        "try another sigma_b2, 0 for relu and its like, or critical_point for gelu and its like"
    )


def _shrinks(at: gaussian.Moments, slope: float) -> bool:
    """Whether 0 is the length that σ_w² = 1/h'(0)² leads to, from below 1."""
    short = (SCAN > 1e-8) & (SCAN < 1)
    return bool(np.all(at.value2[short] / slope**2 <= SCAN[short] * (1 + 1e-12)))


def critical_point(activation: ActivationLike = "gelu") -> CriticalPoint:
    """The point where χ₁ = χ_q = 1: lengths and gradients both last. Some activations, gelu and silu, have just one.

    On the critical line σ_w² = 1/E[h'²], and χ_q = 1 where E[h'²] = dE[h²]/dq = E[h'² + h h''].

    Raises:
      ValueError: there is none at a positive length (tanh: see `critical`).
    Source: Roberts, Yaida and Hanin, The Principles of Deep Learning Theory, 2022, section 5.3.

    >>> [round(number, 6) for number in critical_point("gelu")]
    [1.983058, 0.172922, 3.561553]
    """
    activations.check(activation)
    grid = np.geomspace(1e-4, 1e4, 321)

    def gap(q: Any) -> Any:
        at = moments(activation, q)
        return at.growth / at.slope2 - 1

    on_grid = gap(grid)
    seen = np.abs(on_grid) > 1e-12
    for i in np.flatnonzero((np.sign(on_grid[:-1]) != np.sign(on_grid[1:])) & seen[:-1] & seen[1:]):
        q = math.exp(roots(lambda log_q: gap(np.exp(log_q)), *np.log(grid[i : i + 2])))
        at = moments(activation, q)
        if (sigma_b2 := q - float(at.value2 / at.slope2)) >= 0:
            return CriticalPoint(float(1 / at.slope2), sigma_b2, q)
    raise ValueError(f"{activation!r} has no point with χ₁ = χ_q = 1 at a positive length; see `critical`")


class PhaseDiagram(NamedTuple):
    """The plane of variances."""

    sigma_w2: np.ndarray  # (m,)
    sigma_b2: np.ndarray  # (n,)
    chi_1: np.ndarray  # (n, m)
    critical: np.ndarray  # (n,): σ_w² of the critical line, NaN where there is none
    q: np.ndarray  # (n, m): q*


def phase_diagram(
    activation: ActivationLike = "tanh", sigma_w2: Any = None, sigma_b2: Any = None, *, points: int = 41
) -> PhaseDiagram:
    """χ₁ and q* over a grid of variances, and the critical line; ranges of None are 0 … 4 and 0 … 0.5.

    >>> phase_diagram("tanh", [0.5, 3.0], [0.05]).chi_1.round(3).tolist()
    [[0.432, 1.209]]
    """
    w = np.linspace(0, 4, points + 1)[1:] if sigma_w2 is None else np.asarray(sigma_w2, np.float64)
    b = 0.5 * np.linspace(0, 1, points) ** 2 if sigma_b2 is None else np.asarray(sigma_b2, np.float64)
    q = np.asarray(length(activation, sigma_w2=w, sigma_b2=b[:, None]))
    χ_1 = w * moments(activation, np.clip(q, LEAST, MOST)).slope2

    def line(b: float) -> float:
        try:
            return critical(b, activation).sigma_w2
        except ValueError:
            return math.nan

    return PhaseDiagram(w, b, χ_1, np.array([line(b_) for b_ in b]), q)
