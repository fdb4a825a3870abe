"""What a run trains on and validates with: rows or a stream, checked against network and plan."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.core import Tracer

from jnn import checks, metrics, penalties
from jnn.checks import Thing
from jnn.data.rows import Rows, check_loss, check_rows, validation_split
from jnn.data.spread import check_spread, is_spread
from jnn.data.streams import Reader, Stream, is_stream
from jnn.files.sealed import fingerprint
from jnn.params import Params, sizes
from jnn.structure import as_arrays
from jnn.training import processes
from jnn.training.options import Plan
from jnn.training.resuming import identity, name_of


class Sources(NamedTuple):
    """Where the examples come from, on the host."""

    train: Rows | Reader
    validation: Rows | None
    size: int  # examples a step; 0 for a stream, which brings its own batches


def check_start(params: Thing) -> Params:
    """The parameters as arrays, or an error unless they are a network's, and finite.

    Raises:
      TypeError: they are not a network's, or traced.
      ValueError: they do not chain, or are not finite.

    >>> start = check_start(jnn.from_layers([(1.0, 0.0)]))
    """
    params = as_arrays(params)
    leaves = jax.tree.leaves(params)
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        raise TypeError(
            "params are traced, but fit compiles itself and looks at its data: call it outside of "
            "jit, grad and vmap"
        )
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves):
        raise ValueError(
            "params hold NaN or infinity before any step: draw them anew, or load a finite state"
        )
    return params


def checked_sources(plan: Plan, params: Params, data: Thing, validation: Thing) -> Sources:
    """Training and validation data, checked before anything is computed.

    Raises:
      ValueError: they do not go with network, loss, metrics or plan.
      TypeError: they are of the wrong kind.
    """
    penalties.check_penalty(plan.penalty, params)
    size = 0
    here: list[Rows] = []  # what this process has of them
    if is_stream(data):
        stream = data if isinstance(data, Stream) else Stream(data)
        _check_stream(plan, stream, validation)
        train: Rows | Reader = Reader(
            stream,
            _Checker(plan, params),
            processes.rows_a_device(plan.mesh),
            steady=processes.several(plan.mesh),
        )
    else:
        train, *here = _rows(plan, params, data, "data", splits=_is_fraction(validation))
    held = None
    if _is_fraction(validation):
        assert isinstance(train, Rows)  # a stream with a fraction was refused
        train, held = validation_split(
            train, validation, jax.random.fold_in(checks.key(plan.key), 1), plan.loss
        )
        here = [train, held]
    elif validation is not None:
        held, held_here = _rows(plan, params, validation, "validation")
        here = [*here, held_here]
    if isinstance(train, Rows):
        train = _with_mean_weight_one(train)
        check_loss(plan.loss, params[-1].w.shape[1], train.y)
        size = step_size(plan, len(train.x))
    _check_metrics(plan, params, here)
    return Sources(train, held, size)


def run_identity(plan: Plan, params: Params, sources: Sources) -> dict[str, Any]:
    """What must match for a run to go on from a checkpoint: options, network and data."""
    train, validation, size = sources
    streamed = isinstance(train, Reader)
    return identity(plan) | {
        "sizes": list(sizes(params)),
        "activations": [name_of(stack.activation) for stack in params],
        "residual": [bool(stack.residual) for stack in params],
        "start": fingerprint(jax.tree.leaves((params, plan.optimizer_state))),
        "data": "a stream" if streamed else _contents(train),
        "validation": None if validation is None else _contents(validation),
        "batch_size": size,
        "steps_per_epoch": train.stream.steps_per_epoch if streamed else None,
    }


def _contents(rows: Rows) -> str:
    if isinstance(rows.x, Array):
        return f"{len(rows.x)} rows spread over devices"
    return fingerprint([a for a in rows if a is not None])


# ---- pieces ----


def _rows(
    plan: Plan, params: Params, data: Thing, name: str, *, splits: bool = False
) -> tuple[Rows, Rows]:
    """Checked rows, on the host or where they lie spread, and those of this process."""
    if is_spread(data, plan.mesh) and not (splits and data[0].is_fully_addressable):
        if splits:
            raise ValueError(
                "validation is a fraction, but rows lie at other processes: give arrays (x, y)"
            )
        return check_spread(params, data, plan.loss, plan.mesh, name)
    rows = check_rows(params, data, plan.loss, name)
    return rows, rows


def _with_mean_weight_one(rows: Rows) -> Rows:
    """Weights as shares: of a minibatch, Σ w ℓ / its length is then right on average."""
    if rows.weights is None or isinstance(rows.weights, Array):  # … which have been made so
        return rows
    weights = rows.weights / rows.weights.mean(dtype=np.float64)
    return rows._replace(weights=weights.astype(rows.weights.dtype))


class _Checker:
    """What a stream checks its batches with; the loss itself is tried once, on the first."""

    def __init__(self, plan: Plan, params: Params) -> None:
        self.plan = plan
        self.params = params
        self.untried = True

    def __call__(self, batch: Thing, name: str) -> Rows:
        rows = check_rows(self.params, batch, self.plan.loss, name)
        if self.untried:
            check_loss(self.plan.loss, self.params[-1].w.shape[1], rows.y)
            self.untried = False
        return rows


def _is_fraction(validation: Thing) -> bool:
    return isinstance(validation, (float, int, np.number))


def step_size(plan: Plan, n: int) -> int:
    """Examples a step: those asked for, or all for a method that compares objectives."""
    size = plan.batch_size
    if plan.rule.full_batch:
        if size not in (None, n):
            raise ValueError(
                f"{plan.optimizer} takes all {n} examples at every step, got batch_size {size}: "
                "leave it out"
            )
        return n
    if size is not None and size > n:
        raise ValueError(
            f"batch_size is {size}; it must be an integer from 1 to {n}, the number of examples"
        )
    return min(32, n) if size is None else size


def _check_stream(plan: Plan, stream: Stream, validation: Thing) -> None:
    if stream.once and plan.epochs > 1 and stream.steps_per_epoch is None:
        raise ValueError(
            f"{type(stream.batches).__name__} is an iterator, whose batches come once, but epochs "
            f"is {plan.epochs}: give jnn.Stream(batches, steps_per_epoch=…), or an iterable that "
            "begins anew, or a function from the epoch to one"
        )
    if plan.batch_size is not None:
        raise ValueError("batch_size belongs to arrays; a stream brings its own batches")
    if _is_fraction(validation):
        raise ValueError(
            f"validation={validation} cannot be split off a stream: give arrays (x, y)"
        )
    if plan.rule.full_batch:
        raise ValueError(
            "second-order methods take all examples at every step, which a stream does not give"
        )
    if stream.once and plan.looks_back(validation is not None):
        rules, remedy = "rules (patience, plateau, stop)", "give validation=(x, y)"
        if validation is not None:
            rules, remedy = "tolerance", "leave it out"
        raise ValueError(
            f"{type(stream.batches).__name__} is an iterator, whose batches come once: {rules} "
            f"cannot look at the loss of what was reached on them: {remedy}, or give an iterable "
            "that begins anew, or a function from the epoch to one"
        )
    if plan.watch and validation is None:
        raise ValueError(
            "watch looks at fixed examples, which a stream has not: give validation=(x, y)"
        )


def _check_metrics(plan: Plan, params: Params, every: list[Rows]) -> None:
    names = ["loss", "validation_loss", "learning_rate", "gradient_norm"]
    names += [*map(metrics.name_of, plan.metrics), *plan.watch]
    if len(set(names)) < len(names):
        raise ValueError(
            f"metrics are recorded by their names, which must differ: {', '.join(names)}"
        )
    n_N, output = params[-1].w.shape[1], params[-1].activation
    for rows in every:
        for metric in plan.metrics:
            metrics.check_metric(metric, n_N, rows.y, output)
