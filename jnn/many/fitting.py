"""Train many networks: `fit` for each of them, in groups on all cores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnn.checks import Thing
from jnn.interrupts import Interrupt, interruptible
from jnn.losses import LossLike
from jnn.many import groups, sources
from jnn.many.compiled import Own
from jnn.many.host import Runs
from jnn.many.members import Alike, begun, by_structure, keys_of, one_of, together
from jnn.many.numbers import Varied, knobs_of, varied
from jnn.many.parts import Part, columns, devices_of, platform_of
from jnn.many.result import Fits
from jnn.many.resuming import Keeper
from jnn.many.rungs import Rungs
from jnn.many.workers import over_workers
from jnn.params import Params, sizes
from jnn.precision import wide
from jnn.training import progress as bars, steps
from jnn.training.options import Knobs, Metrics, Plan, Progress
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
    clip_norm: Thing = None,
    epochs: int | Rungs = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    key: Thing = None,
    patience: Thing = None,
    stop: Stop | None = None,
    backprop: str | Method = "auto",
    checkpoint: Thing = None,
    progress: Progress = None,
    executor: Thing = None,
    mesh: Thing = None,
) -> Fits:
    """Train M networks; member m becomes what `fit(member m, …)` would make of it.

    Members of one structure (sizes, activations) are trained in groups, each group one program, the
    groups on all cores, and the program of the next structure is compiled meanwhile. A member that
    stops is frozen, and left out when groups are packed anew; one that diverges keeps its last
    finite parameters, and the others go on.

    Args:
      members: parameters with leaves (M, …), as from `jax.vmap` of `init_network_params` over keys;
        or a list of networks of any structures.
      data, validation, metrics, watch, optimizer, epochs, batch_size, shuffle, backprop: as in
        `fit`, for all members.
      learning_rate, dropout_rate, clip_norm, patience: as in `fit`, or arrays (M,), one for each
        member.
      penalty, loss, plateau, stop: as in `fit`; the strengths of `jnn.penalties.l1`, `l2` and
        `elastic_net`, the amount of `jnn.losses.smoothed`, and the numbers of `jnn.Plateau` and
        `jnn.Stop`, but its seconds, may be arrays (M,).
      key: of shuffling, dropout and the validation split: one key, and all members see the same,
        or M keys. None is `jax.random.key(0)`.
      checkpoint: as in `fit`: one file for all members; the same call goes on from there to the
        same bits, for more epochs too. Other limits are other runs here. Of an executor's workers
        it keeps the slices that are finished: the same call runs only what is missing.
      progress: as in `fit`; a function gets the `Fits` so far.
      executor: of `concurrent.futures`, as that of Dask (`client.get_executor()`) and mpi4py
        (`MPIPoolExecutor()`), or None. Its workers train slices of the members, whole groups, to
        the same bits (to rounding, where rates of dropout or amounts of smoothing are 0 for a
        whole slice, whose program leaves them out). What they are told is pickled. Processes must
        be started by "spawn", since JAX does not survive a fork; best is one for each core.
      mesh: as of `jax.make_mesh((8,), ("members",))`: groups go to the devices along its first
        axis in turn, each of which has the program, to the same bits.
    Raises:
      ValueError: as `fit`, an array has another length than M or is of what cannot differ, or
        members are of two dtypes.
      TypeError: as `fit`, or data are a stream, or an argument does not pickle for an executor.
      RuntimeError: workers of an executor failed.
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
    del executor  # where one is given, its workers make this call for their slices
    devices = devices_of(mesh)
    alike = by_structure(members)
    count = sum(len(one.places) for one in alike)
    options = varied(
        count,
        loss=loss, learning_rate=learning_rate, penalty=penalty, dropout_rate=dropout_rate,
        plateau=plateau, clip_norm=clip_norm, patience=patience, stop=stop,
    )  # fmt: skip
    keys = keys_of(key, count)
    rungs = epochs if isinstance(epochs, Rungs) else Rungs(epochs)  # those of `halving`
    plans = [
        Plan(
            metrics=metrics, watch=watch, optimizer=optimizer, epochs=rungs.epochs,
            batch_size=batch_size, shuffle=shuffle, key=keys[0], method=check_method(backprop),
            checkpoint=checkpoint, progress=progress, **numbers,
        )
        for numbers in (options.least, options.most)
    ]  # fmt: skip
    plan = plans[1]  # where a rate of dropout is above 0, dropout is in the program
    with interruptible() as interrupt:
        runs = _begun(plan, alike, data, validation, keys, options, rungs, interrupt, devices)
        result = _trained(runs, alike, options)
    result.warn_of_divergence()
    return result


def _begun(
    plan: Plan,
    alike: list[Alike],
    data: Thing,
    validation: Thing,
    keys: list[Any],
    options: Varied,
    rungs: Rungs,
    interrupt: Interrupt,
    devices: list[Any],
) -> Runs:
    """The runs before their first epoch, everything checked."""
    # on the default device, wherever the members lie: the host takes them all
    firsts = [jax.device_put(one_of(one.params, 0)) for one in alike]
    rows: Any = None  # the same for all structures
    for one, first in zip(alike, firsts, strict=True):
        try:
            rows = sources.of_members(plan, first, data, validation, keys)
        except (TypeError, ValueError) as error:
            if len(alike) == 1:
                raise
            raise type(error)(f"member {one.places[0]}: {error}") from error
    examples = sources.examples_a_step(plan, data)
    several = len(keys) > 1
    own = Own(key=several and bool(plan.dropout_rate), rows=rows.own, order=several)
    count = sum(len(one.places) for one in alike)
    knobs = knobs_of(plan, options, count, wide(firsts[0][0].w.dtype))
    if own.key:
        knobs = knobs._replace(key=jnp.stack(keys))
    platform = platform_of(devices[0])
    parts = []
    for one, first in zip(alike, firsts, strict=True):
        group = groups.of_structure(one, len(alike), examples, platform)
        in_turn = groups.in_turn(one, platform)
        parts.append(_part(plan, one, first, knobs, rows, own, group, in_turn))
    return Runs(plan, parts, rows, keys, own, rungs, interrupt, devices)


def _part(
    plan: Plan,
    alike: Alike,
    first: Params,
    knobs: Knobs,
    rows: sources.Sources,
    own: Own,
    group: int,
    in_turn: bool,
) -> Part:
    """The members of one structure before their first epoch."""
    settings = plan.settings(first, rows.size, rows.validation is not None)
    mine = one_of(knobs._replace(key=knobs.key if own.key else None), alike.places)
    return Part(
        places=alike.places,
        settings=settings,
        names=steps.history_names(
            settings,
            plan.knobs(),
            depth=len(sizes(first)) - 1,
            training=True,
            validation=rows.validation is not None,
        ),
        states=begun(settings, alike.params, group),
        knobs=mine if own.key else mine._replace(key=knobs.key),
        group=group,
        in_turn=in_turn,
    )


def _trained(runs: Runs, alike: list[Alike], options: Varied) -> Fits:
    """The runs from their checkpoint, or their beginning, to their end."""
    plan = runs.plan
    keeper = Keeper(runs, alike, options.arrays) if plan.checkpoint else None
    if keeper:
        keeper.resume()

    def look() -> bool:
        if keeper:
            keeper.write(last=False)
        answer = plan.callback(_result(runs, options)) if plan.callback else None
        return isinstance(answer, (bool, np.bool_)) and bool(answer)

    with bars.bar(plan.epochs, plan.bar, initial=runs.done) as bar:
        runs.train(bar, look)
    if keeper:
        keeper.write(last=True)
    return _result(runs, options)


# ---- what goes out ----


def _result(runs: Runs, options: Varied) -> Fits:
    """What was reached so far."""
    stopped = runs.stopped()
    epochs = runs.of_members(lambda part: part.states.epoch)
    since = runs.of_members(lambda part: Memory(*part.states.memory.T).since_best)
    found = [(part.places, part.networks()) for part in runs.parts]
    last, optimizer = (together([(index, three[i]) for index, three in found]) for i in (0, 2))
    best = last
    if any(part.settings.monitors for part in runs.parts):
        best = together([(index, three[1]) for index, three in found])
    at_best = runs.plan.patience is not None
    return Fits(
        params=best if at_best else last,
        last_params=last,
        best_params=best,
        best_epoch=epochs - (stopped == "diverged") - since.astype(int),
        epochs=epochs,
        history=columns(runs.parts),
        stopped=stopped,
        numbers=options.arrays,
        compile_seconds=runs.clock.compile_seconds,
        run_seconds=runs.clock.seconds(),
        resumed=runs.resumed,
        restores_best=at_best,
        loss=runs.plan.loss,
        optimizer_state=optimizer,
    )
