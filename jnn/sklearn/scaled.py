"""Columns of X, and targets of a regression, standardised inside of an estimator.

What is kept is `scales_`, {"X": (μ, σ), "y": (μ, σ) or None}; the weights are those of the network
between standardised numbers.
"""

from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from jnn.checks import Data
from jnn.data.rows import Rows
from jnn.data.scaling import standardization

Scales: TypeAlias = dict[str, Any]
Layers: TypeAlias = tuple[list[np.ndarray], list[np.ndarray]]


def of(rows: Rows, *, targets: bool) -> Scales:
    """Means and standard deviations by weight; a constant column has σ = 1.

    A sparse matrix stays sparse, so its columns keep their zero: μ = 0.

    Args:
      rows: X: (n, n_0), y: (n, n_outputs), weights or None.
      targets: whether y is to be standardised, too.
    """
    x, y, weights = rows
    if scipy.sparse.issparse(x):
        moments: Any = mean_variance_axis(x, axis=0, weights=weights)
        variance = moments[1]
        scale = np.sqrt(np.where(variance > 0, variance, 1))
        of_x = (np.zeros(x.shape[1]), scale)
    else:
        of_x = _of(x, weights)
    return {"X": of_x, "y": _of(y, weights) if targets else None}


def _of(a: np.ndarray, weights: Data) -> tuple[np.ndarray, np.ndarray]:
    found = standardization(a.astype(np.float64), weights=weights)
    return found.mean, found.scale


def standardised(scales: Scales | None, rows: Rows) -> Rows:
    """(X − μ)/σ, and likewise y; rows as they are where there are no scales."""
    if scales is None:
        return rows
    y = rows.y if scales["y"] is None else _standardised(scales["y"], rows.y)
    return rows._replace(x=inputs(scales, rows.x), y=y)


def inputs(scales: Scales | None, X: Data) -> Data:
    """(X − μ)/σ in the dtype of X; sparse where X is and μ = 0."""
    if scales is None:
        return X
    mean, scale = scales["X"]
    if not scipy.sparse.issparse(X):
        return _standardised(scales["X"], X)
    if mean.any():
        X = X.toarray()
        return _standardised(scales["X"], X)
    return X.multiply(1 / scale).tocsr().astype(X.dtype)


def _standardised(scale: tuple[np.ndarray, np.ndarray], a: np.ndarray) -> np.ndarray:
    μ, σ = scale
    dtype = a.dtype if a.dtype.kind == "f" else np.float64
    return ((a - μ) / σ).astype(dtype, copy=False)


def outputs(scales: Scales | None, z: np.ndarray) -> np.ndarray:
    """σ z + μ of the network's outputs z: (n, n_outputs)."""
    if scales is None or scales["y"] is None:
        return z
    μ, σ = scales["y"]
    return (z * σ + μ).astype(z.dtype, copy=False)


def folded(scales: Scales | None, coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> Layers:
    """The layers of the same function of X as it is: scales in the first layer and the last.

    W₁ ← W₁/σ,  b₁ ← b₁ − (μ/σ) W₁,   W_N ← σ W_N,  b_N ← σ b_N + μ
    """
    if scales is None:
        return coefs, intercepts
    μ, σ = scales["X"]
    dtype = coefs[0].dtype
    first = coefs[0] / σ[:, None]
    w = [first, *coefs[1:]]
    b = [intercepts[0] - μ @ first, *intercepts[1:]]
    if scales["y"] is not None:
        μ, σ = scales["y"]
        w[-1] = w[-1] * σ
        b[-1] = b[-1] * σ + μ
    return [a.astype(dtype, copy=False) for a in w], [a.astype(dtype, copy=False) for a in b]
