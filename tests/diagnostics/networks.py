"""The networks that the diagnostics are tested on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import oracles

import jnn

NETWORKS = [
    ([3, 4, 4, 4, 2], "tanh", False),
    ([3, 4, 4, 4, 2], "relu", True),
    ([1, 1, 1, 1], "sigmoid", False),
    ([2, 6, 3, 3, 5, 1], "gelu", False),
    ([4, 4, 4, 4], "sin", True),
    ([3, 3, 3], "identity", False),
    ([2, 1], "tanh", False),
]


def problem(sizes, activation, residual, n=6):
    rng = np.random.default_rng(0)
    return (
        oracles.network(sizes, activation, residual),
        jnp.asarray(rng.standard_normal((n, sizes[0]))),
        jnp.asarray(rng.standard_normal((n, sizes[-1]))),
    )


def chain(depth, dtype=None):
    """Sigmoid layers that hand on x = ½, each with the slope ¼."""
    stack = jnn.Stack(
        jnp.full((depth, 1, 1), 1.0, dtype), jnp.full((depth, 1), -0.5, dtype), "sigmoid"
    )
    return stack, jnn.Stack(jnp.ones((1, 1, 1), dtype), jnp.zeros((1, 1), dtype))


def classifiers(sizes=(3, 5, 5, 5, 4), activation=("relu", "tanh", "tanh")):
    """Two networks of the same parameters: one ends in a softmax, one in its logits."""
    logits = jnn.init_network_params(sizes, jax.random.key(1), activation=list(activation))
    return (*logits[:-1], replace(logits[-1], activation="softmax")), logits


# one input and one output, for the verdict
X = np.linspace(-1, 1, 32)[:, None]
Y = np.sin(3 * X)


def network(width, depth, activation, init, residual=False, seed=1):
    sizes = [1] + [width] * depth + [1]
    return jnn.init_network_params(
        sizes, jax.random.key(seed), activation=activation, init=init, residual=residual
    )
