"""The critical line and points of an activation, and its phase diagram."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from jnn import activations, checks
from jnn.activations import ActivationLike
from jnn.arrays.limits import variances
from jnn.checks import Data, Real
from jnn.equality import by_value
from jnn.theory import gaussian
from jnn.theory.gaussian import moments
from jnn.theory.mean_field.maps import LEAST, MOST, SCAN, check_point, length, on_scan, roots


class CriticalPoint(NamedTuple):
    """Where χ₁ = 1."""

    sigma_w2: float
    sigma_b2: float
    q: float  # q* there


def critical(sigma_b2: Real, activation: ActivationLike = "tanh") -> CriticalPoint:
    """The point of the critical line over a bias variance: the σ_w² for which χ₁ = 1 at q*.

    The line is traced by its q: σ_w² = 1/E[h'²] and σ_b² = q − E[h²]/E[h'²]. Where it has several
    points over one σ_b², the one of the shortest q whose length is stable (χ_q ≤ 1) is returned.

    Raises:
      TypeError: σ_b² is not a number.
      ValueError: there is no such point (relu has only σ_b² = 0), or σ_b² is negative.

    >>> [round(number, 6) for number in critical(0.05, "tanh")]
    [1.760955, 0.05, 0.570048]
    >>> critical(0, "relu")
    CriticalPoint(sigma_w2=2.0, sigma_b2=0.0, q=1.0)
    """
    _, sigma_b2 = check_point(activation, 1, sigma_b2)
    at = on_scan(activation)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = SCAN - at.value2 / at.slope2 - sigma_b2
    if sigma_b2 == 0:
        # every length is kept: relu and its like
        if np.all(np.abs(gap) <= 1e-12 * SCAN):
            return CriticalPoint(float(1 / at.slope2[0]), 0.0, 1.0)
        h = activations.resolve(activation)
        value = float(gaussian.double(h.value, 0.0))
        slope = float(gaussian.double(h.slope, 0.0))
        if value == 0 and slope != 0 and _shrinks(at, slope):
            return CriticalPoint(1 / slope**2, 0.0, 0.0)

    def residual(log_q: Data) -> Data:
        at = moments(activation, np.exp(log_q))
        return np.exp(log_q) - at.value2 / at.slope2 - sigma_b2

    for i in _sign_changes(gap, np.abs(gap) > 1e-13 * SCAN):
        q = math.exp(roots(residual, *np.log(SCAN[i : i + 2])))
        here = moments(activation, q)
        if here.growth <= here.slope2 * (1 + 1e-9):
            return CriticalPoint(float(1 / here.slope2), sigma_b2, q)
    raise ValueError(
        f"{activation!r} has no critical network with sigma_b2={sigma_b2}: "
        "try another sigma_b2, 0 for relu and its like, or critical_point for gelu and its like"
    )


def _shrinks(at: gaussian.Moments, slope: float) -> bool:
    """Whether 0 is the length that σ_w² = 1/h'(0)² leads to, from below 1."""
    short = (SCAN > 1e-8) & (SCAN < 1)
    return bool(np.all(at.value2[short] / slope**2 <= SCAN[short] * (1 + 1e-12)))


def _sign_changes(values: np.ndarray, significant: np.ndarray) -> np.ndarray:
    """The i for which values i and i + 1 differ in sign, by more than rounding."""
    change = np.sign(values[:-1]) != np.sign(values[1:])
    return np.flatnonzero(change & significant[:-1] & significant[1:])


def critical_point(activation: ActivationLike = "gelu") -> CriticalPoint:
    """The point where χ₁ = χ_q = 1: lengths and gradients both last.

    Some activations, gelu and silu, have just one. On the critical line σ_w² = 1/E[h'²], and
    χ_q = 1 where E[h'²] = dE[h²]/dq = E[h'² + h h''].

    Raises:
      ValueError: there is none at a positive length (tanh: see `critical`).
    Source: Roberts, Yaida and Hanin, The Principles of Deep Learning Theory, 2022, section 5.3.

    >>> [round(number, 6) for number in critical_point("gelu")]
    [1.983058, 0.172922, 3.561553]
    """
    activations.check(activation)
    grid = np.geomspace(1e-4, 1e4, 321)

    def gap(q: Data) -> Data:
        at = moments(activation, q)
        return at.growth / at.slope2 - 1

    on_grid = gap(grid)
    for i in _sign_changes(on_grid, np.abs(on_grid) > 1e-12):
        q = math.exp(roots(lambda log_q: gap(np.exp(log_q)), *np.log(grid[i : i + 2])))
        at = moments(activation, q)
        sigma_b2 = q - float(at.value2 / at.slope2)
        if sigma_b2 >= 0:
            return CriticalPoint(float(1 / at.slope2), sigma_b2, q)
    raise ValueError(
        f"{activation!r} has no point with χ₁ = χ_q = 1 at a positive length; see `critical`"
    )


# the value of Xiao et al. 2018; the smaller it is, the nearer tanh layers are to isometries
_BIAS = 2.01e-5


def any_critical(activation: ActivationLike) -> CriticalPoint:
    """A critical point of an activation, as an initializer needs one.

    The one over σ_b² = 2.01e-5, or over 0 where the line has no other point (relu), or the one
    critical point (gelu, silu).

    Raises:
      ValueError: the activation has no such point (softplus has none).

    >>> any_critical("relu")
    CriticalPoint(sigma_w2=2.0, sigma_b2=0.0, q=1.0)
    """
    for candidate in (partial(critical, _BIAS), partial(critical, 0), critical_point):
        try:
            return candidate(activation)
        except ValueError:
            continue
    raise ValueError(
        f"{activation!r} has no critical network; tanh, relu, gelu and most others have"
    )


@by_value
class PhaseDiagram(NamedTuple):
    """The plane of variances."""

    sigma_w2: np.ndarray  # (m,)
    sigma_b2: np.ndarray  # (n,)
    chi_1: np.ndarray  # (n, m)
    critical: np.ndarray  # (n,): σ_w² of the critical line, NaN where there is none
    q: np.ndarray  # (n, m): q*


def phase_diagram(
    activation: ActivationLike = "tanh",
    sigma_w2: Data = None,
    sigma_b2: Data = None,
    *,
    points: int = 41,
) -> PhaseDiagram:
    """χ₁ and q* over a grid of variances, and the critical line.

    Args:
      activation: a name or a function.
      sigma_w2, sigma_b2: (m,) and (n,); None for 0 … 4 and 0 … 0.5.
      points: of a range that is None.
    Raises:
      TypeError: points is not an integer, or a variance not a number.
      ValueError: the variances are not of one axis each, or a number lies outside of its limits.

    >>> phase_diagram("tanh", [0.5, 3.0], [0.05]).chi_1.round(3).tolist()
    [[0.432, 1.209]]
    """
    points = checks.integer("points", points, 1, 10**6, meaning="how many variances of a range")
    if sigma_w2 is None:
        sigma_w2 = np.linspace(0, 4, points + 1)[1:]
    if sigma_b2 is None:
        sigma_b2 = 0.5 * np.linspace(0, 1, points) ** 2
    w, b = variances(sigma_w2, sigma_b2)
    for name, given in (("sigma_w2", w), ("sigma_b2", b)):
        if given.ndim != 1:
            raise ValueError(f"{name} has shape {given.shape}; expected one axis, (n,)")
    q = np.asarray(length(activation, sigma_w2=w, sigma_b2=b[:, None]))
    χ_1 = w * moments(activation, np.clip(q, LEAST, MOST)).slope2
    line = np.array([_on_line(sigma_b2, activation) for sigma_b2 in b])
    return PhaseDiagram(w, b, χ_1, line, q)


def _on_line(sigma_b2: float, activation: ActivationLike) -> float:
    try:
        return critical(sigma_b2, activation).sigma_w2
    except ValueError:
        return math.nan
