"""What rows held out are judged by: higher is better, and the best weights are kept.

Scores that JAX can compute are part of the program; scorers of scikit-learn and of the user's are
called on the host, after every epoch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from sklearn.metrics import check_scoring, get_scorer_names

from jnn import losses, metrics
from jnn.checks import Thing, known
from jnn.data.rows import Rows
from jnn.params import Params
from jnn.sklearn.conversion import layers_of
from jnn.sklearn.objectives import Objective
from jnn.triangular.method import AUTO
from jnn.triangular.network import batch_output

# scikit-learn's names of outputs, and jnn's; of the others values are numbers
OUTPUTS = {"logistic": "sigmoid", "softmax": "softmax"}
DEFAULT, LOSS = "default", "loss"
# by a scorer; when all parts of an epoch are done
ON_HOST, LATER = "on host", "later"


class Measured(NamedTuple):
    """Of rows held out."""

    loss: Any  # without the penalty
    score: Any


NOTHING = Measured(0.0, 0.0)  # NaN would end a run under jax_debug_nans


def measured(
    objective: Objective,
    scoring: str | None,
    output: str,
    params: Params,
    rows: Rows,
    dtype: Thing,
) -> Measured:
    """The loss of rows and their score, both of this dtype; no score where it is not asked for.

    Args:
      objective: what is minimised.
      scoring: DEFAULT, accuracy or R²; LOSS, minus the loss; a metric's name; ON_HOST or None.
      output: the output's activation.
      params: of the network.
      rows: with weights.
      dtype: of the result.
    """
    p = objective.predict(batch_output(params, rows.x, AUTO))
    y = rows.y.astype(p.dtype)
    loss = objective.loss(y, p, rows.weights / jnp.sum(rows.weights)).astype(dtype)
    if scoring in (None, ON_HOST, LATER):
        return Measured(loss, 0.0)
    if scoring == LOSS:
        return Measured(loss, -loss)
    if scoring == DEFAULT:
        return Measured(loss, objective.score(y, p, rows.weights).astype(dtype))
    return Measured(loss, _metric(scoring, output)(p, y, rows.weights).astype(dtype))


def _metric(name: str, output: str) -> Callable[..., Array]:
    """jnn's, of probabilities or numbers; where less is better, minus it."""
    found = metrics.resolve(name, OUTPUTS.get(output, "identity"))
    if name in losses.LOSSES or name == "max_error":
        return lambda p, y, weights: -found(p, y, weights)
    return found


def kind_of(estimator: Thing) -> str:
    """DEFAULT, LOSS, a metric's name, or ON_HOST where the estimator's `scoring` is a scorer.

    Raises:
      ValueError: the name is unknown.
    """
    scoring = estimator.scoring
    if scoring is None:
        return DEFAULT
    if not isinstance(scoring, str):
        return ON_HOST
    if scoring == LOSS or scoring in metrics.METRICS:
        return scoring
    known("scoring", scoring, [LOSS, *metrics.METRICS, *get_scorer_names()], otherwise="a scorer")
    return ON_HOST


def check(kind: str, output: str, y: np.ndarray) -> None:
    """Raise where a metric does not go with targets (n, n_N) or the network's output.

    Raises:
      ValueError: it does not.
    """
    if kind in metrics.METRICS:
        metrics.check_metric(kind, y.shape[1], y.astype(float), OUTPUTS.get(output, "identity"))


def of_estimator(estimator: Thing, validation: Rows | None) -> str | None:
    """What rows held out are judged by; None where they are not judged.

    Raises:
      ValueError: `scoring` is unknown, or does not go with targets or outputs.
    """
    if not (estimator.early_stopping and validation):
        return None
    kind = kind_of(estimator)
    check(kind, estimator.out_activation_, validation.y)
    return kind


def on_host(estimator: Thing, validation: Rows | None) -> Callable[[Params], Any]:
    """Scores of parameters by a scorer, which sees them in the estimator."""
    scorer: Any = check_scoring(estimator, estimator.scoring)
    assert validation  # somebody asked for scores of it
    x, y, weights = validation
    labels = estimator._labels(y)
    options = {} if weights is None else {"sample_weight": weights}

    def score(params: Params) -> Any:
        estimator.coefs_, estimator.intercepts_ = layers_of(jax.device_get(params))
        return scorer(estimator, x, labels, **options)

    return score
