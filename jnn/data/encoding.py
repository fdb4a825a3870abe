"""Columns and weights made from labels and features: one-hot rows, polynomials, class weights."""

import math
from collections.abc import Mapping
from itertools import combinations_with_replacement

import numpy as np

from jnn import arrays, checks, memory
from jnn.checks import Data, Real, Thing
from jnn.metrics.labels import as_classes, check_labels, classes
from jnn.shapes import Float, Float32

_COLUMNS = 1_000_000  # of polynomial features; more are a slip of the degree


def one_hot(labels: Data, n_classes: int | None = None, dtype: Thing = np.float32) -> np.ndarray:
    """Rows of zeros with a one at the label, labels: (…) -> (…, n_classes).

    Args:
      labels: integers 0 … n_classes − 1; of names, `np.unique(names, return_inverse=True)[1]`.
      n_classes: None for the largest label + 1; give it where a label may be missing from these
        data.
      dtype: of the result.
    Raises:
      ValueError: a label is negative or too large, or there is none to count the classes by.
      TypeError: labels or n_classes are not integers.

    >>> one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    given = arrays.array("labels", labels)
    if given.size and given.dtype.kind not in "biu":
        remedy = arrays.to_labels("labels", given)
        raise TypeError(f"labels hold {given.dtype}; expected integers: {remedy}")
    if n_classes is None:
        if given.size == 0:
            raise ValueError("there are no labels to count the classes by: give n_classes")
        n_classes = int(given.max()) + 1
    n_classes = checks.integer("n_classes", n_classes, 1)
    if given.size and not 0 <= given.min() <= given.max() < n_classes:
        raise ValueError(
            f"labels run from {given.min()} to {given.max()}; {n_classes} classes are 0 … "
            f"{n_classes - 1}: np.unique(labels, return_inverse=True)[1] numbers them from 0"
        )
    what = f"one-hot rows of {given.size:,} labels of {n_classes:,} classes"
    n_bytes = given.size * n_classes * np.dtype(dtype).itemsize
    memory.check(what, n_bytes, "train on the labels as they are")
    rows = np.zeros((*given.shape, n_classes), dtype)
    np.put_along_axis(rows, given[..., None].astype(int), 1, axis=-1)
    return rows


def polynomial_features(x: Data, degree: int) -> Float[np.ndarray, "n _"]:
    """All monomials of the columns of x from degree 1 to `degree`, without the constant.

    The constant is left to the bias. By degree, and within one in the order of the columns: x₁, x₂,
    x₁², x₁x₂, x₂², x₁³, … for two of them; (d + degree choose degree) − 1 columns. Standardise x
    first: powers of large numbers are all alike.

    Args:
      x: (n, d).
      degree: at least 1.
    Raises:
      ValueError: x is not (n, d), the degree is below 1, or there would be over a million columns.
      TypeError: x does not hold numbers, or the degree is not an integer.

    >>> polynomial_features(np.array([[2.0, 3.0]]), 2).tolist()
    [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    x = arrays.numbers("x", x)
    if x.ndim != 2:
        hint = arrays.to_rows("x", x.shape, 1 if x.ndim == 1 else math.prod(x.shape[1:]))
        raise ValueError(f"x has shape {x.shape}; expected (n, d){hint}")
    degree = checks.integer("degree", degree, 1)
    d = x.shape[1]
    columns = math.comb(d + degree, degree) - 1
    if columns > _COLUMNS:
        raise ValueError(
            f"degree {degree} of {d} columns makes {columns} features: lower the degree"
        )

    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    monomials = [
        np.prod(x[:, list(factors)], axis=1)
        for k in range(1, degree + 1)
        for factors in combinations_with_replacement(range(d), k)
    ]
    return np.stack(monomials, axis=1) if monomials else x


def class_weights(
    labels: Data,
    weights: str | Mapping[int, Real] | Data = "balanced",
    n_classes: int | None = None,
    *,
    row_weights: Data = None,
) -> Float32[np.ndarray, " n"]:
    """The weight of each row by its class, for `jnn.fit(params, (x, y, class_weights(y)))`.

    "balanced" gives class c, with n_c of the n rows, the weight n / (K n_c): all K classes that
    occur then weigh the same. Rows that have weights already count by them, and the two are
    multiplied: `w * class_weights(y, row_weights=w)`.

    Args:
      labels: (n,) integers, (n, K) one-hot or soft rows, or 0 and 1 in one column, (n, 1).
      weights: "balanced"; a mapping from label to weight, 1 where a label is missing; or K weights.
      n_classes: K; None for the columns of labels, or the largest label + 1 and at least 2.
      row_weights: (n,), not negative, None for all ones; "balanced" sums them in place of counting.
    Raises:
      ValueError: labels are not classes, a weight is missing, negative or not finite, a label is
        unknown, or every row would have weight 0.
      TypeError: row_weights or n_classes are of the wrong kind.

    >>> class_weights([0, 0, 0, 1])
    array([0.6666667, 0.6666667, 0.6666667, 2.       ], dtype=float32)
    >>> class_weights([0, 0, 0, 1], {1: 3.0})
    array([1., 1., 1., 3.], dtype=float32)
    """
    label, K = _labels(labels, n_classes)
    if isinstance(weights, str):
        if weights != "balanced":
            raise ValueError(
                f"weights is {weights!r}; it must be 'balanced', {{label: weight}} or {K} weights"
            )
        if row_weights is not None:
            row_weights = arrays.row_weights(row_weights, len(label), name="row_weights")
        of_class = _balanced(np.bincount(label, row_weights, minlength=K))
    elif isinstance(weights, Mapping):
        if unknown := [name for name in weights if name not in range(K)]:
            raise ValueError(
                f"weights name the labels {unknown}; there are 0 … {K - 1}: give n_classes where "
                "a class may be missing from these rows"
            )
        of_class = np.array([weights.get(k, 1.0) for k in range(K)], float)
    else:
        of_class = arrays.doubles("weights", weights)
    if of_class.shape != (K,) or not np.isfinite(of_class).all() or (of_class < 0).any():
        raise ValueError(
            f"weights are {of_class}; they must be {K} finite numbers of at least 0, one for each "
            "class"
        )
    each = of_class[label].astype(np.float32)
    if each.size and not each.any():
        raise ValueError(f"weights are {of_class}; they leave no row with a weight above 0")
    return each


def _labels(labels: Data, n_classes: int | None) -> tuple[np.ndarray, int]:
    """The class of each row, (n,) integers from 0 to K − 1, and K."""
    y = as_classes("labels", labels)
    if n_classes is not None:
        n_classes = checks.integer("n_classes", n_classes, 2)
        memory.check(f"the weights of {n_classes:,} classes", 8 * n_classes, "give fewer classes")
    one_column = y.ndim == 2 and y.shape[1] == 1 and n_classes in (None, 2)
    check_labels(y, 1 if one_column else n_classes)
    label = classes(y, 0.5)
    if n_classes is not None:
        return label, n_classes
    if y.ndim == 2:
        return label, max(2, y.shape[1])
    if y.size == 0:
        raise ValueError("there are no labels to count the classes by: give n_classes")
    return label, max(2, int(label.max()) + 1)


def _balanced(counts: np.ndarray) -> np.ndarray:
    """n / (K n_c) for the K classes that occur, 1 for the others."""
    occurs = counts > 0
    shares = occurs.sum() * counts
    return np.divide(counts.sum(), shares, out=np.ones(len(counts)), where=occurs)
