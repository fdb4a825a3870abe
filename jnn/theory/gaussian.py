"""Expectations over Gaussians in double precision, E[h(u)²], E[h(u) h(v)] and their like, for any activation.

What the mean-field theory and the kernels are made of. One Gaussian: Gauss–Legendre panels that shrink towards 0,
where steep activations turn. Two of them: polar coordinates, in closed form where there is one.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erf

from jnn import activations
from jnn.activations import ActivationLike


def double(f: Callable[[Any], Any], z: Any) -> Any:
    """f of an array in double precision, nothing global changed."""
    with jax.enable_x64(True):
        return np.asarray(f(jnp.asarray(z, jnp.float64)))


# ---- one Gaussian ----

_NODES = 16
_EDGES = 9 * np.concatenate([[0.0], 0.25 ** np.arange(20, 2, -1), np.linspace(0, 1, 25)[1:]])  # e^(−9²/2) = 3e-18
_KINKS = {"hard_tanh": (-1.0, 1.0)}  # besides 0: a jump of the slope has to lie on an edge


class Moments(NamedTuple):
    """Of h and its slope at u ~ N(0, q)."""

    value2: Any  # E[h(u)²]
    slope2: Any  # E[h'(u)²]
    growth: Any  # dE[h(u)²]/dq = E[h'(u)² + h(u) h''(u)]
    slope4: Any  # E[h'(u)⁴]
    value: Any  # E[h(u)]


def moments(activation: ActivationLike, q: Any) -> Moments:
    """Moments of an activation at u ~ N(0, q), for q ≥ 0 of any shape; to rounding for the named activations.

    The growth is taken as E[z h(√q z) h'(√q z)]/√q, z ~ N(0, 1), which wants no second derivative.

    >>> [float(value.round(12)) for value in moments("relu", 4.0)][:4]
    [2.0, 0.5, 0.5, 0.5]
    """
    pair, q = activations.resolve(activation), np.asarray(q, np.float64)
    z, density, root = line(activation, q)
    h, δ = double(pair.value, root * z), double(pair.slope, root * z)
    with np.errstate(over="ignore"):  # of a network whose lengths grow without limit
        growth = np.sum(density * z * h * δ, -1) / root[..., 0]
        h2, δ2, δ4 = (np.sum(density * f, -1) for f in (h**2, δ**2, δ**4))
        return Moments(h2, δ2, growth, δ4, np.sum(density * h, -1))


def mean_square(activation: ActivationLike, q: Any) -> Any:
    """E[h(u)²] alone."""
    z, density, root = line(activation, q)
    return np.sum(density * double(activations.resolve(activation).value, root * z) ** 2, -1)


def line(activation: ActivationLike, q: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes z and weights of E[f(√q z)], z ~ N(0, 1), on the last axis behind those of q; and √q, so that u = √q z."""
    root = np.sqrt(np.maximum(q, 1e-200))[..., None]
    edges = np.concatenate([-_EDGES[:0:-1], _EDGES])
    if kinks := _KINKS.get(activation) if isinstance(activation, str) else None:
        extra = np.clip(np.asarray(kinks) / root, -9, 9)
        edges = np.sort(np.concatenate([np.broadcast_to(edges, (*root.shape[:-1], edges.size)), extra], -1), -1)
    t, weights = np.polynomial.legendre.leggauss(_NODES)
    low, half = edges[..., :-1, None], np.diff(edges, axis=-1)[..., None] / 2
    z = (low + half * (1 + t)).reshape(*edges.shape[:-1], -1)
    density = (half * weights).reshape(z.shape) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return z, density, root


# ---- two Gaussians ----

# E[h(u) h(v)] and E[h'(u) h'(v)] for centred Gaussians u, v of variances p, q and covariance K
Products: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any]]


def products(activation: ActivationLike) -> Products:
    """The expectations of products as a function of (p, q, K), which broadcast.

    In closed form for identity, relu and leaky_relu (arc-cosine kernels, Cho and Saul 2009), erf (Williams 1997) and
    sin, as one integral for hard_tanh, else by quadrature.

    >>> value, slope = products("erf")(1.0, 1.0, 0.5)
    >>> float(value.round(9))  # 2/π · asin(1/3)
    0.216346896
    """
    closed = CLOSED.get(activation) if isinstance(activation, str) else None
    return closed or partial(by_quadrature, activations.resolve(activation))


def half_difference(activation: ActivationLike, q: float, ε: Any) -> Any:
    """E[(h(u) − h(v))²]/2 for u and v of variance q and correlation 1 − ε, with all its digits as ε goes to 0.

    >>> float(half_difference("identity", 2.0, 1e-9).round(20))
    2e-09
    """
    ε = np.asarray(ε, np.float64)
    θ = 2 * np.arcsin(np.sqrt(ε / 2))
    if closed := CLOSED.get(activation) if isinstance(activation, str) else None:
        # by Price's theorem the integral of E[h'(u) h'(v)] over the covariance K = q cos θ, from where u = v
        t, weights = np.polynomial.legendre.leggauss(32)
        angles = θ[..., None] * (1 + t) / 2
        slopes = closed(np.full_like(angles, q), np.full_like(angles, q), q * np.cos(angles))[1]
        return q * θ / 2 * np.sum(weights * np.sin(angles) * slopes, -1)
    h = activations.resolve(activation).value

    def f(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray]:
        return ((double(h, u) - double(h, v)) ** 2 / 2,)

    return _over_plane(f, np.full_like(ε, q), np.full_like(ε, q), θ)[0]


def _angle(p: Any, q: Any, K: Any) -> Any:
    """θ between u and v, from K = √(pq) cos θ; 0 where one of them is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        c = np.where(p * q > 0, K / np.sqrt(p * q), 1.0)
    return np.arccos(np.clip(c, -1, 1))


def _leaky(p: Any, q: Any, K: Any, a: float) -> tuple[Any, Any]:
    """h(z) = a z + (1 − a) relu(z)."""
    θ = _angle(p, q, K)
    values = np.sqrt(p * q) * (np.sin(θ) + (np.pi - θ) * np.cos(θ)) / (2 * np.pi)
    return (1 - a) ** 2 * values + a * K, (1 - a) ** 2 * (np.pi - θ) / (2 * np.pi) + a


def _erf(p: Any, q: Any, K: Any) -> tuple[Any, Any]:
    scale = (1 + 2 * p) * (1 + 2 * q)
    return 2 / np.pi * np.arcsin(2 * K / np.sqrt(scale)), 4 / np.pi / np.sqrt(scale - 4 * K * K)


def _sin(p: Any, q: Any, K: Any) -> tuple[Any, Any]:
    near, far = (np.exp(sign * K - (p + q) / 2) / 2 for sign in (1, -1))
    return near - far, near + far


def _hard_tanh(p: Any, q: Any, K: Any) -> tuple[Any, Any]:
    """By Price's theorem, ∂E[f(u) g(v)]/∂K = E[f'(u) g'(v)]: from K = 0, and h'' is +1 at −1 and −1 at 1, no more.

    With k = √(pq) sin t, the density of (u, v) at (a√p, b√q) times dk is exp(−(a² − 2ab sin t + b²)/(2cos²t)) dt/2π.
    """
    a, b = (1 / np.sqrt(np.maximum(v, 1e-200))[..., None] for v in (p, q))
    t, weights = np.polynomial.legendre.leggauss(64)
    end = (np.pi / 2 - _angle(p, q, K))[..., None]
    t = end * (t + 1) / 2
    same, opposite = (
        np.exp(-(a * a - 2 * sign * np.sin(t) * a * b + b * b) / (2 * np.cos(t) ** 2)) / np.pi for sign in (1, -1)
    )
    density = (same - opposite) * weights * end / 2
    flat = erf(a[..., 0] / np.sqrt(2)) * erf(b[..., 0] / np.sqrt(2))
    k = np.sqrt(p * q)[..., None] * np.sin(t)
    return K * flat + np.sum((np.asarray(K)[..., None] - k) * density, -1), flat + np.sum(density, -1)


CLOSED: dict[str, Products] = {
    "identity": lambda _p, _q, K: (K, np.ones_like(K)),
    "relu": partial(_leaky, a=0.0),
    "leaky_relu": partial(_leaky, a=0.01),
    "erf": _erf,
    "hard_tanh": _hard_tanh,
    "sin": _sin,
}


def by_quadrature(pair: activations.Activation, p: Any, q: Any, K: Any) -> tuple[Any, Any]:
    """The products of any activation, which may have a kink at 0."""

    def f(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return double(pair.value, u) * double(pair.value, v), double(pair.slope, u) * double(pair.slope, v)

    p, q, K = np.broadcast_arrays(p, q, K)
    values, slopes = _over_plane(f, p, q, _angle(p, q, K))
    return values, slopes


_POINTS = 2**20  # at a time


def _over_plane(f: Callable[..., tuple[Any, ...]], p: Any, q: Any, θ: Any) -> list[np.ndarray]:
    """E f(u, v) for u = √p r cos α, v = √q r cos(α − θ): four sectors of α, in each of which neither changes sign.

    So a kink at 0 lies on an edge, and costs nothing. Steep activations take more nodes.
    """
    steep = np.sqrt(np.sqrt(np.max(np.maximum(p, q))))
    radii, angles = (int(a + b * min(steep, 8)) for a, b in ((32, 24), (20, 14)))
    (r, of_r), (t, of_t) = (np.polynomial.legendre.leggauss(n) for n in (radii, angles))
    root, r = (r + 1) / 2, 2.25 * (r + 1) ** 2  # up to 9, where e^(−r²/2) leaves 3e-18, and dense at 0
    of_r = 9 * root * of_r * r * np.exp(-r * r / 2) / (2 * np.pi)
    results: list[Any] = []
    block = max(1, _POINTS // (radii * angles))
    for first in range(0, np.size(θ), block):
        p_, q_, θ_ = (np.ravel(a)[first : first + block, None] for a in (p, q, θ))
        edges = np.concatenate([θ_ - np.pi / 2, 0 * θ_ + np.pi / 2, θ_ + np.pi / 2, 0 * θ_ + 3 * np.pi / 2], 1)
        edges = np.concatenate([edges[:, -1:] - 2 * np.pi, edges], 1)
        sums: list[Any] = []
        for low, high in pairwise(edges.T):
            α = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * t
            u = (np.sqrt(p_) * np.cos(α))[..., None] * r
            v = (np.sqrt(q_) * np.cos(α - θ_))[..., None] * r
            sums.append([(values @ of_r) @ of_t * (high - low) / 2 for values in f(u, v)])
        results.append([sum(parts) for parts in zip(*sums, strict=True)])
    return [np.concatenate(parts).reshape(np.shape(θ)) for parts in zip(*results, strict=True)]
