"""Classes: which one a row of targets or outputs stands for, and a report of how well they are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


def classes(rows: Any, threshold: float) -> Any:
    """The class of each row, (n,): labels (n,) as they are, one column by its threshold, else the largest column.

    Args:
      rows: NumPy's or JAX's, (n,) or (n, n_N).
      threshold: 0 for logits, ½ for targets and probabilities.

    >>> [classes(np.array(rows), 0.0).tolist() for rows in ([[2.0, 1.0], [0.0, 4.0]], [[-1.0], [3.0]])]
    [[0, 1], [0, 1]]
    """
    if rows.ndim == 1:
        return rows.astype(int)
    return (rows[:, 0] > threshold).astype(int) if rows.shape[1] == 1 else rows.argmax(axis=1)


def check_labels(y: np.ndarray, n_out: int | None) -> None:
    """Refuse targets that are no classes: neither labels (n,) nor rows (n, n_out), of probabilities or of one 0 or 1.

    Args:
      n_out: outputs that tell the classes apart; None if any number of them may.
    Raises:
      ValueError: the shape does not match, labels are no integers or out of range, rows are no probabilities.

    >>> check_labels(np.array([0, 1, 3]), 3)
    Traceback (most recent call last):
      ...
    ValueError: labels run from 0 to 3; 3 classes are 0 … 2
    """
    if y.ndim == 1:
        K = None if n_out is None else max(n_out, 2)
        if y.dtype.kind not in "biu":
            hint = ", or y[:, None] of 0 and 1" if n_out == 1 else ""
            raise ValueError(f"labels must be integers, got {y.dtype}: use y.astype(int){hint}")
        if y.size and not 0 <= y.min() <= y.max() < (K or np.inf):
            allowed = f"{K} classes are 0 … {K - 1}" if K else "they start from 0"
            raise ValueError(f"labels run from {y.min()} to {y.max()}; {allowed}")
    elif y.ndim != 2 or y.shape[1] == 0 or y.shape[1] != (n_out or y.shape[1]):
        wanted = f"({len(y)}, {n_out or 'K'})" if y.ndim else "(n, K)"
        raise ValueError(f"targets have shape {y.shape}; classes are labels, shape (n,), or rows, shape {wanted}")
    elif y.shape[1] == 1:
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"the targets of one output must be 0 or 1 to be classes, got {y.min()} to {y.max()}")
    elif not ((y >= 0).all() and np.allclose(y.sum(axis=1, dtype=float), 1, atol=1e-2)):  # bfloat16 rows too
        raise ValueError("rows of targets must be one-hot, or probabilities that sum to 1, to be classes")


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
        scores = zip(self.precision, self.recall, self.f1, self.support, strict=True)
        everything = self.support.sum()
        rows = [("", "precision", "recall", "f1", "support")]
        rows += [
            (label, *(f"{s:.3f}" for s in each), f"{support:.6g}")
            for label, (*each, support) in (
                *zip(self.labels, scores, strict=True),
                ("macro", (*self.macro, everything)),
                ("weighted", (*self.weighted, everything)),
            )
        ]
        rows += [("accuracy", "", "", f"{self.accuracy:.3f}", f"{everything:.6g}")]
        matrix = [("true ↓ predicted →", *self.labels)]
        matrix += [
            (label, *(f"{entry:.6g}" for entry in row)) for label, row in zip(self.labels, self.confusion, strict=True)
        ]
        too_wide = f"confusion: {self.confusion.shape}, too wide to print"
        return f"{_table(rows)}\n\n{_table(matrix) if len(self.labels) <= _PRINTED else too_wide}"


_PRINTED = 20  # up to so many classes the confusion matrix is printed


def classification_report(
    targets: Any, predictions: Any, *, labels: Sequence[str] | None = None, weights: Any = None
) -> ClassificationReport:
    """Confusion, precision, recall and F₁ of each class, through scikit-learn; 0/0 is 0.

    Args:
      targets: labels (n,), one-hot or soft rows (n, K), or 0 and 1 in one column, (n, 1).
      predictions: labels (n,), logits or probabilities (n, K), or the logits of a binary choice, (n, 1).
      labels: the K names of classes 0 … K − 1; None for their numbers, K being the columns,
        or the largest label + 1 and at least 2.
      weights: (n,), not negative, None for all ones; a row of weight 0 counts for nothing.
    Raises:
      ValueError: shapes do not match, there are no rows, labels are no integers from 0 to K − 1.
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
        raise ImportError('classification_report needs scikit-learn: pip install "jnn[sklearn]"') from error
    y, p, names = _paired(np.asarray(targets), np.asarray(predictions), labels)
    K = len(names)
    w = None if weights is None else np.asarray(weights, dtype=float)
    if w is not None:
        if w.shape != y.shape or not np.isfinite(w).all() or (w < 0).any() or not w.any():
            raise ValueError(f"weights of shape {w.shape} must be ({len(y)},), finite, not negative and not all zero")
        y, p, w = y[w > 0], p[w > 0], w[w > 0]

    confusion = reference.confusion_matrix(y, p, labels=range(K), sample_weight=w)
    scores: Any = reference.precision_recall_fscore_support
    options = {"sample_weight": w, "zero_division": 0}
    precision, recall, f1, support = scores(y, p, labels=range(K), **options)
    # without labels, scikit-learn averages over those that occur in targets or predictions
    macro, weighted = (Averages(*map(float, scores(y, p, average=a, **options)[:3])) for a in ("macro", "weighted"))
    accuracy = float(reference.accuracy_score(y, p, sample_weight=w))
    return ClassificationReport(names, confusion, precision, recall, f1, support, macro, weighted, accuracy)


def _paired(
    y: np.ndarray, p: np.ndarray, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The classes of targets and predictions, (n,) each, and the name of every class."""
    if p.ndim not in (1, 2) or y.ndim not in (1, 2) or len(y) != len(p) or p.size == 0:
        raise ValueError(
            f"targets have shape {y.shape}, predictions {p.shape}; expected (n,) or (n, K) with one row or more"
        )
    columns = {a.shape[1] for a in (y, p) if a.ndim == 2}
    if len(columns) > 1:
        raise ValueError(f"targets have shape {y.shape}, predictions {p.shape}; their columns are not the same classes")
    n_out = columns.pop() if columns else None if names is None else len(names)
    check_labels(y, n_out)
    if p.ndim == 1:
        if p.dtype.kind not in "biu":
            raise ValueError(
                f"predictions (n,) must be integer labels, got {p.dtype}: logits have a column, p[:, None]"
            )
        check_labels(p, n_out)
    elif p.shape[1] == 1 and p.dtype.kind in "biu":
        raise ValueError(f"predictions of shape {p.shape} must be logits, got {p.dtype}: labels go as p[:, 0]")
    elif np.isnan(p).any():
        raise ValueError(f"predictions hold NaN, first in row {np.argwhere(np.isnan(p))[0][0]}: they are of no class")
    y, p = classes(y, 0.5), classes(p, 0.0)
    K = max(2, int(max(y.max(), p.max())) + 1 if n_out is None else n_out)
    if names is not None and len(names) != K:
        raise ValueError(f"there are {len(names)} names in labels for {K} classes")
    return y, p, tuple(map(str, range(K) if names is None else names))


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, the first to the left and the others to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(
        row[0].ljust(first) + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], others, strict=True))
        for row in rows
    )
