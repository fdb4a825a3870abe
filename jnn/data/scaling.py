"""Columns of mean 0 and variance 1, and back to what they were.

It is NumPy, in float64, before the compiled run. `standardize` and `unstandardize` also take JAX
arrays, to stand inside a compiled prediction.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import arrays
from jnn.checks import Data, Tree
from jnn.equality import by_value


@by_value
@partial(jax.tree_util.register_dataclass, data_fields=["mean", "scale"], meta_fields=[])
@dataclass(frozen=True, eq=False)
class Standardization:
    """z = (x − mean) / scale, column by column; a pytree, made by `standardization`."""

    mean: Tree  # (…), an example's shape
    scale: Tree  # (…), positive


def standardization(x: Data, *, weights: Data = None) -> Standardization:
    """The mean μ and standard deviation σ of each column; a constant column has scale 1.

        μ = Σᵢ wᵢ xᵢ / Σᵢ wᵢ,   σ² = Σᵢ wᵢ (xᵢ − μ)² / Σᵢ wᵢ

    Both are summed in float64 and kept in the dtype of x: float32 (of half precision too) or
    float64 (of integers too).

    Args:
      x: (n, …), on the host.
      weights: (n,), not negative, None for all ones; a row of weight 0 counts for nothing.
    Raises:
      ValueError: x is empty or not finite, weights do not fit.
      TypeError: x or weights do not hold real numbers.

    >>> standardization([[1.0, 7.0], [3.0, 7.0]])
    Standardization(mean=array([2., 7.]), scale=array([1., 1.]))
    """
    given = arrays.numbers("x", x)
    floating = jnp.issubdtype(given.dtype, jnp.floating)
    x = given.astype(np.float64)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"x has shape {x.shape}; expected (n, …) with at least one row")
    if not np.isfinite(x).all():
        row = np.argwhere(~np.isfinite(x))[0][0]
        raise ValueError(f"x holds NaN or infinity, first in row {row}: remove or fill them")
    w = np.ones(len(x))
    if weights is not None:
        w = arrays.row_weights(weights, len(x))

    counted = w > 0
    x = x[counted]
    w = w[counted]
    constant = (x == x[0]).all(axis=0)
    mean = np.where(constant, x[0], np.average(x, axis=0, weights=w))
    distance = np.abs(x - mean)
    # divided by, so that no square over- or underflows
    largest = np.where(constant, 1, distance.max(axis=0))
    scale = largest * np.sqrt(np.average((distance / largest) ** 2, axis=0, weights=w))

    dtype = np.float32 if floating and given.dtype.itemsize <= 4 else np.float64
    scale = scale.astype(dtype)
    scale = np.where(constant | (scale == 0), dtype(1), scale)
    return Standardization(mean.astype(dtype), scale)


def standardize(s: Standardization, x: Data) -> Data:
    """z = (x − μ) / σ, and `unstandardize` undoes it.

    On NumPy arrays z is float64, so that float32 data come back *bit for bit* where x = 0 or
    |x| > 2⁻²⁵|μ|. Within one precision no formula can do that, there being more numbers near 0 than
    near −μ/σ: float64 data come back to within 2⁻⁵³ (2|x − μ| + |μ| + 2|x|), zeros and constant
    columns exactly. On JAX arrays, under `jit` and `vmap` too, z keeps the precision of x, and
    float32 data come back to within 2⁻²⁴ (3|x − μ| + 2|μ| + 2|x|).

    Args:
      s: from `standardization`, of examples of shape (…).
      x: one example or rows of them, (…) or (n, …).
    Raises:
      ValueError: the examples are of another shape.

    >>> x = np.array([[0.1], [0.2], [1000.0]], np.float32)
    >>> s = standardization(x)
    >>> bool((unstandardize(s, standardize(s, x)) == x).all())
    True
    """
    mean, scale, x = _matched(s, x)
    return (x - mean) / scale


def unstandardize(s: Standardization, z: Data) -> Data:
    """x = σ z + μ, for predictions too.

    NumPy arrays come back in the dtype of s, JAX arrays in that of z. Shapes and errors are those
    of `standardize`.

    >>> unstandardize(standardization([1.0, 5.0]), np.array([-1.0, 0.0, 1.0]))
    array([1., 3., 5.])
    """
    mean, scale, z = _matched(s, z)
    # μ/σ rounds as it did when zero was standardised: zero comes back as zero
    x = (z + mean / scale) * scale
    return x if isinstance(x, Array) else x.astype(s.mean.dtype)


def _matched(s: Standardization, x: Data) -> tuple[Data, Data, Data]:
    """Mean, scale and x in the dtype to compute in; JAX's if any of them is JAX's, else float64."""
    x = arrays.traceable("x", x)
    shape = x.shape
    of_example = np.shape(s.mean)
    if shape[len(shape) - len(of_example) :] != of_example:
        raise ValueError(
            f"x has shape {shape}; the standardization is of examples of shape {of_example}"
        )
    if not (isinstance(x, Array) or isinstance(s.mean, Array)):
        mean, scale, x = (np.asarray(a, np.float64) for a in (s.mean, s.scale, x))
        return mean, scale, x
    x = jnp.asarray(x)
    dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.result_type(float)
    mean, scale, x = (jnp.asarray(a, dtype) for a in (s.mean, s.scale, x))
    rows = (1,) * (x.ndim - mean.ndim)
    return mean.reshape(rows + mean.shape), scale.reshape(rows + scale.shape), x
