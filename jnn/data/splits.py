"""Rows shuffled and dealt out to parts: training, validation and test, or folds.

It happens once, on the host, before the compiled run, so it is NumPy; what NumPy draws follows from
a JAX key as well.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax import Array

from jnn import arrays as gate, checks
from jnn.checks import Data, Real
from jnn.transfers import meant


@meant
def host_generator(key: Array) -> np.random.Generator:
    """NumPy's generator, seeded with one JAX key.

    >>> host_generator(jax.random.key(0)).permutation(4).shape
    (4,)
    """
    seed = jax.random.key_data(checks.key(key))
    return np.random.default_rng(np.asarray(seed).ravel())


def split(
    arrays: Sequence[Data], fractions: Sequence[Real], key: Array, *, stratify: Data = None
) -> tuple[tuple[np.ndarray, ...], ...]:
    """Shuffle the rows and deal them out to parts, such as training, validation and test.

    Of n rows part p gets n·f_p, rounded by largest remainder so that the parts hold all n.
    Stratified, it gets as many, and of the n_c rows of label c it gets n_c·f_p to within one row,
    or as near to that as a row of every label in every part allows, where there is room for it.

    Args:
      arrays: (x, y, …), each with n rows.
      fractions: (f_1, …, f_P), positive, of sum 1.
      key: from `jax.random.key`; the same key deals the same rows.
      stratify: (n,) labels or names, one-hot rows (n, K), or one column (n, 1); of each class at
        least P rows.
    Returns:
      P tuples (x, y, …), one for each part.
    Raises:
      ValueError: no rows, unequal lengths, impossible fractions, an empty part, too few rows of a
        label.
      TypeError: arrays are not a tuple or list, the key is not a JAX key.

    >>> x, y = np.arange(20.0)[:, None], np.arange(20) % 2
    >>> train, validation, test = split((x, y), (0.7, 0.15, 0.15), jax.random.key(0))
    >>> [len(part_x) for part_x, part_y in (train, validation, test)]
    [14, 3, 3]
    """
    columns = _columns(arrays)
    n = len(columns[0])
    f = _shares(fractions)
    label_of_row, counts = _strata(stratify, n, len(f))
    sizes = _deal(np.array([n]), f)[0]
    if not sizes.all():
        raise ValueError(
            f"{n} rows in fractions {fractions} leave a part empty, {sizes.tolist()}: give more "
            "rows"
        )

    generator = host_generator(key)
    parts: list[list[np.ndarray]] = [[] for _ in f]
    for label, of_label in enumerate(_everywhere(_deal(counts, f), np.outer(counts, f))):
        rows = generator.permutation(np.flatnonzero(label_of_row == label))
        for part, dealt in zip(parts, np.split(rows, np.cumsum(of_label)[:-1]), strict=True):
            part.append(dealt)
    orders = [generator.permutation(np.concatenate(part)) for part in parts]
    return tuple(tuple(column[order] for column in columns) for order in orders)


def folds(
    n: int, count: int, key: Array, *, stratify: Data = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows of cross-validation: n rows dealt out to K parts, each held out once.

    The parts are those of `split` with fractions 1/K: their sizes differ by one at most, and so do
    the numbers of rows of a label where they are stratified.

    Args:
      n: how many rows there are.
      count: K, at least 2.
      key: from `jax.random.key`; the same key deals the same rows.
      stratify: as in `split`; of each class at least K rows.
    Returns:
      K pairs (train, test) of indices in ascending order, as scikit-learn's splitters give them.
    Raises:
      ValueError: fewer rows than parts, too few rows of a label.
      TypeError: n or count is not an integer, the key is not a JAX key.

    >>> [(len(train), len(test)) for train, test in folds(10, 3, jax.random.key(0))]
    [(6, 4), (7, 3), (7, 3)]
    """
    n = checks.integer("n", n, 2)
    count = checks.integer("count", count, 2, n, meaning="each fold holds out a row at least")
    rows = np.arange(n)
    parts = split((rows,), [1 / count] * count, key, stratify=stratify)
    return [(np.setdiff1d(rows, test), np.sort(test)) for (test,) in parts]


def _columns(arrays: Sequence[Data]) -> tuple[np.ndarray, ...]:
    """The arrays, of equally many rows."""
    if not isinstance(arrays, (tuple, list)):
        raise TypeError(
            f"arrays is of type {type(arrays).__name__}; it must be a tuple, (x, y): one array "
            "goes as (x,)"
        )
    columns = tuple(gate.array(f"arrays[{i}]", given) for i, given in enumerate(arrays))
    shapes = [column.shape for column in columns]
    lengths = {shape[0] if shape else 0 for shape in shapes}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"arrays have shapes {shapes}; expected at least one, with equally many rows, one or "
            "more"
        )
    return columns


def _shares(fractions: Sequence[Real]) -> np.ndarray:
    """The fractions, of sum 1 to the last digit."""
    f = gate.doubles("fractions", fractions)
    if f.ndim != 1 or not np.all(f > 0) or abs(f.sum() - 1) > 1e-6:
        raise ValueError(
            f"fractions are {fractions}; they must be positive numbers of sum 1, (0.7, 0.15, 0.15)"
        )
    return f / f.sum()


def _strata(stratify: Data, n: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's label, and how many rows each has; one label where all are alike."""
    if stratify is None:
        return np.zeros(n, dtype=int), np.array([n])
    given = gate.array("stratify", stratify)
    column = given.shape == (n, 1)
    labels = given[:, 0] if column else given
    if given.shape[:1] == (n,) and given.ndim == 2 and not column:
        labels = class_of_row(gate.numbers("stratify", given))
        if labels is None:
            raise ValueError(
                "rows of stratify must be one-hot to be classes: give the most likely class of "
                "each, np.argmax(stratify, axis=1)"
            )
    if labels.shape != (n,):
        raise ValueError(
            f"stratify has shape {given.shape}; expected a label for each of {n} rows, ({n},)"
        )
    if labels.dtype == object and len({type(name) for name in labels}) > 1:
        raise ValueError(
            "stratify holds labels of several types, such as names and missing values (NA): make "
            "them one, [str(name) for name in stratify]"
        )
    names, label_of_row, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < parts:
        raise ValueError(
            f"label {names[counts.argmin()]} has only {counts.min()} of the {parts} rows that "
            f"{parts} parts need: give more of them, merge the label with another{LEAVE_OUT}"
        )
    return label_of_row, counts


LEAVE_OUT = ", or leave stratify out"  # which only who calls `split` can


def class_of_row(y: np.ndarray) -> np.ndarray | None:
    """The class of each row, (n,), where targets can be classes; None where they are numbers.

    Integers (n,) can, and 0 and 1 in one column (n, 1) or one-hot rows (n, K).

    >>> class_of_row(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    if y.ndim == 1:
        return y if y.dtype.kind in "biu" else None
    if y.ndim != 2 or not np.isin(y, (0, 1)).all():
        return None
    if y.shape[1] == 1:
        return y[:, 0]
    return y.argmax(axis=1) if (y.sum(axis=1) == 1).all() else None


def _deal(counts: np.ndarray, f: np.ndarray) -> np.ndarray:
    """How many of the `counts` rows of each label fall to each part, (labels, parts).

    Whole numbers near counts ⊗ f. The column sums are those of the whole, n f by largest remainder:
    each label's leftover rows go where most are still wanted, and that greedy choice never runs
    into a corner (Gale and Ryser).
    """
    shares = np.outer(counts, f)
    table = np.floor(shares + 1e-9).astype(int)  # 100 · 0.29 is 29, not 28.999999999999996
    totals = shares[0]
    if len(counts) > 1:
        totals = _deal(counts.sum(keepdims=True), f)[0]
    wanted = totals - table.sum(axis=0)
    for row, share, count in zip(table, shares, counts, strict=True):
        leftover = count - row.sum()
        chosen = np.lexsort((row - share, -wanted))[:leftover]
        row[chosen] += 1
        wanted[chosen] -= 1
    return table


def _everywhere(table: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The table with a row of every label in every part that has room for all labels.

    Label i lacks in part p: it gets a row there out of part q, and label j gives q one of its own
    in p. The margins stay, and of all (j, q) those are taken that leave most near their shares.
    """
    table = table.copy()
    lacking = (table == 0) & (table.sum(axis=0) >= len(table))
    for i, p in np.argwhere(lacking):
        over = table - shares
        taken = np.maximum(-over[:, [p]], np.maximum(over, -over[i])) + 1
        able = (table[i, p] == 0) & (table[:, [p]] > 1) & (table[i] > 1)
        if able.any():
            j, q = np.unravel_index(np.where(able, taken, np.inf).argmin(), taken.shape)
            table[[i, i, j, j], [p, q, p, q]] += [1, -1, -1, 1]
    return table
