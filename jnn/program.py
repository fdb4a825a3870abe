"""The compiled run: every epoch, with its minibatches, validation and stopping rules, in one program on the device.

What shapes the program is in `Settings`; what is mere numbers is in `Knobs`, so that a new learning rate, penalty or
limit compiles nothing anew. `run` takes as many epochs as it is told to: the host may look in between (progress,
checkpoints, Ctrl-C) without changing a single bit of the result. Streams go through the same `_step` and `_finish`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from jnn import dropout, least_squares, losses, metrics, network, penalties, stopping
from jnn.choice import Method
from jnn.diagnostics.watch import watch_layers
from jnn.layout import Layout
from jnn.params import Params

_ROWS = 1024  # examples predicted at once where nothing is differentiated


class Settings(NamedTuple):
    """What the program is made for; hashable, a static argument."""

    layout: Layout | None  # of small parameters in one vector; None keeps them as a tree
    loss: Any  # a name or a function of one example
    smoothing: float  # of labels, in training
    metrics: tuple[Any, ...]  # names or functions
    watch: tuple[str, ...]  # names of `diagnostics.WATCHES`
    optimizer: optax.GradientTransformation
    schedule: Callable[[Any], Any] | None  # the learning rate by step
    least_squares: bool  # whether the optimizer wants the residuals
    size: int  # examples a step
    method: Method
    compute_dtype: Any  # of forward pass and gradient, None: that of the parameters


class Knobs(NamedTuple):
    """Numbers that the program takes; None leaves out what they would act on."""

    rate: Any  # learning rate; None where a schedule or the optimizer has its own
    penalty: Any
    dropout: Any  # probability
    key: Any  # of the dropout masks
    limits: stopping.Limits


class Examples(NamedTuple):
    """Rows to train on or to validate with."""

    x: Any  # (n, n_0)
    y: Any  # (n, n_N), or (n,) labels
    weights: Any  # (n,), None for all ones


class State(NamedTuple):
    """All that is carried from epoch to epoch, and what a checkpoint holds; parameters as `Settings.layout` says."""

    params: Any
    optimizer: Any
    step: Array  # updates so far
    epoch: Array  # epochs begun so far, one that diverged included
    reason: Array  # a number of `stopping.REASONS`
    watch: Array  # a `stopping.Watch` as one vector
    best: Any  # parameters of the best epoch


def begin(settings: Settings, params: Params) -> State:
    """The state before the first epoch."""
    zero = jnp.array(0, jnp.int32)
    watch = jnp.asarray(stopping.START, _wide(params[0].w.dtype))
    p: Any = params if settings.layout is None else jnp.asarray(settings.layout.flatten(jax.device_get(params)))
    return State(p, _init(settings.optimizer, p), zero, zero, zero, watch, p)


@partial(jax.jit, static_argnums=0)
def _init(optimizer: optax.GradientTransformation, p: Any) -> Any:
    return optimizer.init(p)


def restored(settings: Settings, p: Any) -> Params:
    """Parameters of a state, as a network's again."""
    return p if settings.layout is None else settings.layout.restore(p)


@partial(jax.jit, static_argnames=("settings", "rows"))
def run(
    settings: Settings,
    state: State,
    knobs: Knobs,
    data: Examples,
    validation: Examples | None,
    order: Array | None,
    rows: int,
    epochs: Any,
) -> tuple[State, Array]:
    """Train for `epochs` epochs, or until a rule stops it: the state then, and (R, names) numbers of `history_names`.

    Args:
      order: (R, n), the examples in the order in which epoch i visits them; None where every step takes all.
      rows: R, the most epochs of one call.
      epochs: how many of them, at most R.
    """
    n, size = len(data.x), settings.size
    steps = -(-n // size)
    full = n % size == 0

    def batch(visits: Array | None, i: Array) -> Examples:
        """Examples of step i; a last batch that is smaller is filled up with examples of weight zero."""
        if visits is None:
            return data
        index = lax.dynamic_slice(visits, (i * size,), (size,))
        weights = None if data.weights is None else data.weights[index]
        if not full:
            there = (i * size + jnp.arange(size) < n).astype(_wide(data.x.dtype))
            weights = there if weights is None else there * weights
        return Examples(data.x[index], data.y[index], weights)

    def epoch(carry: Any) -> Any:
        i, old, history = carry
        visits = None if order is None else order[i] if full else jnp.pad(order[i], (0, steps * size - n))

        def step(i: Array, carry: Any) -> Any:
            state, sums = carry
            return _step(settings, knobs, state, sums, batch(visits, i))

        new, sums = lax.fori_loop(0, steps, step, (old, no_sums(old)))
        new, row = _finish(settings, knobs, old, new, sums, data, validation)
        return i + 1, new, history.at[i].set(row)

    depth = sum(stack.depth for stack in restored(settings, state.params))
    names = history_names(settings, knobs, depth, training=True, validation=validation is not None)
    history = jnp.zeros((rows, len(names)), state.watch.dtype)
    _, state, history = lax.while_loop(
        lambda carry: (carry[0] < epochs) & (carry[1].reason == 0), epoch, (0, state, history)
    )
    return state, history


@partial(jax.jit, static_argnames="settings")
def steps(
    settings: Settings, state: State, sums: Array, knobs: Knobs, block: Examples, count: Any
) -> tuple[State, Array]:
    """The first `count` minibatches of a block of a stream, x: (steps, size, n_0)."""

    def step(i: Array, carry: Any) -> Any:
        state, sums = carry
        return _step(settings, knobs, state, sums, jax.tree.map(lambda a: a[i], block))

    return lax.fori_loop(0, count, step, (state, sums))


@partial(jax.jit, static_argnames="settings")
def finish(
    settings: Settings, old: State, new: State, sums: Array, knobs: Knobs, validation: Examples | None
) -> tuple[State, Array]:
    """The end of an epoch of a stream; `old` is the state at its beginning."""
    return _finish(settings, knobs, old, new, sums, None, validation)


def history_names(settings: Settings, knobs: Knobs, depth: int, training: bool, validation: bool) -> list[str]:
    """What is written down of an epoch, of `depth` layers; `training`: whether training rows can be looked at again."""
    names = [metrics.name_of(metric) for metric in settings.metrics]
    return [
        "loss",
        *(["validation_loss"] if validation else []),
        *(names if training else []),
        *([f"validation_{name}" for name in names] if validation else []),
        *(["learning_rate"] if settings.schedule or knobs.rate is not None else []),
        "gradient_norm",
        *(name for name in settings.watch for _ in range(depth)),
    ]


def _step(settings: Settings, knobs: Knobs, state: State, sums: Array, batch: Examples) -> tuple[State, Array]:
    """One update, p ← p + η · update(∂ℓ/∂p)."""
    key = None if knobs.dropout is None else jax.random.fold_in(knobs.key, state.step)

    def objective(p: Any) -> Array:
        return _objective(settings, knobs, restored(settings, p), batch, key)

    def residuals(p: Any) -> Any:
        return least_squares.residuals(restored(settings, p), *batch, settings.loss, knobs.penalty, settings.method)

    value, gradient = _value_and_gradient(settings, knobs, state.params, batch, key)
    extra = {"residuals": residuals} if settings.least_squares else {}  # optax's searches refuse what they do not know
    update = optax.with_extra_args_support(settings.optimizer).update
    updates, optimizer = update(
        gradient, state.optimizer, state.params, value=value, grad=gradient, value_fn=objective, **extra
    )
    scale = stopping.Watch(*state.watch).scale if (rate := _rate(settings, knobs, state)) is None else rate
    updates = jax.tree.map(lambda u: (scale * u).astype(u.dtype), updates)
    weight = jnp.asarray(len(batch.x) if batch.weights is None else jnp.sum(batch.weights), value.dtype)
    norm = optax.tree.norm(gradient) if settings.layout is None else jnp.sqrt(jnp.vdot(gradient, gradient))
    sums = sums + jnp.stack([weight * value, weight, norm.astype(value.dtype), jnp.ones_like(value)])
    params = optax.apply_updates(state.params, updates)
    return state._replace(params=params, optimizer=optimizer, step=state.step + 1), sums


def _finish(
    settings: Settings,
    knobs: Knobs,
    old: State,
    new: State,
    sums: Array,
    data: Examples | None,
    validation: Examples | None,
) -> tuple[State, Array]:
    """What is done once an epoch: history, validation, stopping; an epoch that diverged leaves the old parameters."""
    total, weight, norms, steps = sums
    loss = total / weight
    row = {"loss": loss, "gradient_norm": norms / steps}
    if data is not None and settings.metrics:
        row |= _metrics(settings, "", _predictions(settings, restored(settings, new.params), data.x), data)
    watched = loss
    if validation is not None:
        predictions = _predictions(settings, restored(settings, new.params), validation.x)
        watched = losses.mean_loss(losses.resolve(settings.loss), predictions, validation.y, validation.weights)
        row |= {"validation_loss": watched} | _metrics(settings, "validation_", predictions, validation)
    if (rate := _rate(settings, knobs, new)) is not None:
        row["learning_rate"] = rate

    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(new.params):
        finite &= jnp.all(jnp.isfinite(leaf))
    watch, improved, reason = stopping.judge(stopping.Watch(*old.watch), knobs.limits, loss, watched.astype(loss.dtype))
    state = new._replace(
        params=jax.tree.map(partial(jnp.where, finite), new.params, old.params),
        best=jax.tree.map(partial(jnp.where, finite & improved), new.params, old.best),
        watch=jnp.where(finite, jnp.stack(watch).astype(old.watch.dtype), old.watch),
        reason=jnp.where(finite, reason, 1),
        epoch=old.epoch + 1,
    )
    names = history_names(settings, knobs, 0, training=data is not None, validation=validation is not None)
    scalars = jnp.stack([row[name].astype(loss.dtype) for name in names])
    watched = watch_layers(settings.watch, restored(settings, new.params), data or validation, settings.loss)
    return state, jnp.concatenate([scalars, *(column.astype(loss.dtype) for column in watched)])


def _value_and_gradient(settings: Settings, knobs: Knobs, p: Any, batch: Examples, key: Any) -> tuple[Array, Any]:
    """The objective and its gradient, which lies as the parameters do."""
    objective = partial(_objective, settings, knobs, batch=batch, key=key)
    value, gradient = jax.value_and_grad(objective)(restored(settings, p))
    return value, gradient if settings.layout is None else settings.layout.flatten(gradient)


def _objective(settings: Settings, knobs: Knobs, params: Params, batch: Examples, key: Any) -> Array:
    """What is minimised: mean loss of a batch and penalty; summed in float32 at least."""
    computed, x = params, batch.x
    if settings.compute_dtype is not None:
        computed, x = jax.tree.map(lambda a: a.astype(settings.compute_dtype), (params, x))
    if key is None:
        predictions = network.batch_output(computed, x, settings.method)
    else:
        predictions = dropout.batch_output(computed, x, key, knobs.dropout, settings.method)
    loss = losses.resolve(settings.loss)
    if settings.smoothing:
        loss = losses.smoothed(loss, settings.smoothing)
    value = losses.mean_loss(loss, predictions.astype(_wide(params[0].w.dtype)), batch.y, batch.weights)
    return value if knobs.penalty is None else value + penalties.value(knobs.penalty, params)


def _rate(settings: Settings, knobs: Knobs, state: State) -> Array | None:
    """The learning rate, cuts included; None where the optimizer has its own."""
    rate = knobs.rate if settings.schedule is None else settings.schedule(state.step)
    return None if rate is None else rate * stopping.Watch(*state.watch).scale


def _predictions(settings: Settings, params: Params, x: Array) -> Array:
    """ŷ of all rows, some at a time, so that the memory does not grow with their number."""
    if settings.compute_dtype is not None:
        params, x = jax.tree.map(lambda a: a.astype(settings.compute_dtype), (params, x))
    predict = partial(network.batch_output, params, method=settings.method)
    if (whole := len(x) // _ROWS * _ROWS) == 0:
        y = predict(x)
    else:
        y = lax.map(predict, x[:whole].reshape(-1, _ROWS, x.shape[1])).reshape(whole, -1)
        y = y if whole == len(x) else jnp.concatenate([y, predict(x[whole:])])
    return y.astype(_wide(y.dtype))


def _metrics(settings: Settings, prefix: str, predictions: Array, examples: Examples) -> dict[str, Array]:
    return {
        prefix + metrics.name_of(metric): metrics.resolve(metric)(predictions, examples.y, examples.weights)
        for metric in settings.metrics
    }


def no_sums(state: State) -> Array:
    """(4,), over the steps of an epoch: Σ (weight of the batch) · (its loss), Σ weight, Σ ‖∂ℓ/∂p‖, how many steps."""
    return jnp.zeros(4, state.watch.dtype)


def _wide(dtype: Any) -> Any:
    """The dtype that losses are summed in: float32 at least."""
    return jnp.promote_types(dtype, jnp.float32)
