"""The formulas of metrics: of classes, and of numbers.

All take predictions (n, n_N), targets and weights (n,), None for all ones; rows of weight 0 count
for nothing, and sums are taken in float32 at least. Where nothing has weight the value is finite.

Metrics of classes take as targets labels (n,), one-hot or soft rows (n, n_N), or for one output 0
and 1, (n,) or (n, 1). Their `threshold` cuts one column of outputs: 0 between logits, ½ between
probabilities. NaN is of no class, and so never right. Metrics of numbers take targets (n, n_N).
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from jnn import arrays, losses
from jnn.checks import Data
from jnn.metrics.labels import classes
from jnn.precision import weighted_sum, widened
from jnn.shapes import Float, Real, Shaped

Predictions: TypeAlias = Float[Array, "n n_N"]
Targets: TypeAlias = Shaped[Array, "n ..."]
Weights: TypeAlias = Real[Array, " n"] | None


# ---- of classes ----


def accuracy(
    predictions: Predictions, targets: Targets, weights: Weights = None, threshold: float = 0.0
) -> Array:
    """The share of rows whose class is predicted: the largest output, or one beyond the threshold.

    >>> float(accuracy(jnp.array([[2.0, 1.0], [0.0, 4.0]]), jnp.array([0, 0])))
    0.5
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    right = classes(targets, 0.5) == _predicted(predictions, threshold)
    return _average(right, _shares(predictions, weights))


def balanced_accuracy(
    predictions: Predictions, targets: Targets, weights: Weights = None, threshold: float = 0.0
) -> Array:
    """Recall, averaged over the classes that occur in the targets.

    >>> p = jnp.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    >>> float(balanced_accuracy(p, jnp.array([0, 0, 0, 1])))
    0.5
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    true = classes(targets, 0.5)
    # one output tells two classes apart
    members = true[:, None] == jnp.arange(max(predictions.shape[1], 2))[None]
    w = jnp.where(members, _shares(predictions, weights)[:, None], 0)
    right = true == _predicted(predictions, threshold)
    counts = jnp.sum(w, axis=0)
    recall = _share(weighted_sum(w, right.astype(w.dtype)), counts)
    return _average(recall, (counts > 0).astype(w.dtype))


def top_5_accuracy(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    """The share of rows whose class is among the five largest outputs, of equal ones the first.

    Raises:
      ValueError: there are five outputs or fewer, none of which it can miss.

    >>> float(top_5_accuracy(jnp.arange(14.0).reshape(2, 7), jnp.array([0, 6])))
    0.5
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    if predictions.shape[1] <= 5:
        raise ValueError(
            f"5 of {predictions.shape[1]} outputs always hold the target: it takes more than 5 to "
            "miss"
        )
    best = jax.lax.top_k(predictions, 5)[1]
    hits = best == classes(targets, 0.5)[:, None]
    hits = hits & ~_has_nan(predictions)[:, None]
    return _average(jnp.any(hits, axis=1), _shares(predictions, weights))


def _predicted(predictions: Array, threshold: float) -> Array:
    """The class of each row of outputs, −1 where one is NaN."""
    return jnp.where(_has_nan(predictions), -1, classes(predictions, threshold))


def _has_nan(predictions: Array) -> Array:
    return jnp.any(jnp.isnan(predictions), axis=1)


# ---- of numbers ----


def r2(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    """1 − Σ (y − ŷ)² / Σ (y − ȳ)², averaged over outputs.

    Of a constant target it is 1 if that is met, else 0.

    >>> float(r2(jnp.array([[1.0], [2.0], [4.0]]), jnp.array([[1.0], [2.0], [3.0]])))
    0.5
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    p, y, w = _wide(predictions, targets, weights)
    return _explained(weighted_sum((y - p) ** 2, w), _variation(y, w))


def explained_variance(
    predictions: Predictions, targets: Targets, weights: Weights = None
) -> Array:
    """`r2` after the mean error is taken off.

    >>> float(explained_variance(jnp.array([[3.0], [4.0]]), jnp.array([[1.0], [2.0]])))
    1.0
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    p, y, w = _wide(predictions, targets, weights)
    return _explained(_variation(y - p, w), _variation(y, w))


def max_error(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    """max |y − ŷ| over rows and outputs.

    >>> float(max_error(jnp.array([[3.0], [4.0]]), jnp.array([[1.0], [5.0]])))
    2.0
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    p, y, w = _wide(predictions, targets, weights)
    return jnp.max(jnp.where(w[:, None] > 0, jnp.abs(y - p), 0))


def mean_loss(
    loss: losses.Loss, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Array:
    """A loss as a metric: `losses.mean_loss` of predictions in float32 at least.

    >>> loss = jnn.LOSSES["mse"]
    >>> float(mean_loss(loss, jnp.array([[3.0], [4.0]]), jnp.array([[1.0], [4.0]])))
    2.0
    """
    predictions, targets, weights = _given(predictions, targets, weights)
    p = widened(predictions)
    w = None if weights is None else weights.astype(p.dtype)
    return losses.mean_loss(loss, p, targets, w)


# ---- sums ----


def _given(predictions: Data, targets: Data, weights: Data) -> tuple[Array, Array, Array | None]:
    """The same as JAX's arrays: a metric is called on what a user holds, too."""
    p = jnp.asarray(arrays.traceable("predictions", predictions))
    y = jnp.asarray(arrays.traceable("targets", targets))
    return p, y, None if weights is None else jnp.asarray(arrays.traceable("weights", weights))


def _shares(predictions: Array, weights: Array | None) -> Array:
    """The weights (n,), in float32 at least."""
    dtype = widened(predictions).dtype
    return jnp.ones(len(predictions), dtype) if weights is None else weights.astype(dtype)


def _average(each: Array, w: Array) -> Array:
    """Σᵢ wᵢ eᵢ / Σᵢ wᵢ along the rows, 0 where nothing has weight; e may be what holds or not."""
    return _share(weighted_sum(each.astype(w.dtype), w), jnp.sum(w))


def _share(part: Array, whole: Array) -> Array:
    return part / jnp.where(whole > 0, whole, 1)


def _wide(predictions: Array, targets: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    """Predictions and targets (n, n_N) and weights (n,), of one dtype, float32 at least."""
    if predictions.shape != targets.shape:
        raise ValueError(f"targets have shape {targets.shape}; the predictions {predictions.shape}")
    w = _shares(predictions, weights)
    return predictions.astype(w.dtype), targets.astype(w.dtype), w


def _variation(v: Array, w: Array) -> Array:
    """Σᵢ wᵢ (vᵢ − v̄)² of each column; of a constant one 0, whatever rounding makes of its mean."""
    counts = w[:, None] > 0
    ends = jnp.finfo(v.dtype)  # not infinity, which jax_debug_infs would find
    largest = jnp.max(jnp.where(counts, v, ends.min), axis=0)
    smallest = jnp.min(jnp.where(counts, v, ends.max), axis=0)
    about_the_mean = weighted_sum((v - _average(v, w)[None]) ** 2, w)
    return jnp.where(largest <= smallest, 0, about_the_mean)


def _explained(left: Array, variation: Array) -> Array:
    """The mean over outputs of 1 − left / variation.

    Without variation it is 1 where nothing is left, else 0.
    """
    whole = jnp.where(left == 0, 1, left)
    return jnp.mean(1 - left / jnp.where(variation > 0, variation, whole))
