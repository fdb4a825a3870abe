"""Objectives as scikit-learn defines them: a loss, its slope, and the score of validation rows.

A loss is summed over classes and labels (squared error: averaged over outputs) and averaged over
rows by weight. scikit-learn's four pairs of output and loss are canonical: up to the weight of its
row, the slope by the logits z is ŷ − y. Of jnn's own losses JAX finds the slope.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jnn.checks import Thing
from jnn.losses import Loss, of_examples


class Objective(NamedTuple):
    """What is minimised, and what early stopping looks at."""

    predict: Callable[[Array], Array]  # ŷ of logits z: (rows, n_N)
    loss: Callable[[Array, Array, Array], Array]  # of y, ŷ and the rows' shares, which sum to 1
    score: Callable[[Array, Array, Array], Array]  # of y, ŷ and the rows' weights; best is 1
    averages: bool = False  # whether the loss is divided by the number of outputs
    canonical: bool = True  # whether its slope by the logits is ŷ − y; else JAX finds it


def _clipped(p: Array) -> Array:
    eps = jnp.finfo(p.dtype).eps
    return jnp.clip(p, eps, 1 - eps)


def _summed(each: Array, shares: Array) -> Array:
    return jnp.sum(each * shares[:, None])


def _times_log(y: Array, p: Array) -> Array:
    """y log p, 0 where y is 0."""
    return jnp.where(y == 0, 0, y * jnp.log(p))


def _log_loss(y: Array, p: Array, shares: Array) -> Array:
    return -_summed(_times_log(y, _clipped(p)), shares)


def _binary_log_loss(y: Array, p: Array, shares: Array) -> Array:
    p = _clipped(p)
    return -_summed(_times_log(y, p) + _times_log(1 - y, 1 - p), shares)


def _half_squared_error(y: Array, p: Array, shares: Array) -> Array:
    return 0.5 * _summed((y - p) ** 2, shares) / y.shape[1]


def _half_poisson_deviance(y: Array, p: Array, shares: Array) -> Array:
    deviance = jnp.where(y == 0, 0, y * jnp.log(jnp.where(y == 0, 1, y) / p)) - y + p
    return _summed(deviance, shares)


# Scores are compared with each other, so equal ones must be equal to the bit: divided once, at the
# end, numbers of right rows are.


def _accuracy_of_class(y: Array, p: Array, weights: Array) -> Array:
    return _share(jnp.argmax(y, 1) == jnp.argmax(p, 1), weights)


def _accuracy_of_labels(y: Array, p: Array, weights: Array) -> Array:
    """Of rows of which every label is right."""
    return _share(jnp.all((y > 0.5) == (p > 0.5), axis=1), weights)


def _share(right: Array, weights: Array) -> Array:
    return jnp.sum(right.astype(weights.dtype) * weights) / jnp.sum(weights)


def _r2(y: Array, p: Array, weights: Array) -> Array:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)², averaged over outputs; of a constant y 1 or 0, as they have it."""
    w = weights[:, None]
    mean = jnp.sum(w * y, axis=0, keepdims=True) / jnp.sum(w)
    residual = jnp.sum(w * (y - p) ** 2, axis=0)
    total = jnp.sum(w * (y - mean) ** 2, axis=0)
    constant = total == 0
    r2 = 1 - residual / jnp.where(constant, 1, total)
    r2 = jnp.where(constant, jnp.where(residual == 0, 1.0, 0.0), r2)
    return jnp.where(jnp.all(jnp.isfinite(p)), jnp.mean(r2), jnp.nan)


# by the names of out_activation_
OBJECTIVES = {
    "softmax": Objective(lambda z: jax.nn.softmax(z, axis=1), _log_loss, _accuracy_of_class),
    "logistic": Objective(jax.nn.sigmoid, _binary_log_loss, _accuracy_of_labels),
    "identity": Objective(lambda z: z, _half_squared_error, _r2, averages=True),
    "exp": Objective(jnp.exp, _half_poisson_deviance, _r2),
}


def of_loss(loss: Loss) -> Objective:
    """One of jnn's losses, or of the user's, averaged over outputs and rows; judged by R²."""

    def value(y: Array, p: Array, shares: Array) -> Array:
        return loss.finish(jnp.sum(shares * of_examples(loss, p, y)))

    return Objective(lambda z: z, value, _r2, canonical=False)


def of_quantiles(levels: tuple[Thing, ...]) -> Objective:
    """The pinball loss of each level q, max(q (y − ŷ), (q − 1)(y − ŷ)), averaged; judged by it.

    Source: Koenker and Bassett 1978.
    """

    def value(y: Array, p: Array, shares: Array) -> Array:
        q = jnp.stack(levels).astype(p.dtype)
        above, below = jnp.where(y > p, q, 0), jnp.where(y < p, q - 1, 0)
        return _summed((y - p) * (above + below), shares) / p.shape[1]

    def score(y: Array, p: Array, weights: Array) -> Array:
        return -value(y, p, weights / jnp.sum(weights))

    return Objective(lambda z: z, value, score, canonical=False)
