"""One step of a run, and the end of an epoch: the same for rows in memory and for a stream."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from jnn import losses, meshes, metrics
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
from jnn.triangular.slices import put


def walk(
    settings: Settings,
    knobs: Knobs,
    state: State,
    sums: Sums,
    count: Any,
    most: int,
    batch: Callable[[Any, State, Array | None], tuple[State, Batch]],
) -> tuple[State, Sums]:
    """So many steps of an epoch.

    Args:
      settings, knobs: of the run.
      state: before them.
      sums: over the steps of the epoch before them.
      count, most: how many steps, at most so many.
      batch: from i, the state and `Batch.before` to the state and the examples of step i.
    """
    # each step's terms are written down and added up at the end, which costs a step the least
    # XLA knows that this is 0; to vmap the loop's sums differ between members from the start, or it
    # would find out by tracing the loop twice
    zero = (0 * state.step).astype(state.memory.dtype)
    terms = jnp.zeros((most, 3), state.memory.dtype) + zero
    so_far = None if losses.is_mean(losses.resolve(settings.loss)) else sums.values[:2]

    def one(i: Any, carry: Any) -> Any:
        old, so_far, terms, norm = carry
        state, examples = batch(i, old, None if so_far is None else _before(old, so_far))
        examples = examples._replace(rows=meshes.spread(settings.axis, examples.rows))
        state, new, gradient = step(settings, knobs, state._replace(step=old.step + i), examples)
        so_far = None if so_far is None else so_far + new[:2]
        terms = put(terms, new, i)
        norm = lax.cond(i == count - 1, lambda: _norm(gradient).astype(norm.dtype), lambda: norm)
        state = meshes.whole(settings.axis, state._replace(step=old.step))
        return state, so_far, terms, norm

    carry = state, so_far, terms, sums.norm + zero
    if isinstance(count, int) and count == 1:  # a loop would be traced twice
        state, _, terms, norm = one(0, carry)
    else:
        state, _, terms, norm = lax.fori_loop(0, count, one, carry)
    state = state._replace(step=state.step + count)
    return state, sums.plus(jnp.sum(terms, axis=0), count, norm=norm)


def _before(state: State, so_far: Array) -> Array:
    """(2,), Σ w ℓ and Σ w over the epoch before, in the first epoch over its steps so far."""
    seen = Seen(*state.seen)
    return jnp.where(seen.weight > 0, jnp.stack([seen.loss, seen.weight]), so_far)


def step(settings: Settings, knobs: Knobs, state: State, batch: Batch) -> tuple[State, Array, Tree]:
    """One update, p ← p + η · update(∂ℓ/∂p), with (3,) Σ w ℓ, Σ w and Ω, and ∂ℓ/∂p."""
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
        shortened = gradient
        if knobs.clip is not None:
            clip = optax.clip_by_global_norm(knobs.clip)
            shortened, _ = clip.update(gradient, optax.EmptyState())
        updates, optimizer = update(
            shortened,
            state.optimizer,
            state.params,
            value=value,
            grad=gradient,
            value_fn=value_of,
            **extra,
        )
        rate = _rate(settings, knobs, state)
        if rate is None and knobs.limits.cut is not None:
            rate = Memory(*state.memory).scale
        if rate is not None:
            updates = jax.tree.map(lambda u: (rate * u).astype(u.dtype), updates)
    params = optax.apply_updates(state.params, updates)
    x, _, weights = batch.rows
    weight = len(x) if weights is None else jnp.sum(weights)
    terms = [batch.share * parts.mean, weight, parts.penalty]
    terms = jnp.stack([jnp.asarray(term, state.memory.dtype) for term in terms])
    return state._replace(params=params, optimizer=optimizer), terms, gradient


def _norm(gradient: Tree) -> Array:
    """‖∂ℓ/∂p‖; a product with itself is the fastest sum of squares."""
    squares = [jnp.vdot(g, g, precision="highest") for g in jax.tree.leaves(gradient)]
    return jnp.sqrt(jnp.sum(jnp.stack(squares)))


def _rate(settings: Settings, knobs: Knobs, state: State) -> Any:
    """The learning rate, cuts included; None where the optimizer has its own."""
    rate = knobs.rate
    if settings.schedule is not None:
        rate = settings.schedule(state.step)
    if rate is None or knobs.limits.cut is None:
        return rate
    return rate * Memory(*state.memory).scale


def _still(settings: Settings, old: State, new: State) -> Array | None:
    """Whether an epoch has changed nothing where all epochs do the same: nor will a later one."""
    if not settings.full_batch:
        return None
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
    _, _, penalty, steps = sums.values
    whole = losses.resolve(settings.loss)
    loss = whole.finish(sums.mean) + penalty / steps
    finite = jnp.isfinite(loss)
    at_the_end = restored(settings, new.params)
    row = {"gradient_norm": sums.norm}
    if data is not None and (settings.metrics or settings.looks_back):
        predictions = objective.predictions(settings, at_the_end, data.x)
        row |= objective.measures(settings, at_the_end, predictions, data)
        if settings.looks_back:
            loss = objective.whole(settings, knobs, at_the_end, predictions, data)
    elif again is not None:
        loss = whole.finish(again.mean) + objective.penalised(knobs, at_the_end, again.mean)
    row["loss"] = loss
    monitored = loss if settings.looks_back else None
    if validation is not None:
        predictions = objective.predictions(settings, at_the_end, validation.x)
        monitored = objective.measured_loss(settings, predictions, validation)
        row["validation_loss"] = monitored
        row |= objective.measures(settings, at_the_end, predictions, validation, "validation_")
    with jax.numpy_dtype_promotion("standard"):  # a schedule divides integers
        rate = _rate(settings, knobs, new)
    if rate is not None:
        row["learning_rate"] = rate

    kept = new.params if wide(settings.dtype) == settings.dtype else at_the_end
    finite &= jnp.isfinite(loss) & _all_finite(kept)
    memory, improved, reason = stopping.judge(
        Memory(*old.memory), knobs.limits, loss, monitored, sums.norm, _still(settings, old, new)
    )
    remembered = old.memory
    if settings.monitors or knobs.limits.tolerance is not None:
        remembered = jnp.where(finite, jnp.stack(memory).astype(old.memory.dtype), old.memory)
    state = new._replace(
        params=_chosen(finite, new.params, old.params),
        best=_chosen(finite & improved, new.params, old.best) if settings.monitors else None,
        memory=remembered,
        seen=new.seen if losses.is_mean(whole) else new.seen.at[:2].set(sums.values[:2]),
        reason=jnp.where(finite, reason, int(Reason.DIVERGED)),
        epoch=old.epoch + 1,
    )
    names = history_names(
        settings, knobs, 0, training=data is not None, validation=validation is not None
    )
    columns = [jnp.stack([jnp.asarray(row[name], loss.dtype) for name in names])]
    if settings.watch:
        watched: Any = data or validation  # a stream is watched on validation rows
        loss_of = objective.loss_of(settings, knobs)
        columns += watch_layers(settings.watch, at_the_end, watched, loss_of)
    return state, jnp.concatenate([column.astype(loss.dtype) for column in columns])


def _all_finite(tree: Tree) -> Array:
    """0 p is 0 where p is finite, else NaN: a product is one kernel, where `jnp.all` is three."""
    zeros = [jnp.vdot(p, 0 * p, precision="highest") for p in jax.tree.leaves(tree)]
    return jnp.sum(jnp.stack(zeros)) == 0


def _chosen(first: Array, a: Tree, b: Tree) -> Tree:
    """a or b: one copy, where `jnp.where` would be compiled for every array."""
    return lax.cond(first, lambda: a, lambda: b)


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
