"""`fit_many(executor=)`: a pool of two worker processes against one, each on a core of its own."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any

import jnn
from benchmarks.many.case import drawn
from benchmarks.many.large import THREADS, Work, cores, named
from benchmarks.process import search_path
from benchmarks.timing import assert_close

TIMES = 4  # of which the first compiles


def measure(quick: bool) -> None:
    """Print the table."""
    if len(cores()) < 2:
        print("two workers against one: left out, there is one core")
        return
    print(f"\n{'a pool of two processes against one':<52}{'one':>9}{'two':>9}{'one/two':>11}")
    for work in THREADS:
        few = work._replace(members=max(8, work.members // (50 if quick else 1)))
        one, two = _seconds(few)
        print(f"{named(few):<52}{one:>9.3f}{two:>9.3f}{one / two:>11.2f}", flush=True)


def _seconds(work: Work) -> tuple[float, float]:
    """Of the fastest warm call of each pool, in turns, the losses compared first."""
    members = drawn([int(n) for n in work.sizes.split("-")], work.members)
    options: dict[str, Any] = {"epochs": work.epochs, "batch_size": work.batch, "progress": False}
    taken: tuple[list[float], ...] = ([], [])
    losses = []
    with ExitStack() as stack:
        pools = [stack.enter_context(_pool(n)) for n in (1, 2)]
        for _ in range(TIMES):
            for pool, seconds in zip(pools, taken, strict=True):
                start = time.perf_counter()
                fits = jnn.fit_many(
                    members, jnn.data.logarithm(work.rows), executor=pool, **options
                )
                seconds.append(time.perf_counter() - start)
                losses.append(fits.history["loss"])
    for other in losses[1:]:
        assert_close(losses[0], other, 0, f"{named(work)}: losses of the pools")
    one, two = (min(seconds[1:]) for seconds in taken)
    return one, two


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    context = get_context("spawn")
    free = context.Queue()
    for core in cores()[-workers:]:
        free.put(core)
    before = os.environ.copy()
    os.environ.update(search_path())
    try:
        with ProcessPoolExecutor(
            workers, context, initializer=_on_a_core, initargs=(free,)
        ) as pool:
            yield pool
    finally:
        os.environ.clear()
        os.environ.update(before)


def _on_a_core(free: Any) -> None:
    os.sched_setaffinity(0, {free.get()})
