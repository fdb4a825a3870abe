"""States layer by layer: their size, which units are saturated, dead or constant, their rank, their correlation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import activations, network, substitution
from jnn.diagnostics.adjoints import passes
from jnn.params import Params, check_params
from jnn.substitution import Run

_SATURATED = 0.01  # of the largest slope


class Statistics(NamedTuple):
    """Over units and examples, for layers 1 … N."""

    z_mean: Any  # (N,), of the pre-activations
    z_std: Any
    x_mean: Any  # of the states
    x_std: Any
    saturated: Any  # share of slopes below 1 % of the largest that the activation has
    dead: Any  # units whose slope is 0 on every example
    constant: Any  # units whose state is the same, to rounding, on every example; 0 if there is but one


def statistics(params: Params, x: Any) -> Statistics:
    """Means and deviations of pre-activations and states, and how many units are saturated, dead or constant.

    Args:
      params: the network.
      x: (n, n_0) examples.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.from_layers([([[1.0], [-1.0]], [0.0, -9.0]), ([[1.0, 1.0]], [0.0])], activation="relu")
    >>> found = statistics(params, [[1.0], [2.0]])  # the second unit is negative on both
    >>> found.dead.tolist(), found.constant.tolist()
    ([1, 0], [1, 0])
    """
    found = jax.jit(layer_statistics)(params, network.check_batch(params, x))
    return Statistics(*(np.asarray(column) for column in found))


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
    pairs = [(np.asarray(stack.w, np.float64), np.asarray(stack.b, np.float64)) for stack in params]
    σ_w2, σ_b2 = zip(*((np.mean(w**2, (1, 2)) * w.shape[2], np.mean(b**2, 1)) for w, b in pairs), strict=True)
    return Variances(np.concatenate(σ_w2), np.concatenate(σ_b2))


def effective_rank(params: Params, x: Any) -> np.ndarray:
    """How many directions the states of a batch fill, layer by layer: exp of the entropy of p = s/Σs.

    s are the singular values of the states less their mean; 0 where they do not vary.

    Args:
      params: the network.
      x: (n, n_0) examples.
    Returns:
      (N,), from 0 to the width of a layer.
    Raises:
      ValueError: x has the wrong shape.
    Source: Roy and Vetterli 2007.

    >>> x = jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> effective_rank(jnn.from_layers([(jnp.eye(2), jnp.zeros(2)), ([[1.0, 0.0]], [0.0])]), x).round(6).tolist()
    [2.0, 1.0]
    """
    return np.asarray(jax.jit(ranks)(params, network.check_batch(params, x)))


def correlations(params: Params, x1: Any, x2: Any) -> np.ndarray:
    """1 − c by depth, c the cosine between the pre-activations z_l of two inputs: 0 where they are parallel.

    From the distance of the two unit vectors, 1 − c = |û − v̂|²/2, which keeps its digits where c is near 1.

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
    pair = jnp.stack([network.check_example(params, x) for x in (x1, x2)])
    return np.asarray(_distances(params, pair), np.float64)


# ---- compiled ----


def layer_statistics(params: Params, x: Array) -> Statistics:
    """`statistics`, to be compiled."""
    columns = []
    for stack, run in zip(params, passes(params, x), strict=True):
        z, states, δ = pre_activations(stack, run), substitution.states(run), substitution.slopes(stack, run)
        largest = _largest_slope(stack.activation)
        varies = jnp.max(states, 2) - jnp.min(states, 2)
        rounding = 8 * jnp.finfo(states.dtype).eps * jnp.max(jnp.abs(states), 2)
        columns.append(
            (
                *(f(a, axis=(1, 2)) for a in (z, states) for f in (jnp.mean, jnp.std)),
                jnp.mean(jnp.abs(δ) < _SATURATED * largest, axis=(1, 2)),
                jnp.sum(jnp.all(δ == 0, axis=2), axis=1),
                jnp.sum((varies <= rounding) & (len(x) > 1), axis=1),
            )
        )
    return Statistics(*(jnp.concatenate(column) for column in zip(*columns, strict=True)))


def ranks(params: Params, x: Array) -> Array:
    """`effective_rank`, to be compiled."""
    return jnp.concatenate([_entropy_rank(substitution.states(run)) for run in passes(params, x)])


def _entropy_rank(states: Array) -> Array:
    """(depth,) from (depth, n, batch)."""
    centred = states - jnp.mean(states, 2, keepdims=True)
    scale = jnp.max(jnp.abs(centred), (1, 2), keepdims=True)
    s = jnp.linalg.svd(centred / jnp.where(scale > 0, scale, 1), compute_uv=False)
    p = s / jnp.maximum(jnp.sum(s, 1, keepdims=True), jnp.finfo(s.dtype).tiny)
    return jnp.where(scale[:, 0, 0] > 0, jnp.exp(-jnp.sum(jax.scipy.special.xlogy(p, p), 1)), 0)


@jax.jit
def _distances(params: Params, pair: Array) -> Array:
    found = []
    for stack, run in zip(params, passes(params, pair), strict=True):
        z = pre_activations(stack, run)
        z = z / jnp.max(jnp.abs(z), 1, keepdims=True)  # or the squares of small ones would be 0
        unit = z / jnp.linalg.norm(z, axis=1, keepdims=True)
        found.append(jnp.sum((unit[:, :, 0] - unit[:, :, 1]) ** 2, 1) / 2)
    return jnp.concatenate(found)


def pre_activations(stack: Any, run: Run) -> Array:
    """z of all layers: (depth, n_out, batch)."""
    if run.z is not None:
        return run.z
    return jnp.einsum("lij,ljb->lib", stack.w, run.inputs) + stack.b[:, :, None]


def _largest_slope(activation: Any) -> float:
    """sup |h'| over ±100, as far as anything is ever saturated."""
    with jax.ensure_compile_time_eval():
        return float(jnp.max(jnp.abs(activations.resolve(activation).slope(jnp.linspace(-100.0, 100.0, 20_001)))))
