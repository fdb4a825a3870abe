"""What the contestants that are written on JAX with optax share.

Both libraries train as their documentation does, a Python loop over a compiled step. Deep networks
also take part with their equal layers stacked and scanned, as both documentations advise for them.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fit.case import Layers, Training
from benchmarks.stacks import Activation

Unpack = Callable[[list[Any]], Layers]  # from a model's leaves


def objective(training: Training) -> Callable[[Any, Any], Any]:
    import optax

    if training.loss == "mse":
        return lambda prediction, y: ((prediction - y) ** 2).mean()
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    return lambda logits, y: cross_entropy(logits, y).mean()


def activation(training: Training) -> Activation:
    import jax

    return jax.numpy.tanh if training.activation == "tanh" else jax.nn.relu


def flat(layers: Layers) -> list[np.ndarray]:
    """W_1, b_1, W_2, …"""
    return [a for pair in layers for a in pair]


def pairs(arrays: list[Any]) -> Layers:
    weights = map(np.asarray, arrays[::2])
    biases = map(np.asarray, arrays[1::2])
    return list(zip(weights, biases, strict=True))


def stacked(layers: Layers) -> list[np.ndarray]:
    """W_1, b_1, the hidden layers' as one array each, W_N, b_N."""
    w, b = map(np.stack, zip(*layers[1:-1], strict=True))
    return [*layers[0], w, b, *layers[-1]]


def unstacked(arrays: list[Any]) -> Layers:
    w_1, b_1, w, b, w_N, b_N = map(np.asarray, arrays)
    return [(w_1, b_1), *zip(w, b, strict=True), (w_N, b_N)]
