"""Isometry: the singular values of a wide network's input–output Jacobian, J = D_L W_L ⋯ D_1 W_1.

A mean squared singular value of 1 (criticality) does not keep single ones from being 0 or huge. In
the limit of width, the eigenvalues of JJᵀ follow from free probability: its S-transform is

    S_JJᵀ = (S_D² S_WWᵀ)^L,        S_WWᵀ(z) = 1/(σ_w² (1 + z)) for Gaussian weights,
                                   S_WWᵀ(z) = 1/σ_w²           for orthogonal ones,

with D² of the law of h'(√q z)², z ~ N(0, 1) (Pennington, Schoenholz and Ganguli 2017, 2018). Where
J has all its singular values near 1, dynamical isometry, deep networks train fastest; Gaussian
weights never get there.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from jnn import activations, checks
from jnn.activations import ActivationLike
from jnn.checks import Real, Thing
from jnn.equality import by_value
from jnn.theory import gaussian, power_series
from jnn.theory.mean_field.maps import check_point, length, within


def variance(
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: Real,
    sigma_b2: Real = 0.0,
) -> float:
    """The variance of the eigenvalues of JJᵀ in units of their mean squared.

        L (μ_2/μ_1² − 1 − s_1),        μ_k = E[h'(√q* z)^{2k}]

    s_1 is −1 for Gaussian weights and 0 for orthogonal ones.

    Args:
      depth: L, how many hidden layers.
      activation: a name or a function.
      weights: "gaussian" or "orthogonal".
      sigma_w2, sigma_b2: of the network, critical ones as a rule (`mean_field.critical`); they set
        q*.
    Raises:
      TypeError: depth is not an integer, or a variance not a number.
      ValueError: depth is not positive, weights are of neither kind, or a variance is out of its
        limits.
    Source: Pennington, Schoenholz and Ganguli 2017, equation 22.

    >>> variance(10, "relu", "gaussian", sigma_w2=2), variance(10, "relu", "orthogonal", sigma_w2=2)
    (20.0, 10.0)
    """
    network = _network(depth, activation, weights, sigma_w2, sigma_b2)
    at = gaussian.moments(activation, network.q)
    return float(network.depth * (at.slope4 / at.slope2**2 - 1 + network.gaussian))


def moments(
    order: int,
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: Real,
    sigma_b2: Real = 0.0,
) -> np.ndarray:
    """m_1 … m_order, m_k = lim E tr (JJᵀ)ᵏ/n, in the limit of width.

    From the S-transform as a power series: ψ(t) = Σ m_k tᵏ is the inverse of t S(t)/(1 + t).

    Args:
      order: of the last moment, up to 20 or so: they grow fast.
      depth, activation, weights, sigma_w2, sigma_b2: as in `variance`.
    Raises:
      TypeError, ValueError: as in `variance`, for order as for depth.
    Source: Pennington, Schoenholz and Ganguli 2018.

    >>> moments(3, 1, "identity", sigma_w2=1).round(9).tolist()  # Marchenko–Pastur: Catalan numbers
    [1.0, 2.0, 5.0]
    """
    network = _network(depth, activation, weights, sigma_w2, sigma_b2)
    order = checks.integer("order", order, 1, 1_000, meaning="of the last moment")
    z, density, root = gaussian.line(activation, network.q)
    δ2 = gaussian.double(activations.resolve(activation).slope, root * z) ** 2
    with np.errstate(all="ignore"):
        m = _moments(np.array([np.sum(density * δ2**k) for k in range(1, order + 1)]), network)
    if not np.isfinite(m).all():
        raise ValueError(
            f"moment {order} of depth {depth} leaves float64's range: take a lower order or depth"
        )
    return m


def _moments(of_slopes: np.ndarray, network: "_Network") -> np.ndarray:
    """Those of JJᵀ from those of h'²."""
    order = len(of_slopes)
    law = np.append(0.0, of_slopes)
    # S(t) = (1 + t)/t · ψ⁻¹(t)
    shifted = np.append([1.0, 1.0], np.zeros(order))[: order + 1]
    S = power_series.times(shifted, power_series.inverse(law)[1:])
    signs = (-1.0) ** np.arange(order)
    S_w = signs / network.sigma_w2 if network.gaussian else np.eye(1, order)[0] / network.sigma_w2
    whole = power_series.power(power_series.times(S, S_w), network.depth)
    # t S(t)/(1 + t)
    inverse = np.append(0.0, power_series.times(whole, signs))
    return power_series.inverse(inverse)[1:]


@by_value
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
    sigma_w2: Real,
    sigma_b2: Real = 0.0,
    points: int = 200,
) -> Spectrum:
    """The density of the singular values of J in the limit of width.

    With M(λ) = λ G(λ) − 1, G the resolvent of JJᵀ, and M = ∫ h'²/(w − h'²) of a complex w, it
    solves, with s = 1 for Gaussian weights and 0 for orthogonal ones,

        λ = (1 + M)/M · (σ_w² w M (1 + M)^s)ᴸ / (1 + M)ᴸ,

    and the density of λ = s² is −Im G/π. Solved for all λ at once by Newton's method, coming down
    from far above.

    Args:
      depth, activation, weights, sigma_w2, sigma_b2: as in `variance`.
      points: singular values, from 0 to a little beyond the largest.
    Raises:
      TypeError, ValueError: as in `variance`, for points as for depth; and a ValueError where all
        singular values are equal (a linear network of orthogonal weights).
    Source: Pennington, Schoenholz and Ganguli 2017, 2018.

    >>> circle = spectrum(1, "identity", sigma_w2=1.0, points=400)  # a quarter of one
    >>> round(circle.largest, 6), bool(abs(np.sum(circle.density) * circle.s[0] - 1) < 0.01)
    (2.0, True)
    """
    network = _network(depth, activation, weights, sigma_w2, sigma_b2)
    points = checks.integer("points", points, 1, 10**5, meaning="how many singular values")
    law = _law(activation, network.q)
    largest = _largest(law, network)
    if not 1e-100 < largest < 1e100:
        raise ValueError(
            f"the singular values of depth {depth} reach {largest:.0e}: take a smaller depth"
        )
    if law.squares.size == 1 and not network.gaussian:
        raise ValueError(
            f"all singular values are {largest:.6g}: the network is linear, and its weights "
            "orthogonal"
        )
    s = np.arange(1, points + 1) * (1.02 * largest / points)
    mean = np.sum(law.probabilities * law.squares)
    height = 1e3 * largest**2
    w = (s**2 + 1j * height) * mean / (network.sigma_w2 * mean) ** network.depth
    for y in [*np.geomspace(height, 1e-6 * largest**2, 240), 0.0]:
        for _ in range(4 if y else 12):
            log_λ, slope = _log_eigenvalue(w, law, network)
            miss = log_λ - np.log(s**2 + 1j * y)
            miss = miss.real + 1j * (np.mod(miss.imag + np.pi, 2 * np.pi) - np.pi)
            step = miss / slope
            w = w - step * np.minimum(1, 0.3 * np.abs(w) / np.maximum(np.abs(step), 1e-300))
    M, _ = _resolvent(w, law)
    density = np.maximum(-np.imag((1 + M) / s**2) / np.pi * 2 * s, 0)
    density[s > largest] = 0
    zeros = float(np.sum(law.probabilities[law.squares == 0]))
    return Spectrum(s, density, zeros, largest)


def largest_singular_value(
    depth: int,
    activation: ActivationLike = "tanh",
    weights: str = "gaussian",
    *,
    sigma_w2: Real,
    sigma_b2: Real = 0.0,
) -> float:
    """The end of the law: the root of the least λ that a real w above sup h'² leads to.

    For a linear network of Gaussian weights s² = (L + 1)^{L+1}/Lᴸ.

    Args:
      depth, activation, weights, sigma_w2, sigma_b2: as in `variance`.
    Raises:
      TypeError, ValueError: as in `variance`.

    >>> round(largest_singular_value(10, "identity", sigma_w2=1.0) ** 2, 3)
    28.531
    """
    network = _network(depth, activation, weights, sigma_w2, sigma_b2)
    return _largest(_law(activation, network.q), network)


def linear_moments(width: int, depth: int, sigma_w2: Real = 1.0) -> tuple[float, float, float]:
    """E tr JJᵀ/n, E tr (JJᵀ)²/n and E (tr JJᵀ)²/n² of a product of L Gaussian matrices, exactly.

    They are real, n × n. With variances 1/n the last two, a and b, start from 1 and go with every
    factor to

        a' = a (1 + 1/n) + b,        b' = b + 2 a/n².

    Args:
      width: n.
      depth: L, at least 0.
      sigma_w2: variance of the weights times n.
    Raises:
      TypeError: width or depth is not an integer, or sigma_w2 not a number.
      ValueError: width is not positive, depth is negative, or sigma_w2 is not positive.

    >>> round(linear_moments(10, 5)[1], 5)
    8.18181
    """
    width = checks.integer("width", width, 1)
    depth = checks.integer("depth", depth, 0, meaning="how many matrices are multiplied")
    sigma_w2 = checks.number("sigma_w2", sigma_w2, above=0, meaning="weight variance times width")
    factor = np.array([[1 + 1 / width, 1], [2 / width**2, 1]])  # of (a, b)
    with np.errstate(over="ignore"):
        # squared log₂ L times: no loop of a billion steps, and ∞ where floats end
        mean = np.float64(sigma_w2) ** depth
        a, b = np.linalg.matrix_power(factor * np.float64(sigma_w2) ** 2, depth) @ np.ones(2)
    return float(mean), float(a), float(b)


# ---- the equation of the spectrum ----


class _Network(NamedTuple):
    depth: int
    gaussian: bool  # rather than orthogonal
    sigma_w2: float
    q: float  # q*


def _network(
    depth: Thing, activation: ActivationLike, weights: Thing, sigma_w2: Thing, sigma_b2: Thing
) -> _Network:
    depth = checks.integer("depth", depth, 1, meaning="how many hidden layers there are")
    checks.known("weights", weights, ("gaussian", "orthogonal"))
    w, b = check_point(activation, sigma_w2, sigma_b2)
    q = within(length(activation, sigma_w2=w, sigma_b2=b))
    return _Network(depth, weights == "gaussian", w, q)


class _Law(NamedTuple):
    """Of h'²; equal values are put together, so that relu has two and identity one."""

    squares: np.ndarray
    probabilities: np.ndarray


def _law(activation: ActivationLike, q: float) -> _Law:
    z, density, root = gaussian.line(activation, q)
    δ2 = gaussian.double(activations.resolve(activation).slope, root * z) ** 2
    values, which = np.unique(δ2[density > 1e-18], return_inverse=True)
    return _Law(values, np.bincount(which, density[density > 1e-18]))


def _resolvent(w: np.ndarray, law: _Law) -> tuple[np.ndarray, np.ndarray]:
    """M = ∫ h'²/(w − h'²) and dM/dw."""
    part = 1 / (w[:, None] - law.squares)
    weighted = law.squares * law.probabilities
    return part @ weighted, -(part * part) @ weighted


def _log_eigenvalue(w: np.ndarray, law: _Law, network: _Network) -> tuple[np.ndarray, np.ndarray]:
    """ln λ as a function of w, and its derivative."""
    M, slope = _resolvent(w, law)
    L = network.depth
    power = 1 if network.gaussian else 1 - L  # of 1 + M
    log_λ = power * np.log1p(M) + (L - 1) * np.log(M) + L * (np.log(w) + math.log(network.sigma_w2))
    return log_λ, (power / (1 + M) + (L - 1) / M) * slope + L / w


def _largest(law: _Law, network: _Network) -> float:
    top = float(law.squares.max())

    def log_eigenvalue(log_gap: float) -> float:
        w = np.array([top * (1 + math.exp(log_gap))])
        return float(_log_eigenvalue(w, law, network)[0][0])

    grid = np.linspace(-25, 25, 401)
    values = [log_eigenvalue(log_gap) for log_gap in grid]
    i = int(np.argmin(values))
    # an orthogonal linear network: the limit, w to infinity
    if not 0 < i < len(grid) - 1:
        return _exp(values[i] / 2)
    end = minimize_scalar(
        log_eigenvalue,
        bounds=(grid[i - 1], grid[i + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return _exp(float(end.fun) / 2)


def _exp(log: float) -> float:
    """eˣ, or ∞."""
    with np.errstate(over="ignore"):
        return float(np.exp(log))
