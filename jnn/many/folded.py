"""Data in folds: of each fold the rows to train on and those to judge by, in its own units."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jnn import arrays, checks, losses
from jnn.checks import Data, Thing
from jnn.data.scaling import standardization, standardize
from jnn.data.splits import LEAVE_OUT, class_of_row, folds as dealt
from jnn.data.streams import is_stream
from jnn.losses import LossLike
from jnn.params import Params
from jnn.training.options import Plan
from jnn.training.sources import Sources, checked_sources

Folds = list[tuple[np.ndarray, np.ndarray]]  # indices of rows: train, test


class Folded(NamedTuple):
    """Data in K folds, and which of them each member has."""

    columns: tuple[np.ndarray, ...]  # x, y and weights, of all rows
    folds: Folds
    standardize: str  # which of x and y, "" for neither
    of: np.ndarray  # (M,)

    def sources(self, plan: Plan, params: Params) -> list[Sources]:
        """The rows of each fold, checked as `fit` checks them.

        Raises:
          ValueError: the rows of a fold do not go with network, loss or plan, or members that have
            rows of several lengths cannot be one program.
        """
        every = []
        for k in range(len(self.folds)):
            try:
                every.append(checked_sources(plan, params, *self.rows(k)))
            except ValueError as error:
                raise ValueError(f"fold {k}: {error}") from error
        _check_lengths(plan, every)
        return every

    def rows(self, k: int) -> tuple[tuple[Data, ...], tuple[Data, ...]]:
        """Data and validation of fold k, as `fit` takes them."""
        train, test = (tuple(column[rows] for column in self.columns) for rows in self.folds[k])
        weights = train[2] if len(train) == 3 else None
        for i, name in enumerate("xy"):
            if name in self.standardize:
                s = standardization(train[i], weights=weights)
                train, test = (
                    (*part[:i], standardize(s, part[i]), *part[i + 1 :]) for part in (train, test)
                )
        return train, test


# ---- what came ----


def checked_columns(data: Thing) -> tuple[np.ndarray, ...]:
    """The arrays x, y and perhaps weights, of equally many rows.

    Raises:
      TypeError: data are a stream, or not numbers.
      ValueError: they are not two or three arrays of one length.
    """
    if is_stream(data):
        raise TypeError("cross_validate takes arrays (x, y): a stream has no rows to deal out")
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        length = f" of length {len(data)}" if isinstance(data, (tuple, list)) else ""
        raise ValueError(
            f"data must be (x, y) or (x, y, weights), got {type(data).__name__}{length}"
        )
    names = ("x", "y", "weights")
    columns = tuple(
        arrays.numbers(f"{name} of data", column) for name, column in zip(names, data, strict=False)
    )
    shapes = [column.shape for column in columns]
    if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"x and y of data differ in length: shapes are {shapes}")
    return columns


def checked_folds(folds: Thing, columns: tuple[np.ndarray, ...], loss: LossLike, key: Any) -> Folds:
    """Pairs (train, test) of rows: those that were given, or so many, dealt out by fold_in(key, 1).

    Classes are dealt out evenly: labels, 0 and 1 in one column, one-hot rows. To a loss that takes
    other numbers, too, they are classes where each fold can have some.

    Raises:
      ValueError: a fold has no rows, rows that there are not, or some in both parts; or a class has
        too few rows for so many folds.
      TypeError: folds is neither a number nor pairs of integers.
    """
    n = len(columns[0])
    if hasattr(folds, "split"):
        raise TypeError(
            f"folds is a {type(folds).__name__}; it must be a number, or pairs (train, test) of "
            "rows: folds=splitter.split(x, y)"
        )
    if not hasattr(folds, "__iter__"):
        dealt_out = f"each holds out some of {n} rows; or give pairs (train, test) of rows"
        count = checks.integer("folds", folds, 2, n, meaning=dealt_out)
        labels = class_of_row(columns[1])
        if labels is not None and losses.resolve(loss).chance is None:
            _, of_class = np.unique(labels, return_counts=True)
            labels = labels if of_class.min() >= count else None
        try:
            return dealt(n, count, jax.random.fold_in(key, 1), stratify=labels)
        except ValueError as error:
            said = str(error).removesuffix(LEAVE_OUT)
            raise ValueError(
                f"folds={folds} cannot be dealt out: {said}; or give pairs (train, test) of rows"
            ) from error
    pairs = list(folds)
    if len(pairs) == 0:
        raise ValueError("folds are empty: give a number, or pairs (train, test) of rows")
    return [_checked_fold(k, pair, n) for k, pair in enumerate(pairs)]


def _checked_fold(k: int, pair: Thing, n: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(
            f"fold {k} is of type {type(pair).__name__}; it must be a pair (train, test) of "
            "indices of rows"
        )
    parts = []
    for name, given in zip(("train", "test"), pair, strict=True):
        rows = arrays.array(f"{name} of fold {k}", given)
        if rows.ndim != 1 or len(rows) == 0:
            raise ValueError(
                f"{name} of fold {k} has shape {rows.shape}; it must hold indices of rows, one or "
                "more"
            )
        if rows.dtype.kind not in "iu":
            mask = ": np.flatnonzero of a mask" if rows.dtype == bool else ""
            raise TypeError(
                f"{name} of fold {k} holds {rows.dtype}; it must hold indices of rows{mask}"
            )
        outside = rows[(rows < 0) | (rows >= n)]
        if len(outside):
            raise ValueError(
                f"{name} of fold {k} holds row {outside[0]}; data have rows 0 to {n - 1}"
            )
        parts.append(rows)
    both = np.intersect1d(*parts)
    if len(both):
        raise ValueError(
            f"fold {k} has {len(both)} rows both in train and in test, the first of them row "
            f"{both[0]}: what is trained on cannot judge"
        )
    return parts[0], parts[1]


def checked_standardize(value: Thing, y: np.ndarray, loss: LossLike) -> str:
    """Which of x and y are to be standardised, "" for neither.

    Raises:
      ValueError: neither None, "x", "y" nor "xy"; or y are classes.
    """
    if value is None:
        return ""
    value = checks.known("columns to standardize", value, ("x", "y", "xy"), otherwise="None")
    if "y" in value and (y.ndim == 1 or losses.resolve(loss).chance is not None):
        raise ValueError(
            f"standardize is {value!r}, but y are labels or classes to this loss: take "
            'standardize="x"'
        )
    return value


def _check_lengths(plan: Plan, every: list[Sources]) -> None:
    """Raise where folds of unequal sizes could not be trained as `fit` trains each of them."""
    lengths: list[Any] = [(len(one.train.x), len(one.validation.x)) for one in every]  # pyright: ignore
    n = [train for train, _ in lengths]
    if len(set(lengths)) > 1 and not plan.takes_weights:
        raise ValueError(
            f"folds have {min(n)} to {max(n)} rows to train on, which are filled up by rows of "
            "weight zero; watch= and a metric without weights would see them: leave these out, or "
            "give folds of one size"
        )
    sizes = [one.size for one in every]
    if len(set(n)) > 1 and plan.dropout_rate and max(sizes) >= min(n):
        raise ValueError(
            f"with dropout, whose masks follow the places of examples in a minibatch, folds of "
            f"{min(n)} to {max(n)} rows need a batch_size below {min(n)}, got {max(sizes)}"
        )
