"""What finite width does: the law of a relu network's Jacobian, and dead networks.

Relu layers without biases, weights symmetric about zero, independent; for `relu_law` Gaussian with
variance 2/fan_in (He). `jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")` draws those;
"he_normal" cuts the Gaussian off.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, loggamma, polygamma, psi

from jnn import checks, memory
from jnn.arrays.limits import reals
from jnn.checks import Data, Thing
from jnn.equality import by_value

# ---- the Jacobian of a relu network before training ----


class Law(NamedTuple):
    """Of |Ju|², u a unit vector; mean and variance given that the network is alive at the input."""

    mean: float  # E ln |Ju|²
    variance: float  # Var ln |Ju|²
    log_second_moment: float  # ln E |Ju|⁴, the dead ones counted as 0
    dead: float  # the probability that every slope of some layer is 0


@by_value
class Distribution(NamedTuple):
    """Of ln |Ju|² at x, given that the network is alive at the input."""

    density: Data  # of the shape of x, in float64; a number for a number
    cdf: Data  # the same, the distribution function


def relu_law(sizes: Sequence[int]) -> Law:
    """Mean and variance of ln |Ju|² of a relu network of He's weights, exactly, for |u| = 1.

        |Ju|² = n_H/n_0 ∏ Rₗ,        Rₗ = (2/nₗ) χ²_K, K ~ Binomial(nₗ, ½), independent,
                                     E Rₗ = 1, E Rₗ² = 1 + 5/nₗ

    Given K = k ≥ 1, ln Rₗ has the mean ln(4/nₗ) + ψ(k/2) and the variance ψ'(k/2). What grows with
    depth is the variance, about 5/n a layer where n is large: gradients explode and vanish unless
    Σ 1/nₗ is small.

    Args:
      sizes: (n_0, …, n_H), all layers relu: a jnn network without its readout, `params[:-1]`.
        (n, n) is R itself.
    Raises:
      ValueError: sizes are not at least two positive integers.
    Source: Hanin 2018; Hanin and Nica 2019.

    >>> law = relu_law([10, 10])
    >>> round(law.mean, 6), round(law.variance, 6), round(float(np.exp(law.log_second_moment)), 6)
    (-0.307461, 0.866734, 1.5)
    """
    n = checks.sizes(sizes)
    scale = np.log(n[-1] / n[0])
    layers = [_layer(n_l) for n_l in n[1:]]
    return Law(
        mean=float(scale + sum(mean for mean, _ in layers)),
        variance=float(sum(variance for _, variance in layers)),
        log_second_moment=float(2 * scale + np.sum(np.log1p(5 / np.array(n[1:])))),
        dead=dead_probability(n[1:]),
    )


def relu_distribution(x: Data, sizes: Sequence[int]) -> Distribution:
    """Density and distribution function of ln |Ju|² at x, exactly (see `relu_law`).

    Both from the characteristic function φ(t) = E |Ju|^{2it}, a product over layers of
    E (4/n)^{it} Γ(K/2 + it)/Γ(K/2), by the midpoint rule on Gil-Pelaez' integral,
    F(x) = ½ − (1/π) ∫ Im(e^{−itx} φ(t)) dt/t, which converges exponentially: 1e-8 and better.

    Args:
      x: values of ln |Ju|², of any shape.
      sizes: as in `relu_law`.
    Raises:
      ValueError: as in `relu_law`, or x is not finite.

    >>> law = relu_law([4, 4, 4])
    >>> relu_distribution(law.mean, [4, 4, 4]).cdf.round(4).item()  # skewed to the left
    0.4162
    """
    n = checks.sizes(sizes)
    x = reals("x", x, meaning="values of ln |Ju|²")
    law = relu_law(n)
    deviation = np.sqrt(law.variance)
    # beyond, less than e^-50 is left
    x = np.clip(x - law.mean, -50 * deviation, 50 * deviation)
    # the rule's error is the probability beyond x ± 2π/step
    step = 2 * np.pi / (110 * deviation)
    t = (np.arange(int(max(14 / deviation, 35 / len(n[1:])) / step) + 1) + 0.5) * step
    # about the mean
    log_φ = 1j * t * (np.log(n[-1] / n[0]) - law.mean)
    widths, counts = np.unique(n[1:], return_counts=True)
    for n_l, count in zip(widths.tolist(), counts, strict=True):
        k, p = _alive(n_l)
        terms = loggamma(k[:, None] / 2 + 1j * t) - loggamma(k[:, None] / 2)
        # φ may fall to 0 at the end
        with np.errstate(divide="ignore"):
            log_φ = log_φ + count * (1j * t * np.log(4 / n_l) + np.log(p @ np.exp(terms)))
    turned = np.exp(log_φ - 1j * x[..., None] * t)
    density = turned.real.sum(-1) * step / np.pi
    cdf = 0.5 - (turned.imag / t).sum(-1) * step / np.pi
    return Distribution(np.maximum(density, 0.0), np.clip(cdf, 0.0, 1.0))


def _alive(n: int) -> tuple[np.ndarray, np.ndarray]:
    """K and its probabilities, K ~ Binomial(n, ½) given K ≥ 1, out to 14 standard deviations."""
    reach = 7 * math.isqrt(n) + 1
    memory.check(f"the law of a layer of width {n:,}", 16 * reach, "take a smaller width")
    k = np.arange(max(1, n // 2 - reach), min(n, n // 2 + reach) + 1)
    log_p = -gammaln(k + 1) - gammaln(n - k + 1)
    p = np.exp(log_p - log_p.max())
    return k, p / p.sum()


def _layer(n: int) -> tuple[float, float]:
    """Mean and variance of ln R."""
    k, p = _alive(n)
    log_k = psi(k / 2)
    mean = p @ log_k
    return np.log(4 / n) + mean, p @ (polygamma(1, k / 2) + (log_k - mean) ** 2)


# ---- dead networks ----


def dead_probability(widths: Sequence[int]) -> float:
    """The probability that a relu network is dead at one point x ≠ 0, 1 − ∏ₗ (1 − 2^−nₗ).

    All slopes of some layer are 0 there, so there is no gradient.

    Args:
      widths: (n_1, …, n_H) of the hidden layers.
    Raises:
      ValueError: widths are not positive integers.

    >>> round(dead_probability([1] * 3), 12)
    0.875
    """
    n = np.array(_widths(widths), np.float64)
    # exact to rounding where it is tiny, too
    return float(0 - np.expm1(np.sum(np.log1p(-np.exp2(-n)))))


class BornDead(NamedTuple):
    """The probability that a network is constant."""

    lower: float
    exact: float | None  # None where only the limits are known
    upper: float


def born_dead(widths: Sequence[int]) -> BornDead:
    """How likely a relu network of one input is constant on the whole line from the start.

    Its weights are Gaussian. On either side of 0 the network is linear, and each side dies as a
    point does: upper = 1 − ∏ (1 − 2^−nₗ). Both must die. Let θ be the angle between the two vectors
    of states, and q = (π − θ)/2π the probability that a neuron serves both. A layer of width n
    kills both with qⁿ, and leaves them alive and apart with 1 − 2^(1−n) − (n−1) qⁿ; one left alone,
    or two grown parallel, dies with 2^−n. Fewest die where θ = π/2 throughout: lower (Lu et al.
    2019).

    It is exact at width one, where no two sides survive: 1 − 2^−(H−1). Up to width two, it follows
    from the law of θ, a Markov chain, by quadrature to 1e-7.

    Args:
      widths: (n_1, …, n_H) of the hidden layers.
    Raises:
      ValueError: widths are not positive integers.
    Source: Lu, Shin, Su, Karniadakis 2019.

    >>> born_dead([1] * 9).exact, 1 - 2**-8
    (0.99609375, 0.99609375)
    >>> tuple(round(p, 4) for p in born_dead([2] * 9))
    (0.8703, 0.8798, 0.9249)
    """
    n = _widths(widths)
    # the first layer kills neither side: every one of its neurons serves one of them
    single = 2.0 ** (1 - n[0])
    apart = 1 - single
    dead = 0.0
    for n_l in n[1:]:
        one, both = 2.0**-n_l, 0.25**n_l
        dead += apart * both + single * one
        single = single * (1 - one) + apart * (2 * one + (n_l - 2) * both)
        apart *= 1 - 2 * one - (n_l - 1) * both
    exact = _born_dead_of_two(n) if max(n) <= 2 else None
    return BornDead(dead, exact, dead_probability(n))


_DEGREE, _GAUSS = 12, 24


def _born_dead_of_two(widths: Sequence[int]) -> float:
    """From the last layer back: v(θ), the probability that of two sides at an angle θ one lives."""
    θ = np.pi / 4 * (1 + np.cos(np.pi * (np.arange(_DEGREE) + 0.5) / _DEGREE))
    q = (1 - θ / np.pi) / 2
    nodes = _chebyshev(θ)
    moments = _next_angle(θ)
    single = 1.0
    v = np.ones(_DEGREE)
    for n in reversed(widths[1:]):
        if n == 1:
            v = (1 - q) * single
            single /= 2
        else:
            c = np.linalg.solve(nodes, v)
            # one left alone: ½ − 2q²; both through the same neuron alone: 2q²; through one neuron
            # each: 2(½ − q)²
            v = single / 2 + moments @ c + 2 * (0.5 - q) ** 2 * np.sum(c)
            single *= 0.75
    # at θ = π/2, where every polynomial is 1
    right = float(np.sum(np.linalg.solve(nodes, v)))
    return 1 - (single if widths[0] == 1 else (single + right) / 2)


def _chebyshev(angles: np.ndarray) -> np.ndarray:
    """T_0 … of angles in [0, π/2]."""
    return np.polynomial.chebyshev.chebvander(4 * np.abs(angles) / np.pi - 1, _DEGREE - 1)


def _next_angle(angles: np.ndarray) -> np.ndarray:
    """E[T_k(θ')] from θ through two neurons, of which one or both serve both sides.

    The other serves at least one side. A neuron is a Gaussian vector in the plane of the two:
    uniform angles α and β, and tan φ the ratio of their lengths.
    """
    t, weights = np.polynomial.legendre.leggauss(_GAUSS)
    t, weights = (t + 1) / 2, weights / 2
    θ = angles[:, None, None, None]
    s, r, φ = t[:, None, None], t[:, None], np.pi / 2 * t
    density = weights[:, None, None] * weights[:, None] * weights * np.pi / 2 * np.sin(2 * φ)
    first = θ - np.pi / 2
    q = (1 - θ / np.pi) / 2

    def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.arctan2(np.sin(φ) * np.cos(b), np.cos(φ) * np.cos(a))

    α = first + (np.pi - θ) * s
    β = first + (np.pi - θ) * s * r  # β < α: half of the cases
    both = _chebyshev(angle(α - θ, β - θ) - angle(α, β)) * (q**2 * 2 * s * density)[..., None]
    one = _chebyshev(angle(α, first - θ * r)) * (4 * q * (0.5 - q) * density)[..., None]
    return np.sum(both + one, axis=(1, 2, 3))


def _widths(widths: Thing) -> tuple[int, ...]:
    """As `checks.sizes`, which counts the input too."""
    listed = hasattr(widths, "__iter__") and not isinstance(widths, (str, bytes, dict))
    return checks.sizes([1, *widths] if listed else widths)[1:]
