"""The gate: what came as NumPy's array of real numbers, or an error before anything is computed."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jnn.arrays import refusals
from jnn.arrays.remedies import remedy, variable
from jnn.checks import Data


def numbers(name: str, values: Data) -> np.ndarray:
    """The values as NumPy's array of real numbers or booleans, of their own dtype.

    Args:
      name: of the argument, alone or as in "x of data".
      values: an array of any library, nested lists, a data frame, a number.
    Raises:
      TypeError: they are not real numbers, not an array, or traced.
      ValueError: they are ragged, or some are masked.

    >>> numbers("x", np.array([[1, 2.5]], object))
    array([[1. , 2.5]])
    >>> numbers("y", ["cat", "dog"])
    Traceback (most recent call last):
      ...
    TypeError: y must hold numbers, got dtype <U3: they are names; number those of all rows at \
once, np.unique(y, return_inverse=True)[1]
    """
    if type(values) is np.ndarray and values.dtype.kind in "fiub" and values.dtype.isnative:
        return values  # in a loop of small predictions the questions below would be felt
    given = array(name, values)
    if not refusals.is_real(given.dtype):
        reason = refusals.why_no_numbers(variable(name), given)
        raise TypeError(f"{name} must hold numbers, got dtype {given.dtype}: {reason}")
    return given


def doubles(name: str, values: Data) -> np.ndarray:
    """The values as `numbers`, in float64.

    >>> doubles("x", [1, 2])
    array([1., 2.])
    """
    return numbers(name, values).astype(np.float64)


def traceable(name: str, values: Data) -> Array | np.ndarray:
    """JAX's arrays, traced ones too, as they are; anything else as `numbers`.

    Raises:
      TypeError, ValueError: as `numbers`; of JAX's arrays only for complex numbers and keys.

    >>> traceable("x", [1, 2])
    array([1, 2])
    """
    if not isinstance(values, Array):
        return numbers(name, values)
    if not refusals.is_real(values.dtype):
        reason = f": jnp.real({variable(name)})" if jnp.iscomplexobj(values) else ""
        raise TypeError(f"{name} must hold numbers, got dtype {values.dtype}{reason}")
    return values


def array(name: str, values: Data) -> np.ndarray:
    """The values as one array in native byte order; objects that are numbers become numbers.

    Raises:
      TypeError: they are traced, or nothing that NumPy reads as an array.
      ValueError: they are ragged, or some are masked.

    >>> array("y", np.array([1, 2], ">i4")).dtype.isnative
    True
    """
    if isinstance(values, Tracer):
        raise TypeError(refusals.traced(name))
    if refusals.is_masked(values):
        raise ValueError(refusals.masked(name, values))
    try:
        given = np.asarray(values)
    except Exception as error:
        raise refusals.unreadable(name, values, error) from error
    if given.dtype == object:
        given = refusals.of_objects(name, values, given)
    if given.dtype.kind == "V" and jnp.issubdtype(given.dtype, jnp.integer):
        return given.astype(int)  # int4 and its kin, which NumPy does not know as integers
    return given if given.dtype.isnative else given.astype(given.dtype.newbyteorder("="))


def row_weights(
    weights: Data, n: int, *, name: str = "weights", dtype: Any = np.float64
) -> np.ndarray:
    """Weights of n rows, (n,), in a dtype: finite there, not negative, not all zero.

    >>> row_weights([1, 0], 3)
    Traceback (most recent call last):
      ...
    ValueError: weights has shape (2,); expected one for each row, (3,)
    """
    w = numbers(name, weights)
    if w.dtype == bool:
        hint = remedy(variable(name), ".astype(float)")
        raise TypeError(f"{name} must hold numbers, got dtype bool: {hint}")
    if w.shape != (n,):
        column = f": {remedy(variable(name), '[:, 0]')}" if w.shape == (n, 1) else ""
        raise ValueError(f"{name} has shape {w.shape}; expected one for each row, ({n},){column}")
    with np.errstate(over="ignore"):  # what overflows in the dtype is found next
        w = w.astype(dtype)
    if not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise ValueError(f"{name} must be finite, not negative and not all zero")
    return w
