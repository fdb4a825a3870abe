"""The end of an epoch: what is measured, what was best, whether the run goes on, at which rate."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn.data.rows import Rows
from jnn.sklearn import scoring, terms as terms_
from jnn.sklearn.records import (
    GOES_ON,
    RATE_CUT,
    RATE_TOO_SMALL,
    STOPPED,
    Epoch,
    Form,
    Memory,
    State,
)
from jnn.sklearn.solvers import Numbers, unpacked

_LEAST_RATE = 1e-6  # of "adaptive"


def judged(
    form: Form, numbers: Numbers, state: State, memory: Memory, loss: Any, validation: Rows | None
) -> tuple[State, Array]:
    """The end of an epoch: what is measured on rows held out, and what follows."""
    measured = scoring.NOTHING
    if validation is not None:
        objective = terms_.objective_of(form.output, form.terms, numbers)
        measured = scoring.measured(
            objective, form.scoring, form.output, state.params, validation, loss.dtype
        )
    if form.scoring in (scoring.ON_HOST, scoring.LATER):  # which judge in their turn
        # −∞ before the first score would end a run under jax_debug_infs; the host knows the best
        memory = memory._replace(best=0.0, event=GOES_ON)
        row = Epoch(loss, measured.score, measured.loss, memory.rate, GOES_ON)
        return state._replace(memory=_vector(memory, loss)), _vector(row, loss)
    return _concluded(form, numbers, state, memory, loss, measured)


def _concluded(
    form: Form,
    numbers: Numbers,
    state: State,
    memory: Memory,
    loss: Any,
    measured: scoring.Measured,
) -> tuple[State, Array]:
    """Whether an epoch was the best, whether there is progress, and the new rate."""
    best = state.best
    if form.scoring is None:
        value = loss
        stalled, improved = loss > memory.best - numbers.tol, loss < memory.best
    else:
        value = measured.score
        stalled, improved = value < memory.best + numbers.tol, value > memory.best
        best = lax.cond(improved, lambda: state.params, lambda: state.best)
    without = jnp.where(stalled, memory.without + 1, 0)
    fallen = numbers.learning_rate / (memory.seen + 1) ** numbers.power
    rate = jnp.where(numbers.falling > 0, fallen, memory.rate)
    over = without > numbers.patience
    cut = over & (numbers.adaptive > 0) & (rate > _LEAST_RATE)
    stopped = jnp.where(numbers.adaptive > 0, RATE_TOO_SMALL, STOPPED)
    event = jnp.where(over, jnp.where(cut, RATE_CUT, stopped), GOES_ON)
    rate = jnp.where(cut, rate / 5, rate)
    memory = memory._replace(
        best=jnp.where(improved, value, memory.best),
        without=jnp.where(cut, 0, without),
        rate=rate,
        event=event,
    )
    row = Epoch(loss, measured.score, measured.loss, rate, event)
    return state._replace(best=best, memory=_vector(memory, loss)), _vector(row, loss)


def _vector(record: Memory | Epoch, like: Array) -> Array:
    return jnp.stack([jnp.asarray(entry, like.dtype) for entry in record])


@partial(jax.jit, static_argnames="form")
def judged_on_device(
    form: Form, state: State, numbers: Any, loss: Any, validation: Rows | None
) -> tuple[State, Array]:
    """An epoch's state and its row, of an epoch that was several calls."""
    loss = jnp.asarray(loss, state.memory.dtype)
    return judged(form, unpacked(numbers), state, Memory(*state.memory), loss, validation)


@partial(jax.jit, static_argnames="form")
def judged_on_host(
    form: Form, state: State, numbers: Any, row: Any, score: Any
) -> tuple[State, Array]:
    """An epoch's state and its row, by a score that the host has found."""
    row = Epoch(*row)
    measured = scoring.Measured(row.validation_loss, score)
    memory = Memory(*state.memory)
    return _concluded(form, unpacked(numbers), state, memory, row.loss, measured)
