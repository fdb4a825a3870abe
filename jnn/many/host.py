"""Many runs as the host sees them: who is left is packed into groups, chunk after chunk."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.checks import Tree
from jnn.data.rows import Rows, filled_up
from jnn.data.splits import host_generator
from jnn.interrupts import Interrupt
from jnn.many import compiled
from jnn.many.compiled import Own
from jnn.params import Params
from jnn.precision import wide
from jnn.training.clock import Clock
from jnn.training.compiled import Length
from jnn.training.options import Knobs, Plan, Settings
from jnn.training.state import Seen, State
from jnn.training.stopping import START, Reason

# Members of one program: from some dozens on each takes as long, and more would leave the cache
# (1–16–16–1, batch 200).
_GROUP = 64
_LOOK_SECONDS = 0.5  # of all groups, between two looks of the host
_EPOCHS = 512  # the most of one call
_ORDER_ENTRIES = 2**20  # of the orders handed to one group at once


class Sources(NamedTuple):
    """What the members train on, on the host; with a leading M where each has its own rows."""

    data: Rows
    validation: Rows | None
    n: int
    size: int  # examples a step; 0: all
    length: Length


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
        self.threads = threads()
        self.group = group_size(self.members, self.threads)
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
        groups = [left[i : i + self.group] for i in range(0, len(left), self.group)]
        running = []
        for members in groups:
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


def on_host(tree: Tree) -> Tree:
    """Arrays of the host's own, to be written to."""
    return jax.tree.map(lambda leaf: np.array(leaf), tree)


def group_size(members: int, threads: int) -> int:
    """How many members one program trains: a few sizes, and as many groups on every thread.

    >>> group_size(1024, 2), group_size(100, 2), group_size(5, 2), group_size(1, 2)
    (64, 56, 4, 1)
    """
    rounds = -(-members // (_GROUP * threads))
    size = -(-members // (rounds * threads))
    return -(-size // 8) * 8 if size > 8 else 2 ** (size - 1).bit_length()


def begun(settings: Settings, members: Params) -> State:
    """The states of all members before the first epoch, (M, …) a leaf, on the host."""
    members = on_host(members)
    count = len(members[0].w)
    size = group_size(count, threads())
    parts = []
    for start in range(0, count, size):
        index = np.minimum(np.arange(start, start + size), count - 1)
        group = jax.tree.map(lambda leaf, index=index: leaf[index], members)
        parts.append(jax.device_get(_begun(settings, group)))
    p, optimizer = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    dtype = wide(settings.dtype)
    zero = np.zeros(count, np.int32)
    return State(
        params=p,
        optimizer=optimizer,
        step=zero,
        epoch=zero.copy(),
        reason=zero.copy(),
        memory=np.tile(np.asarray(START, dtype), (count, 1)),
        seen=np.zeros((count, len(Seen._fields)), dtype),
        best=jax.tree.map(np.copy, p) if settings.monitors else None,
    )


@partial(jax.jit, static_argnums=0)
def _begun(settings: Settings, members: Params) -> tuple[Tree, Tree]:
    """Parameters as a run carries them, and the optimizer's states."""
    p: Any = jax.tree.map(lambda leaf: leaf.astype(wide(settings.dtype)), members)
    if settings.packing is not None:
        p = jax.vmap(settings.packing.flatten)(p)
    return p, jax.vmap(settings.optimizer.init)(p)


def prepared(rows: Rows, size: int, *, fills: bool) -> tuple[Rows, Length, int]:
    """Rows filled up to a few lengths, and what the program must know of their number."""
    n = len(rows.x)
    if fills:
        rows = filled_up(rows)
    return rows, Length(filled=len(rows.x) > n, even=n % (size or n) == 0), n


def threads() -> int:
    """On a CPU a program fills one core; on an accelerator a batch fills the device."""
    if jax.default_backend() != "cpu":
        return 1
    cores = getattr(os, "sched_getaffinity", None)
    return len(cores(0)) if cores else os.cpu_count() or 1
