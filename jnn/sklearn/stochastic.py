"""Fitting by Adam or SGD: what a run starts from, and what it leaves in the estimator."""

from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from jnn import callers, memory, padding
from jnn.checks import Thing, Tree
from jnn.data.rows import Rows
from jnn.sklearn import devices, options, program, scaled, scoring
from jnn.sklearn.conversion import layers_of, params_of
from jnn.sklearn.draws import Orders
from jnn.sklearn.epochs import Run
from jnn.sklearn.program import Epoch, Form, Memory, State
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
        rows, validation = _split(estimator, rows, random)
    if validation is None:
        estimator.validation_loss_curve_ = None
    elif estimator.validation_loss_curve_ is None:
        estimator.validation_loss_curve_ = []
    n = rows.x.shape[0]
    size = _batch_size(estimator, n)
    dtype = estimator.coefs_[0].dtype
    with devices.computing(estimator.device):
        run = Run(
            Form(
                estimator.out_activation_,
                optimizer.solver,
                size if size < n else None,
                scoring.of_estimator(estimator, validation),
                options.terms_of(estimator),
            ),
            options.current(estimator, optimizer.numbers, -(-n // size)),
            _state(estimator, optimizer),
            filled_up(scaled.standardised(estimator.scales_, rows), dtype, in_batches=size < n),
            n,
        )
        orders = None
        if estimator.shuffle:
            is_seed = isinstance(estimator.random_state, (int, np.integer))
            orders = Orders(random, n, len(run.data.x), is_seed)
        epochs = 1 if incremental else estimator.max_iter
        estimator.n_iter_ = 0
        if run.form.scoring == scoring.ON_HOST:
            run.score = scoring.on_host(estimator, validation)
        if validation is not None:
            validation = filled_up(scaled.standardised(estimator.scales_, validation), dtype)
        run.deadline = watch.deadline
        if watch.context is not None:
            run.after = watch.reached

        def look(row: Epoch) -> None:
            _record(estimator, row, n)
            watch.step()

        with watch.epochs(epochs):
            run.take(epochs, orders, validation, look)
        state = jax.device_get(run.state)
    _leave(estimator, optimizer, state)
    if run.interrupted:
        callers.warn("Training interrupted by user.", UserWarning)
    elif not incremental and run.done == epochs and state.memory[-1] < program.STOPPED:
        callers.warn(
            f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
        )


def filled_up(rows: Rows, dtype: np.dtype, *, in_batches: bool = False) -> Rows:
    """Dense rows of a dtype and with weights, as many as share a program: 0 for what was added.

    Args:
      rows: X, dense or sparse, y and weights, or None for all ones.
      dtype: to compute in.
      in_batches: whether they are taken in minibatches, to which what was added costs nothing.
    """
    x, y, weights = rows
    n = x.shape[0]
    length = _coarse(n) if in_batches and n <= _MANY else padding.longer(n)
    if scipy.sparse.issparse(x):
        remedy = "give fewer rows at a time to partial_fit"
        memory.check("the dense rows of X", length * x.shape[1] * dtype.itemsize, remedy)
        x = x.toarray()
    w = np.zeros(length, dtype)
    w[:n] = 1 if weights is None else weights
    x, y = (padding.filled_up(np.asarray(a, dtype), length) for a in (x, y))
    return Rows(x, y, w)


_MANY = 2**16  # rows from which on up to twice as many are too much memory


def _coarse(n: int) -> int:
    """A power of 2: the folds of a search and all its rows often share it.

    >>> [_coarse(n) for n in (1, 5, 800, 1000, 1437, 1797)]
    [1, 8, 1024, 1024, 2048, 2048]
    """
    return 1 << (n - 1).bit_length()


def _split(estimator: Thing, rows: Rows, random: Any) -> tuple[Rows, Rows]:
    """Rows to train on and rows to validate with; of two classes each gets its share of both."""
    there = [part for part in rows if part is not None]
    binary = is_classifier(estimator) and estimator.n_outputs_ == 1
    parts = train_test_split(
        *there,
        random_state=random,
        test_size=estimator.validation_fraction,
        stratify=rows.y if binary else None,
    )
    nothing = [None] * (3 - len(there))
    train, validation = (Rows(*part, *nothing) for part in (parts[::2], parts[1::2]))
    if validation.x.shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return train, validation


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
        event=program.GOES_ON,
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
    if row.event == program.GOES_ON:
        return
    judged = "Validation score" if estimator.early_stopping else "Training loss"
    consequence = {
        program.RATE_CUT: f"Setting learning rate to {row.rate:f}",
        program.STOPPED: "Stopping.",
        program.RATE_TOO_SMALL: "Learning rate too small. Stopping.",
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
