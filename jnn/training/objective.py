"""What a run minimises and measures: the objective with its gradient, predictions, metrics."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn import losses, metrics, penalties
from jnn.checks import Tree
from jnn.data.rows import Rows
from jnn.params import Params
from jnn.precision import wide
from jnn.training import dropout
from jnn.training.options import Knobs, Settings
from jnn.triangular import network

_ROWS = 1024  # examples predicted at once where nothing is differentiated


def restored(settings: Settings, p: Tree) -> Params:
    """Parameters of a state, as a network's again."""
    return p if settings.packing is None else settings.packing.restore(p)


def value_and_gradient(
    settings: Settings, knobs: Knobs, p: Tree, batch: Rows, key: Array | None
) -> tuple[Array, Any]:
    """The objective and its gradient, which lies as the parameters p do."""

    def objective(params: Params) -> Array:
        return value(settings, knobs, params, batch, key)

    found, gradient = jax.value_and_grad(objective)(restored(settings, p))
    return found, gradient if settings.packing is None else settings.packing.flatten(gradient)


def value(
    settings: Settings, knobs: Knobs, params: Params, batch: Rows, key: Array | None
) -> Array:
    """What is minimised: mean loss of a batch and penalty; summed in float32 at least."""
    if key is None:
        predictions = network.batch_output(params, batch.x, settings.method)
    else:
        predictions = dropout.batch_output(params, batch.x, key, knobs.dropout, settings.method)
    predictions = predictions.astype(wide(params[0].w.dtype))
    loss = losses.resolve(settings.loss)
    mean = losses.mean_loss(loss, predictions, batch.y, batch.weights)
    return mean if knobs.penalty is None else mean + penalties.value(knobs.penalty, params)


def measured_loss(settings: Settings, predictions: Array, rows: Rows) -> Array:
    """The loss of validation: without penalty, dropout or label smoothing."""
    loss = losses.resolve(settings.loss)
    return losses.mean_loss(loss.measured or loss, predictions, rows.y, rows.weights)


def predictions(settings: Settings, params: Params, x: Array) -> Array:
    """ŷ of all rows, some at a time, so that the memory does not grow with their number."""
    predict = partial(network.batch_output, params, method=settings.method)
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
