"""Outputs as probabilities: what a network trained on logits says."""

import jax
from jax import Array
from jax.typing import ArrayLike

from jnn import losses, outputs
from jnn.losses import LossLike
from jnn.params import Params
from jnn.shapes import Float
from jnn.triangular.network import predict


def probabilities(
    params: Params, x: ArrayLike, *, loss: LossLike = "cross_entropy"
) -> Float[Array, "batch n_N"]:
    """The probabilities that a network's outputs stand for, softmax or sigmoid of its logits.

        pₖ = e^{zₖ} / Σⱼ e^{zⱼ}  ("cross_entropy"),        pₖ = 1/(1 + e^{−zₖ})  (one output, or
        "binary_cross_entropy")

    A network whose output is softmax or sigmoid gives them by itself; here it is `predict`.

    Args:
      params: the network.
      x: (batch, n_0), one example a row.
      loss: that it was trained with, "cross_entropy" or "binary_cross_entropy" (or either of them
        smoothed).
    Raises:
      ValueError: x has the wrong shape, the loss is not one of logits, or the network's output is
        neither logits nor probabilities.

    >>> params = jnn.from_layers([([[1.0], [-1.0]], [0.0, 0.0])])
    >>> probabilities(params, jnp.zeros((1, 1))).tolist()
    [[0.5, 0.5]]
    """
    if outputs.kind_of_output(params[-1].activation) in ("probabilities", "a distribution"):
        return predict(params, x)
    known = losses.resolve(loss)
    plain = known.measured or known
    if plain is losses.LOSSES["cross_entropy"]:
        together = True
    elif plain is losses.LOSSES["binary_cross_entropy"]:
        together = False
    else:
        raise ValueError(
            f"loss is {loss!r}; it must be cross_entropy or binary_cross_entropy, whose "
            "predictions are logits"
        )
    logits = predict(params, x)
    link = jax.nn.softmax if together and logits.shape[1] > 1 else jax.nn.sigmoid
    return jax.jit(link)(logits)
