"""Chains of width one, and how their gradients vanish.

xₗ = h(wₗ xₗ₋₁ + bₗ), δₗ = h'(wₗ xₗ₋₁ + bₗ): a product of numbers instead of matrices,
∂x_N/∂x_0 = ∏ wₗ δₗ.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jnn import activations, checks
from jnn.activations import ActivationLike, Elementwise
from jnn.arrays.limits import reals
from jnn.checks import Data, Real, Thing
from jnn.theory.gaussian import double


def log_gradient_bound(w: Data, activation: ActivationLike = "sigmoid") -> float:
    """ln of the limit |∂x_N/∂b_1| ≤ σᴴ ∏ |wₗ|, σ = sup |h'|: 4⁻ᴴ ∏ |wₗ| for the sigmoid.

    Args:
      w: (w_2, …, w_N), the weights behind the first bias, the readout's the last: as many as there
        are hidden layers.
      activation: of the hidden layers.
    Raises:
      ValueError: w is not (H,) or not finite, or the slope has no limit.

    >>> round(float(np.exp(log_gradient_bound([1.0, 1.0, 2.0]))), 8), 2 * 4**-3
    (0.03125, 0.03125)
    """
    w = reals("w", w, meaning="weights")
    if w.ndim != 1:
        raise ValueError(f"w has shape {w.shape}; expected (H,): one weight for each hidden layer")
    # a weight of 0 lets nothing through
    with np.errstate(divide="ignore"):
        return float(np.sum(np.log(np.abs(w))) + w.size * np.log(_largest_slope(activation)))


def _largest_slope(activation: ActivationLike) -> float:
    """sup |h'|, on a grid as fine as 1e-3 about 0 and reaching to 1e6."""
    z = np.sinh(np.linspace(-15, 15, 30_001))
    slopes = np.abs(double(activations.resolve(activation).slope, z))
    within = slopes[np.abs(z) <= 1e3].max()
    beyond = slopes.max()
    if not beyond <= within * (1 + 1e-6):
        raise ValueError(
            f"the slope of activation {activation!r} has no limit: it grows to {beyond:.3g}"
        )
    return float(beyond)


def last_depth(dtype: Thing, ratio: Real = 0.25) -> float | int:
    """The largest H with ratioᴴ ≠ 0 in a dtype's arithmetic.

    In deeper networks a gradient that shrinks by this ratio is exactly 0. ratio = |w δ| of one
    layer; ¼ is the most that a sigmoid lets through at w = 1. XLA on a CPU computes 16 bits in
    float32, and flushes what is below the smallest normal number of float32 or float64 to 0. So
    float32 and bfloat16 end at 2⁻¹²⁶ = 4⁻⁶³, float64 at 2⁻¹⁰²² = 4⁻⁵¹¹; float16 goes through its
    subnormal numbers down to 2⁻²⁴ = 4⁻¹².

    Args:
      dtype: float16, bfloat16, float32 or float64.
      ratio: positive; where it is 1 or more, H = ∞. In 16 bits the rounding of every product may
        stop the fall: ∞ too.
    Raises:
      TypeError: the dtype is none of these, or the ratio is not a number.
      ValueError: the ratio is not positive and finite.

    >>> [last_depth(dtype) for dtype in ("float32", "bfloat16", "float64", "float16")]
    [63, 63, 511, 12]
    """
    # checks.floating_dtype refuses float64 where x64 is off, but nothing is computed in it here
    try:
        kind = None if dtype is None else jnp.finfo(jnp.dtype(dtype))  # None would be float64
    except (TypeError, ValueError):
        kind = None
    if kind is None or kind.bits not in (16, 32, 64):
        raise TypeError(f"dtype is {dtype!r}; it must be float16, bfloat16, float32 or float64")
    ratio = checks.number("ratio", ratio, above=0, meaning="what a gradient is multiplied by")
    if ratio >= 1:
        return math.inf
    computed = jnp.finfo(jnp.float32) if kind.bits == 16 else kind
    least = max(float(kind.smallest_subnormal), float(computed.tiny))
    if kind.bits > 16:
        return math.floor(math.log(least) / math.log(ratio) * (1 + 1e-14))
    H, g, before = 0, 1.0, 0.0
    while g >= least:
        if g == before:
            return math.inf
        before = g
        g = float(np.asarray(g * ratio).astype(kind.dtype))
        H += 1
    return H - 1


class FixedPoint(NamedTuple):
    """A state that equal layers reproduce, and the factor of small deviations and gradients."""

    x: float
    multiplier: float  # w h'(w x + b); attracting where it is below 1 in size


def fixed_points(
    w: Real, b: Real, activation: ActivationLike = "sigmoid"
) -> tuple[FixedPoint, ...]:
    """The fixed points x = h(w x + b), rising, with their multipliers w δ.

    Every crossing on a grid of 100,000 cells over the range of h (over ±1,000 at most), bisected to
    rounding. Where the two curves only touch there is none to be seen.

    Raises:
      TypeError: w or b is not a number.
      ValueError: w or b is not finite, or the activation is unknown.

    >>> [tuple(round(number, 10) for number in point) for point in fixed_points(1, 0)]
    [(0.6590460684, 0.2247043481)]
    >>> [point.x for point in fixed_points(2, 0, "tanh")][1]
    0.0
    """
    w = checks.number("w", w, meaning="the weight of every layer")
    b = checks.number("b", b, meaning="the bias of every layer")
    h = activations.resolve(activation)

    def gap(x: np.ndarray) -> np.ndarray:
        return double(h.value, w * x + b) - x

    values = np.clip(double(h.value, np.linspace(-1e3, 1e3, 20_001)), -1e3, 1e3)
    middle = (values.min() + values.max()) / 2
    half = (values.max() - values.min()) / 2 + 1e-3
    x = middle + half * np.linspace(-1, 1, 100_001)
    roots = np.sort(np.concatenate([x[gap(x) == 0], _crossings(gap, x)]))
    slopes = double(h.slope, w * roots + b)
    return tuple(FixedPoint(float(r), float(w * δ)) for r, δ in zip(roots, slopes, strict=True))


# Of the grid in u = asinh(z/σ_b), that ends at z = 1e26 σ_b: panels of Gauss–Legendre nodes.
_EDGES = np.arange(0, 60.5, 0.5)
_NODES = 10


def gradient_fall(
    activation: ActivationLike = "sigmoid", *, sigma_w2: Real = 1.0, sigma_b2: Real = 1.0
) -> float:
    """By how much ln |∂x_N/∂b_1| falls per layer on average, −E ln |w δ|.

    Here w ~ N(0, σ_w²) and b ~ N(0, σ_b²). The average is over the stationary law of
    z = w h(z') + b, whose density p is even and solves

        p(z) = ∫ N(z; 0, σ_w² h(z')² + σ_b²) p(z') dz',
        fall = (γ + ln 2)/2 − ln σ_w − E ln |h'(z)|,

    a linear system on Gauss–Legendre nodes in asinh(z/σ_b), for where h has no bounds the tails of
    p are powers of z. Activations that are smooth on either side of 0 come out to 1e-8, those with
    other kinks to 1e-3 or so.

    Args:
      activation: a name or a function.
      sigma_w2, sigma_b2: variances of weight and bias, positive.
    Returns:
      The fall, negative where gradients grow; ∞ where h' is 0 on an interval, as of relu.
    Raises:
      TypeError: a variance is not a number.
      ValueError: a variance is not positive, or the states have no stationary law: they grow
        without limit.

    >>> round(gradient_fall("sigmoid"), 6)
    2.307585
    """
    sigma_w2 = checks.number("sigma_w2", sigma_w2, above=0, meaning="variance of the weights")
    sigma_b2 = checks.number("sigma_b2", sigma_b2, above=0, meaning="variance of the biases")
    law = _stationary_law(activation, sigma_w2, sigma_b2)
    slope = activations.resolve(activation).slope
    total = sum(_mean_log_slope(slope, law, math.sqrt(sigma_b2), sign) for sign in (1, -1))
    return float((np.euler_gamma + math.log(2)) / 2 - math.log(sigma_w2) / 2 - total)


class _Law(NamedTuple):
    """The stationary law of |z|, on the nodes."""

    probabilities: np.ndarray  # (nodes,)
    variances: np.ndarray  # (2, nodes), after the state at a node and after its mirror image
    reach: float  # of u = asinh(z/σ_b); beyond, all is rounding


def _density(z: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(z, nodes): of |z| after a state at a node or, as likely, at its mirror image."""
    each = [np.exp(-(z[:, None] ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v) for v in variances]
    return np.sum(each, 0)


def _stationary_law(activation: ActivationLike, sigma_w2: float, sigma_b2: float) -> _Law:
    h = activations.resolve(activation).value
    σ_b = math.sqrt(sigma_b2)
    t, weights = np.polynomial.legendre.leggauss(_NODES)
    u, half = _on_pieces(_EDGES, t)
    z = σ_b * np.sinh(u)
    dz = half * np.tile(weights, len(_EDGES) - 1) * σ_b * np.cosh(u)
    variances = sigma_w2 * double(h, np.stack([z, -z])) ** 2 + sigma_b2
    P = _density(z, variances) * dz[:, None]
    # P p = p and Σ p = 1
    p = np.linalg.solve(np.eye(len(z)) - P + 1, np.ones(len(z)))
    if not 1 - P.sum(0) @ p < 1e-4:
        raise ValueError(
            f"with sigma_w2={sigma_w2} the states of {activation!r} have no stationary law, or "
            "too wide a one: they grow without limit; take a smaller sigma_w2, or a "
            "larger sigma_b2"
        )
    reach = float(u[np.flatnonzero(np.cumsum(p[::-1])[::-1] > 1e-13)[-1]])
    return _Law(p, variances, reach)


def _mean_log_slope(slope: Elementwise, law: _Law, sigma_b: float, sign: int) -> float:
    """The integral of ln |h'(z)| over the z of one sign."""

    def slope_at(u: np.ndarray) -> np.ndarray:
        return double(slope, sign * sigma_b * np.sinh(u))

    # tanh–sinh, for ln |h'| has poles where h' has zeros
    τ = np.linspace(-2.8, 2.8, 45)
    t = np.tanh(np.pi / 2 * np.sinh(τ))
    weights = np.pi / 2 * np.cosh(τ) / np.cosh(np.pi / 2 * np.sinh(τ)) ** 2
    edges = np.append(_EDGES[law.reach > _EDGES], law.reach)
    zeros = _crossings(slope_at, np.arange(0, law.reach, 0.01))
    u, half = _on_pieces(np.union1d(edges, zeros), t)
    z = sigma_b * np.sinh(u)
    dz = half * sigma_b * np.cosh(u) * np.tile(weights * (τ[1] - τ[0]), len(u) // len(τ))
    mass = (_density(z, law.variances) @ law.probabilities) * dz / 2
    log_δ = _log_slope(slope, sign * z)
    return float(np.sum(mass[mass > 0] * log_δ[mass > 0]))


def _on_pieces(edges: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes t ∈ [−1, 1] on every piece between edges, and half its length for each of them."""
    middle = (edges[:-1, None] + edges[1:, None]) / 2
    half = (edges[1:, None] - edges[:-1, None]) / 2
    return (middle + half * t).ravel(), np.repeat(half.ravel(), len(t))


def _crossings(f: Callable[[np.ndarray], np.ndarray], grid: np.ndarray) -> np.ndarray:
    """Where f changes sign between neighbours of a grid, bisected to rounding."""
    signs = np.sign(f(grid))
    at = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    low, high = grid[at], grid[at + 1]
    for _ in range(60):
        middle = (low + high) / 2
        left = np.sign(f(middle)) == signs[at]
        low = np.where(left, middle, low)
        high = np.where(left, high, middle)
    return (low + high) / 2


def _log_slope(slope: Elementwise, z: np.ndarray) -> np.ndarray:
    """ln |h'(z)| for z outwards from 0, where a slope fades carried on as a parabola.

    The slope of tanh, 1 − t², ends in noise near 1e-16, that of gelu underflows: ln |h'| is −2 |z|
    and −z²/2 there.
    """
    δ = np.abs(double(slope, z))
    with np.errstate(divide="ignore"):
        log_δ = np.log(δ)
    noisy = δ[δ > 0].min(initial=1.0) > 1e-30
    floor = 1e-9 if noisy else 1e-290
    told = np.flatnonzero(δ >= floor)
    if told.size == 0 or δ[-1] >= floor:
        return log_δ
    k = told[-1]
    near = np.linspace(z[k] / 2, z[k + 1], 4001)
    fading = np.abs(double(slope, near))
    first = np.flatnonzero(fading >= floor**0.8)[-1]
    last = np.flatnonzero(fading >= floor)[-1]
    # no fading but a step to 0: relu
    if fading[last] > 1e3 * floor or last - first < 2:
        return log_δ
    at = [first, (first + last) // 2, last]
    parabola = np.polyfit(near[at] - near[last], np.log(fading[at]), 2)
    return np.concatenate([log_δ[: k + 1], np.polyval(parabola, z[k + 1 :] - near[last])])
