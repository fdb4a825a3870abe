"""What an ensemble says: the mean of its members, and how far they are apart."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn import losses
from jnn.checks import Data
from jnn.losses import LossLike
from jnn.many.members import of_members
from jnn.params import sizes
from jnn.triangular import network, probability
from jnn.triangular.inputs import check_rows

_AT_ONCE = 2**25  # numbers in a hidden layer of all members that predict at once


class Prediction(NamedTuple):
    """What an ensemble says, and how far its members are apart."""

    mean: np.ndarray  # (batch, n_N)
    std: np.ndarray  # (batch, n_N), over members


def predicted(members: Any, x: Data, loss: LossLike) -> Prediction:
    """Mean and standard deviation of outputs, of probabilities where the loss is one of logits.

    Args:
      members: parameters, (M, …) a leaf, or a list of M networks.
      x: (batch, n_0).
      loss: that was minimised.
    """
    first, x = check_rows(of_members(members, 0), x)
    of = network.predict
    if losses.resolve(loss).takes == "logits":
        of = partial(probability.probabilities, loss=loss)
    if isinstance(members, list):
        outputs = np.stack([of(params, x) for params in members])
    else:
        members = jax.device_get(members)
        of_all = jax.vmap(of, (0, None))
        # so many at once as leave their hidden layers in memory
        step = max(1, _AT_ONCE // (len(x) * max(sizes(first))))
        slices = (slice(i, i + step) for i in range(0, len(members[0].w), step))
        outputs = np.concatenate([of_all(of_members(members, some), x) for some in slices])
    with np.errstate(over="ignore", invalid="ignore"):  # of one that diverged
        return Prediction(outputs.mean(0), outputs.std(0))
