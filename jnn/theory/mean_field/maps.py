"""The maps of length and correlation from layer to layer, and the length they lead to."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.optimize import elementwise

from jnn import activations, checks, memory
from jnn.activations import ActivationLike
from jnn.arrays.limits import reals, variances
from jnn.checks import Data, Real
from jnn.theory import gaussian
from jnn.theory.gaussian import mean_square, moments


def length_map(
    q: Data, activation: ActivationLike = "tanh", *, sigma_w2: Real, sigma_b2: Real
) -> Data:
    """V(q) = σ_w² E[h(√q z)²] + σ_b², the length of the next layer, for q of any shape.

    Raises:
      TypeError: a variance is not a number.
      ValueError: q is negative, a variance out of its limits, or the activation unknown.

    >>> float(length_map(1.0, "tanh", sigma_w2=1, sigma_b2=0).round(6))
    0.394294
    """
    w, b = check(activation, sigma_w2, sigma_b2)
    return w * moments(activation, _lengths(q)).value2 + b


def correlation_map(
    c: Data,
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: Real,
    sigma_b2: Real,
    q: Real | None = None,
) -> Data:
    """C(c), the correlation in the next layer of two inputs of length q and correlation c.

    Args:
      c: correlations of any shape.
      activation: a name or a function.
      sigma_w2, sigma_b2: weight variance times fan-in, and bias variance.
      q: the length of both; None for q*.
    Raises:
      TypeError: a variance is not a number.
      ValueError: c is outside of [−1, 1], q negative, or a variance out of its limits.

    >>> float(correlation_map(0.6, "relu", sigma_w2=2, sigma_b2=0).round(6))
    0.677548
    """
    sigma_w2, sigma_b2 = check_point(activation, sigma_w2, sigma_b2)
    c = reals("c", c, least=-1, most=1, meaning="a correlation")
    if q is None:
        q = length(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    lengths = _lengths(q)
    if lengths.ndim:
        raise TypeError(f"q has shape {lengths.shape}; it must be one number, the length of both")
    q = within(lengths)
    V = sigma_w2 * float(moments(activation, q).value2) + sigma_b2
    values, _ = gaussian.products(activation)(np.full_like(c, q), np.full_like(c, q), q * c)
    return (sigma_w2 * values + sigma_b2) / V


def through_depth(
    depth: int,
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: Real,
    sigma_b2: Real,
    q: Real = 1.0,
    c: Real = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths q_0 … q_depth and correlations c_0 … c_depth of two inputs.

    Args:
      depth: how many layers.
      activation: a name or a function.
      sigma_w2, sigma_b2: weight variance times fan-in, and bias variance.
      q, c: length and correlation of the inputs.
    Raises:
      TypeError: depth is not an integer, or another argument not a number.
      ValueError: a number lies outside of its limits.

    >>> q, c = through_depth(10, "relu", sigma_w2=2, sigma_b2=0, c=0.6)
    >>> float(q[10].round(6)), float(c[10].round(6))
    (1.0, 0.906611)
    """
    depth = checks.integer("depth", depth, 0, 10**6, meaning="how many layers")
    sigma_w2, sigma_b2 = check_point(activation, sigma_w2, sigma_b2)
    q = checks.number("q", q, least=0, meaning="the mean square of an input")
    c = checks.number("c", c, least=-1, most=1, meaning="the correlation of two inputs")
    lengths, correlations = [np.float64(q)], [np.float64(c)]
    variances = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    for _ in range(depth):
        q, c = lengths[-1], correlations[-1]
        lengths.append(length_map(q, activation, **variances))
        following = correlation_map(c, activation, **variances, q=within(q))
        correlations.append(np.clip(following, -1, 1))
    return np.array(lengths), np.array(correlations)


# lengths between which fixed points are looked for; beyond they count as 0 and ∞
LEAST, MOST = 1e-30, 1e30
SCAN = np.geomspace(LEAST, MOST, 1201)


@lru_cache(maxsize=32)
def on_scan(activation: ActivationLike) -> gaussian.Moments:
    """The moments at every length of SCAN."""
    return moments(activation, SCAN)


def length(
    activation: ActivationLike = "tanh", *, sigma_w2: Data, sigma_b2: Data, start: Real = 1.0
) -> Data:
    """q*, the fixed point of the length map that lengths from `start` end in.

    It is 0 or ∞ where they shrink or grow on.

    Args:
      activation: a name or a function.
      sigma_w2, sigma_b2: numbers or arrays, which broadcast.
      start: the length to start from.
    Raises:
      TypeError: an argument is not a number.
      ValueError: a variance is out of its limits, or start is not positive and finite.

    >>> length("tanh", sigma_w2=0.9, sigma_b2=0), length("relu", sigma_w2=2.1, sigma_b2=0)
    (0.0, inf)
    """
    w, b = np.broadcast_arrays(*check(activation, sigma_w2, sigma_b2))
    what = f"the scan of {w.size:,} pairs of variances for their lengths"
    memory.check(what, 8 * w.size * SCAN.size, "ask for fewer at a time")
    start = checks.number("start", start, above=0, meaning="the length that lengths start from")

    def gap(log_q: np.ndarray, w: np.ndarray, b: np.ndarray) -> Data:
        """V(q)/q − 1."""
        q = np.exp(log_q)
        return (w * mean_square(activation, q) + b) / q - 1

    # on a grid of lengths, the first beyond the start at which the gap has changed its sign, by
    # more than rounding
    at_start = gap(np.full_like(w, math.log(start)), w, b)
    up = at_start > 0
    on_grid = (w[..., None] * on_scan(activation).value2 + b[..., None]) / SCAN - 1
    beyond = np.where(up[..., None], start < SCAN, start > SCAN)
    crossed = beyond & (on_grid * np.sign(at_start)[..., None] < -1e-13)
    first = np.argmax(crossed, -1)
    last = len(SCAN) - 1 - np.argmax(crossed[..., ::-1], -1)
    cell = np.where(up, first, last)
    q = np.where(up, np.inf, 0.0)
    # relu on its critical point keeps every length
    constant = np.abs(at_start) < 1e-14
    q[constant] = start
    ends = crossed.any(-1) & ~constant
    if ends.any():
        near = np.full(ends.sum(), math.log(start))
        q[ends] = np.exp(roots(gap, near, np.log(SCAN[cell[ends]]), w[ends], b[ends]))
    return float(q) if q.ndim == 0 else q


# ---- pieces that its neighbours use, too ----


def within(q: Data) -> float:
    """A length that can be computed with, where q may be 0 or ∞."""
    return min(max(float(q), LEAST), MOST)


def roots(f: Callable[..., Data], low: Data, high: Data, *args: Data) -> Data:
    """Roots between low and high, elementwise (Chandrupatla 1997), to rounding."""
    return elementwise.find_root(
        f, (low, high), args=args, tolerances={"xrtol": 4e-16, "xatol": 1e-15}
    ).x


def check(
    activation: ActivationLike, sigma_w2: Data, sigma_b2: Data
) -> tuple[np.ndarray, np.ndarray]:
    """Validate activation and variances; the variances, in float64."""
    activations.check(activation)
    return variances(sigma_w2, sigma_b2)


def check_point(activation: ActivationLike, sigma_w2: Data, sigma_b2: Data) -> tuple[float, float]:
    """The same, where each variance must be a single number."""
    check(activation, sigma_w2, sigma_b2)
    return checks.number("sigma_w2", sigma_w2), checks.number("sigma_b2", sigma_b2)


def _lengths(q: Data) -> np.ndarray:
    return reals("q", q, least=0, finite=False, meaning="a mean square")
