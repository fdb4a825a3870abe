"""Distributions of weights (n_in, n_out) and biases (n_out,), drawn for many layers at once."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from jnn.checks import Thing
from jnn.draws import Draws

Distribution: TypeAlias = Callable[[Draws, tuple[int, ...], Thing], Any]

_DEVIATION = 0.87962566103423978  # of N(0, 1) within ±2


def zeros(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
    """0."""
    return draws.xp.zeros((*draws.leading, *shape), dtype)


def uniform(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
    """U(−√3, √3), of variance 1."""
    return draws.uniform(shape, dtype, -1.0, 1.0) * np.asarray(3**0.5, dtype)


def truncated(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
    """A Gaussian without its tails, of variance 1."""
    return draws.truncated_normal(shape, dtype, 2.0) / np.asarray(_DEVIATION, dtype)


def normal(deviation: float) -> Distribution:
    """N(0, σ²)."""

    def numbers(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
        return draws.normal(shape, dtype) * np.asarray(deviation, dtype)

    return numbers


def scaled(standard: Distribution, variance: Callable[[int, int], float]) -> Distribution:
    """One of variance 1 for weights of a variance that depends on (n_in, n_out)."""

    def weights(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
        n_in, n_out = shape
        deviation = variance(n_in, n_out) ** 0.5
        return standard(draws, shape, dtype) * np.asarray(deviation, dtype)

    return weights


def lecun(n_in: int, _: int) -> float:
    """A variance of weights; LeCun et al. 1998."""
    return 1 / n_in


def glorot(n_in: int, n_out: int) -> float:
    """A variance of weights; Glorot & Bengio 2010."""
    return 2 / (n_in + n_out)


def he(n_in: int, _: int) -> float:
    """A variance of weights; He et al. 2015."""
    return 2 / n_in


def orthogonal(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
    """Orthonormal rows or columns, all alike: Q of a Gaussian's QR. Mezzadri 2007."""
    n_in, n_out = shape
    q, r = draws.xp.linalg.qr(draws.normal((max(shape), min(shape)), dtype))
    signs = draws.xp.sign(draws.xp.diagonal(r, axis1=-2, axis2=-1))
    q = q * signs[..., None, :]
    return q if n_in >= n_out else q.swapaxes(-1, -2)


def mirrored(first: bool, last: bool) -> Distribution:
    """Neurons in pairs relu(z) and relu(−z), whose difference is z.

    [V; −V], [[V, −V], [−V, V]], [V, −V], V orthogonal: an isometry (Balduzzi et al. 2017).
    """

    def weights(draws: Draws, shape: tuple[int, ...], dtype: Thing) -> Any:
        n_in, n_out = shape
        if (n_in % 2 and not first) or (n_out % 2 and not last):
            raise ValueError(
                f'init="looks_linear" pairs neurons: widths must be even, not {n_in} → {n_out}'
            )
        pairs = (n_in if first else n_in // 2, n_out if last else n_out // 2)
        V = orthogonal(draws, pairs, dtype)
        if not first:
            V = draws.xp.concatenate([V, -V], -2)
        return V if last else draws.xp.concatenate([V, -V], -1)

    return weights
