"""States layer by layer: their size, rank and correlation; units saturated, dead or constant."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import activations
from jnn.activations import ActivationLike
from jnn.checks import Data
from jnn.diagnostics.logits import passes
from jnn.equality import by_value
from jnn.params import Params, Stack
from jnn.precision import full_precision
from jnn.structure import check_params
from jnn.transfers import meant
from jnn.triangular import substitution
from jnn.triangular.inputs import check_batch, check_example
from jnn.triangular.substitution import Pass

_SATURATED = 0.01  # of the largest slope


@by_value
class Statistics(NamedTuple):
    """Over units and examples, for layers 1 … N."""

    z_mean: np.ndarray | Array  # (N,), of the pre-activations
    z_std: np.ndarray | Array
    x_mean: np.ndarray | Array  # of the states
    x_std: np.ndarray | Array
    # share of slopes below 1 % of the largest that the activation has
    saturated: np.ndarray | Array
    dead: np.ndarray | Array  # units whose slope is 0 on every example
    # units whose state is the same, to rounding, on every example; 0 if there is but one
    constant: np.ndarray | Array


@meant
@full_precision
def statistics(params: Params, x: Data) -> Statistics:
    """Means and deviations of pre-activations and states, and how many units do not work.

    Args:
      params: the network.
      x: (n, n_0) examples.
    Raises:
      ValueError: x has the wrong shape.

    >>> layers = [([[1.0], [-1.0]], [0.0, -9.0]), ([[1.0, 1.0]], [0.0])]
    >>> params = jnn.from_layers(layers, activation="relu")
    >>> measured = statistics(params, [[1.0], [2.0]])  # the second unit is negative on both
    >>> measured.dead.tolist(), measured.constant.tolist()
    ([1, 0], [1, 0])
    """
    columns = jax.jit(layer_statistics)(*check_batch(params, x))
    return Statistics(*(np.asarray(column) for column in columns))


@by_value
class Variances(NamedTuple):
    """Of the parameters of layers 1 … N, about 0: a network's point in the phase diagram."""

    sigma_w2: np.ndarray  # (N,): mean square of the weights times n_in
    sigma_b2: np.ndarray  # (N,): mean square of the biases


def variances(params: Params) -> Variances:
    """σ_w² and σ_b² of every layer, as mean-field theory counts them.

    >>> variances(jnn.from_layers([([[2.0, 0.0]], [0.5])]))
    Variances(sigma_w2=array([4.]), sigma_b2=array([0.25]))
    """
    check_params(params)
    σ_w2, σ_b2 = [], []
    for stack in params:
        w = np.asarray(stack.w, np.float64)
        b = np.asarray(stack.b, np.float64)
        σ_w2.append(np.mean(w**2, axis=(1, 2)) * w.shape[2])
        σ_b2.append(np.mean(b**2, axis=1))
    return Variances(np.concatenate(σ_w2), np.concatenate(σ_b2))


@meant
@full_precision
def effective_rank(params: Params, x: Data) -> np.ndarray:
    """How many directions the states of a batch fill, layer by layer: exp(−Σ p ln p), p = s/Σs.

    s are the singular values of the states less their mean; 0 where they do not vary, NaN where
    they overflow.

    Args:
      params: the network.
      x: (n, n_0) examples.
    Returns:
      (N,), from 0 to the width of a layer.
    Raises:
      ValueError: x has the wrong shape.
    Source: Roy and Vetterli 2007.

    >>> x = jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> params = jnn.from_layers([(jnp.eye(2), jnp.zeros(2)), ([[1.0, 0.0]], [0.0])])
    >>> effective_rank(params, x).round(6).tolist()
    [2.0, 1.0]
    """
    return np.asarray(jax.jit(ranks)(*check_batch(params, x)))


@meant
@full_precision
def correlations(params: Params, x1: Data, x2: Data) -> np.ndarray:
    """1 − c by depth, c the cosine between the pre-activations zₗ of two inputs.

    It is 0 where they are parallel. From the distance of the two unit vectors, 1 − c = |û − v̂|²/2,
    which keeps its digits where c is near 1.

    Args:
      params: the network.
      x1, x2: (n_0,) each.
    Returns:
      (N,); NaN where a pre-activation is 0.
    Raises:
      ValueError: an input has the wrong shape.

    >>> params = jnn.from_layers([(jnp.eye(2), jnp.zeros(2))])
    >>> correlations(params, jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0])).tolist()
    [1.0]
    """
    pair = jnp.stack([check_example(params, x)[1] for x in (x1, x2)])
    return np.asarray(_distances(params, pair), np.float64)


# ---- compiled ----


def layer_statistics(params: Params, x: Array) -> Statistics:
    """`statistics`, to be compiled."""
    by_stack = []
    for stack, its_pass in passes(params, x):
        z = _pre_activations(stack, its_pass)
        states = substitution.states(its_pass)
        δ = substitution.slopes(stack, its_pass)
        largest = _largest_slope(stack.activation)
        varies = jnp.max(states, 2) - jnp.min(states, 2)
        rounding = 8 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(states), 2)
        of_stack = Statistics(
            z_mean=jnp.mean(z, axis=(1, 2)),
            z_std=jnp.std(z, axis=(1, 2)),
            x_mean=jnp.mean(states, axis=(1, 2)),
            x_std=jnp.std(states, axis=(1, 2)),
            saturated=jnp.mean(jnp.abs(δ) < _SATURATED * largest, axis=(1, 2)),
            dead=jnp.sum(jnp.all(δ == 0, axis=2), axis=1),
            constant=jnp.sum((varies <= rounding) & (len(x) > 1), axis=1),
        )
        by_stack.append(of_stack)
    return Statistics(*(jnp.concatenate(column) for column in zip(*by_stack, strict=True)))


def ranks(params: Params, x: Array) -> Array:
    """`effective_rank`, to be compiled."""
    done = passes(params, x)
    return jnp.concatenate([_entropy_rank(substitution.states(its_pass)) for _, its_pass in done])


def _entropy_rank(states: Array) -> Array:
    """(depth,) from (depth, n, batch)."""
    centred = states - jnp.mean(states, 2, keepdims=True)
    scale = jnp.max(jnp.abs(centred), (1, 2), keepdims=True)
    s = jnp.linalg.svd(centred / jnp.where(scale > 0, scale, 1), compute_uv=False)
    p = s / jnp.maximum(jnp.sum(s, 1, keepdims=True), jnp.finfo(s.dtype).tiny)
    entropy = -jnp.sum(jax.scipy.special.xlogy(p, p), 1)
    return jnp.where(scale[:, 0, 0] == 0, 0, jnp.exp(entropy))


@jax.jit
def _distances(params: Params, pair: Array) -> Array:
    by_stack = []
    for stack, its_pass in passes(params, pair):
        z = _pre_activations(stack, its_pass)
        z = z / jnp.max(jnp.abs(z), 1, keepdims=True)  # or the squares of small ones would be 0
        unit = z / jnp.linalg.norm(z, axis=1, keepdims=True)
        by_stack.append(jnp.sum((unit[:, :, 0] - unit[:, :, 1]) ** 2, 1) / 2)
    return jnp.concatenate(by_stack)


def _pre_activations(stack: Stack, its_pass: Pass) -> Array:
    """z of all layers: (depth, n_out, batch)."""
    if its_pass.z is not None:
        return its_pass.z
    return jnp.einsum("lij,ljb->lib", stack.w, its_pass.inputs) + stack.b[:, :, None]


def _largest_slope(activation: ActivationLike) -> float:
    """sup |h'| over ±100, as far as anything is ever saturated."""
    with jax.ensure_compile_time_eval():
        slopes = activations.resolve(activation).slope(jnp.linspace(-100.0, 100.0, 20_001))
        return float(jnp.max(jnp.abs(slopes)))
