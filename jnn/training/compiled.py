"""The compiled run: every epoch, with minibatches, validation and stopping rules, in one program.

What shapes the program is in `Settings`; what is mere numbers is in `Knobs`, so that a new learning
rate, penalty or limit compiles nothing anew. `run` takes as many epochs as it is told to: the host
may look in between (progress, checkpoints, Ctrl-C) without changing a single bit of the result.
Streams go through the same `_step` and `_finish`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from jnn import metrics
from jnn.checks import Tree
from jnn.data.rows import Rows
from jnn.diagnostics.watch import watch_layers
from jnn.params import Params
from jnn.training import objective, residuals, stopping
from jnn.training.objective import restored, wide
from jnn.training.options import Knobs, Settings
from jnn.training.stopping import Memory, Reason


class State(NamedTuple):
    """All that is carried from epoch to epoch, and what a checkpoint holds."""

    params: Any  # a tree, or a vector, as `Settings.packing` says
    optimizer: Any
    step: Array  # updates so far
    epoch: Array  # epochs begun so far, one that diverged included
    reason: Array  # a `stopping.Reason`
    memory: Array  # a `stopping.Memory` as one vector
    best: Any  # parameters of the best epoch


def begin(settings: Settings, params: Params) -> State:
    """The state before the first epoch."""
    zero = jnp.array(0, jnp.int32)
    memory = jnp.asarray(stopping.START, wide(params[0].w.dtype))
    p: Any = params
    if settings.packing is not None:
        p = jnp.asarray(settings.packing.flatten(jax.device_get(params)))
    return State(p, _init(settings.optimizer, p), zero, zero, zero, memory, p)


@partial(jax.jit, static_argnums=0)
def _init(optimizer: optax.GradientTransformation, p: Tree) -> Any:
    return optimizer.init(p)


@partial(jax.jit, static_argnames=("settings", "rows"))
def run(
    settings: Settings,
    state: State,
    knobs: Knobs,
    data: Rows,
    validation: Rows | None,
    order: Any,
    rows: int,
    epochs: Any,
) -> tuple[State, Array]:
    """Train for `epochs` epochs, or until a rule stops it.

    Args:
      order: (R, n), the examples in the order in which epoch i visits them; None where every step
        takes all.
      rows: R, the most epochs of one call.
      epochs: how many of them, at most R.
    Returns:
      The state then, and (R, names) numbers of `history_names`.
    """
    n = len(data.x)
    size = settings.size
    steps = -(-n // size)
    full = n % size == 0

    def batch(visits: Array | None, i: Array) -> Rows:
        """Examples of step i; a smaller last batch is filled up with examples of weight zero."""
        if visits is None:
            return data
        index = lax.dynamic_slice(visits, (i * size,), (size,))
        weights = None if data.weights is None else data.weights[index]
        if not full:
            there = (i * size + jnp.arange(size) < n).astype(wide(data.x.dtype))
            weights = there if weights is None else there * weights
        return Rows(data.x[index], data.y[index], weights)

    def epoch(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        i, old, history = carry
        visits = None if order is None else order[i]
        if visits is not None and not full:
            visits = jnp.pad(visits, (0, steps * size - n))

        def step(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, sums = carry
            return _step(settings, knobs, state, sums, batch(visits, i))

        new, sums = lax.fori_loop(0, steps, step, (old, no_sums(old)))
        new, row = _finish(settings, knobs, old, new, sums, data, validation)
        return i + 1, new, history.at[i].set(row)

    def unfinished(carry: tuple[Array, State, Array]) -> Array:
        i, state, _ = carry
        return (i < epochs) & (state.reason == int(Reason.RUNNING))

    depth = sum(stack.depth for stack in restored(settings, state.params))
    names = history_names(settings, knobs, depth, training=True, validation=validation is not None)
    history = jnp.zeros((rows, len(names)), state.memory.dtype)
    start: Any = (0, state, history)
    _, state, history = lax.while_loop(unfinished, epoch, start)
    return state, history


@partial(jax.jit, static_argnames="settings")
def steps(
    settings: Settings, state: State, sums: Array, knobs: Knobs, block: Rows, count: Any
) -> tuple[State, Array]:
    """The first `count` minibatches of a block of a stream, x: (steps, size, n_0)."""

    def step(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, sums = carry
        return _step(settings, knobs, state, sums, jax.tree.map(lambda a: a[i], block))

    return lax.fori_loop(0, count, step, (state, sums))


@partial(jax.jit, static_argnames="settings")
def finish(
    settings: Settings, old: State, new: State, sums: Array, knobs: Knobs, validation: Rows | None
) -> tuple[State, Array]:
    """The end of an epoch of a stream; `old` is the state at its beginning."""
    return _finish(settings, knobs, old, new, sums, None, validation)


def history_names(
    settings: Settings, knobs: Knobs, depth: int, training: bool, validation: bool
) -> list[str]:
    """What is recorded of an epoch, of a network of `depth` layers.

    Args:
      training: whether the training rows can be looked at again.
      validation: whether there are validation rows.
    """
    names = [metrics.name_of(metric) for metric in settings.metrics]
    recorded = ["loss"]
    if validation:
        recorded.append("validation_loss")
    if training:
        recorded += names
    if validation:
        recorded += [f"validation_{name}" for name in names]
    if settings.schedule or knobs.rate is not None:
        recorded.append("learning_rate")
    recorded.append("gradient_norm")
    return recorded + [name for name in settings.watch for _ in range(depth)]


def no_sums(state: State) -> Array:
    """(4,), over an epoch's steps: Σ weight of the batch · its loss, Σ weight, Σ ‖∂ℓ/∂p‖, Σ 1."""
    return jnp.zeros(4, state.memory.dtype)


def _step(
    settings: Settings, knobs: Knobs, state: State, sums: Array, batch: Rows
) -> tuple[State, Array]:
    """One update, p ← p + η · update(∂ℓ/∂p)."""
    key = None if knobs.dropout is None else jax.random.fold_in(knobs.key, state.step)

    def value_of(p: Tree) -> Array:
        return objective.value(settings, knobs, restored(settings, p), batch, key)

    def residuals_of(p: Tree) -> tuple[Array, Array]:
        params = restored(settings, p)
        return residuals.of_squares(params, batch, settings.loss, knobs.penalty, settings.method)

    value, gradient = objective.value_and_gradient(settings, knobs, state.params, batch, key)
    # optax's searches refuse what they do not know
    extra = {"residuals": residuals_of} if settings.least_squares else {}
    update = optax.with_extra_args_support(settings.optimizer).update
    updates, optimizer = update(
        gradient,
        state.optimizer,
        state.params,
        value=value,
        grad=gradient,
        value_fn=value_of,
        **extra,
    )
    rate = _rate(settings, knobs, state)
    scale = Memory(*state.memory).scale if rate is None else rate
    updates = jax.tree.map(lambda u: (scale * u).astype(u.dtype), updates)
    params = optax.apply_updates(state.params, updates)
    weight = len(batch.x) if batch.weights is None else jnp.sum(batch.weights)
    weight = jnp.asarray(weight, value.dtype)
    norm = _norm(settings, gradient).astype(value.dtype)
    sums = sums + jnp.stack([weight * value, weight, norm, jnp.ones_like(value)])
    return state._replace(params=params, optimizer=optimizer, step=state.step + 1), sums


def _norm(settings: Settings, gradient: Tree) -> Array:
    if settings.packing is None:
        return optax.tree.norm(gradient)
    return jnp.sqrt(jnp.vdot(gradient, gradient))


def _rate(settings: Settings, knobs: Knobs, state: State) -> Array | None:
    """The learning rate, cuts included; None where the optimizer has its own."""
    rate = knobs.rate if settings.schedule is None else settings.schedule(state.step)
    return None if rate is None else rate * Memory(*state.memory).scale


def _still(settings: Settings, old: State, new: State) -> Array | bool:
    """Whether an epoch has changed nothing where all epochs do the same: nor will a later one."""
    if not settings.full_batch:
        return False
    before, after = ((state.params, state.optimizer) for state in (old, new))
    same = jax.tree.map(lambda a, b: jnp.all(a == b), before, after)
    return jnp.all(jnp.stack(jax.tree.leaves(same)))


def _finish(
    settings: Settings,
    knobs: Knobs,
    old: State,
    new: State,
    sums: Array,
    data: Rows | None,
    validation: Rows | None,
) -> tuple[State, Array]:
    """The end of an epoch: history, validation, stopping; one that diverged changes nothing."""
    total, weight, norms, steps = sums
    loss, gradient = total / weight, norms / steps
    params = restored(settings, new.params)
    row = {"loss": loss, "gradient_norm": gradient}
    if data is not None and settings.metrics:
        predictions = objective.predictions(settings, params, data.x)
        row |= objective.measures(settings, params, predictions, data)
    monitored = loss
    if validation is not None:
        predictions = objective.predictions(settings, params, validation.x)
        monitored = objective.measured_loss(settings, predictions, validation)
        row["validation_loss"] = monitored
        row |= objective.measures(settings, params, predictions, validation, "validation_")
    if (rate := _rate(settings, knobs, new)) is not None:
        row["learning_rate"] = rate

    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(new.params):
        finite &= jnp.all(jnp.isfinite(leaf))
    memory, improved, reason = stopping.judge(
        Memory(*old.memory),
        knobs.limits,
        loss,
        monitored.astype(loss.dtype),
        gradient,
        _still(settings, old, new),
    )
    better = finite & improved
    state = new._replace(
        params=jax.tree.map(partial(jnp.where, finite), new.params, old.params),
        best=jax.tree.map(partial(jnp.where, better), new.params, old.best),
        memory=jnp.where(finite, jnp.stack(memory).astype(old.memory.dtype), old.memory),
        reason=jnp.where(finite, reason, int(Reason.DIVERGED)),
        epoch=old.epoch + 1,
    )
    names = history_names(
        settings, knobs, 0, training=data is not None, validation=validation is not None
    )
    scalars = jnp.stack([row[name].astype(loss.dtype) for name in names])
    if not settings.watch:
        return state, scalars
    rows: Any = data or validation  # a stream is watched on validation rows
    layers = watch_layers(settings.watch, params, rows, settings.loss)
    return state, jnp.concatenate([scalars, *(column.astype(loss.dtype) for column in layers)])
