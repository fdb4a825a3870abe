"""What every diagnostic starts from: passes up to the logits, and the loss by them.

The states are those that the network has in its own dtype; what is measured of them is computed in
float32 at least.
"""

import jax
from jax import Array

from jnn import losses
from jnn.losses import LossLike
from jnn.outputs import mixing
from jnn.params import Params, Stack, up_to_logits
from jnn.precision import widened
from jnn.triangular import substitution
from jnn.triangular.substitution import Pass


def passes(params: Params, x: Array) -> list[tuple[Stack, Pass]]:
    """Every stack and the forward pass through it, for x: (batch, n_0), with the batch as columns.

    An output that mixes entries, softmax, is left out: the last state are the logits. Half
    precision is widened after the pass.
    """
    done = []
    state = x.T
    for stack in up_to_logits(params):
        its_pass = substitution.walk(stack, state)
        done.append(widened((stack, its_pass)))
        state = its_pass.output
    return done


def loss_adjoint(
    params: Params, logits: Array, y: Array, weights: Array | None, loss: LossLike
) -> Array:
    """n ∂ℓ/∂z of the mean loss ℓ by the logits z, a softmax behind them included: (n, n_N)."""
    output = mixing(params[-1].activation)

    def mean_loss(logits: Array) -> Array:
        predictions = logits if output is None else jax.vmap(output.value)(logits)
        return losses.mean_loss(losses.resolve(loss), predictions, y, weights)

    return len(logits) * jax.grad(mean_loss)(logits)
