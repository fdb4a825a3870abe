"""Outputs, targets and losses: what goes together, and the sentence that refuses the rest."""

import numpy as np

from jnn import losses
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
y[:, None]
    """
    y, known = np.asarray(targets), losses.resolve(loss)
    shape = y.shape
    if known.labels and len(shape) == 1:
        if known.domain is None and y.dtype.kind in "iu":
            return  # what they mean is the function's business
        if known.domain is not None:
            _check_labels(loss, y, n_out)
            return
    if len(shape) == 1 and n_out == 1:
        raise ValueError(
            f"targets of shape {shape} do not match predictions of shape ({shape[0]}, 1): "
            "reshape them, y[:, None]"
        )
    if len(shape) != 2 or shape[1] != n_out:
        rows = shape[0] if shape else "n"
        raise ValueError(f"targets have shape {shape}; the network predicts ({rows}, {n_out})")
    if known.domain is not None and not np.all(known.domain.holds(y)):
        raise ValueError(
            f"targets of {losses.name_of(loss)} must be {known.domain.words}; got values from "
            f"{y.min()} to {y.max()}"
        )


def _check_labels(loss: LossLike, labels: np.ndarray, n_out: int) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{losses.name_of(loss)} labels must be integers, got {labels.dtype}: use y.astype(int)"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < n_out:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; {n_out} outputs need "
            f"0 … {n_out - 1}"
        )
