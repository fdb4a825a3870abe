"""Metrics of predictions ŷ against targets y, by name, for use inside compiled loops.

A metric is `(predictions: (n, n_N), targets, weights: (n,) or None) -> scalar`, higher or lower
being better as its name says. Every loss is one too. Metrics of classes know from the network's
output whether one column holds logits or probabilities.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import arrays, checks, losses, targets
from jnn.activations import ActivationLike
from jnn.checks import Data
from jnn.metrics import formulas
from jnn.metrics.labels import check_labels
from jnn.outputs import kind_of_output
from jnn.precision import wide

Metric: TypeAlias = Callable[[Array, Array, Array | None], Array]
MetricLike: TypeAlias = str | losses.Loss | Callable[..., Any]

_BY_THRESHOLD: dict[str, Callable[..., Array]] = {
    "accuracy": formulas.accuracy,
    "balanced_accuracy": formulas.balanced_accuracy,
}
# the same objects at every call
_OF_PROBABILITIES: dict[str, Metric] = {
    name: partial(metric, threshold=0.5) for name, metric in _BY_THRESHOLD.items()
}
_OF_CLASSES: dict[str, Metric] = {**_BY_THRESHOLD, "top_5_accuracy": formulas.top_5_accuracy}
METRICS: dict[str, Metric] = {
    **_OF_CLASSES,
    "r2": formulas.r2,
    "explained_variance": formulas.explained_variance,
    "max_error": formulas.max_error,
    **{name: partial(formulas.mean_loss, loss) for name, loss in losses.LOSSES.items()},
}

_SCORES = {*_OF_CLASSES, "r2", "explained_variance"}


def is_score(name: str) -> bool:
    """Whether the greater of that name, in a history, is the better.

    >>> is_score("accuracy"), is_score("validation_r2"), is_score("loss")
    (True, True, False)
    """
    return name.removeprefix("validation_") in _SCORES


def resolve(metric: MetricLike, output: ActivationLike = "identity") -> Metric:
    """The metric of that name, or a function of your own.

    It takes `(predictions, targets)` or `(predictions, targets, weights)`. Weights go to a function
    with a parameter of that name, or that needs a third one; they are all 1 where none are given.

    Args:
      metric: one of `jnn.METRICS`, a `losses.Loss`, or a function.
      output: the readout's activation. Metrics of classes cut one column of probabilities
        ("sigmoid") at ½, and one column of anything else, such as logits, at 0.
    Raises:
      ValueError: a name is unknown.
      TypeError: neither a name nor a function of these arguments.

    >>> float(resolve("max_error")(jnp.array([[1.0], [5.0]]), jnp.array([[1.5], [2.0]]), None))
    3.0
    >>> p, y = jnp.array([[0.3], [0.7]]), jnp.array([0, 1])
    >>> float(resolve("accuracy", output="sigmoid")(p, y, None))
    1.0
    """
    of_probabilities = kind_of_output(output) in ("probabilities", "a distribution")
    if isinstance(metric, str):
        checks.known("metric", metric, METRICS, otherwise="a function")
        if of_probabilities and metric in _OF_PROBABILITIES:
            return _OF_PROBABILITIES[metric]
        return METRICS[metric]
    if isinstance(metric, losses.Loss):
        return partial(formulas.mean_loss, metric)
    checks.function("metric", metric, "a name or a function of (predictions, targets)")
    try:
        signature = inspect.signature(metric)
    except ValueError as error:  # some builtins
        raise TypeError(
            f"metric {metric!r} does not say what it takes: wrap it, def name(predictions, targets)"
        ) from error
    # Anything else that may be left out, as in (predictions, targets, quantile=0.9), is not ours to
    # fill.
    way = _way(signature)
    if way == "weights by name":
        return lambda p, y, w=None: jnp.asarray(metric(p, y, weights=_or_ones(w, p)))
    if way == "no weights":
        return lambda p, y, _=None: jnp.asarray(metric(p, y))
    if way == "weights":
        return lambda p, y, w=None: jnp.asarray(metric(p, y, _or_ones(w, p)))
    raise TypeError(
        f"a metric takes (predictions, targets) or (predictions, targets, weights), not {signature}"
    )


def takes_weights(metric: MetricLike) -> bool:
    """Whether examples of weight zero count for nothing.

    >>> takes_weights("mse"), takes_weights(lambda predictions, targets: 0.0)
    (True, False)
    """
    if isinstance(metric, (str, losses.Loss)):
        return True
    return _way(inspect.signature(metric)) != "no weights"


def _way(signature: inspect.Signature) -> str | None:
    """How a user's metric is called; None: it cannot be."""
    if "weights" in signature.parameters and _binds(signature, 0, 0, weights=0):
        return "weights by name"
    if _binds(signature, 0, 0):
        return "no weights"
    return "weights" if _binds(signature, 0, 0, 0) else None


def _binds(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _or_ones(weights: Array | None, predictions: Array) -> Array:
    return jnp.ones(len(predictions), predictions.dtype) if weights is None else weights


def several(metrics: MetricLike | Iterable[MetricLike] | None) -> tuple[MetricLike, ...]:
    """Metrics one by one: of None none, of a name, a loss or a function itself.

    Raises:
      TypeError: neither a metric nor several.

    >>> several("r2"), several(["mae", "r2"]), several(None)
    (('r2',), ('mae', 'r2'), ())
    """
    if metrics is None:
        return ()
    if isinstance(metrics, (str, losses.Loss)) or callable(metrics):
        return (metrics,)
    if not isinstance(metrics, (tuple, list)):
        raise TypeError(
            f"metrics is {metrics!r}; it must be a name, a loss, a function, or a list of them"
        )
    return tuple(metrics)


def name_of(metric: MetricLike) -> str:
    """What a metric is called in a history: its name, or that of the loss or function.

    Raises:
      ValueError: the name is unknown, or a function has none, such as a lambda.
      TypeError: as in `resolve`.

    >>> name_of("r2"), name_of(jnp.cov)
    ('r2', 'cov')
    """
    resolve(metric)  # refuses what is not a metric
    if isinstance(metric, losses.Loss):
        return losses.name_of(metric)
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "<lambda>")
    if name == "<lambda>":
        raise ValueError(f"metric {metric!r} has no name to be recorded under: write it with def")
    return name


def check_metric(
    metric: MetricLike, n_out: int, targets: Data, output: ActivationLike = "identity"
) -> None:
    """Refuse a metric that does not fit targets or network, before anything is computed.

    A function of your own is traced on shapes alone.

    Args:
      metric: as in `resolve`.
      n_out: n_N, the outputs of the network.
      targets: (n, n_N), or (n,) labels.
      output: the readout's activation, which says whether the network gives probabilities.
    Raises:
      ValueError: a name is unknown, targets are of another kind, a loss does not go with the
        output, a function cannot be traced or does not return one number.
      TypeError: not a metric at all.

    >>> check_metric("accuracy", 1, np.array([[0.3], [17.0]]))
    Traceback (most recent call last):
      ...
    ValueError: metric 'accuracy': the targets of one output must be 0 or 1 to be classes, \
got 0.3 to 17.0
    """
    evaluated = resolve(metric, output)
    name = name_of(metric)
    y = arrays.numbers("targets", targets)
    try:
        if isinstance(metric, (str, losses.Loss)):
            _check_known(metric, n_out, y, output)
        dtype = jax.dtypes.canonicalize_dtype(y.dtype)
        of_targets = jax.ShapeDtypeStruct(y.shape, dtype)
        numbers = wide(dtype) if jnp.issubdtype(dtype, jnp.floating) else jnp.float32
        predictions = jax.ShapeDtypeStruct((len(y), n_out), numbers)
        value = jax.eval_shape(evaluated, predictions, of_targets)
    except Exception as error:
        known = isinstance(metric, (str, losses.Loss))
        said = error if known else f"could not be traced on arrays: {error!r}"
        raise ValueError(f"metric {name!r}: {said}") from error
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"metric {name!r} must return one floating-point number, got {value.dtype}{value.shape}"
        )


def _check_known(
    metric: str | losses.Loss, n_out: int, y: np.ndarray, output: ActivationLike
) -> None:
    """Raise where targets are not what the metric is of."""
    if metric in _OF_CLASSES:
        check_labels(y, n_out)
    elif isinstance(metric, losses.Loss) or metric in losses.LOSSES:
        targets.check_output(metric, output)
        targets.check_targets(metric, y, n_out)
    else:
        targets.check_targets("mse", y, n_out)
