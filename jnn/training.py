"""Training: `fit`, the whole run compiled, with everything checked before anything is computed."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.core import Tracer

from jnn import checkpoints, dropout, examples, least_squares, losses, optimizers, penalties, program, stopping
from jnn import metrics as measures
from jnn.choice import check_method
from jnn.data import host_generator
from jnn.diagnostics.watch import check_watch
from jnn.identity import identify, name
from jnn.layout import layout
from jnn.params import Params, check_key, check_params, sizes
from jnn.results import Fit
from jnn.session import Session, on_device
from jnn.streams import Stream, checker, is_stream


def fit(
    params: Params,
    data: Any,
    *,
    validation: Any = None,
    loss: str | Callable[..., Any] = "half_mse",
    optimizer: str | optax.GradientTransformation = "adam",
    learning_rate: float | optax.Schedule | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool = True,
    key: Array | None = None,
    penalty: penalties.Penalty | Callable[[Params], Any] | None = None,
    dropout_rate: float = 0.0,
    label_smoothing: float = 0.0,
    class_weight: Any = None,
    clip_norm: float | None = None,
    metrics: Any = (),
    watch: Any = (),
    patience: int | None = None,
    min_improvement: float = 0.0,
    target: float | None = None,
    tolerance: float | None = None,
    seconds: float | None = None,
    plateau: stopping.Plateau | None = None,
    checkpoint: Any = None,
    callback: Callable[[Fit], Any] | None = None,
    backprop: str = "auto",
    forward: str = "sequential",
    checkpoint_every: int | None = None,
    compute_dtype: Any = None,
    progress: bool | None = None,
) -> Fit:
    """Minimise a loss over data by minibatch gradient steps, the whole run compiled (and so not to be traced again).

        p ← p + update(∂ℓ/∂p),  ℓ the weighted mean loss of a minibatch, and a penalty where there is one

    Data and loss:
      params: where to start; they are not changed.
      data: (x, y) or (x, y, weights) of shapes (n, n_0), (n, n_N) and (n,), or (n,) integer labels y for
        "cross_entropy". Or a stream of such batches: an iterable that begins anew for every epoch, a function from the
        number of the epoch (from 0) to one, or an iterator with `steps_per_epoch`; it is read ahead by a thread. (A
        list of batches goes as `lambda epoch: batches`: a list of two or three is (x, y) or (x, y, weights).)
      validation: what the run is judged by: (x, y) or (x, y, weights), or a fraction of data (stratified for labels).
      loss: a name of `jnn.losses.LOSSES`, or a function of one example's (prediction, target).
      penalty: `jnn.penalties.l1`, `l2`, `elastic_net`, or a function of the parameters.
      dropout_rate: of hidden units, in training.
      label_smoothing: ε of "cross_entropy" and "binary_cross_entropy", in training.
      class_weight: "balanced", {label: weight}, or one for each class.
      metrics: names of `jnn.metrics.METRICS` or functions, recorded every epoch.
      watch: names of `jnn.diagnostics.WATCHES`, recorded for every layer after every epoch, on the first 256 training
        examples (of a stream: validation examples), as `history[name]` of shape (epochs, N).
    Steps:
      optimizer: a name of `jnn.optimizers.OPTIMIZERS`, or any optax transformation. Keep one transformation for several
        runs: a new one is compiled anew, and stays in JAX's cache, as a new loss function does. "bfgs", "lbfgs" and
        "levenberg_marquardt" take all data at once.
      learning_rate: of a named optimizer: a number, an optax schedule, or None for its usual rate.
      plateau: `jnn.Plateau`, cuts the learning rate where the watched loss no longer falls.
      clip_norm: gradients longer than that are shortened to it.
      epochs: passes through the data.
      batch_size: examples a step, None is min(32, n); a last batch that is smaller counts as the smaller batch it is.
      steps_per_epoch: batches of a stream that make an epoch, None for all it has.
      shuffle: visit the examples in a new order in every epoch; False visits them in the order of the data, always.
      key: of shuffling, dropout and the validation split; None is `jax.random.key(0)`.
      backprop, forward, checkpoint_every: how gradients are taken, as in `jnn.forward`.
      compute_dtype: of the forward pass and its gradient, such as `jnp.bfloat16`; losses, updates and parameters keep
        the parameters' own, float32 at least for losses.
    Stopping, by the watched loss: that on the validation data, or else the training loss:
      patience: epochs without improvement by more than `min_improvement`; the best parameters are then the result.
      target: stop at this loss.
      tolerance: stop once the training loss changes by no more than this, relative, from one epoch to the next.
      seconds: stop about then; compilation does not count, but sessions before a checkpoint do. Ctrl-C stops, too, and
        what was reached is returned.
    Looking on:
      progress: show a bar; None shows it where standard error is a terminal or the code runs in a notebook.
      callback: called with the `Fit` so far, some times a second or once an epoch; stops the run by returning True.
      checkpoint: a directory, or a `jnn.Checkpoint`: the run is written there every 30 s and at its end, and goes on
        from there, to the same bits, when it is called again with the same data and settings; a stream between two
        epochs. Functions (losses, schedules, transformations, streams) are told apart by their names alone.
    Raises:
      ValueError: shapes do not match, data are empty or not finite, a size or a name is impossible, a checkpoint is
        another run's. Nothing has been computed then, but on a stream the batches before a wrong one have.
      TypeError: something is of the wrong kind.
    Warns:
      RuntimeWarning: loss or parameters stopped being finite. The run ends there; the result names the epoch and holds
        the parameters from before it.

    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> start = jnn.init_network_params([1, 1], jax.random.key(0))
    >>> result = fit(start, (x, 2 * x + 1), optimizer="sgd", learning_rate=0.1, batch_size=1, epochs=50)
    >>> bool(result.history["loss"][-1] < 1e-9)
    True
    """
    rule = optimizers.resolve(optimizer, learning_rate, clip_norm)
    limits = stopping.limits(patience, min_improvement, target, tolerance, plateau)
    metrics, watch = _check_metrics(metrics), check_watch(watch)
    key = jax.random.key(0) if key is None else check_key(key)
    method = check_method(backprop, forward, checkpoint_every)
    _check_options(params, epochs, seconds, callback, compute_dtype, loss, label_smoothing)
    penalties.check_penalty(penalty, params)
    if rule.full_batch and plateau is not None:
        raise ValueError(f"{optimizer} finds the length of each step itself: leave plateau out")
    if rule.least_squares:
        least_squares.check(loss, penalty, compute_dtype)
    if dropout.check_rate(dropout_rate):
        dropout.check_method(method)
        if rule.full_batch:
            raise ValueError(f"{optimizer} compares the objective between steps, which dropout changes: leave one out")

    compute_dtype = None if compute_dtype is None else jnp.dtype(compute_dtype)

    n_N = params[-1].w.shape[1]
    streamed = is_stream(data)
    train = Stream(data, steps_per_epoch, checker(params, loss)) if streamed else examples.check(params, data, loss)
    if isinstance(train, Stream):
        _check_stream(train, epochs, batch_size, class_weight, validation, rule)
    elif steps_per_epoch is not None:
        raise ValueError("steps_per_epoch belongs to a stream; arrays are visited whole in every epoch")
    if streamed and watch and validation is None:
        raise ValueError("watch looks at fixed examples, which a stream has not: give validation=(x, y)")
    held = None
    if isinstance(validation, (float, int, np.number)) and not isinstance(train, Stream):
        train, held = examples.validation_split(train, float(validation), jax.random.fold_in(key, 1))
    elif validation is not None:
        held = examples.check(params, validation, loss, "validation")
    if not isinstance(train, Stream):
        if class_weight is not None:
            train = examples.with_class_weights(train, class_weight, n_N)
        examples.check_loss(loss, n_N, train.y)
    taken = ["loss", "validation_loss", "learning_rate", "gradient_norm", *map(measures.name_of, metrics), *watch]
    if len(set(taken)) < len(taken):
        raise ValueError(f"metrics are recorded by their names, which must differ: {', '.join(taken)}")
    for rows in (part for part in (train, held) if isinstance(part, examples.Checked)):
        for metric in metrics:
            measures.check_metric(metric, n_N, rows.y)
    size = 0 if isinstance(train, Stream) else _batch_size(batch_size, len(train.x), rule, optimizer)

    settings = program.Settings(
        None if rule.by_leaf else layout(params, in_order=rule.least_squares),
        loss,
        float(label_smoothing),
        metrics,
        watch,
        rule.transformation,
        rule.schedule,
        rule.least_squares,
        size,
        method,
        compute_dtype,
    )
    knobs = program.Knobs(
        rule.rate,
        penalty if penalty is None or isinstance(penalty, penalties.Penalty) else jax.tree_util.Partial(penalty),
        dropout_rate or None,
        key if dropout_rate else None,
        limits,
    )
    session = Session(
        settings,
        knobs,
        program.begin(settings, params),
        program.history_names(settings, knobs, len(sizes(params)) - 1, not streamed, held is not None),
        epochs=int(epochs),
        generator=host_generator(key),
        best=patience is not None,
        seconds=seconds,
        callback=callback,
        shown=progress,
        checkpoint=None if checkpoint is None else checkpoints.resolve(checkpoint),
        identity={}
        if checkpoint is None
        else identify(params, train, held, settings, knobs, key)
        | {
            "optimizer": optimizer if isinstance(optimizer, str) else "an optax transformation",
            "clip_norm": clip_norm,
            "penalty": repr(penalty) if isinstance(penalty, penalties.Penalty) else name(penalty),
            "shuffle": bool(shuffle),
        },
    )
    validate = None if held is None else on_device(held)
    if isinstance(train, Stream):
        session.train_stream(train, validate)
    else:
        session.train(on_device(train), validate, shuffle)
    result = session.result()
    if result.diverged:
        warnings.warn(
            f"loss or parameters stopped being finite in epoch {result.diverged}: training ended there, with the "
            "parameters from before that epoch; try a smaller learning rate, or clip the gradient",
            RuntimeWarning,
            stacklevel=2,
        )
    return result


def _batch_size(size: Any, n: int, rule: optimizers.Rule, optimizer: Any) -> int:
    """Examples a step: those asked for, or all for a method that compares the objective between steps."""
    if rule.full_batch:
        if size is not None and size != n:
            raise ValueError(f"{optimizer} takes all {n} examples at every step, got batch_size {size!r}: leave it out")
        return n
    if size is None:
        return min(32, n)
    _check_int("batch_size", size, 1, n)
    return int(size)  # a NumPy integer would be another type to the compiler


def _check_stream(
    stream: Stream, epochs: int, batch_size: Any, class_weight: Any, validation: Any, rule: optimizers.Rule
) -> None:
    if stream.per_epoch is not None:
        _check_int("steps_per_epoch", stream.per_epoch, 1)
    if stream.once and epochs > 1 and stream.per_epoch is None:
        raise ValueError(
            f"{type(stream.source).__name__} is an iterator, whose batches come once, but epochs is {epochs}: give "
            "steps_per_epoch, or an iterable that begins anew, or a function from the epoch to one"
        )
    if batch_size is not None:
        raise ValueError("batch_size belongs to arrays; a stream brings its own batches")
    if class_weight is not None:
        raise ValueError("class_weight belongs to arrays; a stream brings its weights, (x, y, weights)")
    if isinstance(validation, (float, int, np.number)):
        raise ValueError(f"validation={validation} cannot be split off a stream: give arrays (x, y)")
    if rule.full_batch:
        raise ValueError("second-order methods take all examples at every step, which a stream does not give")


def _check_options(
    params: Params,
    epochs: Any,
    seconds: Any,
    callback: Any,
    compute_dtype: Any,
    loss: Any,
    label_smoothing: Any,
) -> None:
    check_params(params)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(params)):
        raise TypeError("fit compiles itself and looks at its data: call it outside of jit, grad and vmap")
    if not all(np.isfinite(leaf).all() for leaf in jax.device_get(jax.tree.leaves(params))):
        raise ValueError("params hold NaN or infinity before any step: draw them anew, or load a finite state")
    _check_int("epochs", epochs, 0)
    if seconds is not None and not (isinstance(seconds, (int, float, np.number)) and seconds > 0):
        raise ValueError(f"seconds is {seconds!r}; it must be a positive number, or None for no limit")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function of the Fit so far, got {callback!r}")
    if compute_dtype is not None and not jnp.issubdtype(compute_dtype, jnp.floating):
        raise TypeError(f"compute_dtype is {compute_dtype!r}; expected a floating-point type such as jnp.bfloat16")
    losses.resolve(loss)
    if not isinstance(label_smoothing, (int, float, np.number)):
        raise TypeError(f"label_smoothing must be a number, got {label_smoothing!r}")
    if label_smoothing:
        losses.smoothed(loss, float(label_smoothing))


def _check_metrics(metrics: Any) -> tuple[Any, ...]:
    if isinstance(metrics, str) or callable(metrics):
        return (metrics,)
    if metrics is not None and not isinstance(metrics, (tuple, list)):
        raise TypeError(f"metrics must be a name, a function, or a list of them, got {metrics!r}")
    return tuple(metrics or ())


def _check_int(name: str, value: Any, low: int, high: int | None = None) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        allowed = f"from {low} to {high}, the number of examples" if high is not None else f"of at least {low}"
        raise ValueError(f"{name} is {value!r}; it must be an integer {allowed}")
