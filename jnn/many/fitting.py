"""Train many networks of one structure: `fit` for each of them, in groups on all cores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jnn import checks
from jnn.checks import Thing
from jnn.interrupts import interruptible
from jnn.losses import LossLike
from jnn.many import sources
from jnn.many.compiled import Own
from jnn.many.host import Runs
from jnn.many.members import begun, keys_of, networks, stacked
from jnn.many.numbers import Varied, knobs_of, varied
from jnn.many.result import Fits
from jnn.many.workers import over_workers
from jnn.params import Params
from jnn.precision import wide
from jnn.structure import check_params
from jnn.training import progress as bars, steps
from jnn.training.options import Metrics, Plan
from jnn.training.state import with_best
from jnn.training.stopping import Memory, Plateau, Stop
from jnn.transfers import meant
from jnn.triangular.method import Method, check_method


@meant
@over_workers
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
    checkpoint: Thing = None,
    executor: Thing = None,
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
      progress: True shows a bar, None does where somebody looks; no function.
      executor: of `concurrent.futures`, as that of Dask (`client.get_executor()`) and mpi4py
        (`MPIPoolExecutor()`), or None. Its workers train slices of the members, whole groups, to
        the same bits. What they are told is pickled. Processes must be started by "spawn", since
        JAX does not survive a fork; best is one for each core.
      checkpoint: the directory where slices that an executor's workers have finished are kept: the
        same call runs only what is missing there.
    Raises:
      ValueError: as `fit`, or an array has another length than M.
      TypeError: as `fit`, or data are a stream, or an executor's worker cannot be told an argument.
      RuntimeError: workers of an executor failed; finished slices are kept.
    Warns:
      RuntimeWarning: members diverged; it says how many, and the first of them.

    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> members = jax.vmap(lambda key: jnn.init_network_params([1, 4, 1], key))(keys)
    >>> fits = fit_many(members, (x, x**2), learning_rate=[0.01, 0.02, 0.03], epochs=5)
    >>> fits.history["loss"].shape, len(fits[1:])
    ((3, 5), 2)

    On processes, in a program whose file begins its work below `if __name__ == "__main__":`

    >>> from concurrent.futures import ProcessPoolExecutor
    >>> from multiprocessing import get_context
    >>> with ProcessPoolExecutor(1, get_context("spawn")) as executor:
    ...     options = {"learning_rate": [0.01, 0.02, 0.03], "epochs": 5, "executor": executor}
    ...     again = fit_many(members, (x, x**2), **options)
    >>> np.array_equal(again.history["loss"], fits.history["loss"])
    True
    """
    del executor, checkpoint  # with which each worker makes this call for its slice
    members, count = stacked(members)
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), members)
    options = varied(
        count,
        learning_rate=learning_rate, penalty=penalty, dropout_rate=dropout_rate, patience=patience,
    )  # fmt: skip
    keys = keys_of(key, count)
    progress = progress if progress is None else checks.flag("progress", progress)
    plans = [
        Plan(
            loss=loss, metrics=metrics, watch=watch, optimizer=optimizer, plateau=plateau,
            clip_norm=clip_norm, batch_size=batch_size, shuffle=shuffle, key=keys[0], stop=stop,
            method=check_method(backprop), epochs=epochs, progress=progress, **numbers,
        )
        for numbers in (options.least, options.most)
    ]  # fmt: skip
    plan = plans[1]  # where a rate of dropout is above 0, dropout is in the program
    rows = sources.of_members(plan, first, data, validation, keys)
    with interruptible() as interrupt:
        settings = plan.settings(first, rows.size, rows.validation is not None)
        if not settings.least_squares:  # whose Jacobians are written in the order of one vector
            settings = settings._replace(packing=None)
        several = len(keys) > 1
        own = Own(key=several and bool(plan.dropout_rate), rows=rows.own, order=several)
        knobs = knobs_of(plan, options, count, wide(first[0].w.dtype))
        if own.key:
            knobs = knobs._replace(key=jnp.stack(keys))
        runs = Runs(plan, settings, begun(settings, members), knobs, rows, keys, own, interrupt)
        with bars.bar(epochs, progress) as bar:
            runs.train(bar)
    result = _result(runs, plan, first, options)
    result.warn_of_divergence()
    return result


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
    last, best, optimizer = networks(runs.settings, jax.tree.map(jnp.asarray, found))
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
