"""An estimator with alpha="held-out": what the recipe takes from it, and leaves in it."""

import inspect
from typing import Any

import numpy as np
import scipy.sparse

from jnn.checks import Thing
from jnn.data.rows import Rows
from jnn.sklearn import recommended
from jnn.sklearn.conversion import ACTIVATIONS
from jnn.sklearn.recommended import Training

HELD_OUT = "held-out"
# the parameters of `recommended()`, which a user may override
PARAMETERS = {
    "hidden_layer_sizes": Training().hidden,
    "activation": Training().activation,
    "alpha": HELD_OUT,
    "learning_rate_init": Training().rate,
}
# what the recipe looks at beside them
_READ = {*PARAMETERS, "batch_size", "max_iter", "random_state"}


def check(
    estimator: Thing, X: Thing, sample_weight: Thing, apart: tuple[Thing, ...], *, incremental: bool
) -> None:
    """Raise where the recipe would pass over something that it was told.

    Raises:
      ValueError: a parameter that it does not read is not the default, it is `partial_fit`, X is
        sparse, or there are weights or rows of the user's to validate with.
    """
    for name, parameter in inspect.signature(type(estimator)).parameters.items():
        value = getattr(estimator, name)
        if name not in _READ and value != parameter.default:
            raise ValueError(
                f"{name} is {value!r}, but alpha='held-out' trains in a way of its own, with "
                f"{name}={parameter.default!r}: leave {name} out, or give alpha a number"
            )
    if incremental:
        raise ValueError("partial_fit does not support alpha='held-out': give alpha a number")
    if scipy.sparse.issparse(X):
        raise ValueError("X is sparse; alpha='held-out' standardises columns: give X.toarray()")
    if any(part is not None for part in apart):
        raise ValueError("alpha='held-out' holds rows out itself: leave X_val and y_val out")
    if sample_weight is not None:
        raise ValueError("alpha='held-out' does not support sample_weight: give alpha a number")


def fit(estimator: Thing, rows: Rows, random: Any) -> None:
    """Find the network, and leave it in the estimator.

    Args:
      estimator: with weights of the right dtype in `coefs_`.
      rows: X and y: (n, n_outputs).
      random: a generator.
    Raises:
      ValueError: there are too few rows to hold some out.
    """
    activation: Any = ACTIVATIONS.get(estimator.activation, estimator.activation)
    training = Training(
        hidden=tuple(estimator._hidden_sizes()),
        activation=activation,
        rate=float(estimator.learning_rate_init),
        epochs=int(estimator.max_iter),
        batch_size=200 if estimator.batch_size == "auto" else int(estimator.batch_size),
    )
    output = estimator.out_activation_
    seed = int(random.randint(np.iinfo(np.int32).max))
    found = recommended.recommended_network(rows.x, rows.y, output, seed, training)
    dtype = estimator.coefs_[0].dtype
    estimator.coefs_ = [np.array(w.T, dtype, order="C") for w, _ in found.layers]
    estimator.intercepts_ = [np.array(b, dtype) for _, b in found.layers]
    estimator.alphas_ = found.alphas
    losses = map(float, found.held_out)
    estimator.held_out_losses_ = dict(zip(recommended.ALPHAS, losses, strict=True))
    estimator.loss_curve_ = [dtype.type(loss) for loss in found.history]
    estimator.loss_ = estimator.loss_curve_[-1]
    estimator.best_loss_ = min(estimator.loss_curve_)
    estimator.n_iter_ = len(estimator.loss_curve_)
    estimator.t_ = estimator.n_iter_ * len(rows.x)
