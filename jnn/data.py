"""Data made ready on the host: split, standardise, one-hot, and the lectures' toy targets.

All of it happens once, before the compiled run, so it is NumPy. Only `standardize` and `unstandardize` also take JAX
arrays, to stand inside a compiled prediction.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jnn.params import check_key

Column: TypeAlias = Float[np.ndarray, "n 1"]


def host_generator(key: Array) -> np.random.Generator:
    """NumPy's generator, seeded with one JAX key: what is shuffled on the host follows from keys as well.

    >>> host_generator(jax.random.key(0)).permutation(4).shape
    (4,)
    """
    return np.random.default_rng(np.asarray(jax.random.key_data(check_key(key))).ravel())


def split(
    arrays: Sequence[Any], fractions: Sequence[float], key: Array, *, stratify: Any = None
) -> tuple[tuple[np.ndarray, ...], ...]:
    """Shuffle the rows and deal them out to parts, such as training, validation and test.

    Of n rows part p gets n·fₚ, rounded by largest remainder so that the parts hold all n. Stratified, it gets as many,
    and of the n_c rows of label c it gets n_c·fₚ to within one row.

    Args:
      arrays: (x, y, …), each with n rows.
      fractions: (f_1, …, f_P), positive, of sum 1.
      key: from `jax.random.key`; the same key deals the same rows.
      stratify: (n,) labels, of each at least P.
    Returns:
      P tuples (x, y, …), one for each part.
    Raises:
      ValueError: no rows, unequal lengths, impossible fractions, an empty part, too few rows of a label.
      TypeError: arrays are no tuple or list, the key is no JAX key.

    >>> x, y = np.arange(20.0)[:, None], np.arange(20) % 2
    >>> train, validation, test = split((x, y), (0.7, 0.15, 0.15), jax.random.key(0))
    >>> [len(part_x) for part_x, part_y in (train, validation, test)]
    [14, 3, 3]
    """
    if not isinstance(arrays, (tuple, list)):
        raise TypeError(f"arrays must be a tuple such as (x, y), got {type(arrays).__name__}; one array goes as (x,)")
    arrays = tuple(np.asarray(a) for a in arrays)
    shapes = [a.shape for a in arrays]
    if not shapes or () in shapes or len({s[0] for s in shapes}) > 1 or shapes[0][0] == 0:
        raise ValueError(f"arrays have shapes {shapes}; expected at least one, with equally many rows, one or more")
    n, f = shapes[0][0], np.asarray(fractions, dtype=float)
    if f.ndim != 1 or not np.all(f > 0) or abs(f.sum() - 1) > 1e-6:
        raise ValueError(f"fractions are {fractions}; expected positive numbers of sum 1, such as (0.7, 0.15, 0.15)")
    labels = np.zeros(n, dtype=int) if stratify is None else np.asarray(stratify)
    if labels.shape != (n,):
        raise ValueError(f"stratify has shape {labels.shape}; expected a label for each of {n} rows, shape ({n},)")
    names, label_of_row, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sizes = _deal(np.array([n]), f / f.sum())
    if not sizes.all():
        raise ValueError(f"{n} rows in fractions {fractions} leave a part empty, {sizes[0].tolist()}: give more rows")
    if stratify is not None and counts.min() < len(f):
        rare = f"label {names[counts.argmin()]} has only {counts.min()} of the {len(f)} rows that {len(f)} parts need"
        raise ValueError(f"{rare}: give more of them, merge the label with another, or leave stratify out")

    generator = host_generator(key)
    parts: list[list[np.ndarray]] = [[] for _ in f]
    for label, sizes in enumerate(_deal(counts, f / f.sum())):
        rows = generator.permutation(np.flatnonzero(label_of_row == label))
        for part, dealt in zip(parts, np.split(rows, np.cumsum(sizes)[:-1]), strict=True):
            part.append(dealt)
    orders = [generator.permutation(np.concatenate(part)) for part in parts]
    return tuple(tuple(a[order] for a in arrays) for order in orders)


def _deal(counts: np.ndarray, f: np.ndarray) -> np.ndarray:
    """How many of the `counts` rows of each label fall to each part, (labels, parts): whole numbers near counts ⊗ f.

    The column sums are those of the whole, n f by largest remainder: each label's leftover rows go where most are still
    wanted, and that greedy choice never runs into a corner (Gale and Ryser).
    """
    shares = np.outer(counts, f)
    table = np.floor(shares + 1e-9).astype(int)  # 100 · 0.29 is 29, not 28.999999999999996
    totals = _deal(counts.sum(keepdims=True), f)[0] if len(counts) > 1 else shares[0]
    for row, share, count in zip(table, shares, counts, strict=True):
        wanted = totals - table.sum(axis=0)
        row[np.lexsort((row - share, -wanted))[: count - row.sum()]] += 1
    return table


@partial(jax.tree_util.register_dataclass, data_fields=["mean", "scale"], meta_fields=[])
@dataclass(frozen=True)
class Standardization:
    """z = (x − mean) / scale, column by column; a pytree, made by `standardization`."""

    mean: Any  # (…), an example's shape
    scale: Any  # (…), positive


def standardization(x: Any, *, weights: Any = None) -> Standardization:
    """The mean μ and standard deviation σ of each column, summed in float64; a constant column has scale 1.

        μ = Σᵢ wᵢ xᵢ / Σᵢ wᵢ,   σ² = Σᵢ wᵢ (xᵢ − μ)² / Σᵢ wᵢ

    Both are kept in the dtype of x: float32 (of half precision too) or float64 (of integers too).

    Args:
      x: (n, …), on the host.
      weights: (n,), not negative, None for all ones; a row of weight 0 counts for nothing.
    Raises:
      ValueError: x is empty or not finite, weights do not fit.
      TypeError: x holds no real numbers.

    >>> standardization([[1.0, 7.0], [3.0, 7.0]])
    Standardization(mean=array([2., 7.]), scale=array([1., 1.]))
    """
    given = np.asarray(x)
    floating = jnp.issubdtype(given.dtype, jnp.floating)
    if not (floating or np.issubdtype(given.dtype, np.integer)):
        raise TypeError(f"x holds {given.dtype}; expected real numbers, x.astype(float)")
    x = given.astype(np.float64)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"x has shape {x.shape}; expected (n, …) with at least one row")
    if not np.isfinite(x).all():
        row = np.argwhere(~np.isfinite(x))[0][0]
        raise ValueError(f"x holds NaN or infinity, first in row {row}: remove or fill them")
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != x.shape[:1] or not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise ValueError(f"weights of shape {w.shape} must be ({len(x)},), finite, not negative and not all zero")

    x, w = x[w > 0], w[w > 0]
    dtype = np.float32 if floating and given.dtype.itemsize <= 4 else np.float64
    constant = (x == x[0]).all(axis=0)
    mean = np.where(constant, x[0], np.average(x, axis=0, weights=w))
    distance = np.abs(x - mean)
    largest = np.where(constant, 1, distance.max(axis=0))  # divided by, so that no square over- or underflows
    scale = largest * np.sqrt(np.average((distance / largest) ** 2, axis=0, weights=w))
    mean, scale = mean.astype(dtype), scale.astype(dtype)
    return Standardization(mean, np.where(constant | (scale == 0), dtype(1), scale))


def standardize(s: Standardization, x: Any) -> Any:
    """z = (x − μ) / σ, and `unstandardize` undoes it.

    On NumPy arrays z is float64, so that float32 data come back *bit for bit* where x = 0 or |x| > 2⁻²⁵|μ|. Within one
    precision no formula can do that, there being more numbers near 0 than near −μ/σ: float64 data come back to within
    2⁻⁵³ (2|x − μ| + |μ| + 2|x|), zeros and constant columns exactly. On JAX arrays, under `jit` and `vmap` too, z keeps
    the precision of x, and float32 data come back to within 2⁻²⁴ (3|x − μ| + 2|μ| + 2|x|).

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


def unstandardize(s: Standardization, z: Any) -> Any:
    """x = σ z + μ, for predictions too. NumPy arrays come back in the dtype of s, JAX arrays in that of z.

    Shapes and errors are those of `standardize`.

    >>> unstandardize(standardization([1.0, 5.0]), np.array([-1.0, 0.0, 1.0]))
    array([1., 3., 5.])
    """
    mean, scale, z = _matched(s, z)
    x = (z + mean / scale) * scale  # μ/σ rounds as it did when zero was standardised: zero comes back as zero
    return x if isinstance(x, Array) else x.astype(s.mean.dtype)


def _matched(s: Standardization, x: Any) -> tuple[Any, Any, Any]:
    """Mean, scale and x in the dtype to compute in; JAX's if any of them is JAX's, else float64."""
    shape, of_example = np.shape(x), np.shape(s.mean)
    if shape[len(shape) - len(of_example) :] != of_example:
        raise ValueError(f"x has shape {shape}; the standardization is of examples of shape {of_example}")
    if isinstance(x, Array) or isinstance(s.mean, Array):
        x = jnp.asarray(x)
        dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.zeros(()).dtype
        return jnp.asarray(s.mean, dtype), jnp.asarray(s.scale, dtype), jnp.asarray(x, dtype)
    return np.asarray(s.mean, np.float64), np.asarray(s.scale, np.float64), np.asarray(x, np.float64)


def one_hot(labels: Any, n_classes: int | None = None, dtype: Any = np.float32) -> np.ndarray:
    """Rows of zeros with a one at the label, labels: (…) -> (…, n_classes).

    Args:
      labels: integers 0 … n_classes − 1.
      n_classes: None for the largest label + 1; give it where a label may be missing from these data.
      dtype: of the result.
    Raises:
      ValueError: a label is negative or too large, or there is none to count the classes by.
      TypeError: labels or n_classes are no integers.

    >>> one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    given = np.asarray(labels)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise TypeError(f"labels hold {given.dtype}; expected integers: labels.astype(int)")
    if n_classes is None:
        if given.size == 0:
            raise ValueError("there are no labels to count the classes by: give n_classes")
        n_classes = int(given.max()) + 1
    n_classes = _count("n_classes", n_classes, 1)
    if given.size and not 0 <= given.min() <= given.max() < n_classes:
        raise ValueError(f"labels run from {given.min()} to {given.max()}; {n_classes} classes are 0 … {n_classes - 1}")
    rows = np.zeros((*given.shape, n_classes), dtype)
    np.put_along_axis(rows, given[..., None].astype(int), 1, axis=-1)
    return rows


def ripple(key: Array, n: int = 100, dtype: Any = np.float32) -> tuple[Column, Column]:
    """A noisy line with a ripple: x is n even steps from 0 to 1, standardised, and

        g = 20 x + N(0, 1),   y = (g − mean g) / std g + ½ sin(4x)

    It is the standardised x that enters g: the noise of y then has variance 1/401 ≈ 0.0025, the floor of any fit.

    >>> [a.shape for a in ripple(jax.random.key(0))]
    [(100, 1), (100, 1)]
    """
    dtype = _floating(dtype)
    x = np.linspace(0, 1, _count("n", n, 2))[:, None]
    x = standardize(standardization(x), x)
    g = 20 * x + host_generator(key).normal(size=x.shape)
    y = standardize(standardization(g), g) + 0.5 * np.sin(4 * x)
    return x.astype(dtype), y.astype(dtype)


def ten_features(key: Array, n: int = 1000, dtype: Any = np.float32) -> tuple[Float[np.ndarray, "n 10"], Column]:
    """A linear function of ten features, with a little noise.

        y = x₁ + 10x₂ − 7x₃ + 2x₄ + 3x₅ − 14x₆ + x₇ + 3x₈ − x₉ + 11x₁₀ − 40 + 0.02 N(0, 1)

    The features are independent and standard normal, so y has mean −40 and variance 491.

    >>> [a.shape for a in ten_features(jax.random.key(0))]
    [(1000, 10), (1000, 1)]
    """
    dtype, generator = _floating(dtype), host_generator(key)
    x = generator.normal(size=(_count("n", n, 1), 10))
    y = x @ np.array([1.0, 10, -7, 2, 3, -14, 1, 3, -1, 11])[:, None] - 40 + 0.02 * generator.normal(size=(n, 1))
    return x.astype(dtype), y.astype(dtype)


def line(n: int = 200, dtype: Any = np.float32) -> tuple[Column, Column]:
    """The lecture's first target, y = −3x + 2 on n grid points in [0.5, 3].

    >>> line(2)[1].tolist()
    [[0.5], [-7.0]]
    """
    x = np.linspace(0.5, 3, _count("n", n, 2), dtype=_floating(dtype))[:, None]
    return x, -3 * x + 2


def logarithm(n: int = 200, dtype: Any = np.float32) -> tuple[Column, Column]:
    """The lecture's second target, y = log x on n grid points in [0.5, 3].

    >>> x, y = logarithm()
    >>> bool(np.allclose(np.exp(y), x))
    True
    """
    x = np.linspace(0.5, 3, _count("n", n, 2), dtype=_floating(dtype))[:, None]
    return x, np.log(x)


def _count(name: str, value: Any, low: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if operator.index(value) < low:
        raise ValueError(f"{name} is {value}; expected at least {low}")
    return operator.index(value)


def _floating(dtype: Any) -> np.dtype:
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype is {dtype!r}; expected a floating-point type such as np.float32")
    return np.dtype(dtype)
