"""Deep linear networks: their learning curves in closed form, and the curvature they meet.

A mode of strength s is learnt by one weight in each of L layers. Started equal ("balanced"), their
product a = wᴸ obeys

    da/dt = L a^(2−2/L) (s − a)

under gradient descent on ½ (a − s)², in the limit of small steps; t counts steps times learning
rate (Saxe, McClelland, Ganguli 2013).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import hyp2f1

from jnn import checks
from jnn.arrays.limits import reals
from jnn.checks import Data, Real, Thing
from jnn.equality import by_value

_BISECTIONS = 100  # of the log-odds of a/s, from an interval of some hundred to rounding
_SATURATED = 37.0  # log-odds at which a is s but for rounding


@by_value
class Curvature(NamedTuple):
    """Eigenvalues of a chain's Hessian where all weights are equal."""

    together: float  # along (1, …, 1): all weights grow alike
    apart: float  # across it: one weight grows at the cost of another
    multiplicity: int  # of `apart`


def learning_curve(t: Data, s: Real, a0: Real, layers: int = 2) -> Data:
    """The strength a(t) that a linear network of L layers has learnt, of a mode of strength s.

        da/dt = L a^(2−2/L) (s − a);        L = 2:  a(t) = s e^{2st} / (e^{2st} − 1 + s/a0)

    Beyond two layers it inverts `learning_time`.

    Args:
      t: times, steps × learning rate, of any shape, at least 0.
      s: the mode's strength, a singular value of the input–output correlation (of white inputs).
      a0: the strength at the start, the product of the layers' weights; 0 < a0 < s.
      layers: L, how many layers have weights; 2 is one hidden layer.
    Returns:
      An array of t's shape, in float64; a number for a number.
    Raises:
      TypeError: layers is not an integer, or s or a0 not a number.
      ValueError: a number lies outside of these limits.
    Source: Saxe, McClelland, Ganguli 2013.

    >>> learning_curve([0.5, 1, 2], s=3, a0=0.01).round(6).tolist()
    [0.188842, 1.723002, 2.994499]
    """
    t = reals("t", t, least=0, meaning="times")
    s, a0 = _strengths(s, a0)
    layers = checks.integer("layers", layers, 1, meaning="how many layers have weights")
    if layers == 2:
        return s / (1 + (s / a0 - 1) * np.exp(-2 * s * t))
    low = np.full(t.shape, np.log(a0 / (s - a0)))
    high = np.full(t.shape, _SATURATED)
    for _ in range(_BISECTIONS):
        odds = (low + high) / 2
        early = learning_time(s / (1 + np.exp(-odds)), s, a0, layers) < t
        low = np.where(early, odds, low)
        high = np.where(early, high, odds)
    return s / (1 + np.exp(-(low + high) / 2))


def learning_time(a: Data, s: Real, a0: Real, layers: int = 2) -> Data:
    """When a linear network of L layers has learnt a mode of strength s up to a.

    a = s/2 is the usual question. With w = a^(1/L), dw/dt = w^(L−1) (s − wᴸ), so that
    t = F(w) − F(w₀) with

        s F(w) = w^(2−L)/(2−L) + w²/(2s) ₂F₁(1, 2/L; 1 + 2/L; a/s)

    (ln w in place of the first term where L = 2).

    Args:
      a: strengths, of any shape, a0 ≤ a < s; s itself is never reached (t = ∞).
      s, a0, layers: as in `learning_curve`.
    Returns:
      An array of a's shape, in float64; a number for a number.
    Raises:
      TypeError: layers is not an integer, or s or a0 not a number.
      ValueError: a number lies outside of these limits.
    Source: Saxe, McClelland, Ganguli 2013.

    >>> learning_time(1.5, s=3, a0=0.01).round(6).item()
    0.950074
    >>> chains = [learning_time(0.5, s=1, a0=0.5**L, layers=L) for L in (2, 5, 10)]
    >>> [t.round(6).item() for t in chains]
    [0.549306, 2.493403, 32.144391]
    """
    a = reals("a", a, meaning="strengths")
    s, a0 = _strengths(s, a0)
    layers = checks.integer("layers", layers, 1, meaning="how many layers have weights")
    if not np.all((a >= a0) & (a <= s)):
        raise ValueError(f"a is {a}; it must be from a0 = {a0:g} to s = {s:g}, as the curve is")
    if layers == 2:
        return np.log(a / a0 * _over(s - a0, s - a)) / (2 * s)
    if layers == 1:
        return np.log(_over(s - a0, s - a))

    def F(a: Data) -> Data:
        w = a ** (1 / layers)
        first = w ** (2 - layers) / (2 - layers)
        second = w * w / (2 * s) * hyp2f1(1, 2 / layers, 1 + 2 / layers, a / s)
        return (first + second) / s

    return np.maximum(F(a) - F(np.float64(a0)), 0.0)


def chain_curvature(w: Real, y: Real, layers: int) -> Curvature:
    """Eigenvalues of the Hessian of ½ (w_1 ⋯ w_L − y)² where all L weights are w.

        r = (wᴸ − y) w^(L−2):        −r, L − 1 times;        L w^(2L−2) + (L − 1) r

    Before the target is reached (0 < wᴸ < y) the first are positive; beyond it they are negative.

    Args:
      w: the weight, any finite number.
      y: the target.
      layers: L, at least 2.
    Raises:
      TypeError: layers is not an integer, or w or y not a number.
      ValueError: a number is not finite, or L < 2.

    >>> chain_curvature(w=1, y=0.5, layers=5)
    Curvature(together=7.0, apart=-0.5, multiplicity=4)
    """
    w = checks.number("w", w, meaning="the weight of every layer")
    y = checks.number("y", y, meaning="the target")
    layers = checks.integer("layers", layers, 2, meaning="how many layers have weights")
    with np.errstate(over="ignore"):  # ∞ where Python's ** raises
        power = np.float64(w) ** (layers - 2)
        r = float((power * w * w - y) * power)
        together = float(layers * (power * w) ** 2 + (layers - 1) * r)
    return Curvature(together, -r, layers - 1)


def _over(x: Data, y: Data) -> Data:
    """x / y for x > 0, y ≥ 0, where 0 gives ∞ without a warning."""
    with np.errstate(divide="ignore"):
        return np.divide(x, y)


def _strengths(s: Thing, a0: Thing) -> tuple[float, float]:
    s = checks.number("s", s, above=0, meaning="the strength of the mode")
    a0 = checks.number(
        "a0", a0, above=0, below=s, meaning="the strength at the start, below s; 0 never learns"
    )
    return s, a0
