"""Fitting by SciPy's L-BFGS-B, on a compiled value and gradient."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax import Array
from sklearn.exceptions import ConvergenceWarning

from jnn import callers
from jnn.activations import ActivationLike
from jnn.checks import Thing
from jnn.data.rows import Rows
from jnn.sklearn import devices, options, scaled, scoring
from jnn.sklearn.conversion import params_of
from jnn.sklearn.filling import filled_up
from jnn.sklearn.program import quickly, value_and_gradient
from jnn.sklearn.records import Form
from jnn.sklearn.solvers import NOTHING, packed, unpacked
from jnn.sklearn.terms import objective_of
from jnn.sklearn.watching import Watch


def fit(estimator: Thing, rows: Rows, validation: Rows | None, watch: Watch) -> None:
    """Minimise the loss of all rows, from the weights in the estimator on.

    Where squared errors have several outputs they are summed over them, in the loss as in the
    gradient: scikit-learn averages in the one and sums in the other (its issue 8349), so that its
    line search looks at another function than its steps. Like theirs it computes in float64, and so
    are the weights that it leaves, whatever comes.

    Args:
      estimator: with weights in `coefs_` and `intercepts_`, where those reached are left.
      rows: X, dense or sparse, y: (n, n_outputs), and weights or None.
      validation: rows whose loss is recorded after each iteration.
      watch: who looks on.
    """
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    wide = np.dtype(np.float64)  # SciPy's own
    dtype = wide if devices.dtypes(estimator) != np.float32 else np.dtype(np.float32)
    sizes = (coefs[0].shape[0], *(len(b) for b in intercepts))
    start = np.concatenate([a.ravel() for a in [*coefs, *intercepts]], dtype=wide)
    form = Form(estimator.out_activation_, "lbfgs", None, None, options.terms_of(estimator))
    numbers = packed(options.current(estimator, NOTHING, 1))
    estimator.loss_curve_, estimator.n_iter_ = [], 0
    estimator.validation_loss_curve_ = None if validation is None else []
    with devices.computing(estimator.device), watch.epochs(estimator.max_iter):
        train, held_out = (
            rows and jax.device_put(filled_up(scaled.standardised(estimator.scales_, rows), dtype))
            for rows in (rows, validation)
        )

        def value_and_slope(vector: np.ndarray) -> tuple[float, np.ndarray]:
            vector = vector.astype(dtype, copy=False)
            loss, slope = _objective(form, estimator.activation, sizes, vector, train, numbers)
            return float(loss), np.asarray(slope, wide)

        def look(intermediate_result: Any) -> None:  # by this name SciPy gives the loss as well
            estimator.n_iter_ += 1
            estimator.loss_curve_.append(float(intermediate_result.fun))
            if estimator.verbose:
                print(f"Iteration {estimator.n_iter_}, loss = {intermediate_result.fun:.8f}")
            if held_out is not None:
                vector = np.array(intermediate_result.x, dtype)
                loss = _loss(form, estimator.activation, sizes, vector, held_out, numbers)
                estimator.validation_loss_curve_.append(float(loss))
            watch.step()
            layers = _layers(np.array(intermediate_result.x, dtype), sizes)
            ends = watch.reached(params_of(*layers, estimator.activation))
            if ends or watch.late:
                raise StopIteration

        found = scipy.optimize.minimize(
            value_and_slope,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=look,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
            },
        )
    estimator.n_iter_ = min(found.nit, estimator.max_iter)
    estimator.loss_ = float(found.fun)
    estimator.coefs_, estimator.intercepts_ = _layers(found.x.astype(dtype, copy=False), sizes)
    if found.status not in (0, _ENDED):
        _warn(estimator, found)


_ENDED = 99  # SciPy's status of a StopIteration


def _warn(estimator: Thing, found: Any) -> None:
    remedy = ""
    if estimator.n_iter_ == estimator.max_iter:
        remedy = (
            "\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={estimator.max_iter})."
        )
    callers.warn(
        f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) "
        f"(status={found.status}):\n{found.message}\n{remedy}\nScaling the data may help, too: put "
        "a StandardScaler before the network.",
        ConvergenceWarning,
    )


def _layers(vector: Any, sizes: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    """coefs and intercepts, one after the other in a vector."""
    coefs, intercepts, first = [], [], 0
    for n_in, n_out in pairwise(sizes):
        coefs.append(vector[first : first + n_in * n_out].reshape(n_in, n_out))
        first += n_in * n_out
    for n_out in sizes[1:]:
        intercepts.append(vector[first : first + n_out])
        first += n_out
    return coefs, intercepts


_compiled = partial(quickly, static=("form", "activation", "sizes"))


@_compiled
def _objective(
    form: Form,
    activation: ActivationLike,
    sizes: tuple[int, ...],
    vector: Array,
    rows: Rows,
    numbers: Array,
) -> tuple[Array, Array]:
    """What is minimised and its gradient, by the vector of all coefs, then all intercepts."""
    params = params_of(*_layers(vector, sizes), activation)
    loss, gradient = value_and_gradient(form, unpacked(numbers), params, rows, summed=True)
    coefs = [w.T.ravel() for stack in gradient for w in stack.w]
    return loss, jnp.concatenate([*coefs, *(b for stack in gradient for b in stack.b)])


@_compiled
def _loss(
    form: Form,
    activation: ActivationLike,
    sizes: tuple[int, ...],
    vector: Array,
    rows: Rows,
    numbers: Array,
) -> Array:
    """The loss of rows held out, without the penalty."""
    params = params_of(*_layers(vector, sizes), activation)
    objective = objective_of(form.output, form.terms, unpacked(numbers))
    return scoring.measured(objective, None, form.output, params, rows, vector.dtype).loss
