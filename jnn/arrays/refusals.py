"""Refusals: what NumPy would misread, what is no array, what holds no numbers, and the way out."""

import datetime
import math
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jnn.arrays.remedies import remedy, variable
from jnn.checks import Data, Thing

# ---- what is no array ----


def traced(name: str) -> str:
    """The refusal of a traced array."""
    return (
        f"{name} is traced, but this function reads its data on the host: call it outside of jit, "
        "grad and vmap"
    )


def is_masked(values: Data) -> bool:
    """Whether an array, or one in nested lists, hides an entry behind a mask."""
    if isinstance(values, np.ma.MaskedArray):
        return bool(np.ma.is_masked(values))
    if not isinstance(values, (list, tuple)):
        return False
    # by the types that occur, since a list of a million numbers has one
    nested = any(issubclass(t, (list, tuple, np.ma.MaskedArray)) for t in set(map(type, values)))
    return nested and any(map(is_masked, values))


def masked(name: str, values: Data) -> str:
    """The refusal of a masked array."""
    x = variable(name)
    if not isinstance(values, np.ma.MaskedArray):
        return f"{name} holds masked arrays, whose masks would be lost: make it np.ma.array({x})"
    if values.ndim == 0:
        return f"{name} is masked, and no number"
    hidden = np.ma.getmaskarray(values)
    axes = f".reshape(len({x}), -1).any(axis=1)" if values.ndim > 1 else ""
    rows = f"keep = ~np.ma.getmaskarray({x}){axes} and {x}[keep] leave their rows out (of the other"
    rows += f" arrays, too), {x}.filled({x}.mean()) fills them"
    return f"{name} is masked in {hidden.sum()} of {hidden.size} entries: {rows}"


def unreadable(name: str, values: Data, error: Exception) -> TypeError | ValueError:
    """The refusal of what NumPy could not make an array of."""
    x = variable(name)
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return TypeError(traced(name))
    if "inhomogeneous" in str(error):
        return ValueError(_ragged(name, values))
    if hasattr(values, "detach"):  # PyTorch's, with a gradient, on a GPU, sparse, or of bfloat16
        dense = ".to_dense()" if "sparse" in str(getattr(values, "layout", "")) else ""
        wide = ".float()" if "bfloat16" in str(getattr(values, "dtype", "")) else ""
        return TypeError(
            f"{name} is a tensor that NumPy cannot read: {x}.detach().cpu(){dense}{wide}.numpy()"
        )
    kind = type(values).__name__
    return TypeError(f"{name}, of type {kind}, could not be read as an array: {error}")


def _ragged(name: str, values: Data) -> str:
    x = variable(name)
    shapes = list(dict.fromkeys(getattr(row, "shape", None) for row in values))
    if len(shapes) > 1 and None not in shapes:
        return (
            f"{name} holds arrays of the shapes {', '.join(map(str, shapes[:4]))}, which are not "
            f"one array: give one of them, such as {x}[0]"
        )
    lengths = sorted({len(row) for row in values if hasattr(row, "__len__")})
    if len(lengths) < 2:
        return f"{name} is ragged: its rows are not all of one shape; make them so"
    return (
        f"{name} is ragged, with rows of {lengths[0]} to {lengths[-1]} entries: fill them up to "
        f"one length, or cut them, [row[:{lengths[0]}] for row in {x}]"
    )


def of_objects(name: str, values: Data, given: np.ndarray) -> np.ndarray:
    """An array of objects as one of numbers, where it holds nothing else."""
    if given.ndim == 0:
        raise TypeError(_no_array(name, values))
    try:
        inferred = np.asarray(given.tolist())
    except ValueError as error:
        raise unreadable(name, given, error) from error
    return inferred if inferred.shape == given.shape and is_real(inferred.dtype) else given


_MAKES_AN_ARRAY = ("toarray", "todense", "collect", "to_numpy")


def _no_array(name: str, values: Thing) -> str:
    x = variable(name)
    ways = [f"{x}.{method}()" for method in _MAKES_AN_ARRAY if hasattr(values, method)]
    if isinstance(values, Mapping):
        ways.append(f"its columns side by side are np.column_stack(list({x}.values()))")
    elif isinstance(values, Iterable):
        ways.append(f"list({x})")
    kind = "None" if values is None else f"a {type(values).__name__}"
    return f"{name} is {kind}, not an array: {ways[0] if ways else 'give an array of numbers'}"


# ---- what are no numbers ----


def is_real(dtype: np.dtype) -> bool:
    """Whether these are real numbers or booleans, of JAX's narrow types too."""
    if dtype.kind == "m":  # which NumPy counts among the integers
        return False
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


_TIMES = (
    ("M", datetime.date, "datetime64[s]"),
    ("m", datetime.timedelta, "timedelta64[s]"),
)


def why_no_numbers(x: str, a: np.ndarray) -> str:
    """What an array holds in place of real numbers, and what makes numbers of it."""
    entries = a.ravel().tolist() if a.dtype == object else []
    if missing := _missing(a, entries):
        row = missing[0] // max(1, math.prod(a.shape[1:]))
        return (
            f"{len(missing)} values are missing (None, NA or NaT), the first in row {row}; leave "
            "those rows out of all arrays, or fill them"
        )
    if a.dtype.kind == "c":
        return (
            f"give the real parts alone, np.real({x}), or both parts as columns, "
            f"np.concatenate([np.real({x}), np.imag({x})], axis=-1)"
        )
    if a.dtype.names:
        return f"it holds rows of fields, np.array({x}.tolist())"
    for kind, of_python, unit in _TIMES:
        if a.dtype.kind == kind or (entries and all(isinstance(v, of_python) for v in entries)):
            seconds = f"np.asarray({x}, '{unit}').astype(float)"
            return f"in seconds, to be standardised, they are {seconds}"
    if entries and isinstance(entries[0], (np.ndarray, jax.Array, list, tuple)):
        return f"there is an array in each entry, np.stack([*{x}])"
    try:
        a.astype(float)
    except (TypeError, ValueError):
        return _names(x, a, entries)
    return f"as numbers they are np.asarray({x}, float)"


def _missing(a: np.ndarray, entries: list[Thing]) -> list[int]:
    """Where None, NA or NaT stand among objects or dates."""
    if a.dtype.kind in "mM":
        return np.flatnonzero(np.isnat(a)).tolist()
    return [i for i, entry in enumerate(entries) if _is_missing(entry)]


def _is_missing(entry: Thing) -> bool:
    if isinstance(entry, (float, np.floating, np.datetime64, np.timedelta64)):
        return bool(entry != entry)
    return entry is None or type(entry).__name__ in ("NAType", "NaTType")


def _names(x: str, a: np.ndarray, entries: list[Thing]) -> str:
    if entries and not any(isinstance(entry, (str, bytes)) for entry in entries):
        return f"entries such as {entries[0]!r:.100} are no numbers"
    if a.ndim < 2 or a.shape[1:] == (1,):
        return (
            "they are names; number those of all rows at once, "
            f"np.unique({x}, return_inverse=True)[1]"
        )
    return (
        "a column of names becomes columns of numbers by "
        "jnn.data.one_hot(np.unique(column, return_inverse=True)[1])"
    )


# ---- what are no labels ----


def to_labels(name: str, y: np.ndarray) -> str:
    """How (n,) values that are not integers become labels: what ends the sentence.

    >>> to_labels("y", np.array([0.5]))
    'they are not whole numbers'
    """
    if y.dtype.kind not in "fV":
        return why_no_numbers(name, y)
    if not np.isfinite(y).all():
        return "NaN and infinity, which missing values (NA) become, are no labels: leave them out"
    if (y == np.floor(y)).all():
        return f"use {remedy(name, '.astype(int)')}"
    return "they are not whole numbers"
