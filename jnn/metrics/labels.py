"""Classes: which one a row stands for, and what may stand for one."""

import numpy as np

from jnn import arrays
from jnn.checks import Data, Real


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

    >>> check_labels(np.array([-1, 0, 1, 3]), 3)
    Traceback (most recent call last):
      ...
    ValueError: labels run from -1 to 3; 3 classes are 0 … 2
    """
    if y.ndim == 1:
        _check_labels(y, n_out)
    elif y.ndim != 2 or y.shape[1] == 0 or y.shape[1] != (n_out or y.shape[1]):
        expected = f"({len(y)}, {n_out or 'K'})" if y.ndim else "(n, K)"
        raise ValueError(
            f"targets have shape {y.shape}; classes are labels, shape (n,), or rows, shape "
            f"{expected}{_column(y)}"
        )
    elif y.shape[1] == 1:
        if not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"the targets of one output must be 0 or 1 to be classes, got {y.min()} to "
                f"{y.max()}{_column(y)}"
            )
    # bfloat16 rows too
    elif not ((y >= 0).all() and np.allclose(y.sum(axis=1, dtype=float), 1, atol=1e-2)):
        raise ValueError(
            "rows of targets must be one-hot, or probabilities that sum to 1, to be classes"
        )


def _column(y: np.ndarray) -> str:
    """How whole numbers in one column become labels: what ends the sentence, or nothing."""
    if y.ndim != 2 or y.shape[1] != 1 or not np.all(y == np.floor(y)):
        return ""
    whole = "" if y.dtype.kind in "iu" else ".astype(int)"
    return f": labels have no columns, {arrays.remedy('y', f'[:, 0]{whole}')}"


def _check_labels(labels: np.ndarray, n_out: int | None) -> None:
    if labels.dtype.kind not in "biu":
        hint = ", or y[:, None] of 0 and 1" if n_out == 1 else ""
        raise ValueError(
            f"labels must be integers, got {labels.dtype}: {arrays.to_labels('y', labels)}{hint}"
        )
    if labels.size == 0:
        return
    K = None if n_out is None else max(n_out, 2)
    if labels.min() < 0 or (K is not None and labels.max() >= K):
        allowed = f"{K} classes are 0 … {K - 1}" if K else "they start from 0"
        if K is None or len(np.unique(labels)) <= K:
            allowed += ": number those of all rows at once, np.unique(y, return_inverse=True)[1]"
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; {allowed}")


def as_classes(name: str, values: Data) -> np.ndarray:
    """Labels (n,), which `check_labels` looks at, or rows of numbers.

    >>> as_classes("targets", [[1.0, 0.0]])
    array([[1., 0.]])
    """
    y = arrays.array(name, values)
    return y if y.ndim == 1 else arrays.numbers(name, y)
