"""Outputs, targets and losses: what goes together, and the sentence that refuses the rest."""

import numpy as np

from jnn import arrays, losses
from jnn.activations import ActivationLike
from jnn.checks import Data
from jnn.losses import LossLike
from jnn.outputs import kind_of_output


def check_output(loss: LossLike, output: ActivationLike) -> None:
    """Raise where the loss takes logits and the network gives probabilities, or the other way.

    Of a function of your own, as loss or as output, nothing is known, and it passes.

    Raises:
      ValueError: they do not go together; the message says what does.

    >>> check_output("binary_log_loss", "identity")
    Traceback (most recent call last):
      ...
    ValueError: loss binary_log_loss takes probabilities, but the network's output, identity, \
gives numbers: build it with output="sigmoid", or loss="binary_cross_entropy" of logits
    """
    takes = losses.resolve(loss).takes
    gives = kind_of_output(output)
    if takes is None or gives in (None, _NUMBERS.get(takes, takes)):
        return
    raise ValueError(
        f"loss {losses.name_of(loss)} takes {takes}, but the network's output, {output}, "
        f"gives {gives}: {_REMEDIES[takes]}"
    )


_NUMBERS = {"logits": "numbers", "log rates": "numbers"}
_REMEDIES = {
    "logits": 'build it with output="identity", and see jnn.probabilities, or take '
    'loss="log_loss" with softmax, "binary_log_loss" with sigmoid',
    "log rates": 'build it with output="identity"',
    "a distribution": 'build it with output="softmax", or take loss="cross_entropy" of logits',
    "probabilities": 'build it with output="sigmoid", or loss="binary_cross_entropy" of logits',
}


def check_targets(loss: LossLike, targets: Data, n_out: int) -> None:
    """Raise on targets that would broadcast against predictions (n, n_out), not match them.

    Raises:
      ValueError: the shape is not (n, n_out), nor (n,) integer labels for a loss that takes them; a
        target is outside of what the loss is made for.

    >>> check_targets("mse", np.zeros(5), 1)
    Traceback (most recent call last):
      ...
    ValueError: targets of shape (5,) do not match predictions of shape (5, 1): reshape them, \
y[:, None], or np.asarray(y)[:, None] of a list or frame
    """
    y, known = arrays.numbers("targets", targets), losses.resolve(loss)
    if known.labels and y.ndim == 1 and known.domain is not None:
        _check_labels(loss, known, y, n_out)
        return
    if known.labels and y.ndim == 1 and y.dtype.kind in "biu":
        return  # what they mean is the function's business
    if y.ndim != 2 or y.shape[1] != n_out:
        raise ValueError(_mismatch(known, y, n_out))
    if known.domain is not None and not np.all(known.domain.holds(y)):
        raise ValueError(
            f"targets of {losses.name_of(loss)} must be {known.domain.words}; got values from "
            f"{y.min()} to {y.max()}{_two_classes(known, y)}"
        )


def _mismatch(known: losses.Loss, y: np.ndarray, n_out: int) -> str:
    """The refusal of targets of another shape than predictions (n, n_out)."""
    hint = arrays.to_rows("y", y.shape, n_out)
    if y.ndim == 1 and n_out == 1:
        return (
            f"targets of shape {y.shape} do not match predictions of shape ({len(y)}, 1): reshape "
            f"them, {arrays.remedy('y', '[:, None]')}"
        )
    if y.ndim == 1 and y.dtype.kind in "iu" and y.size and 0 <= y.min() <= y.max() < n_out:
        hint = f": labels become rows by jnn.data.one_hot(y, {n_out})"
    takes_labels = known.labels and known.domain is not None
    if takes_labels and y.shape[1:] == (1,) and np.all(y == np.floor(y)):
        whole = "" if y.dtype.kind in "iu" else ".astype(int)"
        hint = f": labels have no columns, {arrays.remedy('y', f'[:, 0]{whole}')}"
    rows = y.shape[0] if y.ndim else "n"
    return f"targets have shape {y.shape}; the network predicts ({rows}, {n_out}){hint}"


def _check_labels(loss: LossLike, known: losses.Loss, labels: np.ndarray, n_out: int) -> None:
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"{losses.name_of(loss)} labels must be integers, got {labels.dtype}: "
            f"{arrays.to_labels('y', labels)}"
        )
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low >= 0 and high < n_out:
        return
    distinct = len(np.unique(labels))
    way = "number those of all rows at once from 0, np.unique(y, return_inverse=True)[1]"
    if n_out == 1 and (low, high) == (0, 1):
        way = _binary(known, arrays.remedy("y", "[:, None]"))
    elif low == 0 and distinct > n_out:
        way = f"build the network with {high + 1} outputs"
    elif distinct > n_out:
        way = f"build the network with {distinct} outputs, and {way}"
    elif low >= 0:
        way += f", or build the network with {high + 1} outputs"
    raise ValueError(
        f"labels run from {low} to {high}; {n_out} outputs need 0 … {n_out - 1}: {way}"
    )


def _binary(known: losses.Loss, y: str) -> str:
    """What one output is trained with, in place of the loss of several."""
    if known.takes == "logits":
        return f'one output takes loss="binary_cross_entropy" and y as {y}'
    return f'one output, built with output="sigmoid", takes loss="binary_log_loss" and y as {y}'


def _two_classes(known: losses.Loss, y: np.ndarray) -> str:
    """How two classes in one column are given to a loss that is not made for their numbers."""
    if known.chance is None or y.shape[1] != 1 or len(np.unique(y)) != 2:
        return ""
    if known.labels:
        return f": {_binary(known, 'it is')}" if np.isin(y, (0, 1)).all() else ""
    return ": two classes go as 0 and 1, np.equal(y, np.max(y))"
