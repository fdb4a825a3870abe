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

from jnn import losses, metrics
from jnn.checks import Tree
from jnn.data.rows import Rows
from jnn.diagnostics.watch import watch_layers
from jnn.params import Params
from jnn.training import objective, residuals, stopping
from jnn.training.objective import Batch, restored, wide
from jnn.training.options import Knobs, Settings
from jnn.training.stopping import Memory, Reason
from jnn.training.sums import Sums


class State(NamedTuple):
    """All that is carried from epoch to epoch, and what a checkpoint holds."""

    params: Any  # a tree, or a vector, as `Settings.packing` says
    optimizer: Any
    step: Array  # updates so far
    epoch: Array  # epochs begun so far, one that diverged included
    reason: Array  # a `stopping.Reason`
    memory: Array  # a `stopping.Memory` as one vector
    seen: Array  # a `Seen` as one vector
    best: Any  # parameters of the best epoch


class Seen(NamedTuple):
    """What is known of all examples, beyond one batch; one vector in the program."""

    loss: Any  # Σ w ℓ in the epoch before
    weight: Any  # Σ w there
    weights: Any  # Σ w of a stream from its beginning
    examples: Any  # … and how many that were


def begin(settings: Settings, params: Params, optimizer_state: Tree = None) -> State:
    """The state before the first epoch.

    Raises:
      ValueError: the optimizer's state is of another optimizer or network.
    """
    zero = jnp.array(0, jnp.int32)
    dtype = wide(settings.dtype)
    memory = jnp.asarray(stopping.START, dtype)
    p: Any = params
    if dtype != settings.dtype:  # a half's steps would round to nothing, or its ε to 0
        p = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    if settings.packing is not None:
        p = jnp.asarray(settings.packing.flatten(jax.device_get(p)))
    nothing = jnp.zeros(len(Seen._fields), dtype)
    state = _init(settings.optimizer, p)
    step = zero
    if optimizer_state is not None:
        state = _taken_up(settings, optimizer_state, state)
        counts = optax.tree.get_all_with_path(state, "count")  # schedules go on from there
        step = jnp.asarray(counts[0][1], jnp.int32).reshape(-1)[0] if counts else zero
    return State(p, state, step, zero, zero, memory, nothing, p)


def _taken_up(settings: Settings, given: Tree, fresh: Tree) -> Tree:
    """A state that was handed out, as the run keeps it."""
    if settings.packing is not None:
        given = settings.packing.flatten_state(given)

    def kinds(tree: Tree) -> list[Any]:
        return [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(tree)]

    alike = jax.tree.structure(given) == jax.tree.structure(fresh)
    if not alike or kinds(given) != kinds(fresh):
        raise ValueError(
            "optimizer_state is not of this optimizer and network: give that of a result of fit "
            "with the same optimizer, clip_norm and sizes, or leave it out"
        )
    return jax.tree.map(jnp.asarray, given)


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

    def batch(visits: Array | None, i: Array, state: State, sums: Sums) -> Batch:
        """Examples of step i; a smaller last batch is filled up with examples of weight zero."""
        if visits is None:
            return Batch(data, n, None)
        index = lax.dynamic_slice(visits, (i * size,), (size,))
        weights = None if data.weights is None else data.weights[index]
        share: Any = size
        if not full:
            there = (i * size + jnp.arange(size) < n).astype(wide(data.x.dtype))
            weights = there if weights is None else there * weights
            share = jnp.minimum(size, n - i * size).astype(there.dtype)
        return Batch(Rows(data.x[index], data.y[index], weights), share, _before(state, sums))

    def epoch(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        i, old, history = carry
        visits = None if order is None else order[i]
        if visits is not None and not full:
            visits = jnp.pad(visits, (0, steps * size - n))

        def step(i: Array, carry: tuple[State, Sums]) -> tuple[State, Sums]:
            return _step(settings, knobs, *carry, batch(visits, i, *carry))

        new, sums = lax.fori_loop(0, steps, step, (old, Sums.none(state.memory.dtype)))
        new, row = _finish(settings, knobs, old, new, sums, data, None, validation)
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
    settings: Settings, state: State, sums: Sums, knobs: Knobs, block: Rows, count: Any
) -> tuple[State, Sums]:
    """The first `count` minibatches of a block of a stream, x: (steps, size, n_0).

    Where it is not known, the mean weight of a stream is that of all rows it has given so far,
    those of the batch included.
    """

    def step(i: Array, carry: tuple[State, Sums]) -> tuple[State, Sums]:
        state, sums = carry
        rows = jax.tree.map(lambda a: a[i], block)
        seen = Seen(*state.seen)
        examples = jnp.sum(rows.weights > 0).astype(state.seen.dtype)
        seen = seen._replace(
            weights=seen.weights + jnp.sum(rows.weights), examples=seen.examples + examples
        )
        mean = seen.weights / seen.examples if knobs.mean_weight is None else knobs.mean_weight
        share = (examples * mean).astype(examples.dtype)
        state = state._replace(seen=jnp.stack(seen))
        return _step(settings, knobs, state, sums, Batch(rows, share, _before(state, sums)))

    return lax.fori_loop(0, count, step, (state, sums))


@partial(jax.jit, static_argnames="settings")
def losses_again(
    settings: Settings, state: State, sums: Sums, knobs: Knobs, block: Rows, count: Any
) -> Sums:
    """Σ w ℓ and Σ w over the first minibatches of a block, for the parameters as they are."""
    params = restored(settings, state.params)

    def step(i: Array, sums: Sums) -> Sums:
        rows = jax.tree.map(lambda a: a[i], block)
        batch = Batch(rows, 1, None)
        _, (total, _) = objective.value(settings, knobs, params, batch, None)
        return sums.plus(total=total, weight=jnp.sum(rows.weights))

    return lax.fori_loop(0, count, step, sums)


@partial(jax.jit, static_argnames="settings")
def finish(
    settings: Settings,
    old: State,
    new: State,
    sums: Sums,
    again: Sums | None,
    knobs: Knobs,
    validation: Rows | None,
) -> tuple[State, Array]:
    """The end of an epoch of a stream.

    Args:
      old: the state at its beginning.
      again: the losses of the parameters at its end, where rules look at them.
    """
    return _finish(settings, knobs, old, new, sums, None, again, validation)


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


def _before(state: State, sums: Sums) -> Array:
    """(2,), Σ w ℓ and Σ w over the epoch before, in the first epoch over its steps so far."""
    seen = Seen(*state.seen)
    return jnp.where(seen.weight > 0, jnp.stack([seen.loss, seen.weight]), sums.values[:2])


def _step(
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


def _finish(
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
    loss = losses.resolve(settings.loss).finish(sums.mean) + penalty / steps
    finite = jnp.isfinite(loss)
    params = restored(settings, new.params)
    row = {"gradient_norm": norms / steps}
    if data is not None and (settings.metrics or settings.looks_back):
        predictions = objective.predictions(settings, params, data.x)
        row |= objective.measures(settings, params, predictions, data)
        if settings.looks_back:
            loss = objective.whole(settings, knobs, params, predictions, data)
    elif again is not None:
        loss = losses.resolve(settings.loss).finish(again.mean)
        loss += objective.penalised(knobs, params, loss)
    row["loss"] = loss
    monitored = loss if settings.looks_back else None
    if validation is not None:
        predictions = objective.predictions(settings, params, validation.x)
        monitored = objective.measured_loss(settings, predictions, validation)
        row["validation_loss"] = monitored
        row |= objective.measures(settings, params, predictions, validation, "validation_")
    if (rate := _rate(settings, knobs, new)) is not None:
        row["learning_rate"] = rate

    finite &= jnp.isfinite(loss)
    for leaf in jax.tree.leaves(new.params if wide(settings.dtype) == settings.dtype else params):
        finite &= jnp.all(jnp.isfinite(leaf))
    memory, improved, reason = stopping.judge(Memory(*old.memory), knobs.limits, loss, monitored)
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
    scalars = jnp.stack([row[name].astype(loss.dtype) for name in names])
    if not settings.watch:
        return state, scalars
    watched: Any = data or validation  # a stream is watched on validation rows
    layers = watch_layers(settings.watch, params, watched, settings.loss)
    return state, jnp.concatenate([scalars, *(column.astype(loss.dtype) for column in layers)])
