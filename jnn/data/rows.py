"""Rows to train on or to validate with: checked, in the dtypes to compute with, and split."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks, losses, targets
from jnn.checks import Thing
from jnn.data.splits import split
from jnn.losses import LossLike
from jnn.params import Params
from jnn.precision import wide
from jnn.structure import check_params


class Rows(NamedTuple):
    """Examples, a row each; NumPy's arrays on the host, JAX's in a program."""

    x: Any  # (n, n_0)
    y: Any  # (n, n_N), or (n,) labels
    weights: Any  # (n,), all positive; None for all ones


def check_rows(params: Params, data: Thing, loss: LossLike, name: str = "data") -> Rows:
    """(x, y) or (x, y, weights) as arrays of the parameters' dtype, or an error.

    Targets are kept in float32 at least (labels stay integers); rows of weight zero are left out.

    Args:
      params: of the network that takes the rows.
      data: what was given.
      loss: a name or a function.
      name: what the data are called in messages.
    Raises:
      ValueError: shapes do not match, there are no rows, numbers are not finite, weights are
        negative, or the loss does not go with the network's output.
      TypeError: what should be numbers is not.

    >>> check_rows(jnn.from_layers([(1.0, 0.0)]), ([[1], [2]], [[3], [4]]), "mse").x.dtype
    dtype('float32')
    """
    n_0, *_, n_N = check_params(params)
    targets.check_output(loss, params[-1].activation)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        length = f" of length {len(data)}" if isinstance(data, (tuple, list)) else ""
        fraction = ", or a fraction such as 0.2" if name == "validation" else ""
        raise ValueError(
            f"{name} must be (x, y) or (x, y, weights){fraction}, got {type(data).__name__}{length}"
        )
    x, y, *weights = (np.asarray(a) for a in data)
    _check_shapes(x, y, n_0, name)
    for what, values in (("x", x), ("y", y), *(("weights", w) for w in weights)):
        if values.dtype.kind not in "biuf" and values.dtype != jnp.bfloat16:
            raise TypeError(f"{what} of {name} must hold numbers, got dtype {values.dtype}")
    dtype = jax.dtypes.canonicalize_dtype(params[0].w.dtype)
    wide_dtype = wide(dtype)
    with np.errstate(over="ignore"):  # what overflows in the parameters' dtype is found next
        x = x.astype(dtype)
        y = y if y.ndim == 1 else y.astype(wide_dtype)
    for what, values in (("x", x), ("y", y)):
        _check_finite(values, f"{what} of {name}")
    targets.check_targets(loss, y, n_N)
    if y.dtype.kind in "iu" and y.size and y.min() >= -(2**31) and y.max() < 2**31:
        y = y.astype(np.int32)  # labels of every integer type are one program
    if not weights:
        return Rows(x, y, None)
    w = checks.row_weights(weights[0], len(x), name=f"weights of {name}", dtype=wide_dtype)
    counts = w > 0
    return Rows(x, y, w) if counts.all() else Rows(x[counts], y[counts], w[counts])


def _check_shapes(x: np.ndarray, y: np.ndarray, n_0: int, name: str) -> None:
    if x.ndim != 2 or x.shape[1] != n_0:
        hint = ": reshape it, x[:, None]" if x.ndim == 1 and n_0 == 1 else ""
        raise ValueError(f"x of {name} has shape {x.shape}; this network takes (n, {n_0}){hint}")
    if len(x) == 0:
        raise ValueError(f"{name}: there are no rows, x has shape {x.shape}")
    if y.ndim == 0 or len(y) != len(x):
        raise ValueError(
            f"x and y of {name} differ in length: x has {len(x)} rows, y has shape {y.shape}"
        )


def _check_finite(values: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
        raise ValueError(
            f"{what} holds NaN or infinity (as {values.dtype}) in {len(rows)} of {len(values)} "
            f"rows, first in row {rows[0]}: remove or fill them"
        )


def validation_split(data: Rows, fraction: float, key: Array) -> tuple[Rows, Rows]:
    """Training and validation rows; stratified where y holds labels.

    Raises:
      ValueError: the fraction is not between 0 and 1, or a label has too few rows to be in both.
      TypeError: it is not a number.

    >>> rows = Rows(np.zeros((10, 1)), np.zeros((10, 1)), None)
    >>> [len(part.x) for part in validation_split(rows, 0.2, jax.random.key(0))]
    [8, 2]
    """
    meaning = "a fraction of the data; or give arrays (x, y)"
    fraction = checks.number("validation", fraction, above=0, below=1, meaning=meaning)
    arrays = [a for a in data if a is not None]
    labels = data.y if data.y.ndim == 1 else None
    try:
        parts = split(arrays, (1 - fraction, fraction), key, stratify=labels)
    except ValueError as error:
        raise ValueError(
            f"validation={fraction} cannot be split off: {error}; or give validation arrays"
        ) from error
    train, validation = (Rows(*part, *[None] * (3 - len(part))) for part in parts)
    return train, validation


def check_loss(loss: LossLike, n_N: int, y: np.ndarray) -> None:
    """Call the loss on shapes alone: one that cannot be traced, or returns no numbers, is refused.

    Raises:
      ValueError: it could not be called, or what it returned.

    >>> check_loss("mse", 1, np.zeros((5, 1)))
    """
    _check_loss(loss, n_N, y.shape[1:], jax.dtypes.canonicalize_dtype(y.dtype))


@lru_cache(maxsize=128)  # tracing takes a millisecond, which is a tenth of a short run
def _check_loss(loss: LossLike, n_N: int, shape: tuple[int, ...], dtype: Any) -> None:
    each: Callable[..., Any] = losses.resolve(loss).each
    numbers = wide(dtype) if jnp.issubdtype(dtype, jnp.floating) else jnp.float32
    prediction = jax.ShapeDtypeStruct((n_N,), numbers)
    try:
        value = jax.eval_shape(each, prediction, jax.ShapeDtypeStruct(shape, dtype))
    except Exception as error:
        raise ValueError(
            f"loss {loss!r} could not be called on one prediction and target: {error!r}"
        ) from error
    numbers = isinstance(value, jax.ShapeDtypeStruct) and value.size
    if not numbers or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"loss {loss!r} must return floating-point numbers for one example, got {value}"
        )
