"""Least squares for the last layer: with the hidden layers held, the best readout is the solution of a linear problem.

Linear regression is the case without hidden layers, and polynomial regression that on `polynomial_features`:

>>> x = np.linspace(-1, 1, 20)[:, None]
>>> y = 1 - 2 * x + 3 * x**2
>>> powers = polynomial_features(x, 2)
>>> params = solve_readout(jnn.init_network_params([2, 1], jax.random.key(0)), (powers, y))
>>> jnn.layers(params)[0][0].round(4).tolist(), jnn.layers(params)[0][1].round(4).tolist()
([[-2.0, 3.0]], [1.0])
"""

import dataclasses
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from jnn import examples, network
from jnn.params import Params, Stack, check_params

_COLUMNS = 1_000_000  # of polynomial features; more are a slip of the degree


def solve_readout(params: Params, data: tuple[Any, ...], *, weights: Any = None, l2: float = 0.0) -> Params:
    """The network with the last layer replaced by the best one for these data, the hidden layers kept.

        min over W, b of  Σᵢ wᵢ ‖W x_{N−1,i} + b − yᵢ‖² / Σᵢ wᵢ + l2 ‖W‖²

    The bias is not penalised. Where many readouts are equally good (collinear features, fewer examples than features),
    W is the one of smallest ‖W‖, the limit of l2 → 0; b, which counts for nothing in that norm, follows from it.
    Directions of the features below the rounding of the parameters' dtype count as zero. Solved on the host in float64.

    Args:
      data: (x, y) of shapes (n, n_0) and (n, n_N), or (x, y, weights).
      weights: (n,), not negative; None for all ones.
      l2: how much large weights cost, at least 0. (scikit-learn's `Ridge(alpha)` is l2 = alpha / n.)
    Raises:
      ValueError: the last layer is not linear, shapes do not match, data or hidden states are not finite, l2 < 0.

    >>> x = np.linspace(0, 2, 50)[:, None]
    >>> params = jnn.init_network_params([1, 30, 1], jax.random.key(0), init="normal")
    >>> bool(np.abs(jnn.predict(solve_readout(params, (x, np.sin(x))), x) - np.sin(x)).max() < 1e-3)
    True
    """
    check_params(params)
    *hidden, last = params
    if last.activation != "identity" or last.residual:
        kind = "adds its input (residual)" if last.residual else f"has activation {last.activation!r}"
        raise ValueError(f"the last layer {kind}; solve_readout needs a linear one, as init_network_params makes it")
    if not np.ndim(l2) == 0 or not 0 <= l2 < np.inf:
        raise ValueError(f"l2 is {l2}; it must be a finite number of at least 0")
    if weights is not None:
        if len(data) != 2:
            raise ValueError("weights are given twice: beside the data and among them")
        data = (*data, weights)
    x, y, w = examples.check(params, data, "mse")

    if last.depth > 1:  # linear hidden layers of the readout's shape stand in one stack with it
        hidden.append(dataclasses.replace(last, w=last.w[:-1], b=last.b[:-1]))
    X = np.asarray(network.predict(tuple(hidden), x) if hidden else x, np.float64)
    if not np.isfinite(X).all():
        raise ValueError("the hidden states of these data hold NaN or infinity; so do the parameters, or they are huge")
    W, b = _least_squares(X, np.asarray(y, np.float64), w, l2, float(jnp.finfo(last.w.dtype).eps))
    return (*params[:-1], _with_last_layer(last, W, b))


def _least_squares(
    X: Float[np.ndarray, "n d"], Y: Float[np.ndarray, "n k"], w: Any, l2: float, eps: float
) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, " k"]]:
    """W and b of the weighted, penalised problem; about the means, where the bias is zero and so drops out."""
    n, d = X.shape
    w = np.full(n, 1 / n) if w is None else np.asarray(w, np.float64) / np.sum(w, dtype=np.float64)
    x_mean, y_mean = w @ X, w @ Y
    A, B = np.sqrt(w)[:, None] * (X - x_mean), np.sqrt(w)[:, None] * (Y - y_mean)
    if l2:
        A, B = np.vstack([A, np.sqrt(l2) * np.eye(d)]), np.vstack([B, np.zeros((d, B.shape[1]))])
    # features carry the rounding of the network's dtype: what they span below it is noise, which W would magnify
    W = np.linalg.lstsq(A, B, rcond=max(eps, max(A.shape) * np.finfo(np.float64).eps))[0].T
    return W, y_mean - W @ x_mean


def _with_last_layer(stack: Stack, W: np.ndarray, b: np.ndarray) -> Stack:
    dtype = stack.w.dtype
    if max(abs(W).max(), abs(b).max()) > float(jnp.finfo(dtype).max):
        raise ValueError(f"the best readout is too large for {dtype}, up to {max(abs(W).max(), abs(b).max()):.3g}")
    return dataclasses.replace(stack, w=stack.w.at[-1].set(W.astype(dtype)), b=stack.b.at[-1].set(b.astype(dtype)))


def polynomial_features(x: Shaped[np.ndarray, "n d"], degree: int) -> Float[np.ndarray, "n _"]:
    """All monomials of the columns of x from degree 1 to `degree`; the constant is left to the bias.

    By degree, and within one in the order of the columns: x₁, x₂, x₁², x₁x₂, x₂², x₁³, … for two of them;
    (d + degree choose degree) − 1 columns. Standardise x first: powers of large numbers are all alike.

    Args:
      x: (n, d).
      degree: at least 1.
    Raises:
      ValueError: x is not (n, d), the degree is not a positive integer, or there would be over a million columns.

    >>> polynomial_features(np.array([[2.0, 3.0]]), 2).tolist()
    [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        hint = ": reshape it, x[:, None]" if x.ndim == 1 else ""
        raise ValueError(f"x has shape {x.shape} and dtype {x.dtype}; polynomial_features takes numbers (n, d){hint}")
    if isinstance(degree, bool) or not hasattr(degree, "__index__") or degree < 1:
        raise ValueError(f"degree is {degree!r}; it must be an integer of at least 1")
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    d = x.shape[1]
    if (columns := comb(d + degree, degree) - 1) > _COLUMNS:
        raise ValueError(f"degree {degree} of {d} columns makes {columns} features: lower the degree")
    monomials = [c for k in range(1, degree + 1) for c in combinations_with_replacement(range(d), k)]
    return np.stack([np.prod(x[:, list(c)], axis=1) for c in monomials], axis=1) if monomials else x
