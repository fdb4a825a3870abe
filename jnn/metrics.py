"""Metrics of predictions ŷ against targets y, by name: inside compiled loops, and of a network on data.

A metric is `(predictions: (n, n_N), targets, weights: (n,) or None) -> scalar`, higher or lower being better as its
name says. Every loss is one too.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Real, Shaped

from jnn import examples, losses, network
from jnn.classification import check_labels, classes
from jnn.params import Params

Predictions: TypeAlias = Float[Array, "n n_N"]
Targets: TypeAlias = Shaped[Array, "n ..."]
Weights: TypeAlias = Real[Array, " n"] | None
Metric: TypeAlias = Callable[[Array, Array, Array | None], Array]


def _accuracy(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    return _average(classes(targets, 0.5) == _predicted(predictions), _shares(predictions, weights))


def _balanced_accuracy(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    true = classes(targets, 0.5)
    members = true[:, None] == jnp.arange(max(predictions.shape[1], 2))  # one output tells two classes apart
    w = _shares(predictions, weights)[:, None] * members
    recall = _average((true == _predicted(predictions))[:, None], w)
    return _average(recall, (jnp.sum(w, axis=0) > 0).astype(w.dtype))


def _top_5_accuracy(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    if predictions.shape[1] <= 5:
        raise ValueError(f"5 of {predictions.shape[1]} outputs always hold the target: it takes more than 5 to miss")
    best = jax.lax.top_k(predictions, 5)[1]
    hits = (best == classes(targets, 0.5)[:, None]) & (_predicted(predictions) >= 0)[:, None]
    return _average(jnp.any(hits, axis=1), _shares(predictions, weights))


def _r2(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    p, y, w = _wide(predictions, targets, weights)
    return _explained(jnp.sum(w * (y - p) ** 2, axis=0), _variation(y, w))


def _explained_variance(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    p, y, w = _wide(predictions, targets, weights)
    return _explained(_variation(y - p, w), _variation(y, w))


def _max_error(predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    p, y, w = _wide(predictions, targets, weights)
    return jnp.max(jnp.where(w > 0, jnp.abs(y - p), 0))


def _mean_loss(loss: losses.Loss, predictions: Predictions, targets: Targets, weights: Weights = None) -> Array:
    p = _widened(predictions)
    return losses.mean_loss(loss, p, targets, None if weights is None else weights.astype(p.dtype))


# Targets of the first three are labels (n,), one-hot or soft rows (n, n_N), or for one output 0 and 1, (n,) or (n, 1).
_OF_CLASSES: dict[str, Metric] = {
    "accuracy": _accuracy,  # the largest output, or for one output the sign of the logit; NaN is never right
    "balanced_accuracy": _balanced_accuracy,  # recall, averaged over the classes that occur in the targets
    "top_5_accuracy": _top_5_accuracy,
}
METRICS: dict[str, Metric] = {
    **_OF_CLASSES,
    "r2": _r2,  # 1 − Σ (y − ŷ)² / Σ (y − ȳ)², averaged over outputs; of a constant target 1 if it is met, else 0
    "explained_variance": _explained_variance,  # r2 after the mean error is taken off
    "max_error": _max_error,  # over rows and outputs
    **{name: partial(_mean_loss, loss) for name, loss in losses.LOSSES.items()},
}


def resolve(metric: str | Callable[..., Any]) -> Metric:
    """The metric of that name, or a function of your own.

    It takes `(predictions, targets)` or `(predictions, targets, weights)`. Weights go to a function with a parameter
    of that name, or that needs a third one; they are all 1 where none are given.

    Raises:
      ValueError: the name is unknown.
      TypeError: neither a name nor a function of these arguments.

    >>> float(resolve("max_error")(jnp.array([[1.0], [5.0]]), jnp.array([[1.5], [2.0]]), None))
    3.0
    """
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}, or a function")
        return METRICS[metric]
    if not callable(metric):
        raise TypeError(f"metric must be a name or a function of (predictions, targets), got {metric!r}")
    try:
        signature = inspect.signature(metric)
    except ValueError as error:  # some builtins
        raise TypeError(
            f"metric {metric!r} does not say what it takes: wrap it, def name(predictions, targets)"
        ) from error
    # Anything else that may be left out, as in (predictions, targets, quantile=0.9), is not ours to fill.
    if "weights" in signature.parameters and _binds(signature, 0, 0, weights=0):
        return lambda p, y, w=None: jnp.asarray(metric(p, y, weights=jnp.ones(len(p), p.dtype) if w is None else w))
    if _binds(signature, 0, 0):
        return lambda p, y, _=None: jnp.asarray(metric(p, y))
    if _binds(signature, 0, 0, 0):
        return lambda p, y, w=None: jnp.asarray(metric(p, y, jnp.ones(len(p), p.dtype) if w is None else w))
    raise TypeError(f"a metric takes (predictions, targets) or (predictions, targets, weights), not {signature}")


def _binds(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def name_of(metric: str | Callable[..., Any]) -> str:
    """What a metric is called in a history: its name, or that of the function.

    Raises:
      ValueError: the name is unknown, or a function has none, such as a lambda.
      TypeError: as in `resolve`.

    >>> name_of("r2"), name_of(jnp.cov)
    ('r2', 'cov')
    """
    resolve(metric)  # refuses what is no metric
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "<lambda>")
    if name == "<lambda>":
        raise ValueError(f"metric {metric!r} has no name to be recorded under: write it with def")
    return name


def check_metric(metric: str | Callable[..., Any], n_out: int, targets: Any) -> None:
    """Refuse a metric that does not fit the targets, or a function that returns no number, before anything is computed.

    Args:
      metric: as in `resolve`.
      n_out: n_N, the outputs of the network.
      targets: (n, n_N), or (n,) labels.
    Raises:
      ValueError: the name is unknown, targets are of another kind, a function cannot be traced.
      TypeError: no metric at all.

    >>> check_metric("accuracy", 1, np.array([[0.3], [17.0]]))
    Traceback (most recent call last):
      ...
    ValueError: metric 'accuracy': the targets of one output must be 0 or 1 to be classes, got 0.3 to 17.0
    """
    evaluated, name, y = resolve(metric), name_of(metric), np.asarray(targets)
    try:
        if isinstance(metric, str):
            if metric in _OF_CLASSES:
                check_labels(y, n_out)
            else:
                losses.check_targets(metric if metric in losses.LOSSES else "mse", y, n_out)
        structs = [((len(y), n_out), jnp.float32), (y.shape, jax.dtypes.canonicalize_dtype(y.dtype))]
        value = jax.eval_shape(evaluated, *(jax.ShapeDtypeStruct(*s) for s in structs))
    except Exception as error:
        said = error if isinstance(metric, str) else f"could not be traced on arrays: {error!r}"
        raise ValueError(f"metric {name!r}: {said}") from error
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"metric {name!r} must return one floating-point number, got {value.dtype}{value.shape}")


def evaluate(
    params: Params, data: tuple[Any, ...], metrics: Any, *, weights: Any = None, backprop: str = "auto"
) -> dict[str, float]:
    """Metrics of a network on data, by name.

    Args:
      data: (x, y) or (x, y, weights), as `fit` takes them: (n, n_0), and (n, n_N) or (n,) integer labels.
      metrics: a name of `METRICS`, a function as in `resolve`, or several of them.
      weights: (n,), not negative, None for all ones; an example of weight 0 counts for nothing.
      backprop: as in `jnn.forward`.
    Raises:
      ValueError: shapes do not match, data are not finite, a metric does not fit, two share a name.
      TypeError: data or metrics are of the wrong kind.

    >>> params = jnn.from_layers([(2.0, 1.0)])
    >>> evaluate(params, ([[0.0], [1.0]], [[1.0], [5.0]]), ("mse", "max_error"))
    {'mse': 2.0, 'max_error': 2.0}
    """
    metrics = (metrics,) if isinstance(metrics, str) or callable(metrics) else tuple(metrics)
    functions = {name_of(metric): resolve(metric) for metric in metrics}
    if len(functions) < len(metrics):
        raise ValueError(f"metrics {[name_of(metric) for metric in metrics]} share a name: rename a function")
    # a function as the loss: rows and labels are both let through, and each metric says which of them it takes
    x, y, w = examples.check(params, data if weights is None else (*data, weights), _accuracy)
    for metric in metrics:
        check_metric(metric, params[-1].w.shape[1], y)
    predictions = _widened(network.predict(params, x, backprop=backprop))
    y, w = jnp.asarray(y), None if w is None else jnp.asarray(w)
    return {name: float(function(predictions, y, w)) for name, function in functions.items()}


# ---- sums ----------------------------------------------------------------------------------------------------------


def _predicted(predictions: Array) -> Array:
    """The class of each row of outputs, −1 where one is NaN."""
    return jnp.where(jnp.any(jnp.isnan(predictions), axis=1), -1, classes(predictions, 0.0))


def _shares(predictions: Array, weights: Array | None) -> Array:
    """The weights (n,), in float32 at least."""
    dtype = _widened(predictions).dtype
    return jnp.ones(len(predictions), dtype) if weights is None else weights.astype(dtype)


def _widened(predictions: Array) -> Array:
    return predictions.astype(jnp.promote_types(predictions.dtype, jnp.float32))


def _average(each: Array, w: Array) -> Array:
    """Σᵢ wᵢ eᵢ / Σᵢ wᵢ along the rows, 0 where nothing has weight."""
    total = jnp.sum(w, axis=0)
    return jnp.sum(w * each, axis=0) / jnp.where(total > 0, total, 1)


def _wide(predictions: Array, targets: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    """Predictions and targets (n, n_N) and weights (n, 1), of one dtype, float32 at least."""
    if predictions.shape != targets.shape:
        raise ValueError(f"targets have shape {targets.shape}; the predictions {predictions.shape}")
    w = _shares(predictions, weights)
    return predictions.astype(w.dtype), targets.astype(w.dtype), w[:, None]


def _variation(v: Array, w: Array) -> Array:
    """Σᵢ wᵢ (vᵢ − v̄)² of each column; a constant one has 0, whatever rounding makes of its mean."""
    constant = jnp.max(jnp.where(w > 0, v, -jnp.inf), axis=0) <= jnp.min(jnp.where(w > 0, v, jnp.inf), axis=0)
    return jnp.where(constant, 0, jnp.sum(w * (v - _average(v, w)) ** 2, axis=0))


def _explained(left: Array, variation: Array) -> Array:
    """The mean over outputs of 1 − left / variation; without variation 1 where nothing is left, else 0."""
    return jnp.mean(1 - left / jnp.where(variation > 0, variation, jnp.where(left == 0, 1, left)))
