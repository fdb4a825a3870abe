"""Where lengths and correlations end, how fast, and in which phase that is."""

import math
from typing import NamedTuple

import numpy as np

from jnn import checks
from jnn.activations import ActivationLike
from jnn.checks import Data, Real
from jnn.theory import gaussian
from jnn.theory.gaussian import moments
from jnn.theory.mean_field.maps import check_point, length, roots, within


class Limits(NamedTuple):
    """What a wide network does to signals and gradients far from its ends."""

    q: float  # q*, the length
    chi_1: float  # what squared gradients are multiplied by, a layer
    chi_q: float  # V'(q*), what a deviation from q* is multiplied by, a layer
    xi_q: float  # −1/ln χ_q, the depth scale of lengths
    c: float  # c*, the correlation that all pairs of inputs end with
    chi_c: float  # C'(c*), what a deviation from c* is multiplied by, a layer
    xi_c: float  # −1/ln χ_c, the depth scale of correlations; infinite at criticality
    phase: str  # "ordered", "critical" or "chaotic"

    @property
    def trainable_depth(self) -> float:
        """6 ξ_c: deeper, a network no longer tells its inputs apart (Schoenholz et al. 2017)."""
        return 6 * self.xi_c


def limits(
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: Real,
    sigma_b2: Real,
    q: Real = 1.0,
    tolerance: Real = 1e-9,
) -> Limits:
    """Fixed points, multipliers, depth scales and phase of a wide network.

    Args:
      activation: a name or a function; one with kinks elsewhere than at 0 costs digits.
      sigma_w2, sigma_b2: weight variance times fan-in, and bias variance.
      q: the length that lengths start from, where there is more than one fixed point (relu on its
        critical point keeps whatever comes in).
      tolerance: how near to 1 a χ₁ counts as critical.
    Raises:
      TypeError: an argument is not a number.
      ValueError: a variance is out of its limits, q not positive, or tolerance negative.
    Source: Poole et al. 2016; Schoenholz et al. 2017.

    >>> tanh = limits("tanh", sigma_w2=1.5, sigma_b2=0.05)
    >>> [round(number, 6) for number in (tanh.q, tanh.chi_1, tanh.xi_q, tanh.xi_c)], tanh.phase
    ([0.418037, 0.938636, 1.682828, 15.790994], 'ordered')
    """
    sigma_w2, sigma_b2 = check_point(activation, sigma_w2, sigma_b2)
    start = checks.number("q", q, above=0, meaning="the length that lengths start from")
    tolerance = checks.number("tolerance", tolerance, least=0)
    q = float(length(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2, start=start))
    at = moments(activation, within(q))
    χ_1 = float(sigma_w2 * at.slope2)
    χ_q = float(sigma_w2 * at.growth)
    if χ_1 > 1 + tolerance:
        c, χ_c = _chaotic(activation, sigma_w2, sigma_b2, within(q))
    else:
        c, χ_c = 1.0, χ_1
    return Limits(
        q=q,
        chi_1=χ_1,
        chi_q=χ_q,
        xi_q=_scale(χ_q, tolerance),
        c=c,
        chi_c=χ_c,
        xi_c=_scale(χ_c, tolerance),
        phase=_phase(χ_1, tolerance),
    )


def _phase(chi_1: float, tolerance: float) -> str:
    if abs(chi_1 - 1) <= tolerance:
        return "critical"
    return "ordered" if chi_1 < 1 else "chaotic"


def _chaotic(
    activation: ActivationLike, sigma_w2: float, sigma_b2: float, q: float
) -> tuple[float, float]:
    """c* and C'(c*) of a network of length q where χ₁ > 1."""
    at = moments(activation, q)
    V = sigma_w2 * float(at.value2) + sigma_b2
    c = 1 - _parting(activation, q, sigma_w2, V)
    if c < 1:
        _, slopes = gaussian.products(activation)(*np.array([[q], [q], [c * q]]))
        return c, float(sigma_w2 * slopes[0] * q / V)
    # apart, but by less than float64 can tell; or the lengths grow as fast as the distances, as
    # for relu
    return c, min(float(sigma_w2 * at.slope2) * q / V, 1.0)


def _parting(activation: ActivationLike, q: float, sigma_w2: float, V: float) -> float:
    """ε = 1 − c* > 0 where χ₁ > 1: two inputs part until 1 − C(1 − ε) = ε.

    1 − C is σ_w² E[(h(u) − h(v))²]/2V, which is as exact for the smallest ε as for any. It is 0
    where it is too small to be seen.
    """

    def gap(distance: Data) -> Data:
        apart = gaussian.half_difference(activation, q, distance)
        return sigma_w2 * apart / (V * np.asarray(distance)) - 1

    grid = np.append(np.geomspace(1e-12, 1, 49), np.linspace(1, 2, 9)[1:])
    on_grid = gap(grid)
    crossed = np.flatnonzero((on_grid[:-1] > 0) & (on_grid[1:] <= 0))
    if crossed.size == 0:
        return 0.0
    low, high = np.log(grid[crossed[0] : crossed[0] + 2])
    return math.exp(roots(lambda log_distance: gap(np.exp(log_distance)), low, high))


def _scale(chi: float, tolerance: float) -> float:
    """−1/ln χ, the depth over which a deviation falls to 1/e; ∞ where it does not fall."""
    if chi <= 0:
        return 0.0
    if chi >= 1 - tolerance:
        return math.inf
    return -1 / math.log(chi)
