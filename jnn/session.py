"""A training run as the host sees it: chunks of the compiled program, and what happens between two of them.

Between chunks live the progress bar, the callback, the time limit, Ctrl-C and checkpoints. None of them changes a
number: the program carries its whole state, and the order of the examples comes from a generator that is carried, too.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import checkpoints, program, progress
from jnn.checkpoints import Checkpoint
from jnn.params import Params
from jnn.program import Examples, Knobs, Settings, State
from jnn.results import Fit
from jnn.stopping import REASONS, Watch
from jnn.streams import Stream

_ORDER_ENTRIES = 2**16  # of the visiting order handed to the device at once: 256 KiB
_LOOK_SECONDS = 0.2  # how long the device runs between two looks of the host
_FIRST_CHUNK = 2**24  # examples × parameters in the first chunk, before the speed is known: some hundredths of a second


class Session:
    """One call of `fit`, from the first epoch or from a checkpoint to the last epoch or to what stops it earlier.

    Args:
      settings, knobs, state: see `program`.
      names: of the history's columns.
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
        names: list[str],
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
        self.settings, self.knobs, self.state, self.names = settings, knobs, state, names
        self.epochs, self.generator, self.best = epochs, generator, best
        self.seconds, self.callback, self.shown = seconds, callback, shown
        self.checkpoint, self.identity = checkpoint, identity
        self.history: list[np.ndarray] = []  # (epochs, names), part after part
        self.done = self.resumed = 0
        self.compile_seconds = self.earlier_seconds = 0.0
        self.started = self.written = time.perf_counter()
        self.stopped: str | None = None
        self.generator_state = generator.bit_generator.state  # as it was before orders were drawn ahead
        self.within_epoch = False  # whether a stream was stopped there
        if checkpoint:
            Path(checkpoint.directory).mkdir(parents=True, exist_ok=True)  # now, rather than after hours
        if checkpoint and (found := checkpoints.latest(checkpoint, state, identity)):
            columns = [found.history[name].reshape(found.epoch, -1) for name in dict.fromkeys(names)]
            self.state, self.history = found.tree, [np.concatenate(columns, axis=1)]
            self.done = self.resumed = found.epoch
            self.earlier_seconds = found.record["seconds"]
            self.generator_state = self.generator.bit_generator.state = found.record["generator"]
            self._judge_anew()

    def train(self, data: Examples, validation: Examples | None, shuffle: bool) -> None:
        """Epochs over arrays."""
        n = len(data.x)
        shuffle &= self.settings.size < n  # where a step takes all, the order does not matter
        rows = max(1, min(_ORDER_ENTRIES // n, 4096))
        in_order = np.tile(np.arange(n, dtype=np.int32), (rows, 1)) if self.settings.size < n else None

        unshuffled = None if in_order is None else jnp.asarray(in_order)

        def drawn(count: int) -> Any:
            """Orders of so many epochs; and the generator before they were drawn is kept, for a checkpoint."""
            self.generator_state = self.generator.bit_generator.state
            if not shuffle or in_order is None:
                return unshuffled
            order = in_order.copy()
            order[:count] = self.generator.permuted(in_order[:count], axis=1)
            return order

        def run(order: Any, count: int) -> tuple[State, Any]:
            return program.run(self.settings, self.state, self.knobs, data, validation, order, rows, count)

        def next_count(done: int, chunk: int) -> int:
            count = min(rows, self.epochs - done, chunk)
            if self.checkpoint and (every := self.checkpoint.every_epochs):
                count = min(count, every - done % every)
            return max(count, 0)

        chunk = max(1, _FIRST_CHUNK // (n * sum(leaf.size for leaf in jax.tree.leaves(self.state.params))))
        count = next_count(self.done, chunk)
        order = drawn(count)
        self._compile(lambda: run(order, 0))
        with self._looking_on() as (bar, interrupt):
            if self.done < self.epochs:
                self._stop_early(interrupt)
            while self.done < self.epochs and not self.stopped:
                before = time.perf_counter()
                self.state, history = run(order, count)
                following = next_count(self.done + count, chunk)
                order = drawn(following)  # while the device is busy
                epoch, history = jax.device_get((self.state.epoch, history))
                rate = count / max(time.perf_counter() - before, 1e-6)
                chunk = max(1, min(4 * chunk, int(rate * _LOOK_SECONDS)))
                self._look(bar, interrupt, history, int(epoch) - self.done)
                count = following

    def train_stream(self, stream: Stream, validation: Examples | None) -> None:
        """Epochs over a stream; what stops a run within an epoch keeps the steps that were made."""
        stream.skip(self.done)
        with self._looking_on() as (bar, interrupt):
            while self.done < self.epochs and not self.stopped:
                old, batches = self.state, 0
                none = sums = program.no_sums(old)
                with stream.epoch(self.done, partial(self._given_up, interrupt)) as blocks:
                    for block, count in blocks:
                        if not self.compile_seconds:
                            self._compile(partial(self._nothing, block, validation))
                        self.state, new = program.steps(self.settings, self.state, sums, self.knobs, block, count)
                        jax.block_until_ready(sums)  # of the block before: no more than two are under way
                        sums, batches = new, batches + count
                        if bar:  # an epoch of a stream may last for hours
                            bar.set_postfix(batches=batches)
                if self._given_up(interrupt):
                    self._stop_early(interrupt)
                    self._leave_epoch(old)
                    return
                if sums is none:
                    if self.done == 0:
                        raise ValueError("the stream is empty: it gave no batch for the first epoch")
                    self.stopped = "stream"
                    return
                self.state, row = program.finish(self.settings, old, self.state, sums, self.knobs, validation)
                self._look(bar, interrupt, jax.device_get(row)[None], 1)

    def _nothing(self, block: Examples, validation: Examples | None) -> Any:
        """What an epoch of a stream runs, on nothing."""
        state, sums = program.steps(self.settings, self.state, program.no_sums(self.state), self.knobs, block, 0)
        return program.finish(self.settings, self.state, state, sums, self.knobs, validation)

    def _leave_epoch(self, old: State) -> None:
        """Within an epoch of a stream: its steps are kept if they are finite; a checkpoint is of the epoch's begin."""
        self.within_epoch = True
        if not all(np.isfinite(leaf).all() for leaf in jax.device_get(jax.tree.leaves(self.state.params))):
            self.state = old
        if self.checkpoint and self.done > self.resumed:
            self._write(self.checkpoint, old)

    def result(self) -> Fit:
        """What was reached so far."""
        state = self.state
        watch, reason = jax.device_get((state.watch, state.reason))
        best_epoch = self.done - int(REASONS[reason] == "diverged") - int(Watch(*watch).since_best)
        last = self._params(state.params)
        best = last if best_epoch == self.done and not self.within_epoch else self._params(state.best)
        return Fit(
            best if self.best and best_epoch else last,
            last,
            best,
            best_epoch,
            self._columns(),
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

    def _look(self, bar: Any, interrupt: progress.Interrupt, history: np.ndarray, ran: int) -> None:
        """After a chunk: everything that the host does."""
        self.history.append(history[:ran])
        self.done += ran
        self._judge()
        if bar:
            bar.update(ran)
            last = zip(self.names, self.history[-1][-1], strict=True)
            bar.set_postfix({name: f"{value:.4g}" for name, value in last if name in ("loss", "validation_loss")})
        answer = self.callback(self.result()) if self.callback else None
        if self.done < self.epochs:
            if isinstance(answer, (bool, np.bool_)) and answer:
                self.stopped = self.stopped or "callback"
            self._stop_early(interrupt)
        if self.checkpoint:
            self._write(self.checkpoint, self.state)

    def _params(self, p: Any) -> Params:
        """A network's parameters from those of a state."""
        if self.settings.layout is None:
            return p
        return jax.tree.map(jnp.asarray, self.settings.layout.restore(jax.device_get(p)))

    def _columns(self) -> dict[str, np.ndarray]:
        """The history so far: (epochs,) a name, and (epochs, N) for what is watched."""
        table = np.concatenate([np.zeros((0, len(self.names)), self.state.watch.dtype), *self.history])
        columns = {name: table[:, np.array(self.names) == name] for name in dict.fromkeys(self.names)}
        watched = self.settings.watch
        return {name: np.ascontiguousarray(c if name in watched else c[:, 0]) for name, c in columns.items()}

    def _judge(self) -> None:
        reason = REASONS[int(self.state.reason)]
        self.stopped = None if reason == "running" else reason

    def _judge_anew(self) -> None:
        """After a checkpoint was read: what stopped that run need not stop one with other limits."""
        self._judge()
        if self.stopped not in ("target", "patience", "tolerance"):
            return
        limits, watch = self.knobs.limits, Watch(*jax.device_get(self.state.watch))
        column = {name: self.history[0][:, i] for i, name in enumerate(self.names)}
        watched, losses = column.get("validation_loss", column["loss"])[-1], column["loss"][-2:]
        holds = {
            "target": watched <= limits.target,
            "patience": watch.since_best >= limits.patience,
            "tolerance": abs(np.ptp(losses)) <= limits.tolerance * np.abs(losses).max(),
        }
        if not any(holds.values()):
            self.state, self.stopped = self.state._replace(reason=jnp.zeros_like(self.state.reason)), None

    def _given_up(self, interrupt: progress.Interrupt) -> bool:
        return interrupt.asked or (self.seconds is not None and self._seconds() >= self.seconds)

    def _stop_early(self, interrupt: progress.Interrupt) -> None:
        if interrupt.asked:
            self.stopped = self.stopped or "interrupted"
        elif self.seconds is not None and self._seconds() >= self.seconds:
            self.stopped = self.stopped or "seconds"

    def _seconds(self) -> float:
        return self.earlier_seconds + max(0.0, time.perf_counter() - self.started)

    def _write(self, checkpoint: Checkpoint, state: State) -> None:
        """A checkpoint, where one is due."""
        now, every, seconds = time.perf_counter(), checkpoint.every_epochs, checkpoint.every_seconds
        due = (every and self.done % every == 0) or (seconds and now - self.written >= seconds)
        if due or self.stopped or self.done >= self.epochs:
            record = {"seconds": self._seconds(), "generator": self.generator_state}
            checkpoints.write(checkpoint, self.done, state, self.identity, record, self._columns())
            self.written = now


def on_device(data: Any) -> Examples:
    """Checked rows, moved to the device."""
    return jax.tree.map(jnp.asarray, Examples(*data))
