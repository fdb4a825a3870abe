"""Least squares for the last layer: with the hidden layers held, the best readout is a solve.

Linear regression is the case without hidden layers, and polynomial regression that on
`jnn.polynomial_features`:

>>> x = np.linspace(-1, 1, 20)[:, None]
>>> y = 1 - 2 * x + 3 * x**2
>>> powers = jnn.polynomial_features(x, 2)
>>> params = solve_readout(jnn.init_network_params([2, 1], jax.random.key(0)), (powers, y))
>>> jnn.layers(params)[0][0].round(4).tolist(), jnn.layers(params)[0][1].round(4).tolist()
([[-2.0, 3.0]], [1.0])
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jnn import checks, memory
from jnn.checks import Data, Real
from jnn.data.rows import Rows, check_rows
from jnn.params import Params, Stack, hidden_and_readout
from jnn.shapes import Float
from jnn.structure import as_arrays
from jnn.transfers import meant
from jnn.triangular.network import predict


@meant
def solve_readout(params: Params, data: Data, *, weights: Data = None, l2: Real = 0.0) -> Params:
    """The network with the last layer replaced by the best one for these data.

        min over W, b of  Σᵢ wᵢ ‖W x_{N−1,i} + b − yᵢ‖² / Σᵢ wᵢ + l2 ‖W‖²

    The hidden layers are kept, and the bias is not penalised. Where many readouts are equally good
    (collinear features, fewer examples than features), W is the one of smallest ‖W‖, the limit of
    l2 → 0; b, which counts for nothing in that norm, follows from it. Directions of the features
    below the rounding of the parameters' dtype count as zero. Solved on the host in float64.

    Args:
      params: the network.
      data: (x, y) of shapes (n, n_0) and (n, n_N), or (x, y, weights).
      weights: (n,), not negative; None for all ones.
      l2: how much large weights cost. (scikit-learn's `Ridge(alpha)` is l2 = alpha / n.)
    Raises:
      ValueError: the last layer is not linear, shapes do not match, data or hidden states are not
        finite, l2 < 0.
      TypeError: l2 is not a number.

    >>> x = np.linspace(0, 2, 50)[:, None]
    >>> params = jnn.init_network_params([1, 30, 1], jax.random.key(0), init="normal")
    >>> y = jnn.predict(solve_readout(params, (x, np.sin(x))), x)
    >>> bool(np.abs(y - np.sin(x)).max() < 1e-3)
    True
    """
    params = as_arrays(params)
    last = params[-1]
    if last.residual:
        raise ValueError(f"the last layer adds its input (residual); {_LINEAR}")
    if last.activation != "identity":
        raise ValueError(f"the last layer has activation {last.activation!r}; {_LINEAR}")
    l2 = checks.number("l2", l2, least=0)
    rows = check_rows(params, data, "mse", weights=weights)
    hidden, _ = hidden_and_readout(params)
    X = np.asarray(predict(hidden, rows.x) if hidden else rows.x, np.float64)
    if not np.isfinite(X).all():
        raise ValueError(
            "the hidden states of these data hold NaN or infinity; so do the parameters, or they "
            "are huge"
        )
    W, b = _least_squares(X, rows, l2, float(jnp.finfo(last.w.dtype).eps))
    return (*params[:-1], _with_last_layer(last, W, b))


_LINEAR = "solve_readout needs a linear one, as init_network_params makes it"


def _least_squares(
    X: Float[np.ndarray, "n d"], rows: Rows, l2: float, eps: float
) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, " k"]]:
    """W and b of the weighted, penalised problem, about the means, where the bias is zero."""
    n, d = X.shape
    what = f"the least squares problem of {d:,} features"
    memory.check(what, 8 * (n + (d if l2 else 0)) * d, "take fewer features, or train the readout")
    Y = np.asarray(rows.y, np.float64)
    if rows.weights is None:
        w = np.full(n, 1 / n)
    else:
        w = np.asarray(rows.weights, np.float64) / np.sum(rows.weights, dtype=np.float64)
    x_mean, y_mean = w @ X, w @ Y
    root = np.sqrt(w)[:, None]
    A = root * (X - x_mean)
    B = root * (Y - y_mean)
    if l2:
        A = np.vstack([A, np.sqrt(l2) * np.eye(d)])
        B = np.vstack([B, np.zeros((d, B.shape[1]))])
    # features carry the rounding of the network's dtype: what they span below it is noise, which W
    # would magnify
    least = max(eps, max(A.shape) * np.finfo(np.float64).eps)
    W = np.linalg.lstsq(A, B, rcond=least)[0].T
    return W, y_mean - W @ x_mean


def _with_last_layer(stack: Stack, W: np.ndarray, b: np.ndarray) -> Stack:
    dtype = stack.w.dtype
    largest = max(abs(W).max(), abs(b).max())
    if largest > float(jnp.finfo(dtype).max):
        raise ValueError(f"the best readout is too large for {dtype}, up to {largest:.3g}")
    return dataclasses.replace(
        stack, w=stack.w.at[-1].set(W.astype(dtype)), b=stack.b.at[-1].set(b.astype(dtype))
    )
