"""Many runs as the host sees them: who is left is packed into groups, chunk after chunk."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np

from jnn.data.splits import host_generator
from jnn.interrupts import Interrupt
from jnn.many import compiled, groups
from jnn.many.compiled import Own
from jnn.many.sources import Sources
from jnn.training.clock import Clock
from jnn.training.options import Knobs, Plan, Settings
from jnn.training.state import State
from jnn.training.stopping import Reason

_LOOK_SECONDS = 0.5  # of all groups, between two looks of the host
_EPOCHS = 512  # the most of one call
_ORDER_ENTRIES = 2**20  # of the orders handed to one group at once


class Runs:
    """One call of `fit_many`.

    Args:
      plan: the options, of which some differ: those of the knobs.
      settings: what the program is made for.
      states, knobs: (M, …) a leaf, on the host; a key that all share as it is.
      sources: the rows.
      keys: of the orders of visits, one for all or M.
      own: what each member has of its own.
      interrupt: whether Ctrl-C was pressed.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        states: State,
        knobs: Knobs,
        sources: Sources,
        keys: list[Any],
        own: Own,
        interrupt: Interrupt,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.states = states
        self.knobs = knobs
        self.sources = sources
        self.own = own
        self.interrupt = interrupt
        self.members = len(states.reason)
        self.stopped = np.full(self.members, "epochs", object)
        self.done = np.zeros(self.members, int)  # epochs
        self.history: list[tuple[np.ndarray, np.ndarray]] = []  # (members, their epochs) a chunk
        self.clock = Clock()
        self.threads = groups.threads()
        self.group = groups.group_size(self.members, self.threads)
        n, length = sources.n, sources.data.x.shape[own.rows]
        shuffled = bool(settings.size and (plan.shuffle or plan.dropout_rate))
        visits = np.append(np.arange(length), np.zeros(settings.size, int)).astype(np.int32)
        self.in_order = visits if shuffled else None
        entries = len(visits) * (self.group if own.order else 1)
        self.rows = max(1, min(_EPOCHS, _ORDER_ENTRIES // entries))
        self.generators = [host_generator(key) for key in keys] if shuffled else []
        self.n, self.steps = n, -(-n // (settings.size or n))

    def train(self, bar: Any) -> None:
        """All epochs, or until every member is done, or a clock or a user asks for an end."""
        left = np.arange(self.members)
        epochs = 0
        chunk = self._first_chunk()
        with ThreadPoolExecutor(self.threads) as threads:
            while epochs < self.plan.epochs and len(left) and not self._given_up(left):
                count = min(chunk, self.rows, self.plan.epochs - epochs)
                self._chunk(left, count, threads)
                epochs += count
                left = left[self.states.reason[left] == int(Reason.RUNNING)]
                if bar:
                    bar.update(count)
                rate = epochs / max(self.clock.seconds(), 1e-6)
                chunk = max(1, min(4 * chunk, int(rate * _LOOK_SECONDS)))
        self.clock.stop()

    def _first_chunk(self) -> int:
        """Before the speed is known, as for a layer's microsecond of a small network."""
        arrays = len(jax.tree.leaves(self.states.params))
        seconds = self.members / self.threads * self.steps * arrays * 1e-6
        return max(1, int(_LOOK_SECONDS / seconds))

    def _given_up(self, left: np.ndarray) -> bool:
        seconds = self.plan.stop.seconds if self.plan.stop else None
        reason = None
        if self.interrupt.asked:
            reason = "interrupted"
        elif seconds is not None and self.clock.seconds() >= seconds:
            reason = "seconds"
        if reason:
            self.stopped[left] = reason
        return reason is not None

    def _chunk(self, left: np.ndarray, count: int, threads: ThreadPoolExecutor) -> None:
        """So many epochs of all members that are left, group after group."""
        shared = None if self.own.order else self._orders([0], count)
        running = []
        for first in range(0, len(left), self.group):
            members = left[first : first + self.group]
            running.append((members, threads.submit(self._call(members, shared, count))))
            if len(running) > 2 * self.threads:  # no more than these lie on the device
                of, result = running.pop(0)
                self._take_back(of, result.result(), count)
        for of, result in running:
            self._take_back(of, result.result(), count)

    def _call(self, members: np.ndarray, shared: Any, count: int) -> Any:
        """The program's call for a group; filled up with copies of its last member."""
        index = members[np.minimum(np.arange(self.group), len(members) - 1)]
        take = partial(jax.tree.map, lambda leaf: leaf[index])
        states = take(self.states)
        knobs = take(self.knobs._replace(key=None))
        key = self.knobs.key
        knobs = knobs._replace(key=key[index] if self.own.key else key)
        rows: Any = (self.sources.data, self.sources.validation)
        if self.own.rows:
            rows = take(rows)
        order = self._orders(index, count) if self.own.order else shared
        integers = map(np.int32, (self.n, self.steps, count))  # which no switch of JAX widens
        *arguments, epochs = jax.device_put((states, knobs, *rows, order, *integers))
        program = self._compiled(arguments, epochs)
        return lambda: jax.block_until_ready(program(*arguments, epochs))

    def _compiled(self, arguments: list[Any], epochs: Any) -> Any:
        """The program, compiled here: a thread has switches of JAX of its own."""
        start = time.perf_counter()
        with self.interrupt.held():
            lowered = compiled.run.lower(
                self.settings, *arguments, self.sources.length, self.rows, self.own, epochs
            )
            program = lowered.compile()
        if not self.clock.compile_seconds:
            self.clock.started = time.perf_counter()
            self.clock.compile_seconds = self.clock.started - start
        return program

    def _orders(self, members: Any, count: int) -> np.ndarray | None:
        """(R, length) for each of the members, those of `count` epochs drawn; None: of the data."""
        if self.in_order is None:
            return None
        orders = np.tile(self.in_order, (len(members), self.rows, 1))
        drawn: set[int] = set()  # what fills a group up has been drawn already
        for order, member in zip(orders, members, strict=True):
            if self.plan.shuffle and member not in drawn:
                part = order[:count, : self.n]
                order[:count, : self.n] = self.generators[member].permuted(part, axis=1)
                drawn.add(member)
        return orders if self.own.order else orders[0]

    def _take_back(self, members: np.ndarray, result: Any, count: int) -> None:
        states, history = jax.device_get(result)
        size = len(members)
        before = self.states.epoch[members]

        def put(whole: np.ndarray, part: np.ndarray) -> None:
            whole[members] = part[:size]

        jax.tree.map(put, self.states, states)
        ran = self.states.epoch[members] - before
        history = history[:size, :count].copy()
        history[np.arange(count) >= ran[:, None]] = np.nan
        self.done[members] += ran
        self.history.append((members, history))
        for member in members:
            reason = Reason(int(self.states.reason[member]))
            if reason is not Reason.RUNNING:
                self.stopped[member] = reason.name.lower()

    def table(self, names: int) -> np.ndarray:
        """(M, epochs, names), NaN after a member's last epoch."""
        epochs = int(self.done.max(initial=0))
        table = np.full((self.members, epochs, names), np.nan, self.states.memory.dtype)
        at = np.zeros(self.members, int)
        for members, history in self.history:
            for member, part in zip(members, history, strict=True):
                first = at[member]
                table[member, first : first + len(part)] = part[: epochs - first]
                at[member] += len(part)
        return table
