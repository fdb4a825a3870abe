"""What a run minimises and measures: the objective with its gradient, predictions, metrics."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn import losses, meshes, metrics, penalties
from jnn.checks import Tree
from jnn.data.rows import Rows
from jnn.losses import Loss
from jnn.params import Params
from jnn.precision import weighted_sum, wide, widened
from jnn.training import dropout
from jnn.training.options import Knobs, Settings
from jnn.triangular import network

_ROWS = 1024  # examples predicted at once where nothing is differentiated


class Batch(NamedTuple):
    """Some of the examples, and their share in all of them."""

    rows: Rows
    share: Any  # what Σ w ℓ is divided by: examples × the mean weight of all there are
    before: Array | None  # (2,), Σ w ℓ and Σ w of others seen before; None: these are all


class Value(NamedTuple):
    """The two parts of an objective."""

    mean: Array  # Σ w ℓ / share
    penalty: Array


def restored(settings: Settings, p: Tree) -> Params:
    """Parameters of a state, as a network's again."""
    params = p if settings.packing is None else settings.packing.restore(p)
    if wide(settings.dtype) == settings.dtype:
        return params
    return jax.tree.map(lambda leaf: leaf.astype(settings.dtype), params)


def loss_of(settings: Settings, knobs: Knobs) -> Loss:
    """What is minimised, but for the penalty."""
    loss = losses.resolve(settings.loss)
    return loss if knobs.smoothing is None else losses.with_smoothing(loss, knobs.smoothing)


def value_and_gradient(
    settings: Settings, knobs: Knobs, p: Tree, batch: Batch, key: Array | None
) -> tuple[tuple[Array, Value], Any]:
    """The objective, its parts, and its gradient, which lies as the parameters p do."""

    def objective(params: Params) -> tuple[Array, Value]:
        return value(settings, knobs, params, batch, key)

    found, gradient = jax.value_and_grad(objective, has_aux=True)(restored(settings, p))
    gradient = widened(gradient)
    return found, gradient if settings.packing is None else settings.packing.flatten(gradient)


def value(
    settings: Settings, knobs: Knobs, params: Params, batch: Batch, key: Array | None
) -> tuple[Array, Value]:
    """What is minimised, and its parts: loss and penalty; summed in float32 at least.

    The mean over minibatches is the weighted mean over all examples, and so is that of their
    gradients: a minibatch is divided by its share, not by the weights that happen to be in it.
    """
    x, y, weights = batch.rows
    if key is None:
        predictions = network.batch_output(params, x, settings.method)
    else:
        predictions = dropout.batch_output(params, x, key, knobs.dropout, settings.method)
    predictions = predictions.astype(wide(params[0].w.dtype))
    loss = loss_of(settings, knobs)
    each = losses.of_examples(loss, predictions, y)
    mean = weighted_sum(each, weights) / batch.share
    if losses.is_mean(loss):
        whole = mean
    elif batch.before is None:
        whole = loss.finish(mean)
    else:
        total, weight = batch.before
        near = jnp.where(weight > 0, total / jnp.where(weight > 0, weight, 1), mean)
        whole = losses.linearised(loss, mean, near)
    penalty = penalised(knobs, params, mean)
    return whole if knobs.penalty is None else whole + penalty, Value(mean, penalty)


def whole(
    settings: Settings, knobs: Knobs, params: Params, predictions: Array, rows: Rows
) -> Array:
    """What is minimised, of all rows: without dropout, as it was predicted for evaluation."""
    mean = losses.mean_loss(loss_of(settings, knobs), predictions, rows.y, rows.weights)
    return mean + penalised(knobs, params, mean)


def penalised(knobs: Knobs, params: Params, like: Array) -> Array:
    """The penalty, 0 where there is none."""
    if knobs.penalty is None:
        return jnp.zeros_like(like)
    return penalties.value(knobs.penalty, params).astype(like.dtype)


def measured_loss(settings: Settings, predictions: Array, rows: Rows) -> Array:
    """The loss of validation: without penalty, dropout or label smoothing."""
    loss = losses.resolve(settings.loss)
    return losses.mean_loss(loss, predictions, rows.y, rows.weights)


def predictions(settings: Settings, params: Params, x: Array) -> Array:
    """ŷ of all rows, some at a time, so that the memory does not grow with their number."""

    def predict(x: Array) -> Array:
        return network.batch_output(params, meshes.spread(settings.axis, x), settings.method)

    whole = len(x) // _ROWS * _ROWS
    if whole == 0:
        y = predict(x)
    else:
        blocks = x[:whole].reshape(-1, _ROWS, x.shape[1])
        y = lax.map(predict, blocks).reshape(whole, -1)
        y = y if whole == len(x) else jnp.concatenate([y, predict(x[whole:])])
    return y.astype(wide(y.dtype))


def measures(
    settings: Settings, params: Params, predictions: Array, rows: Rows, prefix: str = ""
) -> dict[str, Array]:
    """The metrics, by the names under which they are recorded."""
    output = params[-1].activation
    return {
        prefix + metrics.name_of(metric): metrics.resolve(metric, output)(
            predictions, rows.y, rows.weights
        )
        for metric in settings.metrics
    }
