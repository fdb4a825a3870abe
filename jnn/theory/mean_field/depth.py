"""What happens in every layer on the way, before any fixed point is reached; residual layers included."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from jnn.activations import ActivationLike
from jnn.theory.mean_field.maps import SCAN, check, on_scan, within


class Signals(NamedTuple):
    """Of layers 1 … depth of a wide network."""

    q: np.ndarray  # (depth,): the mean square of z
    state2: np.ndarray  # (depth,): the mean square of x
    log_gradient: np.ndarray  # (depth,): ½ ln χ_l, what a layer does to ln ‖λ‖ on the way back through it
    state: np.ndarray  # (depth,): the mean of x


def signals(
    depth: int,
    activation: ActivationLike = "tanh",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int,
    start: tuple[float, float] = (1.0, 0.0),
    residual: bool = False,
) -> Signals:
    """Lengths of signals and multipliers of gradients, layer by layer, xₗ = h(zₗ) [+ xₗ₋₁].

        qₗ = σ_w² mₗ₋₁ + σ_b²,     mₗ = E[h²] [+ mₗ₋₁ + 2 E[h] E[xₗ₋₁]],     χₗ = σ_w² E[h'²] [+ 1],      z ~ N(0, qₗ)

    Args:
      depth: how many layers.
      activation: a name or a function.
      sigma_w2, sigma_b2: weight variance times fan_in, and bias variance.
      start: mean square m_0 and mean of the entries of what comes in.
      residual: whether the layers add their input.
    Raises:
      ValueError: a variance is negative, or depth is not positive.
    Source: Poole et al. 2016; Yang and Schoenholz 2017 for residual layers.

    >>> found = signals(200, "tanh", sigma_w2=1.5, sigma_b2=0.05)
    >>> round(float(found.q[-1]), 6), round(float(np.exp(2 * found.log_gradient[-1])), 6)
    (0.418037, 0.938636)
    """
    check(activation, sigma_w2, sigma_b2)
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    value2, slope2, value = _splines(activation)
    (m, mean), rows = start, []
    for _ in range(depth):
        q = within(sigma_w2 * m + sigma_b2)
        at = np.log(q)
        h = float(value(at)) * q**0.5
        m = float(np.exp(value2(at))) + (m + 2 * h * mean if residual else 0)
        mean = h + mean if residual else h
        χ = sigma_w2 * float(slope2(at)) + residual
        rows.append((q, m, 0.5 * np.log(χ) if χ > 0 else -np.inf, mean))
        if len(rows) > 1 and not residual and rows[-1] == rows[-2]:  # a fixed point, to the last bit
            rows += (depth - len(rows)) * [rows[-1]]
            break
    return Signals(*np.array(rows).T)


@lru_cache(maxsize=32)
def _splines(activation: ActivationLike) -> tuple[Callable[[Any], Any], ...]:
    """ln E[h²], E[h'²] and E[h]/√q as functions of ln q, good to 1e-6."""
    at, log_q = on_scan(activation), np.log(SCAN)
    logs = np.log(np.maximum(at.value2, 1e-300))
    return CubicSpline(log_q, logs), CubicSpline(log_q, at.slope2), CubicSpline(log_q, at.value / np.sqrt(SCAN))
