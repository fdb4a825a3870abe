"""Arguments: what is accepted, and the sentence that refuses the rest.

Every refusal is one sentence: what came, what it must be, and why or how to mend it.

    epochs is 2.5; it must be an integer of at least 0
    unknown loss 'mrse'; known: mse, rmse, …, or a function of one example

What is of the wrong kind is a TypeError, what is out of range a ValueError. True and False are not
numbers, NumPy's and JAX's integers are integers, and a float is not an integer even where it is
whole.
"""

import math
import operator
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

# What JAX and NumPy take and cannot say more of. They are Any to the type checker, and words to a
# reader; the shapes stand in the docstrings.
Data: TypeAlias = Any  # numbers in whatever holds them: arrays, nested lists, data frames
Tree: TypeAlias = Any  # a pytree of arrays
Thing: TypeAlias = Any  # an argument before it was checked
Real: TypeAlias = float | int
Reals: TypeAlias = Any  # one number, or an array of them, one for each of many networks

P = ParamSpec("P")
R = TypeVar("R")


# ---- numbers ----


def integer(
    name: str, value: Thing, low: int | None = None, high: int | None = None, *, meaning: str = ""
) -> int:
    """The value as a Python integer, low ≤ value ≤ high.

    Args:
      name: of the argument.
      value: what was given.
      low, high: None where there is no limit.
      meaning: what the number is, or the remedy, said at the end of the sentence.
    Raises:
      TypeError: it is not an integer.
      ValueError: it is out of range.

    >>> integer("epochs", np.int64(3), 0)
    3
    >>> integer("epochs", -1, 0, meaning="passes through the data")
    Traceback (most recent call last):
      ...
    ValueError: epochs is -1; it must be an integer of at least 0: passes through the data
    """
    allowed = "an integer"
    if low is not None and high is not None:
        allowed += f" from {low} to {high}"
    elif low is not None:
        allowed += f" of at least {low}"
    sentence = _sentence(name, value, allowed, meaning)
    if _is_bool(value) or np.ndim(value) or not hasattr(value, "__index__"):
        raise TypeError(sentence)
    try:
        whole = operator.index(value)
    except TypeError as error:  # an array of floats, or a tracer
        raise TypeError(sentence) from error
    if (low is not None and whole < low) or (high is not None and whole > high):
        raise ValueError(sentence)
    return whole


def number(
    name: str,
    value: Thing,
    *,
    least: Real = -math.inf,
    above: Real = -math.inf,
    below: Real = math.inf,
    most: Real = math.inf,
    meaning: str = "",
) -> float:
    """The value as a Python float, finite and within limits; `least` and `most` may be reached.

    Raises:
      TypeError: it is not a real number.
      ValueError: it is NaN, infinite, or out of range.

    >>> number("strength", np.float32(0.5), least=0)
    0.5
    >>> number("rate", 1, least=0, below=1, meaning="the probability that a unit is dropped")
    Traceback (most recent call last):
      ...
    ValueError: rate is 1; it must be at least 0 and below 1: the probability that a unit is dropped
    """
    limits = (("at least", least), ("above", above), ("below", below), ("at most", most))
    bounds = [f"{words} {limit:g}" for words, limit in limits if math.isfinite(limit)]
    if not is_number(value):
        raise TypeError(_sentence(name, value, "a number", meaning))
    real = float(value)
    if not (math.isfinite(real) and least <= real <= most and above < real < below):
        finite = [] if any(limit < math.inf for limit in (below, most)) else ["finite"]
        raise ValueError(_sentence(name, value, " and ".join(finite + bounds), meaning))
    return real


def numbers(name: str, value: Thing, **limits: Any) -> Any:
    """The value as `number` takes it, or an array (M,) of such, one for each member of `fit_many`.

    >>> numbers("strength", np.array([0.5, 1.0]), least=0)
    array([0.5, 1. ])
    """
    if not (isinstance(value, (np.ndarray, Array)) and np.ndim(value) == 1 and len(value)):
        return number(name, value, **limits)
    column = np.asarray(value)
    for one in column.tolist():
        number(name, one, **limits)
    return column


def is_number(value: Thing) -> bool:
    """Whether it is one real number: Python's, NumPy's or JAX's, but neither True nor a tracer.

    >>> [is_number(value) for value in (1, np.float32(1), jnp.ones(()), True, "1", 1j, [1.0])]
    [True, True, True, False, False, False, False]
    """
    if _is_bool(value) or isinstance(value, (str, bytes, Tracer)) or np.ndim(value):
        return False
    return _is_real(getattr(value, "dtype", None) or np.asarray(value).dtype)


def flag(name: str, value: Thing) -> bool:
    """The value as True or False; numbers are neither.

    >>> flag("residual", np.bool_(True))
    True
    """
    if not _is_bool(value):
        raise TypeError(_sentence(name, value, "True or False"))
    return bool(value)


# ---- names and functions ----


def known(kind: str, name: Thing, names: Iterable[str], *, otherwise: str = "") -> str:
    """The name, or a ValueError that lists the known ones and what else may be given.

    >>> known("loss", "mrse", ["mse", "rmse"], otherwise="a function")
    Traceback (most recent call last):
      ...
    ValueError: unknown loss 'mrse'; known: mse, rmse, or a function
    """
    names = list(names)
    if not isinstance(name, str) or name not in names:
        also = f", or {otherwise}" if otherwise else ""
        raise ValueError(f"unknown {kind} {_shown(name)}; known: {', '.join(names)}{also}")
    return name


def function(name: str, value: Thing, allowed: str) -> Callable[..., Any]:
    """The value, or a TypeError where it cannot be called.

    >>> function("layer", 3, "a function (p, x) -> x")
    Traceback (most recent call last):
      ...
    TypeError: layer is 3; it must be a function (p, x) -> x
    """
    if not callable(value):
        raise TypeError(_sentence(name, value, allowed))
    return value


def sequence(name: str, value: Thing, entries: str) -> tuple[Any, ...]:
    """The entries, or a TypeError where there are none.

    >>> sequence("labels", 3, "names, one a class")
    Traceback (most recent call last):
      ...
    TypeError: labels is 3; it must be a list of names, one a class
    """
    if not np.iterable(value):
        raise TypeError(_sentence(name, value, f"a list of {entries}"))
    return tuple(value)


# ---- JAX ----


def key(value: Thing) -> Array:
    """The key, or a TypeError: an integer, or a batch of keys, is not a key.

    >>> key(0)
    Traceback (most recent call last):
      ...
    TypeError: key is 0; it must be one JAX key, jax.random.key(seed)
    """
    if not isinstance(value, Array) or not _is_key(value):
        raise TypeError(_sentence("key", value, "one JAX key, jax.random.key(seed)"))
    return value


def _is_key(value: Array) -> bool:
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value.ndim == 0
    return value.dtype == jnp.uint32 and value.shape == jax.random.PRNGKey(0).shape  # a raw key


def floating_dtype(name: str, value: Thing) -> np.dtype:
    """The floating-point type of that name, one that JAX computes in as it is configured.

    Raises:
      TypeError: it is not float16, bfloat16, float32 or float64.
      ValueError: it is float64, and x64 is off.

    >>> floating_dtype("dtype", "bfloat16")
    dtype(bfloat16)
    """
    try:
        dtype = None if value is None else jnp.dtype(value)
    except TypeError:
        dtype = None
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize < 2:
        raise TypeError(_sentence(name, value, "float16, bfloat16, float32 or float64"))
    if dtype.itemsize == 8 and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            "float64 needs x64: call jax.config.update('jax_enable_x64', True) first, or use "
            "float32"
        )
    return dtype


# ---- sizes ----


def sizes(value: Thing) -> tuple[int, ...]:
    """Layer sizes (n_0, …, n_N) as a tuple of integers.

    Raises:
      ValueError: there are fewer than two, or one is not a positive integer.

    >>> sizes([2, 0, 1])
    Traceback (most recent call last):
      ...
    ValueError: layer size n_1 is 0 in sizes [2, 0, 1]; every size must be a positive integer
    """
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise ValueError(f"sizes is {value!r}; it must be a sequence of layer sizes, [2, 8, 1]")
    listed = list(value)
    if len(listed) < 2:
        raise ValueError(
            f"sizes {listed} have {len(listed)} entries; a network needs at least n_0 and n_1, "
            "as in [1, 1]"
        )
    shown = listed if len(listed) <= 12 else f"of {len(listed)} layers"
    for l, n in enumerate(listed):
        try:
            listed[l] = integer("n", n, 1)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"layer size n_{l} is {n!r} in sizes {shown}; every size must be a positive integer"
            ) from error
    return tuple(listed)


# ---- names that were changed ----


def renamed(**now: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: a call with a keyword of an earlier version is told what takes its place.

    >>> @renamed(old="new=")
    ... def f(*, new=0):
    ...     return new
    >>> f(old=1)
    Traceback (most recent call last):
      ...
    TypeError: f() no longer takes old=; write new=
    """

    def decorate(f: Callable[P, R]) -> Callable[P, R]:
        @wraps(f)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs.keys() & now.keys():
                raise TypeError(f"{f.__name__}() no longer takes {name}=; write {now[name]}")
            return f(*args, **kwargs)

        return call

    return decorate


# ---- words ----


def short(text: str) -> str:
    """A text of whatever length, short enough to be read."""
    return text if len(text) <= 200 else f"{text[:160]} … {text[-20:]}"


def _sentence(name: str, value: Thing, allowed: str, meaning: str = "") -> str:
    return f"{name} is {_shown(value)}; it must be {allowed}" + (f": {meaning}" if meaning else "")


def _shown(value: Thing) -> str:
    try:
        return short(repr(value))
    except ValueError:  # thousands of digits
        return f"a huge {type(value).__name__}"


def _is_bool(value: Thing) -> bool:
    return isinstance(value, (bool, np.bool_)) or getattr(value, "dtype", None) == np.bool_


def _is_real(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
