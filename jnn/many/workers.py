"""`fit_many` over an executor, whose workers train slices of the members."""

import pickle
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, as_completed
from contextlib import ExitStack
from functools import wraps
from typing import Any, ParamSpec, cast

import jax

from jnn import checks
from jnn.checks import Thing
from jnn.many import groups
from jnn.many.result import Fits
from jnn.many.slices import Kept, Slice, cut, joined
from jnn.training import progress as bars
from jnn.training.stopping import Stop

P = ParamSpec("P")

# of JAX, those that shape numbers: a worker has its own
_SWITCHES = (
    "enable_x64",
    "default_matmul_precision",
    "default_prng_impl",
    "threefry_partitionable",
)


def over_workers(train: Callable[P, Fits]) -> Callable[P, Fits]:
    """A decorator of `fit_many`: where an executor is given, its workers train the members."""

    @wraps(train)
    def call(*args: P.args, **kwargs: P.kwargs) -> Fits:
        if kwargs.get("executor") is None:
            return train(*args, **kwargs)
        public: Any = getattr(sys.modules[train.__module__], train.__name__)  # as a worker finds it
        return cast(Any, _slice_by_slice)(public, *args, **kwargs)

    return call


def _slice_by_slice(
    train: Callable[..., Fits],
    members: Thing,
    data: Thing,
    *,
    executor: Thing,
    checkpoint: Thing = None,
    progress: Thing = None,
    **options: Thing,
) -> Fits:
    began = time.perf_counter()
    options["epochs"] = checks.integer("epochs", options.get("epochs", 100), 0)
    _check(executor, progress, options)
    # a run of no epochs checks all that it is told
    none = train(members, data, progress=progress, **options | {"epochs": 0})
    slices = cut(members, data, options)
    kept = None if checkpoint is None else Kept(checkpoint, none)
    results: list[Any] = [kept.read(one) if kept else None for one in slices]
    done = sum(len(fits) for fits in results if fits)
    futures: dict[Future[Fits], int] = {}
    with bars.bar(len(none), progress, "member", initial=done) as bar:
        try:
            for i, one in enumerate(slices):
                if results[i] is None:
                    futures[_submitted(executor, train, one)] = i
            for future in as_completed(futures):
                i = futures[future]
                results[i] = _result(future, len(slices[i].places))
                if kept and isinstance(results[i], Fits):
                    kept.write(slices[i], results[i])
                if bar:
                    bar.update(len(slices[i].places))
        finally:  # what has not begun need not, where this ends by Ctrl-C
            for future in futures:
                future.cancel()
    _check_finished(slices, results, kept)
    fits = joined(none, slices, results, time.perf_counter() - began)
    fits.warn_of_divergence()
    return fits


def _check(executor: Thing, progress: Thing, options: dict[str, Any]) -> None:
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor is a {type(executor).__name__}; it must be one of concurrent.futures, or "
            "have a submit as theirs"
        )
    if callable(progress):
        raise TypeError(
            "progress is a function of what was reached so far, which an executor's workers do not "
            "tell: give True, False or None"
        )
    if options.get("mesh") is not None:
        raise ValueError(
            "mesh spreads members over this process's devices, executor over others': "
            "give one of them"
        )
    stop = options.get("stop")
    if isinstance(stop, Stop) and stop.seconds is not None:
        raise ValueError(
            "stop.seconds is a limit of one program, but executor= starts many: leave it out; "
            "with checkpoint= a run that its scheduler ends goes on later"
        )


def _submitted(executor: Any, train: Any, one: Slice) -> Future[Fits]:
    switches = {name: getattr(jax, name).value for name in _SWITCHES}
    try:
        return executor.submit(work, train, one.sent, one.group, switches)
    except BrokenExecutor as error:  # by a worker that died while others were told
        failed: Future[Fits] = Future()
        failed.set_exception(error)
        return failed


def work(
    train: Callable[..., Fits], sent: dict[str, bytes], group: int, switches: dict[str, Any]
) -> Fits:
    """What a worker does: one slice, as the call that it is a part of.

    Args:
      train: `fit_many`.
      sent: its arguments, pickled.
      group: how many members one program trains.
      switches: JAX's, by name.
    """
    with ExitStack() as stack:
        for name, value in switches.items():
            stack.enter_context(getattr(jax, name)(value))
        stack.enter_context(groups.of(group))
        stack.enter_context(warnings.catch_warnings())
        # of divergence, of which the caller is warned once
        warnings.simplefilter("ignore", RuntimeWarning)
        arguments = {name: pickle.loads(value) for name, value in sent.items()}
        if "fold" in arguments:
            arguments["data"] = arguments["data"]._replace(of=arguments.pop("fold"))
        return train(**arguments, progress=False)


def _result(future: Future[Fits], count: int) -> Fits | Exception:
    try:
        fits = future.result()
    except Exception as error:  # noqa: BLE001  whatever ended a worker costs its slice alone
        return error
    if (fits.stopped == "interrupted").any():
        return InterruptedError("its worker was interrupted (Ctrl-C)")
    return fits if len(fits) == count else fits[:count]  # what filled up the last one


def _check_finished(slices: list[Slice], results: list[Any], kept: Kept | None) -> None:
    failed = [i for i, result in enumerate(results) if not isinstance(result, Fits)]
    if not failed:
        return
    first, last = slices[failed[0]].places[[0, -1]]
    reason = results[failed[0]]
    rest = f"the {len(results) - len(failed)} finished ones"
    if kept:
        then = f"{rest} are kept in {kept.directory}: the same call runs only what is missing"
    else:
        then = f"{rest} are lost: with checkpoint= a directory they are kept"
    raise RuntimeError(
        f"{len(failed)} of {len(results)} slices failed, the first of them members {first} to "
        f"{last}: {reason!r}; {then}"
    ) from reason
