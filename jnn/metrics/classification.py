"""A report of how well classes are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jnn import arrays, checks, memory
from jnn.checks import Data, Real
from jnn.equality import by_value
from jnn.metrics.labels import as_classes, check_labels, classes
from jnn.params import Stack

_PRINTED = 20  # up to so many classes the confusion matrix is printed


class Averages(NamedTuple):
    """Precision, recall and F₁ averaged over classes."""

    precision: float
    recall: float
    f1: float


@by_value
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
      TypeError: weights or threshold are not numbers, or a network was given in place of targets.
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
            "classification_report needs scikit-learn: pip install scikit-learn"
        ) from error
    threshold = checks.number("threshold", threshold)
    if labels is not None:
        labels = checks.sequence("labels", labels, "names, one a class")
    y, p, names = _paired(*_arrays(targets, predictions), labels, threshold)
    w = None
    if weights is not None:
        w = arrays.row_weights(weights, len(y))
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


def _arrays(targets: Data, predictions: Data) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions as arrays of numbers; names are numbered for both at once."""
    if isinstance(targets, tuple) and targets and isinstance(targets[0], Stack):
        raise TypeError(
            "targets is a network; the report compares targets with predictions: "
            "classification_report(y, jnn.predict(params, x))"
        )
    y = as_classes("targets", targets)
    p = arrays.array("predictions", predictions)
    if y.dtype.kind in "OSUT" and p.dtype.kind in "OSUT" and y.shape == p.shape:
        raise ValueError(
            f"labels must be integers, got {y.dtype}: number the names of both at once, "
            "y, p = np.unique([y, p], return_inverse=True)[1]"
        )
    return y, arrays.numbers("predictions", p)


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
