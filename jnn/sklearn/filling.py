"""Rows as programs take them: dense, filled up to a few lengths; and rows that are held out."""

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split

from jnn import memory, padding
from jnn.checks import Data, Thing
from jnn.data.rows import Rows


def filled_up(rows: Rows, dtype: np.dtype, *, in_batches: bool = False) -> Rows:
    """Dense rows of a dtype and with weights, as many as share a program: 0 for what was added.

    Args:
      rows: X, dense or sparse, y and weights, or None for all ones.
      dtype: to compute in.
      in_batches: whether they are taken in minibatches, to which what was added costs nothing.
    """
    x, y, weights = rows
    n = x.shape[0]
    length = _coarse(n) if in_batches and n <= _MANY else padding.longer(n)
    if scipy.sparse.issparse(x):
        remedy = "give fewer rows at a time to partial_fit"
        memory.check("the dense rows of X", length * x.shape[1] * dtype.itemsize, remedy)
        x = x.toarray()
    w = np.zeros(length, dtype)
    w[:n] = 1 if weights is None else weights
    x, y = (padding.filled_up(np.asarray(a, dtype), length) for a in (x, y))
    return Rows(x, y, w)


def fits(x: Data, dtype: np.dtype) -> bool:
    """Whether rows are dense, or few enough to become dense ones in a quarter of the memory."""
    if not scipy.sparse.issparse(x):
        return True
    return memory.holds(4 * x.shape[0] * x.shape[1] * dtype.itemsize)


_MANY = 2**16  # rows from which on up to twice as many are too much memory


def _coarse(n: int) -> int:
    """A power of 2: the folds of a search and all its rows often share it.

    >>> [_coarse(n) for n in (1, 5, 800, 1000, 1437, 1797)]
    [1, 8, 1024, 1024, 2048, 2048]
    """
    return 1 << (n - 1).bit_length()


def split(estimator: Thing, rows: Rows, random: Any) -> tuple[Rows, Rows]:
    """Rows to train on and rows to validate with; of two classes each gets its share of both."""
    there = [part for part in rows if part is not None]
    binary = is_classifier(estimator) and estimator.n_outputs_ == 1
    parts = train_test_split(
        *there,
        random_state=random,
        test_size=estimator.validation_fraction,
        stratify=rows.y if binary else None,
    )
    nothing = [None] * (3 - len(there))
    train, validation = (Rows(*part, *nothing) for part in (parts[::2], parts[1::2]))
    if validation.x.shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return train, validation
