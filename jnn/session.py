"""A training run as the host sees it: chunks of the compiled program, and what happens between two of them.

Between chunks live the progress bar, the callback, the time limit, Ctrl-C and checkpoints. None of them changes a
number: the program carries its whole state, and the order of the examples comes from a generator that is carried, too.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import checkpoints, program, progress
from jnn.checkpoints import Checkpoint
from jnn.program import Examples, Knobs, Settings, State
from jnn.results import Fit
from jnn.stopping import REASONS
from jnn.streams import Stream

_ORDER_ENTRIES = 2**18  # of the visiting order handed to the device at once: 1 MiB
_LOOK_SECONDS = 0.2  # how long the device runs between two looks of the host
_FIRST_CHUNK = 2**24  # examples × parameters in the first chunk, before the speed is known: some hundredths of a second


class Session:
    """One call of `fit`, from the first epoch or from a checkpoint to the last epoch or to what stops it earlier.

    Args:
      settings, knobs, state: see `program`.
      epochs: to be done in all, those before a checkpoint included.
      generator: of the orders of visits.
      best: whether the result is the best parameters rather than the last.
      seconds, callback, shown: see `fit`; `shown` is its `progress`.
      checkpoint, identity: where to write, and what tells this run from others.
    """

    def __init__(
        self,
        settings: Settings,
        knobs: Knobs,
        state: State,
        *,
        epochs: int,
        generator: np.random.Generator,
        best: bool,
        seconds: float | None,
        callback: Callable[[Fit], Any] | None,
        shown: bool | None,
        checkpoint: Checkpoint | None,
        identity: dict[str, Any],
    ) -> None:
        self.settings, self.knobs, self.state = settings, knobs, state
        self.epochs, self.generator, self.best = epochs, generator, best
        self.seconds, self.callback, self.shown = seconds, callback, shown
        self.checkpoint, self.identity = checkpoint, identity
        self.history: dict[str, list[np.ndarray]] = {}
        self.done = self.resumed = 0
        self.compile_seconds = self.earlier_seconds = 0.0
        self.started = self.written = time.perf_counter()
        self.stopped: str | None = None
        if checkpoint and (found := checkpoints.latest(checkpoint, state, identity)):
            self.state, self.history = found.tree, {name: [column] for name, column in found.history.items()}
            self.done = self.resumed = found.epoch
            self.earlier_seconds = found.record["seconds"]
            self.generator.bit_generator.state = found.record["generator"]
            self._judge()

    def train(self, data: Examples, validation: Examples | None, shuffle: bool) -> None:
        """Epochs over arrays."""
        n = len(data.x)
        whole = self.settings.size == n  # then the order does not matter
        rows = max(1, min(_ORDER_ENTRIES // n, 4096))
        order = None if whole else np.tile(np.arange(n, dtype=np.int32), (rows, 1))

        def run(count: int) -> tuple[State, dict[str, Any]]:
            return program.run(self.settings, self.state, self.knobs, data, validation, order, rows, count)

        self._compile(lambda: run(0))
        work = n * sum(leaf.size for leaf in jax.tree.leaves(self.state.params))
        chunk = max(1, _FIRST_CHUNK // work)
        with self._looking_on() as (bar, interrupt):
            while self.done < self.epochs and not self.stopped:
                count = min(rows, self.epochs - self.done, chunk)
                if self.checkpoint and (every := self.checkpoint.every_epochs):
                    count = min(count, every - self.done % every)
                if order is not None and shuffle:
                    visits = np.tile(np.arange(n, dtype=np.int32), (count, 1))
                    order[:count] = self.generator.permuted(visits, axis=1)
                before = time.perf_counter()
                self.state, history = run(count)
                epoch, history = jax.device_get((self.state.epoch, history))
                self._look(bar, interrupt, history, int(epoch) - self.done)
                rate = count / max(time.perf_counter() - before, 1e-6)
                chunk = max(1, min(4 * chunk, int(rate * _LOOK_SECONDS)))

    def train_stream(self, stream: Stream, validation: Examples | None) -> None:
        """Epochs over a stream; what stops a run within an epoch keeps the steps that were made."""
        stream.skip(self.done)
        with self._looking_on() as (bar, interrupt):
            while self.done < self.epochs and not self.stopped:
                old, sums = self.state, None
                with stream.epoch(self.done) as blocks:
                    for block, count in blocks:
                        if not self.compile_seconds:
                            self._compile(partial(program.steps, self.settings, old, None, self.knobs, block, 0))
                        self.state, new = program.steps(self.settings, self.state, sums, self.knobs, block, count)
                        jax.block_until_ready(sums)  # of the block before: no more than two are under way
                        sums = new
                        self._stop_early(interrupt)
                        if self.stopped:
                            return
                if sums is None:
                    if self.done == 0:
                        raise ValueError("the stream is empty: it gave no batch for the first epoch")
                    self.stopped = "stream"
                    return
                self.state, row = program.finish(self.settings, old, self.state, sums, self.knobs, validation)
                self._look(bar, interrupt, {name: value[None] for name, value in jax.device_get(row).items()}, 1)

    def result(self) -> Fit:
        """What was reached so far."""
        state = self.state
        since_best, reason = jax.device_get((state.watch.since_best, state.reason))
        best_epoch = self.done - int(REASONS[reason] == "diverged") - int(since_best)
        params = state.best if self.best and best_epoch else state.params
        return Fit(
            params,
            state.params,
            state.best,
            best_epoch,
            self._columns() or {"loss": np.zeros(0, state.watch.best.dtype)},
            self.stopped or "epochs",
            self.compile_seconds,
            self._seconds(),
            self.resumed,
        )

    def _compile(self, run: Callable[[], Any]) -> None:
        """Run no epochs: this compiles, or finds what was compiled before."""
        start = time.perf_counter()
        jax.block_until_ready(run())
        self.compile_seconds = time.perf_counter() - start
        self.started = time.perf_counter()

    @contextmanager
    def _looking_on(self) -> Iterator[tuple[Any, progress.Interrupt]]:
        with progress.interruptible() as interrupt, progress.bar(self.epochs, self.shown, initial=self.done) as bar:
            yield bar, interrupt
        jax.block_until_ready(self.state)
        self.earlier_seconds, self.started = self._seconds(), np.inf

    def _look(self, bar: Any, interrupt: progress.Interrupt, history: dict[str, Any], ran: int) -> None:
        """After a chunk: everything that the host does."""
        for name, column in history.items():
            self.history.setdefault(name, []).append(np.asarray(column)[:ran])
        self.done += ran
        self._judge()
        if bar:
            bar.update(ran)
            shown = [name for name in ("loss", "validation_loss") if name in self.history]
            bar.set_postfix({name: f"{self.history[name][-1][-1]:.4g}" for name in shown})
        if self.callback and self.callback(self.result()) and not self.stopped:
            self.stopped = "callback"
        self._stop_early(interrupt)
        if self.checkpoint:
            self._write(self.checkpoint)

    def _columns(self) -> dict[str, np.ndarray]:
        """The history so far, losses first and what is seldom looked at last."""
        places = {"loss": 0, "validation_loss": 1, "learning_rate": 3, "gradient_norm": 4}
        names = sorted(self.history, key=lambda name: (places.get(name, 2), name))
        return {name: np.concatenate(self.history[name]) for name in names}

    def _judge(self) -> None:
        reason = REASONS[int(self.state.reason)]
        self.stopped = None if reason == "running" else reason

    def _stop_early(self, interrupt: progress.Interrupt) -> None:
        if interrupt.asked:
            self.stopped = self.stopped or "interrupted"
        elif self.seconds is not None and self._seconds() >= self.seconds:
            self.stopped = self.stopped or "seconds"

    def _seconds(self) -> float:
        return self.earlier_seconds + max(0.0, time.perf_counter() - self.started)

    def _write(self, checkpoint: Checkpoint) -> None:
        """A checkpoint, where one is due."""
        now, every = time.perf_counter(), checkpoint.every_epochs
        due = self.done % every == 0 if every else now - self.written >= (checkpoint.every_seconds or 0)
        if due or self.stopped or self.done >= self.epochs:
            record = {"seconds": self._seconds(), "generator": self.generator.bit_generator.state}
            checkpoints.write(checkpoint, self.done, self.state, self.identity, record, self._columns())
            self.written = now


def on_device(data: Any) -> Examples:
    """Checked rows, moved to the device."""
    return Examples(*(None if a is None else jnp.asarray(a) for a in data))
