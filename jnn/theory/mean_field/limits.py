"""Where lengths and correlations end, how fast, and in which phase that is."""

import math
from typing import Any, NamedTuple

import numpy as np

from jnn.activations import ActivationLike
from jnn.theory import gaussian
from jnn.theory.gaussian import moments
from jnn.theory.mean_field.maps import check, length, roots, within


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
    sigma_w2: float | int,
    sigma_b2: float | int,
    q: float = 1.0,
    tolerance: float = 1e-9,
) -> Limits:
    """Fixed points, multipliers, depth scales and phase of a wide network.

    Args:
      activation: a name or a function; one with kinks elsewhere than at 0 costs digits.
      sigma_w2, sigma_b2: weight variance times fan_in, and bias variance.
      q: the length that lengths start from, where there is more than one fixed point (relu on its critical point keeps
        whatever comes in).
      tolerance: how near to 1 a χ₁ counts as critical.
    Raises:
      ValueError: a variance is negative, or q not positive.
    Source: Poole et al. 2016; Schoenholz et al. 2017.

    >>> found = limits("tanh", sigma_w2=1.5, sigma_b2=0.05)
    >>> [round(number, 6) for number in (found.q, found.chi_1, found.xi_q, found.xi_c)], found.phase
    ([0.418037, 0.938636, 1.682828, 15.790994], 'ordered')
    """
    check(activation, sigma_w2, sigma_b2)
    q = float(length(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2, start=q))
    at = moments(activation, within(q))
    χ_1, χ_q = float(sigma_w2 * at.slope2), float(sigma_w2 * at.growth)
    c, χ_c = 1.0, χ_1
    if χ_1 > 1 + tolerance:
        q_ = within(q)
        c = 1 - _parting(activation, sigma_w2, sigma_b2, q_)
        if c < 1:
            V = sigma_w2 * float(at.value2) + sigma_b2
            slopes = gaussian.products(activation)(*np.array([[q_], [q_], [c * q_]]))[1]
            χ_c = float(sigma_w2 * slopes[0] * q_ / V)
        else:  # apart, but by less than float64 can tell; or the lengths grow as fast as the distances, as for relu
            χ_c = min(χ_1 * q_ / (sigma_w2 * float(at.value2) + sigma_b2), 1.0)
    phase = "critical" if abs(χ_1 - 1) <= tolerance else "ordered" if χ_1 < 1 else "chaotic"
    return Limits(q, χ_1, χ_q, _scale(χ_q, tolerance), c, χ_c, _scale(χ_c, tolerance), phase)


def _parting(activation: ActivationLike, sigma_w2: Any, sigma_b2: Any, q: float) -> float:
    """ε = 1 − c* > 0 where χ₁ > 1: two inputs part until 1 − C(1 − ε) = ε; 0 where it is too small to be seen.

    1 − C is σ_w² E[(h(u) − h(v))²]/2V, which is as exact for the smallest ε as for any.
    """
    V = sigma_w2 * float(moments(activation, q).value2) + sigma_b2

    def gap(ε: Any) -> Any:
        return sigma_w2 * gaussian.half_difference(activation, q, ε) / (V * np.asarray(ε)) - 1

    grid = np.append(np.geomspace(1e-12, 1, 49), np.linspace(1, 2, 9)[1:])
    crossed = np.flatnonzero((gap(grid)[:-1] > 0) & (gap(grid)[1:] <= 0))
    if crossed.size == 0:
        return 0.0
    low, high = np.log(grid[crossed[0] : crossed[0] + 2])
    return math.exp(roots(lambda log_ε: gap(np.exp(log_ε)), low, high))


def _scale(χ: float, tolerance: float) -> float:
    """−1/ln χ, the depth over which a deviation falls to 1/e; ∞ where it does not fall."""
    return 0.0 if χ <= 0 else math.inf if χ >= 1 - tolerance else -1 / math.log(χ)
