"""Train many networks of one structure: `fit` for each of them, in groups on all cores."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jnn import callers, checks
from jnn.checks import Thing
from jnn.data.rows import Rows, filled_up
from jnn.data.streams import is_stream
from jnn.interrupts import interruptible
from jnn.losses import LossLike
from jnn.many.compiled import Own
from jnn.many.host import Runs, Sources, begun, prepared
from jnn.many.numbers import Varied, varied
from jnn.many.result import Fits
from jnn.params import Params
from jnn.penalties import Penalty
from jnn.precision import wide
from jnn.structure import check_params
from jnn.training import progress as bars, steps
from jnn.training.options import Knobs, Metrics, Plan, Settings
from jnn.training.sources import check_start, checked_sources
from jnn.training.state import unpacked, with_best
from jnn.training.stopping import Memory, Plateau, Stop
from jnn.transfers import meant
from jnn.triangular.method import Method, check_method


@meant
def fit_many(
    members: Thing,
    data: Thing,
    *,
    validation: Thing = None,
    loss: LossLike = "half_mse",
    penalty: Thing = None,
    dropout_rate: Thing = 0.0,
    metrics: Metrics = (),
    watch: Thing = (),
    optimizer: str | optax.GradientTransformation = "adam",
    learning_rate: Thing = None,
    plateau: Plateau | None = None,
    clip_norm: Any = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    key: Array | None = None,
    patience: Thing = None,
    stop: Stop | None = None,
    backprop: str | Method = "auto",
    progress: bool | None = None,
) -> Fits:
    """Train M networks of one structure; member m becomes what `fit(member m, …)` would make of it.

    Members are trained in groups, each group one program, the groups on all cores. A member that
    stops is frozen, and left out when groups are packed anew; one that diverges keeps its last
    finite parameters, and the others go on.

    Args:
      members: parameters with leaves (M, …), as from `jax.vmap` of `init_network_params` over keys;
        or a list of networks of the same sizes and activations.
      data, validation, loss, metrics, watch, optimizer, plateau, clip_norm, epochs, batch_size,
        shuffle, stop, backprop: as in `fit`, for all members.
      learning_rate, dropout_rate, patience: as in `fit`, or arrays (M,), one for each member.
      penalty: as in `fit`; the strengths of `jnn.penalties.l1`, `l2` and `elastic_net` may be
        arrays (M,).
      key: of shuffling, dropout and the validation split: one key, and all members see the same,
        or M keys. None is `jax.random.key(0)`.
      progress: True shows a bar, None does where somebody looks.
    Raises:
      ValueError: as `fit`, or an array has another length than M.
      TypeError: as `fit`, or data are a stream.
    Warns:
      RuntimeWarning: members diverged; it says how many, and the first of them.

    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> members = jax.vmap(lambda key: jnn.init_network_params([1, 4, 1], key))(keys)
    >>> fits = fit_many(members, (x, x**2), learning_rate=[0.01, 0.02, 0.03], epochs=5)
    >>> fits.history["loss"].shape, len(fits[1:])
    ((3, 5), 2)
    """
    members, count = _stacked(members)
    first = jax.tree.map(lambda leaf: leaf[0], members)
    options = varied(
        count,
        learning_rate=learning_rate, penalty=penalty, dropout_rate=dropout_rate, patience=patience,
    )  # fmt: skip
    keys = _keys(key, count)
    plans = [
        Plan(
            loss=loss, metrics=metrics, watch=watch, optimizer=optimizer, plateau=plateau,
            clip_norm=clip_norm, batch_size=batch_size, shuffle=shuffle, key=keys[0], stop=stop,
            method=check_method(backprop), epochs=epochs, progress=progress, **numbers,
        )
        for numbers in (options.least, options.most)
    ]  # fmt: skip
    plan = plans[1]  # where a rate of dropout is above 0, dropout is in the program
    if is_stream(data):
        raise TypeError("fit_many takes arrays (x, y): a stream gives each batch to one run, fit")
    own_rows = len(keys) > 1 and validation is not None and np.ndim(validation) == 0
    every = [
        checked_sources(dataclasses.replace(plan, key=one), first, data, validation)
        for one in (keys if own_rows else keys[:1])
    ]
    with interruptible() as interrupt:
        train: Any = every[0].train
        size = 0 if every[0].size == len(train.x) else every[0].size
        settings = plan.settings(first, size, every[0].validation is not None)
        if not settings.least_squares:  # whose Jacobians are written in the order of one vector
            settings = settings._replace(packing=None)
        own = Own(len(keys) > 1 and bool(plan.dropout_rate), own_rows, len(keys) > 1)
        knobs = _knobs(plan, options, count, wide(first[0].w.dtype))
        if own.key:
            knobs = knobs._replace(key=jnp.stack(keys))
        sources = _sources(plan, every, size, own)
        runs = Runs(plan, settings, begun(settings, members), knobs, sources, keys, own, interrupt)
        with bars.bar(epochs, progress) as bar:
            runs.train(bar)
    result = _result(runs, plan, first, options)
    _warn_of_divergence(result)
    return result


# ---- what comes in ----


def _stacked(members: Thing) -> tuple[Params, int]:
    """Parameters with leaves (M, …), and M."""
    if isinstance(members, list) and members and isinstance(members[0], tuple):
        for member in members:
            check_params(member)
        structures = {
            (jax.tree.structure(m), *(np.shape(leaf) for leaf in jax.tree.leaves(m)))
            for m in members
        }
        if len(structures) > 1:
            raise ValueError(
                f"members are networks of {len(structures)} structures (sizes, activations): call "
                "fit_many once for each"
            )
        members = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    if not isinstance(members, tuple) or not members:
        raise TypeError(
            f"members is a {type(members).__name__}; it must be parameters with leaves (M, …), as "
            "from jax.vmap of init_network_params over keys, or a list of networks"
        )
    leaves = jax.tree.leaves(members)
    if any(np.ndim(leaf) == 0 for leaf in leaves) or np.ndim(members[0].w) != 4:
        raise ValueError(
            f"members have weights of shape {np.shape(members[0].w)}; expected (M, depth, n_out, "
            "n_in), one network after the other: for a single network take fit"
        )
    count = len(leaves[0])
    if count == 0 or any(len(leaf) != count for leaf in leaves):
        raise ValueError(f"members have leaves of lengths {sorted({len(l) for l in leaves})}")
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves):
        raise ValueError("members hold NaN or infinity before any step: draw them anew")
    check_start(jax.tree.map(lambda leaf: leaf[0], members))
    return members, count


def _structure(params: Params) -> Any:
    leaves, structure = jax.tree.flatten(params)
    return structure, *((np.shape(leaf), str(np.result_type(leaf))) for leaf in leaves)


def _keys(key: Array | None, count: int) -> list[Any]:
    """One key for all, or one for each."""
    if key is None:
        return [jax.random.key(0)]
    if np.ndim(key) == 0:
        return [checks.key(key)]
    if np.shape(key) != (count,):
        raise ValueError(
            f"key has shape {np.shape(key)}; it must be one key, or {count} keys, one for each "
            "member (jax.random.split)"
        )
    return [checks.key(one) for one in key]


def _knobs(plan: Plan, options: Varied, count: int, dtype: Any) -> Knobs:
    """The numbers of all members, (M,) each."""
    knobs = plan.knobs()
    arrays = options.arrays

    def column(value: Any, name: str = "") -> Any:
        return np.broadcast_to(np.asarray(arrays.get(name, value), dtype), (count,)).copy()

    penalty = knobs.penalty
    if isinstance(penalty, Penalty):
        penalty = Penalty(column(penalty.l1, "l1"), column(penalty.l2, "l2"))
    elif penalty is not None:
        penalty = jax.tree.map(column, penalty)
    limits = jax.tree.map(column, knobs.limits._replace(patience=None))
    if knobs.limits.patience is not None:
        limits = limits._replace(patience=column(knobs.limits.patience, "patience"))
    return Knobs(
        rate=None if knobs.rate is None else column(knobs.rate, "learning_rate"),
        penalty=penalty,
        dropout=None if knobs.dropout is None else column(knobs.dropout, "dropout_rate"),
        key=knobs.key,
        limits=limits,
    )


def _sources(plan: Plan, every: list[Any], size: int, own: Own) -> Sources:
    """The rows of all members, or of each."""
    fills = plan.takes_weights
    trains = [prepared(one.train, size, fills=fills) for one in every]
    validations = [
        filled_up(one.validation, weights=True) if one.validation and fills else one.validation
        for one in every
    ]
    rows, length, n = trains[0]
    if not own.rows:
        return Sources(rows, validations[0], n, size, length)

    def stack(parts: list[Rows]) -> Rows:
        return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)

    return Sources(stack([t[0] for t in trains]), stack(validations), n, size, length)


# ---- what goes out ----


def _result(runs: Runs, plan: Plan, first: Params, options: Varied) -> Fits:
    names = steps.history_names(
        runs.settings,
        plan.knobs(),
        depth=len(check_params(first)) - 1,
        training=True,
        validation=runs.sources.validation is not None,
    )
    table = runs.table(len(names))
    history = {}
    for name in dict.fromkeys(names):
        column = table[:, :, np.array(names) == name]
        history[name] = column if name in runs.settings.watch else column[:, :, 0]
    states = with_best(runs.states)
    found = (states.params, states.best, states.optimizer)
    last, best, optimizer = _networks(runs.settings, jax.tree.map(jnp.asarray, found))
    since = Memory(*states.memory.T).since_best
    diverged = runs.stopped == "diverged"
    best_epoch = runs.done - diverged - since.astype(int)
    at_best = plan.patience is not None
    return Fits(
        params=best if at_best else last,
        last_params=last,
        best_params=best,
        best_epoch=best_epoch,
        epochs=runs.done,
        history=history,
        stopped=runs.stopped.astype(str),
        numbers=options.arrays,
        compile_seconds=runs.clock.compile_seconds,
        run_seconds=runs.clock.seconds(),
        restores_best=at_best,
        optimizer_state=optimizer,
    )


@partial(jax.jit, static_argnums=0)
def _unpacked(settings: Settings, found: Any) -> Any:
    return jax.vmap(partial(unpacked, settings))(found)


def _networks(settings: Settings, found: Any) -> Any:
    """Last and best parameters and the optimizers' states, as networks'."""
    as_they_are = settings.packing is None and wide(settings.dtype) == settings.dtype
    return found if as_they_are else _unpacked(settings, found)


def _warn_of_divergence(fits: Fits) -> None:
    diverged = np.flatnonzero(fits.stopped == "diverged")
    if len(diverged):
        first = diverged[0]
        callers.warn(
            f"{len(diverged)} of {len(fits)} members diverged, the first of them member {first} in "
            f"epoch {fits.epochs[first]}: they keep their last finite parameters; try smaller "
            "learning rates, or clip_norm"
        )
