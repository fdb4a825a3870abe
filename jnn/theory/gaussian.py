"""Expectations over Gaussians in double precision: E[h(u)²], E[h(u) h(v)] and their like.

The mean-field theory and the kernels are made of them, for any activation. One Gaussian:
Gauss–Legendre panels that shrink towards 0, where steep activations turn. Two of them: in closed
form where there is one, else in polar coordinates.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erf

from jnn import activations, checks
from jnn.activations import Activation, ActivationLike
from jnn.arrays.limits import reals
from jnn.checks import Data
from jnn.equality import by_value
from jnn.transfers import meant


@meant
def double(f: Callable[[Data], Data], z: Data) -> np.ndarray:
    """f of an array in double precision, nothing global changed; numbers under `jit`, too."""
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        return np.asarray(f(jnp.asarray(z, jnp.float64)))


# ---- one Gaussian ----

_NODES = 16
_END = 9  # e^(−9²/2) = 3e-18
_EDGES = _END * np.concatenate([[0.0], 0.25 ** np.arange(20, 2, -1), np.linspace(0, 1, 25)[1:]])


@by_value
class Moments(NamedTuple):
    """Of h and its slope at u ~ N(0, q); each has the shape of q."""

    value2: Data  # E[h(u)²]
    slope2: Data  # E[h'(u)²]
    growth: Data  # dE[h(u)²]/dq = E[h'(u)² + h(u) h''(u)]
    slope4: Data  # E[h'(u)⁴]
    value: Data  # E[h(u)]


def moments(activation: ActivationLike, q: Data) -> Moments:
    """Moments of an activation at u ~ N(0, q), to rounding for the named activations.

    The growth is taken as E[z h(√q z) h'(√q z)]/√q, z ~ N(0, 1), which wants no second derivative.

    Args:
      activation: a name or a function.
      q: variances of any shape, at least 0.

    >>> [float(value.round(12)) for value in moments("relu", 4.0)][:4]
    [2.0, 0.5, 0.5, 0.5]
    """
    h = activations.resolve(activation)
    q = reals("q", q, least=0, finite=False, meaning="the variance of u")
    z, density, root = line(activation, q)
    x = double(h.value, root * z)
    δ = double(h.slope, root * z)
    # of a network whose lengths grow without limit
    with np.errstate(over="ignore"):
        return Moments(
            value2=np.sum(density * x**2, -1),
            slope2=np.sum(density * δ**2, -1),
            growth=np.sum(density * z * x * δ, -1) / root[..., 0],
            slope4=np.sum(density * δ**4, -1),
            value=np.sum(density * x, -1),
        )


def mean_square(activation: ActivationLike, q: Data) -> Data:
    """E[h(u)²] alone."""
    h = activations.resolve(activation)
    z, density, root = line(activation, q)
    return np.sum(density * double(h.value, root * z) ** 2, -1)


def line(activation: ActivationLike, q: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes z and weights of E[f(√q z)], z ~ N(0, 1), and √q, so that u = √q z.

    The nodes stand on the last axis, behind those of q.
    """
    root = np.sqrt(np.maximum(q, 1e-200))[..., None]
    edges = np.concatenate([-_EDGES[:0:-1], _EDGES])
    # a jump of the slope has to lie on an edge, as 0 does
    kinks = [kink for kink in activations.resolve(activation).kinks if kink != 0]
    if kinks:
        everywhere = np.broadcast_to(edges, (*root.shape[:-1], edges.size))
        more = np.clip(np.asarray(kinks) / root, -_END, _END)
        edges = np.sort(np.concatenate([everywhere, more], -1), -1)
    t, weights = np.polynomial.legendre.leggauss(_NODES)
    low = edges[..., :-1, None]
    half = np.diff(edges, axis=-1)[..., None] / 2
    z = (low + half * (1 + t)).reshape(*edges.shape[:-1], -1)
    density = (half * weights).reshape(z.shape) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return z, density, root


# ---- two Gaussians ----

# E[h(u) h(v)] and E[h'(u) h'(v)] for centred Gaussians u, v of variances p, q and covariance K
Products: TypeAlias = Callable[[Data, Data, Data], tuple[Data, Data]]


def products(activation: ActivationLike) -> Products:
    """The expectations of products as a function of (p, q, K), which broadcast.

    In closed form for identity, relu and leaky_relu (arc-cosine kernels, Cho and Saul 2009), erf
    (Williams 1997) and sin, as one integral for hard_tanh, else by quadrature.

    >>> value, slope = products("erf")(1.0, 1.0, 0.5)
    >>> float(value.round(9))  # 2/π · asin(1/3)
    0.216346896
    """
    return _closed(activation) or partial(by_quadrature, activations.resolve(activation))


def half_difference(activation: ActivationLike, q: float, distance: Data) -> Data:
    """E[(h(u) − h(v))²]/2 for u and v of variance q and correlation 1 − ε.

    It keeps all its digits as ε goes to 0.

    Args:
      activation: a name or a function.
      q: the variance of u and of v.
      distance: ε, of any shape.

    >>> float(half_difference("identity", 2.0, 1e-9).round(20))
    2e-09
    """
    q = checks.number("q", q, least=0, meaning="the variance of u and of v")
    ε = reals("distance", distance, least=0, most=2, meaning="1 less the correlation")
    θ = 2 * np.arcsin(np.sqrt(ε / 2))
    closed = _closed(activation)
    if closed is not None:
        # by Price's theorem the integral of E[h'(u) h'(v)] over the covariance K = q cos θ, from
        # where u = v
        t, weights = np.polynomial.legendre.leggauss(32)
        angles = θ[..., None] * (1 + t) / 2
        slopes = closed(np.full_like(angles, q), np.full_like(angles, q), q * np.cos(angles))[1]
        return q * θ / 2 * np.sum(weights * np.sin(angles) * slopes, -1)
    h = activations.resolve(activation).value

    def f(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray]:
        return ((double(h, u) - double(h, v)) ** 2 / 2,)

    return _over_plane(f, np.full_like(ε, q), np.full_like(ε, q), θ)[0]


def _closed(activation: ActivationLike) -> Products | None:
    return CLOSED.get(activation) if isinstance(activation, str) else None


def _angle(p: Data, q: Data, K: Data) -> Data:
    """θ between u and v, from K = √(pq) cos θ; 0 where one of them is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        c = np.where(p * q > 0, K / np.sqrt(p * q), 1.0)
    return np.arccos(np.clip(c, -1, 1))


def _leaky(p: Data, q: Data, K: Data, a: float) -> tuple[Data, Data]:
    """h(z) = a z + (1 − a) relu(z)."""
    θ = _angle(p, q, K)
    values = np.sqrt(p * q) * (np.sin(θ) + (np.pi - θ) * np.cos(θ)) / (2 * np.pi)
    slopes = (1 - a) ** 2 * (np.pi - θ) / (2 * np.pi) + a
    return (1 - a) ** 2 * values + a * K, slopes


def _erf(p: Data, q: Data, K: Data) -> tuple[Data, Data]:
    scale = (1 + 2 * p) * (1 + 2 * q)
    values = 2 / np.pi * np.arcsin(2 * K / np.sqrt(scale))
    slopes = 4 / np.pi / np.sqrt(scale - 4 * K * K)
    return values, slopes


def _sin(p: Data, q: Data, K: Data) -> tuple[Data, Data]:
    near = np.exp(K - (p + q) / 2) / 2
    far = np.exp(-K - (p + q) / 2) / 2
    return near - far, near + far


def _hard_tanh(p: Data, q: Data, K: Data) -> tuple[Data, Data]:
    """By Price's theorem, ∂E[f(u) g(v)]/∂K = E[f'(u) g'(v)], from K = 0.

    h'' is +1 at −1 and −1 at 1, no more. With k = √(pq) sin t, the density of (u, v) at
    (a√p, b√q) times dk is exp(−(a² − 2ab sin t + b²)/(2cos²t)) dt/2π.
    """
    a = 1 / np.sqrt(np.maximum(p, 1e-200))[..., None]
    b = 1 / np.sqrt(np.maximum(q, 1e-200))[..., None]
    t, weights = np.polynomial.legendre.leggauss(64)
    end = (np.pi / 2 - _angle(p, q, K))[..., None]
    t = end * (t + 1) / 2

    def density(sign: int) -> Data:
        square = a * a - 2 * sign * np.sin(t) * a * b + b * b
        return np.exp(-square / (2 * np.cos(t) ** 2)) / np.pi

    jumps = (density(1) - density(-1)) * weights * end / 2
    flat = erf(a[..., 0] / np.sqrt(2)) * erf(b[..., 0] / np.sqrt(2))
    k = np.sqrt(p * q)[..., None] * np.sin(t)
    values = K * flat + np.sum((np.asarray(K)[..., None] - k) * jumps, -1)
    slopes = flat + np.sum(jumps, -1)
    return values, slopes


# an activation that is missing here goes by quadrature, which is right for every function
CLOSED: dict[str, Products] = {
    "identity": lambda _p, _q, K: (K, np.ones_like(K)),
    "relu": partial(_leaky, a=0.0),
    "leaky_relu": partial(_leaky, a=0.01),
    "erf": _erf,
    "hard_tanh": _hard_tanh,
    "sin": _sin,
}


def by_quadrature(activation: Activation, p: Data, q: Data, K: Data) -> tuple[Data, Data]:
    """The products of any activation, which may have a kink at 0."""
    h = activation.value
    δ = activation.slope

    def f(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return double(h, u) * double(h, v), double(δ, u) * double(δ, v)

    p, q, K = np.broadcast_arrays(p, q, K)
    values, slopes = _over_plane(f, p, q, _angle(p, q, K))
    return values, slopes


_POINTS = 2**20  # at a time


def _over_plane(
    f: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]], p: Data, q: Data, angle: Data
) -> list[np.ndarray]:
    """E f(u, v) for u = √p r cos α, v = √q r cos(α − θ), where θ is the angle.

    In each of four sectors of α neither u nor v changes sign, so that a kink at 0 lies on an edge,
    and costs nothing. Steep activations take more nodes.
    """
    steep = min(np.sqrt(np.sqrt(np.max(np.maximum(p, q)))), 8)
    radii, of_radii = np.polynomial.legendre.leggauss(int(32 + 24 * steep))
    angles, of_angles = np.polynomial.legendre.leggauss(int(20 + 14 * steep))
    # up to 9, where e^(−r²/2) leaves 3e-18, and dense at 0
    root = (radii + 1) / 2
    r = 2.25 * (radii + 1) ** 2
    of_r = 9 * root * of_radii * r * np.exp(-r * r / 2) / (2 * np.pi)
    results: list[list[Data]] = []
    block = max(1, _POINTS // (radii.size * angles.size))
    for first in range(0, np.size(angle), block):
        p_, q_, θ_ = (np.ravel(a)[first : first + block, None] for a in (p, q, angle))
        right = 0 * θ_ + np.pi / 2
        left = 0 * θ_ + 3 * np.pi / 2
        edges = np.concatenate([θ_ - np.pi / 2, right, θ_ + np.pi / 2, left], 1)
        edges = np.concatenate([edges[:, -1:] - 2 * np.pi, edges], 1)
        sums: list[list[Data]] = []
        for low, high in pairwise(edges.T):
            α = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * angles
            u = (np.sqrt(p_) * np.cos(α))[..., None] * r
            v = (np.sqrt(q_) * np.cos(α - θ_))[..., None] * r
            sums.append([(x @ of_r) @ of_angles * (high - low) / 2 for x in f(u, v)])
        results.append([sum(parts) for parts in zip(*sums, strict=True)])
    return [np.concatenate(parts).reshape(np.shape(angle)) for parts in zip(*results, strict=True)]
