"""What happens in every layer on the way, before any fixed point is reached."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from jnn import checks
from jnn.activations import ActivationLike
from jnn.checks import Data, Real
from jnn.equality import by_value
from jnn.theory.mean_field.maps import SCAN, check_point, on_scan, within


@by_value
class Signals(NamedTuple):
    """Of layers 1 … depth of a wide network."""

    q: np.ndarray  # (depth,): the mean square of z
    state2: np.ndarray  # (depth,): the mean square of x
    # (depth,): ½ ln χ_l, what a layer does to ln ‖λ‖ on the way back through it
    log_gradient: np.ndarray
    state: np.ndarray  # (depth,): the mean of x


def signals(
    depth: int,
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: Real,
    sigma_b2: Real,
    start: tuple[Real, Real] = (1.0, 0.0),
    residual: bool = False,
) -> Signals:
    """Lengths of signals and multipliers of gradients, layer by layer, xₗ = h(zₗ) [+ xₗ₋₁].

        qₗ = σ_w² mₗ₋₁ + σ_b²,                       z ~ N(0, qₗ)
        mₗ = E[h²] [+ mₗ₋₁ + 2 E[h] E[xₗ₋₁]],        χₗ = σ_w² E[h'²] [+ 1]

    Args:
      depth: how many layers, at least 1.
      activation: a name or a function.
      sigma_w2, sigma_b2: weight variance times fan-in, and bias variance.
      start: mean square m_0 and mean of the entries of what comes in.
      residual: whether the layers add their input.
    Raises:
      TypeError: depth is not an integer, or another argument of the wrong kind.
      ValueError: a number lies outside of its limits.
    Source: Poole et al. 2016; Yang and Schoenholz 2017 for residual layers.

    >>> tanh = signals(200, "tanh", sigma_w2=1.5, sigma_b2=0.05)
    >>> round(float(tanh.q[-1]), 6), round(float(np.exp(2 * tanh.log_gradient[-1])), 6)
    (0.418037, 0.938636)
    """
    depth = checks.integer("depth", depth, 1, 10**7, meaning="how many layers")
    sigma_w2, sigma_b2 = check_point(activation, sigma_w2, sigma_b2)
    residual = checks.flag("residual", residual)
    m, mean = _start(start)
    value2, slope2, value = _splines(activation)
    rows: list[tuple[float, ...]] = []
    for _ in range(depth):
        q = within(sigma_w2 * m + sigma_b2)
        log_q = np.log(q)
        h = float(value(log_q)) * q**0.5
        h2 = float(np.exp(value2(log_q)))
        χ = sigma_w2 * float(slope2(log_q))
        if residual:
            h2 += m + 2 * h * mean
            h += mean
            χ += 1
        m, mean = h2, h
        rows.append((q, m, 0.5 * np.log(χ) if χ > 0 else -np.inf, mean))
        # a fixed point, to the last bit
        if len(rows) > 1 and not residual and rows[-1] == rows[-2]:
            rows += (depth - len(rows)) * [rows[-1]]
            break
    return Signals(*np.array(rows).T)


def _start(start: Data) -> tuple[float, float]:
    if not isinstance(start, (tuple, list, np.ndarray)) or len(start) != 2:
        raise ValueError(
            f"start is {checks.short(repr(start))}; it must be a pair: the mean square and the "
            "mean of what comes in"
        )
    m = checks.number("start[0]", start[0], least=0, meaning="the mean square of what comes in")
    mean = checks.number("start[1]", start[1], meaning="the mean of what comes in")
    return m, mean


@lru_cache(maxsize=32)
def _splines(activation: ActivationLike) -> tuple[Callable[[Data], Data], ...]:
    """ln E[h²], E[h'²] and E[h]/√q as functions of ln q, good to 1e-6."""
    at = on_scan(activation)
    log_q = np.log(SCAN)
    logs = np.log(np.maximum(at.value2, 1e-300))
    return (
        CubicSpline(log_q, logs),
        CubicSpline(log_q, at.slope2),
        CubicSpline(log_q, at.value / np.sqrt(SCAN)),
    )
