"""Weights scaled by the data they see, layer after layer: LSUV."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import activations
from jnn.checks import Data
from jnn.params import Params, Stack, hidden_and_readout
from jnn.precision import widened
from jnn.transfers import meant
from jnn.triangular import loops
from jnn.triangular.inputs import check_batch


@meant
def lsuv(params: Params, x: Data) -> Params:
    """Parameters whose hidden pre-activations have variance 1 on a batch: layer-sequential.

        Wₗ ← Wₗ / std(Wₗ xₗ₋₁),  l = 1 … N − 1,  with the xₗ₋₁ that the layers before give by then

    Start from orthogonal weights, `init="orthogonal"`. Biases and the readout stay as they are.

    Args:
      params: the network.
      x: (n, n_0) examples, some hundreds.
    Returns:
      New parameters.
    Raises:
      ValueError: x has the wrong shape, or the examples give some layer no variance; the message
        names it.
    Source: Mishkin and Matas 2016.

    >>> x = jax.random.normal(jax.random.key(1), (99, 2))
    >>> params = lsuv(jnn.init_network_params([2, 8, 8, 1], jax.random.key(0)), x)
    >>> round(float(jnp.std(x @ params[0].w[0].T)), 3)
    1.0
    """
    params, x = check_batch(params, x)
    hidden, _ = hidden_and_readout(params)
    # in float32 at least: the variance of small numbers is 0 in half precision
    scaled, deviations = _scaled(widened(hidden), widened(x))
    std = np.concatenate([np.zeros(0), *(np.asarray(s) for s in deviations)])
    if (still := np.flatnonzero(~(std > 0))).size:
        raise ValueError(
            f"layer {still[0] + 1} has no variance over these {len(x)} examples: are they all "
            'equal, or is it dead? relu networks start with fewer dead units by init="asymmetric"'
        )
    # the readout may share a stack with hidden layers, whose weights are the first in it
    return tuple(
        dataclasses.replace(stack, w=jnp.concatenate([w.astype(stack.w.dtype), stack.w[len(w) :]]))
        for stack, w in zip(params, [*scaled, params[-1].w[:0]], strict=False)
    )


@jax.jit
def _scaled(hidden: Params, x: Array) -> tuple[list[Array], list[Array]]:
    """The scaled weights, and what each layer's were divided by, stack by stack."""
    weights, deviations = [], []
    state = x.T
    for stack in hidden:

        def layer(
            x: Array, wb: tuple[Array, Array], stack: Stack = stack
        ) -> tuple[Array, tuple[Array, Array]]:
            w, b = wb
            std = jnp.std(w @ x)
            w = w / jnp.where(std > 0, std, 1)
            y = activations.resolve(stack.activation).value(w @ x + b[:, None])
            return y + x if stack.residual else y, (w, std)

        state, (w, std) = loops.scan(layer, state, (stack.w, stack.b))
        weights.append(w)
        deviations.append(std)
    return weights, deviations
