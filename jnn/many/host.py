"""Many runs as the host sees them: who is left is packed into groups, chunk after chunk."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any, TypeVar

import jax
import numpy as np

from jnn.interrupts import Interrupt
from jnn.many import groups
from jnn.many.compiled import Own
from jnn.many.orders import Orders
from jnn.many.pace import LOOK_SECONDS, Pace
from jnn.many.parts import Part, platform_of
from jnn.many.rungs import Rungs
from jnn.many.sources import Sources
from jnn.training.clock import Clock
from jnn.training.options import Plan
from jnn.training.stopping import Reason

T = TypeVar("T")


class Runs:
    """One call of `fit_many`.

    Args:
      plan: the options, of which some differ: those of the knobs.
      parts: the members, by structure.
      sources: the rows.
      keys: of the orders of visits, one for all or M.
      own: what each member has of its own.
      rungs: where the worst of those that are left end.
      interrupt: whether Ctrl-C was pressed.
      devices: where groups go in turn.
    """

    def __init__(
        self,
        plan: Plan,
        parts: list[Part],
        sources: Sources,
        keys: list[Any],
        own: Own,
        rungs: Rungs,
        interrupt: Interrupt,
        devices: list[Any],
    ) -> None:
        self.plan = plan
        self.parts = parts
        self.sources = sources
        self.rungs = rungs
        self.interrupt = interrupt
        self.keys = keys
        self.done = 0  # epochs, of the members that are left
        self.resumed = 0
        self.ended = "epochs"  # why they ended
        self.clock = Clock()
        self.devices = devices
        self.threads = max(groups.threads(platform_of(devices[0])), len(devices))
        self.orders = Orders(plan, sources, keys, max(part.group for part in parts))
        self.own = own._replace(order=self.orders.own)

    def train(self, bar: Any, look: Callable[[], bool]) -> None:
        """All epochs, or until every member is done, or a clock or a user asks for an end.

        Args:
          bar: of progress, or None.
          look: what is done between two chunks; True ends the runs.
        """
        pace = Pace(self._first_chunk())
        with ThreadPoolExecutor(self.threads) as threads:
            while self.done < self.plan.epochs and self._left() and not self._given_up():
                count = self._count(pace)
                compiles, began = not self.clock.compile_seconds, time.perf_counter()
                calls = self._chunk(count, threads)
                self.done += count
                self.rungs.halve(
                    self.parts,
                    self.done,
                    name="loss" if self.sources.validation is None else "validation_loss",
                    at_best=self.plan.patience is not None,
                )
                if bar:
                    bar.update(count)
                if not compiles or len(self.parts) == 1:  # others train while one is compiled
                    began = max(began, self.clock.started)
                    pace.took(count, calls, time.perf_counter() - began)
                if look() and self.done < self.plan.epochs:
                    self.ended = "progress"
                    break
        self.clock.stop()

    def _count(self, pace: Pace) -> int:
        """How many epochs the next chunk has."""
        limit = self.plan.stop.seconds if self.plan.stop else None
        chunk = pace.chunk if limit is None else pace.within(limit - self.clock.seconds())
        count = min(chunk, self.orders.rows, self.rungs.ahead(self.done))
        if self.plan.checkpoint and (every := self.plan.checkpoint.every_epochs):
            count = min(count, every - self.done % every)
        return count

    def stopped(self) -> np.ndarray:
        """(M,) keys of `training.result.STOPPED`."""
        names = {int(reason): reason.name.lower() for reason in Reason}
        names[int(Reason.RUNNING)] = self.ended
        reasons = self.of_members(lambda part: part.states.reason)
        return np.array([names[int(reason)] for reason in reasons], str)

    def of_members(self, find: Callable[[Part], np.ndarray]) -> np.ndarray:
        """What is found of every part, in the order of the members."""
        places = np.argsort(np.concatenate([part.places for part in self.parts]))
        return np.concatenate([find(part) for part in self.parts])[places]

    def _first_chunk(self) -> int:
        """Before the speed is known: a microsecond an array, and the products of an example."""
        seconds = 0.0
        for part in self.parts:
            leaves = jax.tree.leaves(part.states.params)
            numbers = sum(leaf[0].size for leaf in leaves)
            packing = part.settings.packing
            arrays = len(leaves) if packing is None else len(packing.places)
            steps = int(self.sources.steps_of(part.places).max())
            rows = len(part.places) * self.sources.data.x.shape[-2]
            seconds += len(part.places) * steps * arrays * 1e-6 + rows * numbers * 2e-10
        return max(1, int(LOOK_SECONDS / 4 * self.threads / seconds))

    def _left(self) -> int:
        """How many members are not done."""
        return sum(int((part.states.reason == int(Reason.RUNNING)).sum()) for part in self.parts)

    def _given_up(self) -> bool:
        seconds = self.plan.stop.seconds if self.plan.stop else None
        if self.interrupt.asked:
            self.ended = "interrupted"
        elif seconds is not None and self.clock.seconds() >= seconds:
            self.ended = "seconds"
        return self.ended != "epochs"

    def _chunk(self, count: int, threads: ThreadPoolExecutor) -> int:
        """So many epochs of all members that are left, group after group; how many groups."""
        calls = 0
        running: deque[tuple[Part, np.ndarray, Future[Any]]] = deque()
        for part, group, arguments, device in _one_ahead(self._groups(count, threads)):
            call = _call(part.programs[device], arguments, device)
            running.append((part, group, threads.submit(call)))
            calls += 1
            if len(running) > 2 * self.threads:  # no more than these lie on the device
                _take_back(*running.popleft(), count)
        while running:
            _take_back(*running.popleft(), count)
        if not self.clock.compile_seconds:  # the first chunk
            self.clock.started = min(part.compiled_at for part in self.parts)
            self.clock.compile_seconds = sum(part.compile_seconds for part in self.parts)
        return calls

    def _groups(
        self, count: int, threads: ThreadPoolExecutor
    ) -> Iterator[tuple[Part, np.ndarray, list[Any], Any]]:
        """The groups, what their programs take and where; programs are compiled on threads."""
        devices = cycle(self.devices)
        self.orders.draw(count)
        for part in self.parts:
            for group in part.left(self.sources):
                order = self.orders.of(part.places[group], count)
                arguments = part.arguments(group, self.sources, self.own, order, count)
                device = next(devices)
                if device not in part.programs:
                    with self.interrupt.held():
                        rows = self.orders.rows
                        compiles = part.traced(arguments, self.sources, rows, self.own, device)
                    part.programs[device] = threads.submit(compiles)
                yield part, group, arguments, device


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Each item when the next is there: while a structure's group runs, the next is compiled."""
    before: Any = None
    for i, item in enumerate(items):
        if i:
            yield before
        before = item
    if before is not None:
        yield before


def _call(program: Future[Any], arguments: Any, device: Any) -> Callable[[], Any]:
    """What a thread runs; the program moves NumPy's arrays faster than `device_put` would."""
    wide = jax.config.read("jax_enable_x64")  # a thread has switches of its own

    def call() -> Any:
        with (
            jax.enable_x64(wide),
            jax.disable_jit(False),  # it is compiled
            jax.debug_nans(False),  # a member that diverges is marked, and the others go on
            jax.debug_infs(False),
        ):
            there = arguments if device is None else jax.device_put(arguments, device)
            return jax.block_until_ready(program.result()(*there))

    return call


def _take_back(part: Part, group: np.ndarray, result: Future[Any], count: int) -> None:
    states, history = jax.tree.map(np.asarray, result.result())
    part.take_back(group, states, history[:, :count])
