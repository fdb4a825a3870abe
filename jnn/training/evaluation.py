"""Metrics of a network on data."""

import jax
from jax import Array

from jnn.checks import Data
from jnn.data.rows import check_rows, filled_up
from jnn.metrics.by_name import (
    MetricLike,
    check_metric,
    name_of,
    resolve,
    several,
    takes_weights,
)
from jnn.params import Params
from jnn.precision import wide
from jnn.transfers import meant
from jnn.triangular import network
from jnn.triangular.method import Method


@meant
def evaluate(
    params: Params,
    data: tuple[Data, ...],
    metrics: MetricLike | list[MetricLike] | tuple[MetricLike, ...],
    *,
    weights: Data = None,
    backprop: str | Method = "auto",
) -> dict[str, float]:
    """Metrics of a network on data, by name.

    Args:
      params: from `init_network_params` or `fit`; what its readout gives, logits or probabilities,
        is known from its activation.
      data: (x, y) or (x, y, weights), as `fit` takes them: (n, n_0), and (n, n_N) or (n,) integer
        labels.
      metrics: a name of `jnn.METRICS`, a `losses.Loss`, a function `(predictions, targets)` or
        `(predictions, targets, weights)`, or several of them.
      weights: (n,), not negative, None for all ones; an example of weight 0 counts for nothing.
      backprop: as in `jnn.forward`.
    Raises:
      ValueError: shapes do not match, data are not finite, a metric does not fit, two share a name.
      TypeError: data or metrics are of the wrong kind.

    >>> params = jnn.from_layers([(2.0, 1.0)])
    >>> evaluate(params, ([[0.0], [1.0]], [[1.0], [5.0]]), ("mse", "max_error"))
    {'mse': 2.0, 'max_error': 2.0}
    """
    every = several(metrics)
    rows = check_rows(params, data, _of_anything, weights=weights)
    output = params[-1].activation
    functions = {name_of(metric): resolve(metric, output) for metric in every}
    if len(functions) < len(every):
        raise ValueError(
            f"metrics {[name_of(metric) for metric in every]} share a name: rename a function"
        )
    for metric in every:
        check_metric(metric, params[-1].w.shape[1], rows.y, output)
    if all(map(takes_weights, every)):
        rows = filled_up(rows, weights=True)
    x, y, w = jax.device_put(rows)
    predictions = network.predict(params, x, backprop=backprop)
    predictions = predictions.astype(wide(predictions.dtype))
    return {name: float(function(predictions, y, w)) for name, function in functions.items()}


def _of_anything(prediction: Array, target: Array) -> Array:
    """A loss that lets rows and labels through: each metric says which of them it takes."""
    del target
    return prediction
