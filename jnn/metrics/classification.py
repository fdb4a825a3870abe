"""Classes: which one a row stands for, and a report of how well they are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jnn import checks, memory
from jnn.checks import Data, Real

_PRINTED = 20  # up to so many classes the confusion matrix is printed


def classes(rows: Data, threshold: Real) -> Data:
    """The class of each row, (n,): a label as it is, else the largest of its columns.

    One column tells two classes apart by a threshold.

    Args:
      rows: NumPy's or JAX's, (n,) or (n, n_N).
      threshold: 0 for logits, ½ for targets and probabilities.

    >>> classes(np.array([[2.0, 1.0], [0.0, 4.0]]), 0.0).tolist()
    [0, 1]
    >>> classes(np.array([[-1.0], [3.0]]), 0.0).tolist()
    [0, 1]
    """
    if rows.ndim == 1:
        return rows.astype(int)
    if rows.shape[1] == 1:
        return (rows[:, 0] > threshold).astype(int)
    return rows.argmax(axis=1)


def check_labels(y: np.ndarray, n_out: int | None) -> None:
    """Raise on targets that are not classes.

    Classes are labels (n,), or rows (n, n_out): of probabilities, or of one 0 or 1.

    Args:
      y: the targets.
      n_out: outputs that tell the classes apart; None if any number of them may.
    Raises:
      ValueError: the shape does not match, labels are not integers or out of range, rows are not
        probabilities.

    >>> check_labels(np.array([0, 1, 3]), 3)
    Traceback (most recent call last):
      ...
    ValueError: labels run from 0 to 3; 3 classes are 0 … 2
    """
    if y.ndim == 1:
        _check_labels(y, n_out)
    elif y.ndim != 2 or y.shape[1] == 0 or y.shape[1] != (n_out or y.shape[1]):
        expected = f"({len(y)}, {n_out or 'K'})" if y.ndim else "(n, K)"
        raise ValueError(
            f"targets have shape {y.shape}; classes are labels, shape (n,), or rows, shape "
            f"{expected}"
        )
    elif y.shape[1] == 1:
        if not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"the targets of one output must be 0 or 1 to be classes, got {y.min()} to "
                f"{y.max()}"
            )
    # bfloat16 rows too
    elif not ((y >= 0).all() and np.allclose(y.sum(axis=1, dtype=float), 1, atol=1e-2)):
        raise ValueError(
            "rows of targets must be one-hot, or probabilities that sum to 1, to be classes"
        )


def _check_labels(labels: np.ndarray, n_out: int | None) -> None:
    if labels.dtype.kind not in "biu":
        hint = ", or y[:, None] of 0 and 1" if n_out == 1 else ""
        raise ValueError(f"labels must be integers, got {labels.dtype}: use y.astype(int){hint}")
    if labels.size == 0:
        return
    K = None if n_out is None else max(n_out, 2)
    if labels.min() < 0 or (K is not None and labels.max() >= K):
        allowed = f"{K} classes are 0 … {K - 1}" if K else "they start from 0"
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; {allowed}")


class Averages(NamedTuple):
    """Precision, recall and F₁ averaged over classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """How well each of K classes is told from the others. `print` it."""

    labels: tuple[str, ...]
    confusion: np.ndarray  # (K, K): rows true, columns predicted; counts, or sums of weights
    precision: np.ndarray  # (K,): of what was predicted to be k, how much was
    recall: np.ndarray  # (K,): of what was k, how much was predicted to be
    f1: np.ndarray  # (K,): their harmonic mean
    support: np.ndarray  # (K,): the rows, or their weight, that were k
    macro: Averages  # each class that occurs alike
    weighted: Averages  # by support
    accuracy: float

    def __str__(self) -> str:
        everything = f"{self.support.sum():.6g}"
        lines: list[tuple[str, ...]] = [("", "precision", "recall", "f1", "support")]
        scores = zip(self.precision, self.recall, self.f1, strict=True)
        for label, each, support in zip(self.labels, scores, self.support, strict=True):
            lines.append((label, *(f"{score:.3f}" for score in each), f"{support:.6g}"))
        for label, averages in (("macro", self.macro), ("weighted", self.weighted)):
            lines.append((label, *(f"{score:.3f}" for score in averages), everything))
        lines.append(("accuracy", "", "", f"{self.accuracy:.3f}", everything))
        return f"{_table(lines)}\n\n{self._confusion()}"

    def _confusion(self) -> str:
        if len(self.labels) > _PRINTED:
            return f"confusion: {self.confusion.shape}, too wide to print"
        lines = [("true ↓ predicted →", *self.labels)]
        for label, row in zip(self.labels, self.confusion, strict=True):
            lines.append((label, *(f"{entry:.6g}" for entry in row)))
        return _table(lines)


def classification_report(
    targets: Data,
    predictions: Data,
    *,
    labels: Sequence[str] | None = None,
    weights: Data = None,
    threshold: Real = 0.0,
) -> ClassificationReport:
    """Confusion, precision, recall and F₁ of each class, through scikit-learn; 0/0 is 0.

    Args:
      targets: labels (n,), one-hot or soft rows (n, K), or 0 and 1 in one column, (n, 1).
      predictions: labels (n,), logits or probabilities (n, K), or one column for a binary choice,
        (n, 1).
      labels: the K names of classes 0 … K − 1; None for their numbers, K being the columns,
        or the largest label + 1 and at least 2.
      weights: (n,), not negative, None for all ones; a row of weight 0 counts for nothing.
      threshold: of one column of predictions: 0 for logits, 0.5 for probabilities.
    Raises:
      ValueError: shapes do not match, there are no rows, labels are not integers from 0 to K − 1.
      TypeError: weights or threshold are not numbers.
      ImportError: scikit-learn is not installed.

    >>> print(classification_report([0, 0, 1, 1], [0, 0, 0, 1], labels=["cat", "dog"]))
              precision  recall     f1  support
    cat           0.667   1.000  0.800        2
    dog           1.000   0.500  0.667        2
    macro         0.833   0.750  0.733        4
    weighted      0.833   0.750  0.733        4
    accuracy                     0.750        4
    <BLANKLINE>
    true ↓ predicted →  cat  dog
    cat                   2    0
    dog                   1    1
    """
    try:
        from sklearn import metrics as reference
    except ImportError as error:
        raise ImportError(
            'classification_report needs scikit-learn: pip install "jnn[sklearn]"'
        ) from error
    threshold = checks.number("threshold", threshold)
    y, p, names = _paired(np.asarray(targets), np.asarray(predictions), labels, threshold)
    w = None
    if weights is not None:
        w = checks.row_weights(weights, len(y))
        counted = w > 0
        y, p, w = y[counted], p[counted], w[counted]
    return _report(reference, y, p, w, names)


def _report(
    reference: Any, y: np.ndarray, p: np.ndarray, w: np.ndarray | None, names: tuple[str, ...]
) -> ClassificationReport:
    """The report by scikit-learn's metrics of true classes y and predicted ones p."""
    every = range(len(names))
    scores = partial(reference.precision_recall_fscore_support, sample_weight=w, zero_division=0)
    precision, recall, f1, support = scores(y, p, labels=every)
    # without labels, scikit-learn averages over those that occur in targets or predictions
    macro = Averages(*map(float, scores(y, p, average="macro")[:3]))
    weighted = Averages(*map(float, scores(y, p, average="weighted")[:3]))
    return ClassificationReport(
        labels=names,
        confusion=reference.confusion_matrix(y, p, labels=every, sample_weight=w),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        macro=macro,
        weighted=weighted,
        accuracy=float(reference.accuracy_score(y, p, sample_weight=w)),
    )


def _paired(
    y: np.ndarray, p: np.ndarray, names: Sequence[str] | None, threshold: float
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The classes of targets and predictions, (n,) each, and the name of every class."""
    if p.ndim not in (1, 2) or y.ndim not in (1, 2) or len(y) != len(p) or p.size == 0:
        raise ValueError(
            f"targets have shape {y.shape}, predictions {p.shape}; expected (n,) or (n, K) with "
            "one row or more"
        )
    columns = {a.shape[1] for a in (y, p) if a.ndim == 2}
    if len(columns) > 1:
        raise ValueError(
            f"targets have shape {y.shape}, predictions {p.shape}; their columns are not the same "
            "classes"
        )
    n_out = None if names is None else len(names)
    if columns:
        n_out = columns.pop()
    check_labels(y, n_out)
    _check_predictions(p, n_out)
    y = classes(y, 0.5)
    p = classes(p, threshold)
    K = int(max(y.max(), p.max())) + 1 if n_out is None else n_out
    K = max(2, K)
    remedy = "number the classes from 0 without gaps, np.unique(y, return_inverse=True)[1]"
    memory.check(f"the confusion matrix of {K:,} classes", 8 * K * K, remedy)
    if names is not None and len(names) != K:
        raise ValueError(f"there are {len(names)} names in labels for {K} classes")
    return y, p, tuple(map(str, range(K) if names is None else names))


def _check_predictions(p: np.ndarray, n_out: int | None) -> None:
    """Raise on predictions that stand for no class."""
    integers = p.dtype.kind in "biu"
    if p.ndim == 1:
        if not integers:
            raise ValueError(
                f"predictions (n,) must be integer labels, got {p.dtype}: logits and probabilities "
                "have a column, p[:, None]"
            )
        check_labels(p, n_out)
    elif p.shape[1] == 1 and integers:
        raise ValueError(
            f"predictions of shape {p.shape} must be logits or probabilities, got {p.dtype}: "
            "labels go as p[:, 0]"
        )
    elif np.isnan(p).any():
        row = np.argwhere(np.isnan(p))[0][0]
        raise ValueError(f"predictions hold NaN, first in row {row}: they are of no class")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, the first to the left and the others to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for label, *cells in rows:
        padded = (f"  {cell:>{width}}" for cell, width in zip(cells, others, strict=True))
        lines.append(label.ljust(first) + "".join(padded))
    return "\n".join(lines)
