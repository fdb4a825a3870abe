"""What an estimator may ask for beyond scikit-learn: other losses, dropout, l1, smoothing, clips.

What is not asked for is not in the program; rates and strengths are numbers to it.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jnn.checks import Thing
from jnn.data.rows import Rows
from jnn.losses import Loss
from jnn.params import Params
from jnn.penalties import Penalty
from jnn.sklearn.objectives import OBJECTIVES, Objective, of_loss, of_quantiles
from jnn.sklearn.solvers import Numbers
from jnn.training import dropout
from jnn.training.residuals import of_squares
from jnn.triangular.method import AUTO
from jnn.triangular.network import batch_output

QUANTILE, COSINE = "quantile", "cosine"


class Terms(NamedTuple):
    """Which of them there are; hashable."""

    loss: Loss | str | None = None  # None: that of the output; QUANTILE
    schedule: Callable[..., Thing] | str | None = None  # of the rate by step; COSINE
    dropout: bool = False
    l1: bool = False
    smoothing: bool = False
    clip: bool = False


def objective_of(output: str, terms: Terms, numbers: Numbers) -> Objective:
    """What is minimised."""
    if terms.loss is None:
        return OBJECTIVES[output]
    if isinstance(terms.loss, str):
        return of_quantiles(numbers.levels)
    return of_loss(terms.loss)


def logits(terms: Terms, numbers: Numbers, params: Params, x: Array, step: Thing) -> Array:
    """z_N of rows; with dropout, of a network some of whose units are silent in this step."""
    if not terms.dropout:
        return batch_output(params, x, AUTO)
    key = jax.random.key(jnp.asarray(numbers.seed, jnp.uint32))
    key = jax.random.fold_in(key, jnp.asarray(step, jnp.uint32))
    return dropout.batch_output(params, x, key, numbers.dropout, AUTO)


def targets(output: str, terms: Terms, numbers: Numbers, y: Array) -> Array:
    """y (1 − ε) + ε/K of K classes; labels by themselves have two (Szegedy et al. 2016)."""
    if not terms.smoothing:
        return y
    ε = jnp.asarray(numbers.smoothing, y.dtype)
    return (1 - ε) * y + ε / (y.shape[1] if output == "softmax" else 2)


def penalty(terms: Terms, numbers: Numbers, params: Params, strength: Array) -> Array:
    """α (ρ Σ|w| + ½ (1 − ρ) Σw²) of l1_ratio ρ; ½ α Σw² without it (Zou and Hastie 2005)."""
    squares = 0.5 * strength * sum(jnp.vdot(stack.w, stack.w) for stack in params)
    if not terms.l1:
        return squares
    ρ = jnp.asarray(numbers.l1_ratio, squares.dtype)
    return (1 - ρ) * squares + ρ * strength * sum(jnp.sum(jnp.abs(stack.w)) for stack in params)


def penalised(
    terms: Terms, numbers: Numbers, gradient: Params, params: Params, strength: Array
) -> Params:
    """The gradient with that of the penalty, which is of weights, not of biases; clipped."""

    def slope(w: Array) -> Array:
        if not terms.l1:
            return w
        ρ = jnp.asarray(numbers.l1_ratio, w.dtype)
        return (1 - ρ) * w + ρ * jnp.sign(w)

    gradient = tuple(
        dataclasses.replace(g, w=g.w + strength * slope(stack.w))
        for g, stack in zip(gradient, params, strict=True)
    )
    if not terms.clip:
        return gradient
    norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradient)))
    longest = jnp.asarray(numbers.clip_norm, norm.dtype)
    factor = longest / jnp.maximum(norm, longest)
    return jax.tree.map(lambda g: g * factor, gradient)


def residuals(numbers: Numbers, params: Params, rows: Rows) -> tuple[Array, Array]:
    """r and ∂r/∂p of ½‖r‖²: squared errors, summed over outputs, and the penalty ½ α Σw²."""
    outputs = rows.y.shape[1]
    strength = numbers.alpha / jnp.sum(rows.weights) / outputs
    r, J = of_squares(params, rows, "half_mse", Penalty(l2=strength), AUTO)
    gain = jnp.sqrt(jnp.asarray(outputs, r.dtype))
    return gain * r, gain * J


def rate_of(terms: Terms, numbers: Numbers, rate: Thing, step: Thing) -> Thing:
    """The rate of a step: the run's own, ½ η₀ (1 + cos πt/T), or what a schedule says of it."""
    if terms.schedule is None:
        return rate
    if isinstance(terms.schedule, str):
        share = jnp.clip((step - 1 - numbers.first) / numbers.horizon, 0, 1)
        return numbers.learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * share))
    return jnp.asarray(terms.schedule(jnp.asarray(step, jnp.int32) - 1), rate.dtype)
