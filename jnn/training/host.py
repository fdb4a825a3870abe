"""A training run as the host sees it: what happens between two chunks of the compiled program.

Between chunks live the progress bar, the callback, the time limit, Ctrl-C and checkpoints. None of
them changes a number: the program carries its whole state, and the order of the examples comes from
a generator that is carried, too.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jnn import callers, checks
from jnn.data.splits import host_generator
from jnn.files import checkpoints
from jnn.interrupts import Interrupt
from jnn.params import Params
from jnn.training import processes, progress, stopping
from jnn.training.clock import Clock
from jnn.training.options import Plan, Settings
from jnn.training.result import Fit
from jnn.training.resuming import check_found
from jnn.training.state import State, begin, unpacked, with_best
from jnn.training.stopping import Memory, Reason


class Run:
    """One call of `fit`, from the first epoch to the last or to what stops it earlier.

    Args:
      plan: the options.
      settings: what the program is made for.
      params: where to start.
      names: of the history's columns.
      identity: what tells this run from others, for its checkpoints.
      interrupt: whether Ctrl-C was pressed.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        params: Params,
        names: list[str],
        identity: dict[str, Any],
        interrupt: Interrupt,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.knobs = plan.knobs()
        self.start = params
        self.state = begin(settings, params, plan.optimizer_state)
        self.names = names
        self.identity = identity
        self.interrupt = interrupt
        self.history: list[np.ndarray] = []  # (epochs, names), part after part
        self.done = 0
        self.resumed = 0
        self.stopped: str | None = None
        self.first: Any = None  # rows that the first step saw, to say why a run diverged at once
        self.within_epoch = False  # whether a stream was stopped there
        self.clock = Clock()
        self.generator_state: Any = None  # before some orders were drawn ahead; None: as it is
        self.written = time.perf_counter()

    @cached_property
    def generator(self) -> np.random.Generator:
        """Of the orders of visits."""
        return host_generator(checks.key(self.plan.key))

    def resume(self) -> None:
        """Go on from the newest checkpoint, where there is one."""
        checkpoint = self.plan.checkpoint
        if checkpoint is None:
            return
        Path(checkpoint.directory).mkdir(parents=True, exist_ok=True)  # now, not after hours
        check = partial(
            check_found,
            generator=self.generator.bit_generator,
            names=self.names,
            watched=self.settings.watch,
        )
        found = checkpoints.latest(checkpoint, with_best(self.state), self.identity, check)
        if found is None:
            return
        columns = [found.history[name] for name in dict.fromkeys(self.names)]
        columns = [column.reshape(found.epoch, -1) for column in columns]
        # the earlier session may have had no rule to remember for
        memory = Memory(*found.tree.memory)
        if found.epoch:
            memory = memory._replace(previous=found.history["loss"][-1])
        self.state = found.tree._replace(
            memory=np.asarray(memory, self.state.memory.dtype),
            best=found.tree.best if self.settings.monitors else None,
        )
        self.history = [np.concatenate(columns, axis=1)]
        self.done = self.resumed = found.epoch
        self.clock.earlier = found.record["seconds"]
        self.generator.bit_generator.state = found.record["generator"]
        self._judge_anew()

    @contextmanager
    def monitored(self) -> Iterator[Any]:
        """A progress bar (or None), while epochs run."""
        shown = self.plan.bar if processes.is_first(self.plan.mesh) else False
        with progress.bar(self.plan.epochs, shown, initial=self.done) as bar:
            yield bar
        jax.block_until_ready(self.state)
        self.clock.stop()

    def look(self, bar: Any, history: np.ndarray, ran: int) -> None:
        """After a chunk of so many epochs: everything that the host does."""
        self.history.append(history[:ran])
        self.done += ran
        self._judge()
        if bar:
            bar.update(ran)
            last = dict(zip(self.names, self.history[-1][-1], strict=True))
            shown = [name for name in ("loss", "validation_loss") if name in last]
            bar.set_postfix({name: f"{last[name]:.4g}" for name in shown})
        asked = processes.asked(self.plan.mesh, self.plan.callback, self.result)
        if self.done < self.plan.epochs:
            if asked:
                self.stopped = self.stopped or "progress"
            self.stop_early()
        self.write(self.state)

    def given_up(self) -> bool:
        """Whether a user or a clock asks for an end, of this process."""
        return self.interrupt.asked or self._time_is_up()

    def stop_early(self) -> bool:
        """Whether a user or a clock asks for an end, of any process; why is noted."""
        asked = 2 if self.interrupt.asked else int(self._time_is_up())
        asked = processes.most(self.plan.mesh, asked)
        if asked:
            self.stopped = self.stopped or ("seconds", "interrupted")[asked - 1]
        return bool(asked)

    def _time_is_up(self) -> bool:
        seconds = self.plan.stop.seconds if self.plan.stop else None
        return seconds is not None and self.clock.seconds() >= seconds

    def leave_epoch(self, old: State) -> None:
        """Within an epoch of a stream: finite steps are kept; a checkpoint is of its beginning."""
        self.within_epoch = True
        leaves = jax.device_get(jax.tree.leaves(self.state.params))
        if not all(np.isfinite(leaf).all() for leaf in leaves):
            self.state = old
        self.state = self.state._replace(best=with_best(old).best)
        if self.done > self.resumed:
            self.write(old)

    def write(self, state: State) -> None:
        """A checkpoint, where one is due."""
        checkpoint = self.plan.checkpoint
        if checkpoint is None:
            return
        now = time.perf_counter()
        due = checkpoint.due(self.done, now - self.written)
        if not processes.is_first(self.plan.mesh):
            return
        if due or self.stopped or self.done >= self.plan.epochs:
            generator = self.generator_state or self.generator.bit_generator.state
            record = {"seconds": self.clock.seconds(), "generator": generator}
            self.written = now
            try:
                checkpoints.write(
                    checkpoint, self.done, with_best(state), self.identity, record, self._columns()
                )
            except OSError as error:  # a full disk: what was trained for hours is not lost for it
                callers.warn(f"{error}; the run goes on, and tries again when it is due")

    def result(self) -> Fit:
        """What was reached so far."""
        memory = Memory(*np.asarray(self.state.memory))
        diverged = self.stopped == "diverged"
        best_epoch = self.done - int(diverged) - int(memory.since_best)
        at_the_end = best_epoch == self.done and not self.within_epoch
        best = None if at_the_end else with_best(self.state).best
        found = (self.state.params, best, self.state.optimizer)
        last, best, optimizer_state = unpacked(self.settings, found)
        best = last if at_the_end else best
        restores_best = self.plan.patience is not None and best_epoch > 0
        return Fit(
            params=best if restores_best else last,
            last_params=last,
            best_params=best,
            best_epoch=best_epoch,
            history=self._columns(),
            stopped=self.stopped or "epochs",
            compile_seconds=self.clock.compile_seconds,
            run_seconds=self.clock.seconds(),
            resumed=self.resumed,
            optimizer_state=optimizer_state,
        )

    def _columns(self) -> dict[str, np.ndarray]:
        """The history so far: (epochs,) a name, and (epochs, N) for what is watched."""
        nothing = np.zeros((0, len(self.names)), self.state.memory.dtype)
        table = np.concatenate([nothing, *self.history])
        columns = {}
        for name in dict.fromkeys(self.names):
            column = table[:, np.array(self.names) == name]
            column = column if name in self.settings.watch else column[:, 0]
            columns[name] = np.ascontiguousarray(column)
        return columns

    def _judge(self) -> None:
        reason = Reason(int(self.state.reason))
        self.stopped = None if reason is Reason.RUNNING else reason.name.lower()

    def _judge_anew(self) -> None:
        """After a checkpoint was read: what stopped that run need not stop this one."""
        self._judge()
        if self.stopped in (None, "diverged", "converged"):
            return
        columns = self._columns()
        losses = np.append(stopping.NO_LOSS, columns["loss"])
        rules = stopping.holding(
            self.knobs.limits,
            since_best=Memory(*np.asarray(self.state.memory)).since_best,
            monitored=columns.get("validation_loss", columns["loss"])[-1],
            loss=losses[-1],
            previous=losses[-2],
            gradient=columns["gradient_norm"][-1],
        )
        if not any(rules.values()):
            self.state = self.state._replace(reason=np.int32(0))
            self.stopped = None
