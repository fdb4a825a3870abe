"""Examples to train on: checked, in the dtypes to compute with, weighted, and split off for validation."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import data as rows
from jnn import losses
from jnn.params import Params, check_params


class Checked(NamedTuple):
    """Rows on the host, of the dtypes to compute with."""

    x: np.ndarray  # (n, n_0)
    y: np.ndarray  # (n, n_N), or (n,) labels
    weights: np.ndarray | None  # (n,), all positive; None for all ones


def check(params: Params, data: Any, loss: Any, name: str = "data") -> Checked:
    """(x, y) or (x, y, weights) as arrays of the parameters' dtype, or an error that says what is wrong.

    Targets are kept in float32 at least (labels stay integers); rows of weight zero are left out.

    Raises:
      ValueError: shapes do not match, there are no rows, numbers are not finite, weights are negative.
      TypeError: what should be numbers is not.
    """
    n_0, *_, n_N = check_params(params)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        length = f" of length {len(data)}" if isinstance(data, (tuple, list)) else ""
        fraction = ", or a fraction such as 0.2" if name == "validation" else ""
        raise ValueError(f"{name} must be (x, y) or (x, y, weights){fraction}, got {type(data).__name__}{length}")
    x, y, *weights = (np.asarray(a) for a in data)
    if x.ndim != 2 or x.shape[1] != n_0:
        hint = ": reshape it, x[:, None]" if x.ndim == 1 and n_0 == 1 else ""
        raise ValueError(f"x of {name} has shape {x.shape}; this network takes (n, {n_0}){hint}")
    if len(x) == 0:
        raise ValueError(f"{name}: there are no rows, x has shape {x.shape}")
    if y.ndim == 0 or len(y) != len(x):
        raise ValueError(f"x and y of {name} differ in length: x has {len(x)} rows, y has shape {y.shape}")
    for what, values in (("x", x), ("y", y), *(("weights", w) for w in weights)):
        if values.dtype.kind not in "biuf" and values.dtype != jnp.bfloat16:
            raise TypeError(f"{what} of {name} must hold numbers, got dtype {values.dtype}")
    dtype = params[0].w.dtype
    wide = jnp.promote_types(dtype, jnp.float32)
    with np.errstate(over="ignore"):  # what overflows in the parameters' dtype is found next
        x, y = x.astype(dtype), y if y.ndim == 1 else y.astype(wide)
    for what, values in (("x", x), ("y", y)):
        bad = ~np.isfinite(values)
        if bad.any():
            where = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
            raise ValueError(
                f"{what} of {name} holds NaN or infinity (as {values.dtype}) in {len(where)} of {len(values)} rows, "
                f"first in row {where[0]}: remove or fill them"
            )
    losses.check_targets(loss, y, n_N)
    if y.dtype.kind in "iu" and y.size and y.min() >= -(2**31) and y.max() < 2**31:
        y = y.astype(np.int32)  # labels of every integer type are one program
    return _weighted(x, y, weights[0].astype(wide) if weights else None, name)


def _weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, name: str) -> Checked:
    if weights is None:
        return Checked(x, y, None)
    if weights.shape != x.shape[:1]:
        raise ValueError(f"weights of {name} have shape {weights.shape}; expected one for each row, ({len(x)},)")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(f"weights of {name} must be finite, not negative and not all zero")
    counts = weights > 0
    return Checked(x, y, weights) if counts.all() else Checked(x[counts], y[counts], weights[counts])


def with_class_weights(data: Checked, class_weight: Any, n_N: int) -> Checked:
    """Multiply each row's weight by that of its class.

    Args:
      class_weight: "balanced", n / (K · rows of the class), so that all classes weigh the same; a mapping from label to
        weight, 1 where a label is missing; or an array of K weights.
      n_N: outputs of the network; K = 2 classes where there is one.
    Raises:
      ValueError: y holds no labels, or a weight is missing, negative or not finite.
    """
    x, y, weights = data
    if not (y.ndim == 1 or n_N > 1 or np.isin(y, (0, 1)).all()):
        raise ValueError(f"class_weight needs labels, (n,) integers or one-hot rows; y has shape {y.shape}")
    labels = y if y.ndim == 1 else y.argmax(axis=1) if n_N > 1 else y[:, 0].astype(int)
    K = max(n_N, 2)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight is {class_weight!r}; known: 'balanced', {{label: weight}}, an array")
        count = np.bincount(labels, weights, minlength=K)
        table = np.divide(count.sum(), (count > 0).sum() * count, out=np.ones(K), where=count > 0)
    elif isinstance(class_weight, Mapping):
        if strange := [label for label in class_weight if label not in range(K)]:
            raise ValueError(f"class_weight names the labels {strange}; there are 0 … {K - 1}")
        table = np.array([class_weight.get(label, 1.0) for label in range(K)], float)
    else:
        table = np.asarray(class_weight, float)
    if table.shape != (K,) or not np.isfinite(table).all() or (table < 0).any():
        raise ValueError(f"class_weight must hold {K} finite weights of at least 0, one for each class, got {table}")
    each = table[labels].astype(jnp.promote_types(x.dtype, jnp.float32))
    return _weighted(x, y, each if weights is None else each * weights, "class_weight")


def validation_split(data: Checked, fraction: float, key: Array) -> tuple[Checked, Checked]:
    """Training and validation rows; stratified where y holds labels.

    Raises:
      ValueError: the fraction is not between 0 and 1, or a label has too few rows to be in both parts.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"validation is {fraction}; a fraction must be between 0 and 1, or give arrays (x, y)")
    arrays = [a for a in data if a is not None]
    labels = data.y if data.y.ndim == 1 else None
    try:
        parts = rows.split(arrays, (1 - fraction, fraction), key, stratify=labels)
    except ValueError as error:
        raise ValueError(f"validation={fraction} cannot be split off: {error}; or give validation arrays") from error
    train, held = (Checked(*part, *[None] * (3 - len(part))) for part in parts)
    return train, held


def check_loss(loss: Any, n_N: int, y: np.ndarray) -> None:
    """Call the loss on shapes alone: a function that cannot be traced, or returns no numbers, is refused."""
    _check_loss(loss, n_N, y.shape[1:], jax.dtypes.canonicalize_dtype(y.dtype))


@lru_cache(maxsize=128)  # tracing takes a millisecond, which is a tenth of a short run
def _check_loss(loss: Any, n_N: int, shape: tuple[int, ...], dtype: Any) -> None:
    each: Callable[..., Any] = losses.resolve(loss).each
    try:
        value = jax.eval_shape(each, jax.ShapeDtypeStruct((n_N,), jnp.float32), jax.ShapeDtypeStruct(shape, dtype))
    except Exception as error:
        raise ValueError(f"loss {loss!r} could not be called on one prediction and target: {error!r}") from error
    if not (isinstance(value, jax.ShapeDtypeStruct) and jnp.issubdtype(value.dtype, jnp.floating) and value.size):
        raise ValueError(f"loss {loss!r} must return floating-point numbers for one example, got {value}")
