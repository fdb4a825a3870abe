"""The host's side of a stochastic run: chunks of epochs, and what is done between them.

What is here changes no number of a run: how many epochs a chunk has, what is printed, Ctrl-C.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jnn.data.rows import Rows
from jnn.interrupts import Interrupt, interruptible
from jnn.params import Params
from jnn.sklearn import judging, program, records
from jnn.sklearn.draws import Orders
from jnn.sklearn.records import Epoch, Form, State
from jnn.sklearn.solvers import Numbers, packed

_ENTRIES = 2**18  # of the orders of a chunk: 1 MiB
_MOST = 256  # epochs of a chunk
_LOOK_SECONDS = 0.2  # how long the device runs between two looks
# before the speed is known, it is taken to be this, of one core
_SECONDS_A_STEP = 2e-5
_SECONDS_A_PRODUCT = 1e-9


class Run:
    """A run of at most `epochs` epochs over n rows; `take` it, then look what it has become."""

    def __init__(self, form: Form, numbers: Numbers, state: State, data: Rows, n: int) -> None:
        self.form = form
        self.numbers = packed(numbers)
        self.state = state
        self.data = data
        self.n = n
        self.done = 0
        self.interrupted = False
        # of parameters, where the host scores each epoch
        self.score: Callable[[Params], Any] | None = None
        # of parameters, where somebody sees each epoch: whether it is to be the last
        self.after: Callable[[Params], bool] | None = None
        self.deadline = math.inf  # of time.monotonic

    def take(
        self,
        epochs: int,
        orders: Orders | None,
        validation: Rows | None,
        look: Callable[[Epoch], None],
    ) -> None:
        """Train; after each chunk `look` is given each of its epochs.

        Raises nothing for Ctrl-C: the state is that after the last chunk.
        """
        rows = max(1, min(_MOST, _ENTRIES // self.data.x.shape[0]))
        if self.score or self.after:
            rows = 1
        with jax.transfer_guard("allow"), interruptible() as interrupt:
            try:
                for row in self._chunks(epochs, rows, orders, validation, interrupt):
                    look(row)
            except KeyboardInterrupt:  # in a thread, or under a handler of the user's
                self.interrupted = True
        if orders:
            orders.rewind(self.done)

    def _chunks(
        self,
        epochs: int,
        rows: int,
        orders: Orders | None,
        validation: Rows | None,
        interrupt: Interrupt,
    ) -> Iterator[Epoch]:
        data = jax.device_put(self.data)
        validation = jax.device_put(validation)

        def draw(count: int) -> np.ndarray | None:
            # where a step takes all rows, their order does not matter
            return orders.draw(count, rows) if orders and self.form.size else None

        chunk = max(1, int(_LOOK_SECONDS / self._expected_seconds()))
        count = min(rows, epochs, chunk)
        order = draw(count)
        while True:
            start = time.perf_counter()
            state, history = program.run(
                self.form, self.state, self.numbers, data, validation, order, self.n, rows, count
            )
            visits = order
            following = min(rows, epochs - self.done - count, chunk)
            order = draw(following) if following else None  # while the device is busy
            history = np.asarray(history)
            if self.score:
                score = float(self.score(state.params))
                state, row = judging.judged_on_host(
                    self.form, self._with_best(state), self.numbers, history[0], score
                )
                history = np.asarray(row)[None]
            speed = (time.perf_counter() - start) / count
            chunk = max(1, min(4 * chunk, int(_LOOK_SECONDS / speed)))
            self.state = state
            event = int(np.asarray(state.memory)[-1])
            stops = event >= records.STOPPED
            for i, row in enumerate(map(Epoch._make, history[:count])):
                if np.isnan(row.loss):
                    self._check_weights(None if visits is None else visits[i])
                self.done += 1
                yield row
                if row.event >= records.STOPPED:
                    break
            self.interrupted = interrupt.asked
            late = time.monotonic() > self.deadline
            if self.after and self.after(state.params):
                late = True
            if stops or late or not following or self.interrupted:
                return
            count = following

    def _with_best(self, state: State) -> State:
        """A state that is still to be judged, with the best value before it."""
        memory = np.array(state.memory)
        memory[0] = np.asarray(self.state.memory)[0]
        return state._replace(memory=memory)

    def _check_weights(self, visits: np.ndarray | None) -> None:
        """Raise where 0/0 is why a loss is NaN."""
        weights = self.data.weights if visits is None else self.data.weights[visits]
        firsts = np.arange(0, self.n, self.form.size or self.n)
        empty = np.add.reduceat(weights[: self.n], firsts) == 0
        if empty.any():
            raise ZeroDivisionError(
                "Weights sum to zero, can't be normalized: those of sample_weight in minibatch "
                f"{empty.argmax() + 1} of {len(empty)} in epoch {self.done + 1}; leave rows of "
                "weight 0 out, or give a larger batch_size"
            )

    def _expected_seconds(self) -> float:
        """What an epoch may take."""
        numbers = sum(leaf.size for leaf in jax.tree.leaves(self.state.params))
        steps = -(-self.n // (self.form.size or self.n))
        return steps * _SECONDS_A_STEP + self.n * numbers * _SECONDS_A_PRODUCT
