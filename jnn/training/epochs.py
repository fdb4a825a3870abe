"""The two loops of a run: epochs over rows in memory, and epochs over a stream."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import meshes
from jnn.data.rows import Rows, filled_up
from jnn.data.streams import Reader
from jnn.training import compiled, processes
from jnn.training.compiled import Length
from jnn.training.host import Run
from jnn.training.state import State
from jnn.training.sums import Sums

_ORDER_ENTRIES = 2**16  # of the visiting order handed to the device at once: 256 KiB
_LOOK_SECONDS = 0.2  # how long the device runs between two looks of the host
# before the speed is known, it is taken to be this, of a small network on one core
_SECONDS_A_LAYER = 5e-6  # of a step
_SECONDS_A_NUMBER = 1e-10  # of an example


def over_rows(run: Run, data: Rows, validation: Rows | None) -> None:
    """Epochs over rows in memory, as many a chunk as take about `_LOOK_SECONDS`."""
    n = len(data.x)
    if run.plan.takes_weights:
        data = data if isinstance(data.x, Array) else filled_up(data)
        if validation is not None and not isinstance(validation.x, Array):
            validation = filled_up(validation, weights=True)
    size = run.settings.size or n
    length = Length(filled=len(data.x) > n, even=n % size == 0)
    run.first = data
    orders = _Orders(run, n, len(data.x))

    steps = -(-n // size)
    rows: Any = (data, validation)
    if run.plan.mesh is not None:
        rows = jax.tree.map(partial(_on_mesh, run.plan.mesh), rows)
        run.state, run.knobs = processes.placed(run.plan.mesh, run.state, run.knobs, run.done)

    def run_chunk(order: Any, count: int) -> tuple[State, Any]:
        return compiled.run(
            run.settings, run.state, run.knobs, *rows, order, n, steps, length, orders.rows, count
        )

    def next_count(done: int, chunk: int) -> int:
        count = min(orders.rows, run.plan.epochs - done, chunk)
        if run.plan.checkpoint and (every := run.plan.checkpoint.every_epochs):
            count = min(count, every - done % every)
        return max(count, 0)

    seconds = _expected_seconds(run, n, steps)
    processes.warn_of_small_steps(run.plan.mesh, seconds / steps)
    # talk between processes takes who knows how long
    chunk = 1 if processes.several(run.plan.mesh) else max(1, int(_LOOK_SECONDS / seconds))
    count = next_count(run.done, chunk)
    order = orders.draw(count)
    with run.monitored() as bar:
        if run.done < run.plan.epochs:
            run.stop_early()
        while run.done < run.plan.epochs and not run.stopped:
            start = partial(run_chunk, order, count)
            if run.clock.compile_seconds:
                before = run.clock.seconds()
                run.state, history = start()
            else:
                before = run.clock.earlier
                run.state, history = run.clock.start(start, run.interrupt)
            following = next_count(run.done + count, chunk)
            # while the device is busy
            order = orders.draw(following)
            # the first chunk takes them along; nobody else has a view of them
            if following and run.plan.mesh is None:
                rows = jax.device_put(rows)
            epoch, history = int(run.state.epoch), np.asarray(history)
            rate = count / max(run.clock.seconds() - before, 1e-6)
            chunk = max(1, min(4 * chunk, int(rate * _LOOK_SECONDS)))
            chunk = processes.of_first(run.plan.mesh, chunk)
            run.look(bar, history, epoch - run.done)
            count = following


def _on_mesh(mesh: Any, array: Any) -> Any:
    """The host's rows on every device of a mesh, if there is one; others are where they are."""
    return array if isinstance(array, Array) else meshes.put(mesh, array)


def _expected_seconds(run: Run, n: int, steps: int) -> float:
    """What an epoch may take; operation by operation, without `jit`, nobody knows."""
    config: Any = jax.config
    if config.jax_disable_jit:
        return np.inf
    layers = sum(stack.depth for stack in run.start)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(run.start))
    evaluations = 1
    if run.settings.full_batch:  # a search, or a Jacobian
        evaluations = numbers if run.settings.least_squares else 10
    return evaluations * (steps * layers * _SECONDS_A_LAYER + n * numbers * _SECONDS_A_NUMBER)


class _Orders:
    """The orders in which epochs visit n examples, some rows at a time, the n first."""

    def __init__(self, run: Run, n: int, length: int) -> None:
        self.run = run
        self.n = n
        self.rows = max(1, min(_ORDER_ENTRIES // length, 4096))
        # where a step takes all, the order does not matter; dropout knows examples by their place
        shuffled = run.settings.size and (run.plan.shuffle or run.plan.dropout_rate)
        rows = self.rows if shuffled else 0
        # a smaller last minibatch is filled up with examples of weight zero
        visits = np.append(np.arange(length), np.zeros(run.settings.size, int))
        self.in_order = np.tile(visits.astype(np.int32), (rows, 1))

    def draw(self, count: int) -> np.ndarray | None:
        """Orders of so many epochs; for a checkpoint the generator is kept as it was before."""
        if not len(self.in_order):
            return None
        order = self.in_order.copy()
        if self.run.plan.shuffle:
            generator = self.run.generator
            self.run.generator_state = generator.bit_generator.state
            order[:count, : self.n] = generator.permuted(self.in_order[:count, : self.n], axis=1)
        return order


def over_stream(run: Run, reader: Reader, validation: Rows | None) -> None:
    """Epochs over a stream; what stops a run within an epoch keeps the steps that were made."""
    validation = jax.tree.map(partial(_on_mesh, run.plan.mesh), validation)
    if run.plan.mesh is not None:
        run.state, run.knobs = processes.placed(run.plan.mesh, run.state, run.knobs, run.done)
    reader.skip(run.done)
    if reader.stream.mean_weight is not None:
        run.knobs = run.knobs._replace(mean_weight=float(reader.stream.mean_weight))
    with run.monitored() as bar:
        while run.done < run.plan.epochs and not run.stopped:
            old = run.state
            batches = 0
            none = sums = Sums.none(old.memory.dtype)
            with reader.epoch(run.done, run.given_up) as blocks:
                for block, count in processes.blocks(run.plan.mesh, blocks, run.given_up):
                    if run.first is None:
                        run.first = jax.tree.map(lambda a: a[0], block)
                    if not run.clock.compile_seconds:
                        start = partial(_nothing, run, block, validation)
                        run.clock.start(start, run.interrupt)
                    run.state, new = compiled.block_steps(
                        run.settings, run.state, sums, run.knobs, block, count
                    )
                    # of the block before: no more than two are under way
                    jax.block_until_ready(sums)
                    sums = new
                    batches += count
                    if bar:  # an epoch of a stream may last for hours
                        bar.set_postfix(batches=batches)
            looks_back = run.settings.looks_back and sums is not none
            again = _losses_again(run, reader) if looks_back else None
            if run.stop_early():
                run.leave_epoch(old)
                return
            if sums is none:
                if run.done == 0:
                    raise ValueError("the stream is empty: it gave no batch for the first epoch")
                run.stopped = "stream"
                return
            run.state, row = compiled.finish(
                run.settings, old, run.state, sums, again, run.knobs, validation
            )
            run.look(bar, jax.device_get(row)[None], 1)


def _losses_again(run: Run, reader: Reader) -> Sums:
    """The losses of the epoch's batches, read once more, for the parameters at its end."""
    none = sums = Sums.none(run.state.memory.dtype)
    with reader.epoch(run.done, run.given_up) as blocks:
        for block, count in processes.blocks(run.plan.mesh, blocks, run.given_up):
            new = compiled.losses_again(run.settings, run.state, sums, run.knobs, block, count)
            jax.block_until_ready(sums)
            sums = new
    if sums is none and not run.given_up():
        raise ValueError(
            f"the stream gave no batch when epoch {run.done + 1} was read once more, for the loss "
            "that rules (patience, plateau, stop) look at: give validation=(x, y), or a stream "
            "that begins anew each time"
        )
    return sums


def _nothing(run: Run, block: Rows, validation: Rows | None) -> Any:
    """What an epoch of a stream runs, on nothing."""
    none = Sums.none(run.state.memory.dtype)
    state, sums = compiled.block_steps(run.settings, run.state, none, run.knobs, block, 0)
    again = None
    if run.settings.looks_back:
        again = compiled.losses_again(run.settings, state, none, run.knobs, block, 0)
    # of some steps: 0/0 is what jax_debug_nans looks for
    some, again = jax.tree.map(jnp.ones_like, (sums, again))
    return compiled.finish(run.settings, run.state, state, some, again, run.knobs, validation)
