"""Weights scaled by the data they see, layer after layer: LSUV."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import activations, network, substitution
from jnn.params import Params, Stack


def lsuv(params: Params, x: Any) -> Params:
    """Parameters whose hidden pre-activations have variance 1 on a batch: layer-sequential unit variance.

        Wₗ ← Wₗ / std(Wₗ xₗ₋₁),  l = 1 … N − 1,  with the xₗ₋₁ that the layers before give by then

    Start from orthogonal weights, `init="orthogonal"`. Biases and the readout stay as they are.

    Args:
      params: the network.
      x: (n, n_0) examples, some hundreds.
    Returns:
      New parameters.
    Raises:
      ValueError: x has the wrong shape, or the examples give some layer no variance; the message names it.
    Source: Mishkin and Matas 2016.

    >>> x = jax.random.normal(jax.random.key(1), (99, 2))
    >>> params = lsuv(jnn.init_network_params([2, 8, 8, 1], jax.random.key(0)), x)
    >>> round(float(jnp.std(x @ params[0].w[0].T)), 3)
    1.0
    """
    x = network.check_batch(params, x)
    scaled, stds = _scaled(params, x)
    std = np.concatenate([np.asarray(s) for s in stds])
    if (still := np.flatnonzero(~(std > 0))).size:
        raise ValueError(
            f"layer {still[0] + 1} has no variance over these {len(x)} examples: are they all equal, or is it dead? "
            'relu networks start with fewer dead units by init="asymmetric"'
        )
    return scaled


@jax.jit
def _scaled(params: Params, x: Array) -> tuple[Params, list[Array]]:
    found, stds, state = [], [], x.T
    for i, stack in enumerate(params):
        h, last = activations.resolve(stack.activation), i == len(params) - 1

        def layer(x: Array, wb: Any, stack: Stack = stack, h: Any = h) -> Any:
            w, b = wb
            std = jnp.std(w @ x)
            w = w / jnp.where(std > 0, std, 1)
            y = h.value(w @ x + b[:, None])
            return y + x if stack.residual else y, (w, std)

        hidden = stack.depth - last
        if hidden:
            state, (w, std) = substitution.walk(layer, state, (stack.w[:hidden], stack.b[:hidden]))
            stds.append(std)
            w = jnp.concatenate([w, stack.w[hidden:]])
        else:
            w = stack.w
        found.append(Stack(w, stack.b, stack.activation, stack.residual))
    return tuple(found), stds
