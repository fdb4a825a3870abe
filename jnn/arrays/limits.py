"""Arrays of real numbers within limits, and variances."""

import math

import numpy as np

from jnn import checks
from jnn.arrays.gate import numbers
from jnn.checks import Data, Real


def reals(
    name: str,
    values: Data,
    *,
    least: Real = -math.inf,
    above: Real = -math.inf,
    most: Real = math.inf,
    finite: bool = True,
    meaning: str,
) -> np.ndarray:
    """The values in float64, of any shape: real numbers within limits, none of them NaN.

    Args:
      name: of the argument.
      values: what was given.
      least, above, most: limits, of which `least` and `most` may be reached.
      finite: whether ∞ is refused.
      meaning: what the numbers are, said at the end of the sentence.
    Raises:
      TypeError: they are not real numbers; True and False are none.
      ValueError: one is NaN, infinite, or out of range.

    >>> reals("q", [1, 2], least=0, meaning="mean squares").tolist()
    [1.0, 2.0]
    >>> reals("c", 1.5, least=-1, most=1, meaning="correlations")
    Traceback (most recent call last):
      ...
    ValueError: c is 1.5; it must be finite and at least -1 and at most 1: correlations
    """
    came = f"{name} is {checks.short(repr(values))}; it must be"
    given = numbers(name, values)
    if given.dtype.kind == "b":
        raise TypeError(f"{came} a number, or an array of numbers: {meaning}")
    array = given.astype(np.float64)
    allowed = (array >= least) & ((array > above) | (above == -math.inf)) & (array <= most)
    if finite:
        allowed &= np.isfinite(array)
    if not allowed.all():
        limits = (("at least", least), ("above", above), ("at most", most))
        bounds = [f"{words} {limit:g}" for words, limit in limits if math.isfinite(limit)]
        words = ["finite", *bounds] if finite else bounds
        raise ValueError(f"{came} {' and '.join(words) or 'no NaN'}: {meaning}")
    return array


def variances(sigma_w2: Data, sigma_b2: Data) -> tuple[np.ndarray, np.ndarray]:
    """Weight variances times fan-in and bias variances, in float64, of any shapes.

    Raises:
      TypeError: one of them is not of real numbers.
      ValueError: a weight variance is not positive, a bias variance negative, or one is not finite.

    >>> variances(-1, 0)
    Traceback (most recent call last):
      ...
    ValueError: sigma_w2 is -1; it must be finite and above 0: weight variance times fan-in
    """
    w = reals("sigma_w2", sigma_w2, above=0, meaning="weight variance times fan-in")
    return w, reals("sigma_b2", sigma_b2, least=0, meaning="bias variance")
