"""Predictions in NumPy: as exact as compiled ones, and a new number of rows compiles nothing."""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jax import Array
from scipy.special import expit
from sklearn.utils.extmath import safe_sparse_dot

from jnn import activations
from jnn.activations import ActivationLike
from jnn.checks import Data
from jnn.sklearn import devices


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# in place where NumPy can: z is nobody else's
_FUNCTIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0, out=z),
    "tanh": lambda z: np.tanh(z, out=z),
    "logistic": lambda z: expit(z, out=z),
    "silu": lambda z: np.multiply(z, expit(z), out=z),
    "exp": lambda z: np.exp(z, out=z),
    "softmax": _softmax,
}


def outputs(
    X: Data,
    coefs: Sequence[np.ndarray],
    intercepts: Sequence[np.ndarray],
    activation: ActivationLike,
    output: str,
) -> np.ndarray:
    """x_N = h_N(x_{N−1} W_N + b_N) with xₗ = h(xₗ₋₁ Wₗ + bₗ), of all rows, (n, n_N).

    Args:
      X: (n, n_0), dense or sparse.
      coefs, intercepts: Wₗ: (n_{l−1}, n_l) and bₗ: (n_l,).
      activation: h, by scikit-learn's or jnn's name, or a function.
      output: h_N, by scikit-learn's name.

    >>> outputs(np.ones((1, 2)), [np.ones((2, 1))], [np.zeros(1)], "relu", "identity").tolist()
    [[2.0]]
    """
    x = X
    for l, (w, b) in enumerate(zip(coefs, intercepts, strict=True), start=1):
        z = safe_sparse_dot(x, w)
        z += b
        x = _applied(output if l == len(coefs) else activation, z)
    return x


def _applied(activation: ActivationLike, z: np.ndarray) -> np.ndarray:
    if isinstance(activation, str) and activation in _FUNCTIONS:
        return _FUNCTIONS[activation](z)
    return _by_jax(activation, z)


_BLOCK = 2**14  # entries that a program takes: one program, whatever the number of rows


def _by_jax(activation: ActivationLike, z: np.ndarray) -> np.ndarray:
    """h(z) of an activation of jnn's that NumPy lacks, or of the user's."""
    entries = z.reshape(-1)
    with devices.computing():
        for first in range(0, len(entries), _BLOCK):
            block = entries[first : first + _BLOCK]
            filled = np.zeros(_BLOCK, z.dtype)
            filled[: len(block)] = block
            block[:] = np.asarray(_value(activation, filled))[: len(block)]
    return entries.reshape(z.shape)


@partial(jax.jit, static_argnames="activation")
def _value(activation: ActivationLike, z: Array) -> Array:
    return activations.resolve(activation).value(z)
