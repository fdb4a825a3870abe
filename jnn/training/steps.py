"""One step of a run, and the end of an epoch: the same for rows in memory and for a stream."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jnn import losses, metrics
from jnn.checks import Tree
from jnn.data.rows import Rows
from jnn.diagnostics.watch import watch_layers
from jnn.precision import wide
from jnn.training import objective, residuals, stopping
from jnn.training.objective import Batch, restored
from jnn.training.options import Knobs, Settings
from jnn.training.state import Seen, State
from jnn.training.stopping import Memory, Reason
from jnn.training.sums import Sums


def before(state: State, sums: Sums) -> Array:
    """(2,), Σ w ℓ and Σ w over the epoch before, in the first epoch over its steps so far."""
    seen = Seen(*state.seen)
    return jnp.where(seen.weight > 0, jnp.stack([seen.loss, seen.weight]), sums.values[:2])


def step(
    settings: Settings, knobs: Knobs, state: State, sums: Sums, batch: Batch
) -> tuple[State, Sums]:
    """One update, p ← p + η · update(∂ℓ/∂p)."""
    key = None if knobs.dropout is None else jax.random.fold_in(knobs.key, state.step)

    def value_of(p: Tree) -> Array:
        return objective.value(settings, knobs, restored(settings, p), batch, key)[0]

    def residuals_of(p: Tree) -> tuple[Array, Array]:
        params = restored(settings, p)
        rows, penalty = batch.rows, knobs.penalty
        return residuals.of_squares(params, rows, settings.loss, penalty, settings.method)

    found, gradient = objective.value_and_gradient(settings, knobs, state.params, batch, key)
    value, parts = found
    # optax's searches refuse what they do not know
    extra = {"residuals": residuals_of} if settings.least_squares else {}
    update = optax.with_extra_args_support(settings.optimizer).update
    with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic is written for it
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
    x, _, weights = batch.rows
    sums = sums.plus(
        total=batch.share * parts.mean,
        weight=len(x) if weights is None else jnp.sum(weights),
        penalty=parts.penalty,
        norm=_norm(settings, gradient),
        steps=1,
    )
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


def finish(
    settings: Settings,
    knobs: Knobs,
    old: State,
    new: State,
    sums: Sums,
    data: Rows | None,
    again: Sums | None,
    validation: Rows | None,
) -> tuple[State, Array]:
    """The end of an epoch: history, validation, stopping; one that diverged changes nothing.

    Args:
      settings, knobs: of the run.
      old, new: the states at the beginning and after the last step.
      sums: over the steps.
      data: all rows; None of a stream.
      again: of a stream: the losses after the last step, where rules look at them.
      validation: rows.
    """
    _, _, penalty, norms, steps = sums.values
    whole = losses.resolve(settings.loss).finish
    loss = whole(sums.mean) + penalty / steps
    finite = jnp.isfinite(loss)
    params = restored(settings, new.params)
    gradient = norms / steps
    row = {"gradient_norm": gradient}
    if data is not None and (settings.metrics or settings.looks_back):
        predictions = objective.predictions(settings, params, data.x)
        row |= objective.measures(settings, params, predictions, data)
        if settings.looks_back:
            loss = objective.whole(settings, knobs, params, predictions, data)
    elif again is not None:
        loss = whole(again.mean) + objective.penalised(knobs, params, again.mean)
    row["loss"] = loss
    monitored = loss if settings.looks_back else None
    if validation is not None:
        predictions = objective.predictions(settings, params, validation.x)
        monitored = objective.measured_loss(settings, predictions, validation)
        row["validation_loss"] = monitored
        row |= objective.measures(settings, params, predictions, validation, "validation_")
    with jax.numpy_dtype_promotion("standard"):  # a schedule divides integers
        rate = _rate(settings, knobs, new)
    if rate is not None:
        row["learning_rate"] = rate

    finite &= jnp.isfinite(loss)
    for leaf in jax.tree.leaves(new.params if wide(settings.dtype) == settings.dtype else params):
        finite &= jnp.all(jnp.isfinite(leaf))
    memory, improved, reason = stopping.judge(
        Memory(*old.memory), knobs.limits, loss, monitored, gradient, _still(settings, old, new)
    )
    better = finite & improved
    state = new._replace(
        params=jax.tree.map(partial(jnp.where, finite), new.params, old.params),
        best=jax.tree.map(partial(jnp.where, better), new.params, old.best),
        memory=jnp.where(finite, jnp.stack(memory).astype(old.memory.dtype), old.memory),
        seen=new.seen.at[:2].set(sums.values[:2]),
        reason=jnp.where(finite, reason, int(Reason.DIVERGED)),
        epoch=old.epoch + 1,
    )
    names = history_names(
        settings, knobs, 0, training=data is not None, validation=validation is not None
    )
    columns = [jnp.stack([row[name].astype(loss.dtype) for name in names])]
    if settings.watch:
        watched: Any = data or validation  # a stream is watched on validation rows
        columns += watch_layers(settings.watch, params, watched, settings.loss)
    return state, jnp.concatenate([column.astype(loss.dtype) for column in columns])


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
