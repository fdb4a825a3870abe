"""scikit-learn's weights and jnn's parameters: the same numbers, a layer's matrix transposed."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import activations
from jnn.activations import ActivationLike
from jnn.checks import Thing
from jnn.params import Params, Stack

Matrix: TypeAlias = np.ndarray | Array

# scikit-learn's names of hidden activations, and jnn's
ACTIVATIONS = {"logistic": "sigmoid", **{name: name for name in activations.ACTIVATIONS}}


def check_layers(coefs: Thing, intercepts: Thing, ends: tuple[int, int]) -> None:
    """Raise unless weights form a network from n_0 to n_N: a user may have written them.

    Args:
      coefs: matrices (n_{l−1}, n_l).
      intercepts: vectors (n_l,).
      ends: (n_0, n_N).
    Raises:
      ValueError: their shapes do not chain.

    >>> check_layers([np.ones((2, 3)), np.ones((3, 1))], [np.ones(3), np.ones(1)], (2, 1))
    >>> check_layers([np.ones((2, 3))], [np.ones(1)], (2, 3))
    Traceback (most recent call last):
      ...
    ValueError: coefs_ have the shapes (2, 3) and intercepts_ (1,); they must lead from 2 features \
to 3 outputs, coefs_[l] being (n_in, n_out) with the n_out of the layer before as n_in, and \
intercepts_[l] (n_out,)
    """
    w, b = [np.shape(a) for a in coefs], [np.shape(a) for a in intercepts]
    n_0, n_N = ends
    n = [n_0, *(shape[-1] if shape else 0 for shape in w)]
    if w and n[-1] == n_N and w == [*pairwise(n)] and b == [(n_out,) for n_out in n[1:]]:
        return
    shapes, lengths = (", ".join(map(str, each)) for each in (w, b))
    raise ValueError(
        f"coefs_ have the shapes {shapes} and intercepts_ {lengths}; they must lead from {n_0} "
        f"features to {n_N} outputs, coefs_[l] being (n_in, n_out) with the n_out of the layer "
        "before as n_in, and intercepts_[l] (n_out,)"
    )


def params_of(
    coefs: Sequence[Matrix],
    intercepts: Sequence[Matrix],
    activation: ActivationLike,
    output: ActivationLike = "identity",
) -> Params:
    """jnn's parameters, in stacks of equal layers: NumPy's arrays, or traced ones within a program.

    Args:
      coefs: matrices (n_{l−1}, n_l), one a layer.
      intercepts: vectors (n_l,).
      activation: of the hidden layers, as scikit-learn or jnn calls it, or a function.
      output: of the last layer, as jnn calls it.

    >>> [stack] = params_of([np.array([[1.0], [2.0]])], [np.zeros(1)], "relu")
    >>> stack.w.tolist(), stack.activation
    ([[[1.0, 2.0]]], 'identity')
    """
    h = ACTIVATIONS[activation] if isinstance(activation, str) else activation
    hidden = [(w.shape, h) for w in coefs[:-1]]
    kinds = [*hidden, (coefs[-1].shape, output)]
    stacks, first = [], 0
    for (_, h), run in groupby(kinds):
        layers = slice(first, first := first + len([*run]))
        stack = np.stack if isinstance(coefs[0], np.ndarray) else jnp.stack
        w = stack([w.T for w in coefs[layers]])
        stacks.append(Stack(w, stack(intercepts[layers]), h))
    return tuple(stacks)


def layers_of(params: Params) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """coefs_ and intercepts_: NumPy's arrays of their own, which may be written to.

    >>> coefs, intercepts = layers_of(jnn.from_layers([([[1.0, 2.0]], [0.5])]))
    >>> coefs[0].tolist(), intercepts[0].tolist()
    ([[1.0], [2.0]], [0.5])
    """
    stacks = [(np.asarray(stack.w), np.asarray(stack.b)) for stack in params]
    coefs = [np.array(w.T, order="C") for ws, _ in stacks for w in ws]
    return coefs, [np.array(b) for _, bs in stacks for b in bs]
