"""Rows to train on or to validate with: checked, in the dtypes to compute with, and split."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jnn import arrays, checks, losses, padding, targets
from jnn.checks import Data, Thing
from jnn.data.splits import LEAVE_OUT, class_of_row, split
from jnn.losses import LossLike
from jnn.params import Params
from jnn.precision import wide
from jnn.structure import check_params


class Rows(NamedTuple):
    """Examples, a row each; NumPy's arrays on the host, JAX's in a program."""

    x: Any  # (n, n_0)
    y: Any  # (n, n_N), or (n,) labels
    weights: Any  # (n,), all positive; None for all ones


def filled_up(rows: Rows, *, weights: bool = False, like: int = 0) -> Rows:
    """As many rows as `padding.longer` says; weights, also where they are asked for, end in zeros.

    Args:
      rows: to be filled up.
      weights: whether they are asked for.
      like: of how many rows the length is to be, where these are fewer.

    >>> filled_up(Rows(np.ones((3, 1)), np.ones((3, 1)), None), weights=True).weights.tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    n = len(rows.x)
    length = padding.longer(max(n, like))
    x, y = (padding.filled_up(a, length) for a in (rows.x, rows.y))
    if rows.weights is None and not weights:
        return Rows(x, y, None)
    w = np.zeros(length, wide(rows.x.dtype))
    w[:n] = 1 if rows.weights is None else rows.weights
    return Rows(x, y, w)


def minibatch(rows: Rows, visits: Array | None, start: Any, size: int) -> Rows:
    """`size` rows in the order of visits, None: as they lie, from its place `start` on.

    All are there: nothing in the program looks whether one is.

    >>> rows = Rows(jnp.arange(4.0)[:, None], jnp.arange(4), None)
    >>> minibatch(rows, jnp.array([3, 1, 0, 2]), 1, 2).y.tolist()
    [1, 0]
    """

    def some(array: Array) -> Array:
        return lax.dynamic_slice_in_dim(array, start, size, allow_negative_indices=False)

    if visits is None:
        return jax.tree.map(some, rows)
    places: Any = some(visits)
    there: Any = {"mode": "promise_in_bounds", "wrap_negative_indices": False}
    return jax.tree.map(lambda array: array.at[places].get(**there), rows)


def check_rows(
    params: Params, data: Thing, loss: LossLike, name: str = "data", weights: Data = None
) -> Rows:
    """(x, y) or (x, y, weights) as arrays of the parameters' dtype, or an error.

    Targets are kept in float32 at least (labels stay integers); rows of weight zero are left out.

    Args:
      params: of the network that takes the rows.
      data: what was given.
      loss: a name or a function.
      name: what the data are called in messages.
      weights: (n,), of data that bring none; None for theirs.
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
    if weights is not None:
        if len(data) == 3:
            raise ValueError("weights are given twice: beside the data and among them")
        data = (*data, weights)
    x, given, *given_weights = (
        arrays.numbers(f"{what} of {name}", a)
        for what, a in zip(("x", "y", "weights"), data, strict=False)
    )
    _check_shapes(x, given, n_0, name)
    dtype = jax.dtypes.canonicalize_dtype(params[0].w.dtype)
    wide_dtype = wide(dtype)
    with np.errstate(over="ignore"):  # what overflows in the parameters' dtype is found next
        x = x.astype(dtype)
        # all copies: a device may use a host's array where it lies
        y = given.astype(given.dtype if given.ndim == 1 else wide_dtype)
    for what, values in (("x", x), ("y", y)):
        _check_finite(values, f"{what} of {name}")
    targets.check_targets(loss, given, n_N)
    if y.dtype.kind in "biu" and y.size and y.min() >= -(2**31) and y.max() < 2**31:
        y = y.astype(np.int32)  # labels of every integer type are one program
    if not given_weights:
        return Rows(x, y, None)
    w = arrays.row_weights(given_weights[0], len(x), name=f"weights of {name}", dtype=wide_dtype)
    counts = w > 0
    return Rows(x, y, w) if counts.all() else Rows(x[counts], y[counts], w[counts])


def _check_shapes(x: np.ndarray, y: np.ndarray, n_0: int, name: str) -> None:
    if x.ndim != 2 or x.shape[1] != n_0:
        hint = arrays.to_rows("x", x.shape, n_0)
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
        missing = "; missing values (NA) are NaN, too" if np.isnan(values).any() else ""
        raise ValueError(
            f"{what} holds NaN or infinity (as {values.dtype}) in {len(rows)} of {len(values)} "
            f"rows, first in row {rows[0]}: remove or fill them{missing}"
        )


def validation_split(
    data: Rows, fraction: float, key: Array, loss: LossLike = "half_mse"
) -> tuple[Rows, Rows]:
    """Training and validation rows; stratified where targets are classes.

    Classes are labels (n,), 0 and 1 in one column, and one-hot rows. A loss that takes classes
    needs two rows of each; to any other loss they may be mere numbers, and then are split as such.

    Raises:
      ValueError: the fraction is not between 0 and 1, or a class has too few rows to be in both.
      TypeError: it is not a number.

    >>> rows = Rows(np.zeros((10, 1)), np.zeros((10, 1)), None)
    >>> [len(part.x) for part in validation_split(rows, 0.2, jax.random.key(0))]
    [8, 2]
    """
    meaning = "a fraction of the data; or give arrays (x, y)"
    fraction = checks.number("validation", fraction, above=0, below=1, meaning=meaning)
    columns = [a for a in data if a is not None]
    labels = class_of_row(data.y)
    if labels is not None and losses.resolve(loss).chance is None:
        _, counts = np.unique(labels, return_counts=True)
        labels = labels if counts.min() > 1 else None
    try:
        parts = split(columns, (1 - fraction, fraction), key, stratify=labels)
    except ValueError as error:
        said = str(error).removesuffix(LEAVE_OUT)
        raise ValueError(
            f"validation={fraction} cannot be split off: {said}; or give validation arrays"
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
