"""Fitting by Adam or SGD: what a run starts from, and what it leaves in the estimator."""

from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from jnn import callers
from jnn.checks import Thing, Tree
from jnn.data.rows import Rows
from jnn.sklearn import devices, filling, options, records, scaled, scoring
from jnn.sklearn.conversion import layers_of, params_of
from jnn.sklearn.draws import Orders
from jnn.sklearn.epochs import Run
from jnn.sklearn.filling import filled_up, split
from jnn.sklearn.parts import RunOfParts
from jnn.sklearn.records import Epoch, Form, Memory, State
from jnn.sklearn.solvers import Numbers
from jnn.sklearn.transformations import sees_all_rows, solver_of
from jnn.sklearn.watching import Watch


class Optimizer(NamedTuple):
    """What `partial_fit` goes on with; its numbers are those of the first call."""

    solver: Thing
    numbers: Numbers
    moments: tuple[Tree, ...] | None  # NumPy's; None before the first step
    learning_rate: float
    updates: int


def optimizer_of(estimator: Thing, random: Any) -> Optimizer:
    """A new one, by the estimator's parameters; the seed of dropout's masks is drawn for it."""
    numbers = Numbers(
        alpha=estimator.alpha,
        tol=estimator.tol,
        patience=estimator.n_iter_no_change,
        learning_rate=estimator.learning_rate_init,
        falling=estimator.learning_rate == "invscaling",
        adaptive=estimator.learning_rate == "adaptive",
        power=estimator.power_t,
        momentum=estimator.momentum,
        nesterov=estimator.nesterovs_momentum,
        beta_1=estimator.beta_1,
        beta_2=estimator.beta_2,
        epsilon=estimator.epsilon,
    )
    if estimator.solver == "adam":  # it knows no schedules
        numbers = numbers._replace(falling=False, adaptive=False)
    if estimator.dropout:
        numbers = numbers._replace(seed=random.randint(np.iinfo(np.int32).max))
    return Optimizer(estimator.solver, numbers, None, estimator.learning_rate_init, 0)


def fit(
    estimator: Thing,
    rows: Rows,
    validation: Rows | None,
    random: Any,
    watch: Watch,
    *,
    incremental: bool,
) -> None:
    """Train the estimator's network on rows, one epoch of them if incremental.

    Args:
      estimator: with weights in `coefs_` and `intercepts_`, where those reached are left.
      rows: X, dense or sparse, y: (n, n_outputs), and weights or None.
      validation: rows of the user's to validate with; None: with early stopping a part of `rows`.
      random: a generator.
      watch: who looks on.
      incremental: whether this is `partial_fit`.
    Raises:
      ValueError: `partial_fit` with early stopping, or a validation set of less than two rows.
      ZeroDivisionError: the weights of a minibatch sum to zero.
    """
    if incremental and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    optimizer = getattr(estimator, "_optimizer", None) if incremental else None
    optimizer = optimizer or options.renewed(estimator, optimizer_of(estimator, random))
    if estimator.early_stopping and validation is None:
        rows, validation = split(estimator, rows, random)
    _begin(estimator, validation)
    n = rows.x.shape[0]
    size = _batch_size(estimator, n)
    dtype = estimator.coefs_[0].dtype
    with devices.computing(estimator.device):
        rows = scaled.standardised(estimator.scales_, rows)
        in_parts = size < n and not filling.fits(rows.x, dtype)
        run = (RunOfParts if in_parts else Run)(
            Form(
                estimator.out_activation_,
                optimizer.solver,
                size if size < n else None,
                scoring.of_estimator(estimator, validation),
                options.terms_of(estimator),
            ),
            options.current(estimator, optimizer.numbers, -(-n // size)),
            _state(estimator, optimizer),
            rows if in_parts else filled_up(rows, dtype, in_batches=size < n),
            n,
        )
        orders = None
        if estimator.shuffle:
            is_seed = isinstance(estimator.random_state, (int, np.integer))
            orders = Orders(random, n, run.data.x.shape[0], is_seed)
        epochs = 1 if incremental else estimator.max_iter
        _look_on(run, estimator, validation, watch)
        if validation is not None:
            validation = filled_up(scaled.standardised(estimator.scales_, validation), dtype)

        def look(row: Epoch) -> None:
            _record(estimator, row, n)
            watch.step()

        with watch.epochs(epochs):
            run.take(epochs, orders, validation, look)
        state = jax.device_get(run.state)
    _leave(estimator, optimizer, state)
    if run.interrupted:
        callers.warn("Training interrupted by user.", UserWarning)
    elif not incremental and run.done == epochs and state.memory[-1] < records.STOPPED:
        callers.warn(
            f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
        )


def _begin(estimator: Thing, validation: Rows | None) -> None:
    """What is counted and recorded from here on: losses of rows held out, if there are any."""
    estimator.n_iter_ = 0
    if validation is None:
        estimator.validation_loss_curve_ = None
    elif estimator.validation_loss_curve_ is None:
        estimator.validation_loss_curve_ = []


def _look_on(run: Run, estimator: Thing, validation: Rows | None, watch: Watch) -> None:
    """Who is asked on the host, after each chunk or each epoch of a run."""
    run.deadline = watch.deadline
    if run.form.scoring == scoring.ON_HOST:
        run.score = scoring.on_host(estimator, validation)
    if watch.context is not None:
        run.after = watch.reached


def _batch_size(estimator: Thing, n: int) -> int:
    if sees_all_rows(estimator.solver):
        return n
    if estimator.batch_size == "auto":
        return min(200, n)
    if estimator.batch_size > n:
        callers.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"batch_size is {estimator.batch_size} for {n} rows",
            UserWarning,
        )
    return int(min(estimator.batch_size, n))


def _state(estimator: Thing, optimizer: Optimizer) -> State:
    """What the run starts from: the weights as they stand in the estimator, and its memory."""
    params = params_of(estimator.coefs_, estimator.intercepts_, estimator.activation)
    moments = optimizer.moments
    if moments is None:
        moments = solver_of(optimizer.solver).start(params)
    best = estimator.best_loss_
    if estimator.early_stopping:
        best = estimator.best_validation_score_
    elif best is None:  # an earlier fit stopped by scores
        best = estimator.best_loss_ = np.inf
    if best is None:  # or this one does, and the earlier did not
        best = estimator.best_validation_score_ = -np.inf
        estimator.validation_scores_ = []
    record = Memory(
        best=best,
        without=estimator._no_improvement_count,
        rate=optimizer.learning_rate,
        updates=optimizer.updates,
        seen=estimator.t_,
        event=records.GOES_ON,
    )
    kept = params if estimator.early_stopping else None
    return State(params, moments, kept, np.asarray(record, np.float64))


def _record(estimator: Thing, row: Epoch, n: int) -> None:
    """One epoch's numbers, into the estimator's lists and, if it is verbose, onto the screen."""
    number = estimator.coefs_[0].dtype.type
    estimator.n_iter_ += 1
    estimator.t_ += n
    estimator.loss_ = number(row.loss)
    estimator.loss_curve_.append(estimator.loss_)
    if estimator.validation_loss_curve_ is not None:
        estimator.validation_loss_curve_.append(number(row.validation_loss))
    if estimator.early_stopping:
        estimator.validation_scores_.append(float(row.score))
    if not estimator.verbose:
        return
    print(f"Iteration {estimator.n_iter_}, loss = {row.loss:.8f}")
    if estimator.early_stopping:
        print(f"Validation score: {row.score:f}")
    if row.event == records.GOES_ON:
        return
    judged = "Validation score" if estimator.early_stopping else "Training loss"
    consequence = {
        records.RATE_CUT: f"Setting learning rate to {row.rate:f}",
        records.STOPPED: "Stopping.",
        records.RATE_TOO_SMALL: "Learning rate too small. Stopping.",
    }
    print(
        f"{judged} did not improve more than tol={estimator.tol:f} for "
        f"{estimator.n_iter_no_change} consecutive epochs. {consequence[int(row.event)]}"
    )


def _leave(estimator: Thing, optimizer: Optimizer, state: State) -> None:
    """What the run has reached, into the estimator; everything is NumPy's."""
    memory = Memory(*state.memory.tolist())
    params = state.params
    number = estimator.coefs_[0].dtype.type
    if estimator.early_stopping:
        estimator.best_loss_ = None
        best_before = estimator.best_validation_score_
        estimator.best_validation_score_ = memory.best
        # as theirs: no epoch above an earlier fit's best, or NaN alone, leaves the last weights
        if state.best is not None and memory.best > best_before:
            params = state.best
    else:
        estimator.best_loss_ = number(memory.best)
        estimator.best_validation_score_ = None
        estimator.validation_scores_ = None
    estimator._no_improvement_count = int(memory.without)
    estimator._optimizer = optimizer._replace(
        moments=state.moments, learning_rate=memory.rate, updates=int(memory.updates)
    )
    estimator.coefs_, estimator.intercepts_ = layers_of(params)
