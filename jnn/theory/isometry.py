"""Isometry: the singular values of a wide network's input–output Jacobian, J = D_L W_L ⋯ D_1 W_1.

A mean squared singular value of 1 (criticality) does not keep single ones from being 0 or huge. In the limit of
width, the eigenvalues of JJᵀ follow from free probability: its S-transform is a product over layers,

    S_JJᵀ = (S_D² S_WWᵀ)^L,        S_WWᵀ(z) = 1/(σ_w² (1 + z)) for Gaussian weights, 1/σ_w² for orthogonal ones,

with D² of the law of h'(√q z)², z ~ N(0, 1) (Pennington, Schoenholz and Ganguli 2017, 2018). Where J has all its
singular values near 1, dynamical isometry, deep networks train fastest; Gaussian weights never get there.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from jnn import activations
from jnn.activations import ActivationLike
from jnn.theory import gaussian, mean_field


def variance(
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int = 0.0,
) -> float:
    """The variance of the eigenvalues of JJᵀ in units of their mean squared: L (μ_2/μ_1² − 1 − s_1).

    μ_k = E[h'(√q* z)^{2k}]; s_1 is −1 for Gaussian weights and 0 for orthogonal ones.

    Args:
      depth: L, how many hidden layers.
      activation: a name or a function.
      weights: "gaussian" or "orthogonal".
      sigma_w2, sigma_b2: of the network, critical ones as a rule (`mean_field.critical`); they set q*.
    Raises:
      ValueError: depth is not positive, weights are of neither kind, or a variance is negative.
    Source: Pennington, Schoenholz and Ganguli 2017, equation 22.

    >>> variance(10, "relu", "gaussian", sigma_w2=2), variance(10, "relu", "orthogonal", sigma_w2=2)
    (20.0, 10.0)
    """
    q = _check(depth, activation, weights, sigma_w2, sigma_b2)
    at = gaussian.moments(activation, q)
    return float(depth * (at.slope4 / at.slope2**2 - 1 + (weights == "gaussian")))


def moments(
    order: int,
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int = 0.0,
) -> np.ndarray:
    """m_1 … m_order, m_k = lim E tr (JJᵀ)ᵏ/n, in the limit of width.

    From the S-transform as a power series: ψ(t) = Σ m_k tᵏ is the inverse of t S(t)/(1 + t).

    Args:
      order: of the last moment, up to 20 or so: they grow fast.
      depth, activation, weights, sigma_w2, sigma_b2: as in `variance`.
    Raises:
      ValueError: as in `variance`, or order is not positive.
    Source: Pennington, Schoenholz and Ganguli 2018.

    >>> moments(3, 1, "identity", sigma_w2=1).round(9).tolist()  # Marchenko–Pastur: Catalan numbers
    [1.0, 2.0, 5.0]
    """
    q = _check(depth, activation, weights, sigma_w2, sigma_b2)
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be an integer of at least 1, got {order!r}")
    z, density, root = gaussian.line(activation, q)
    δ2 = gaussian.double(activations.resolve(activation).slope, root * z) ** 2
    law = np.array([0.0, *(np.sum(density * δ2**k) for k in range(1, order + 1))])
    shifted = np.append([1.0, 1.0], np.zeros(order))[: order + 1]  # 1 + t
    S = _times(shifted, _inverse(law)[1:])  # S(t) = (1 + t)/t · ψ⁻¹(t)
    S_w = np.zeros(order)
    S_w[: 1 if weights == "orthogonal" else order] = 1 / sigma_w2
    if weights == "gaussian":
        S_w *= (-1.0) ** np.arange(order)
    whole = _power(_times(S, S_w), depth)
    inverse = np.zeros(order + 1)
    inverse[1:] = _times(whole, (-1.0) ** np.arange(order))  # t S(t)/(1 + t)
    return _inverse(inverse)[1:]


class Spectrum(NamedTuple):
    """The law of the singular values s of J."""

    s: np.ndarray  # (points,)
    density: np.ndarray  # of s, away from 0
    zeros: float  # the share of exact zeros
    largest: float  # where the law ends


def spectrum(
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int = 0.0,
    points: int = 200,
) -> Spectrum:
    """The density of the singular values of J in the limit of width.

    With M(λ) = λ G(λ) − 1, G the resolvent of JJᵀ, and M = ∫ h'²/(w − h'²) of a complex w, it solves

        λ = (1 + M)/M · (σ_w² w M (1 + M)^s)ᴸ / (1 + M)ᴸ,        s = 1 for Gaussian weights, 0 for orthogonal ones,

    and the density of λ = s² is −Im G/π. Solved for all λ at once by Newton's method, coming down from far above.

    Args:
      depth, activation, weights, sigma_w2, sigma_b2: as in `variance`.
      points: singular values, from 0 to a little beyond the largest.
    Raises:
      ValueError: as in `variance`; or all singular values are equal (a linear network of orthogonal weights).
    Source: Pennington, Schoenholz and Ganguli 2017, 2018.

    >>> found = spectrum(1, "identity", sigma_w2=1.0, points=400)  # the quarter circle
    >>> round(found.largest, 6), bool(abs(np.sum(found.density) * found.s[0] - 1) < 0.01)
    (2.0, True)
    """
    q = _check(depth, activation, weights, sigma_w2, sigma_b2)
    law = _law(activation, q)
    δ2, probability = law
    largest = largest_singular_value(depth, activation, weights, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    if δ2.size == 1 and weights == "orthogonal":
        raise ValueError(f"all singular values are {largest:.6g}: the network is linear, and its weights orthogonal")
    s = np.arange(1, points + 1) * (1.02 * largest / points)
    m_1 = (sigma_w2 * np.sum(probability * δ2)) ** depth
    height = 1e3 * largest**2
    w = (s**2 + 1j * height) * np.sum(probability * δ2) / m_1
    for y in [*np.geomspace(height, 1e-6 * largest**2, 240), 0.0]:
        for _ in range(4 if y else 12):
            log_λ, slope = _log_eigenvalue(w, law, depth, weights, sigma_w2)
            miss = log_λ - np.log(s**2 + 1j * y)
            miss = miss.real + 1j * (np.mod(miss.imag + np.pi, 2 * np.pi) - np.pi)
            step = miss / slope
            w = w - step * np.minimum(1, 0.3 * np.abs(w) / np.maximum(np.abs(step), 1e-300))
    M = _resolvent(w, law)[0]
    density = np.maximum(-np.imag((1 + M) / s**2) / np.pi * 2 * s, 0)
    density[s > largest] = 0
    return Spectrum(s, density, float(np.sum(probability[δ2 == 0])), largest)


def largest_singular_value(
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: float | int,
    sigma_b2: float | int = 0.0,
) -> float:
    """The end of the law: the least λ that a real w above sup h'² leads to, the square root of it.

    For a linear network of Gaussian weights s² = (L + 1)^{L+1}/Lᴸ.

    Args:
      depth, activation, weights, sigma_w2, sigma_b2: as in `variance`.
    Raises:
      ValueError: as in `variance`.

    >>> round(largest_singular_value(10, "identity", sigma_w2=1.0) ** 2, 3)
    28.531
    """
    q = _check(depth, activation, weights, sigma_w2, sigma_b2)
    law = _law(activation, q)
    top = float(law[0].max())

    def log_λ(log_gap: float) -> float:
        return float(_log_eigenvalue(np.array([top * (1 + math.exp(log_gap))]), law, depth, weights, sigma_w2)[0][0])

    grid = np.linspace(-25, 25, 401)
    values = [log_λ(g) for g in grid]
    i = int(np.argmin(values))
    if 0 < i < len(grid) - 1:
        found = minimize_scalar(log_λ, bounds=(grid[i - 1], grid[i + 1]), method="bounded", options={"xatol": 1e-10})
        return math.exp(float(found.fun) / 2)
    return math.exp(values[i] / 2)  # an orthogonal linear network: the limit, w to infinity


def linear_moments(width: int, depth: int, sigma_w2: float | int = 1.0) -> tuple[float, float, float]:
    """E tr JJᵀ/n, E tr (JJᵀ)²/n and E (tr JJᵀ)²/n² of a product of L real Gaussian n × n matrices, exactly.

    With variances 1/n the last two, a and b, start from 1 and go with every factor to

        a' = a (1 + 1/n) + b,        b' = b + 2 a/n².

    Args:
      width: n.
      depth: L, at least 0.
      sigma_w2: variance of the weights times n.
    Raises:
      ValueError: width is not positive, depth is negative, or sigma_w2 is not positive.

    >>> round(linear_moments(10, 5)[1], 5)
    8.18181
    """
    if width < 1 or depth < 0 or not 0 < sigma_w2 < math.inf:
        raise ValueError(f"expected width ≥ 1, depth ≥ 0 and a positive sigma_w2, got {width}, {depth} and {sigma_w2}")
    a = b = 1.0
    for _ in range(depth):
        a, b = a * (1 + 1 / width) + b, b + 2 * a / width**2
    return float(sigma_w2) ** depth, a * float(sigma_w2) ** (2 * depth), b * float(sigma_w2) ** (2 * depth)


# ---- the equation of the spectrum ----


def _law(activation: ActivationLike, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of h'² and their probabilities; equal ones are put together, so that relu has two and identity one."""
    z, density, root = gaussian.line(activation, q)
    δ2 = gaussian.double(activations.resolve(activation).slope, root * z) ** 2
    values, which = np.unique(δ2[density > 1e-18], return_inverse=True)
    return values, np.bincount(which, density[density > 1e-18])


def _resolvent(w: np.ndarray, law: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """M = ∫ h'²/(w − h'²) and dM/dw."""
    δ2, probability = law
    part = 1 / (w[:, None] - δ2)
    return part @ (δ2 * probability), -(part * part) @ (δ2 * probability)


def _log_eigenvalue(
    w: np.ndarray, law: tuple[np.ndarray, np.ndarray], depth: int, weights: str, sigma_w2: float
) -> tuple[np.ndarray, np.ndarray]:
    """ln λ as a function of w, and its derivative."""
    M, slope = _resolvent(w, law)
    gaussian_ = 1 if weights == "gaussian" else 0
    log_λ = (
        (1 + depth * (gaussian_ - 1)) * np.log1p(M) + (depth - 1) * np.log(M) + depth * (np.log(w) + math.log(sigma_w2))
    )
    return log_λ, ((1 + depth * (gaussian_ - 1)) / (1 + M) + (depth - 1) / M) * slope + depth / w


# ---- power series, lists of coefficients from t⁰ on ----


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    n = min(len(a), len(b))
    return np.convolve(a, b)[:n]


def _power(a: np.ndarray, exponent: int) -> np.ndarray:
    """aᴺ by squaring."""
    result = np.zeros_like(a)
    result[0] = 1
    while exponent:
        if exponent % 2:
            result = _times(result, a)
        a, exponent = _times(a, a), exponent // 2
    return result


def _inverse(f: np.ndarray) -> np.ndarray:
    """The series g with f(g(t)) = t, f beginning with t: Lagrange's formula, n [tⁿ] g = [tⁿ⁻¹] (t/f)ⁿ."""
    ratio = np.zeros(len(f) - 1)
    ratio[0] = 1 / f[1]
    for k in range(1, len(ratio)):  # of t/f
        ratio[k] = -np.dot(f[2 : k + 2], ratio[k - 1 :: -1]) / f[1]
    g, power = np.zeros(len(f)), np.ones(1)
    power = np.eye(1, len(ratio))[0]
    for n in range(1, len(f)):
        power = _times(power, ratio)
        g[n] = power[n - 1] / n
    return g


def _check(depth: Any, activation: ActivationLike, weights: Any, sigma_w2: Any, sigma_b2: Any) -> float:
    """q*, if all is well."""
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or depth < 1:
        raise ValueError(f"depth must be an integer of at least 1, how many hidden layers there are; got {depth!r}")
    if weights not in ("gaussian", "orthogonal"):
        raise ValueError(f'weights must be "gaussian" or "orthogonal", got {weights!r}')
    return min(max(float(mean_field.length(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)), 1e-30), 1e30)
