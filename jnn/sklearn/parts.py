"""A run over a sparse matrix that is too large to be a dense one: a part of its rows at a time.

The minibatches are those of the whole, in the same order, and so are the numbers: only the parts
are dense. A part is as many minibatches as `_BYTES` hold.
"""

import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jnn.data.rows import Rows
from jnn.interrupts import Interrupt
from jnn.sklearn import judging, program, records, scoring
from jnn.sklearn.draws import Orders
from jnn.sklearn.epochs import Run
from jnn.sklearn.records import Epoch, Form, State
from jnn.sklearn.solvers import Numbers

_BYTES = 2**26


class RunOfParts(Run):
    """A run whose X is in sparse rows, on the host."""

    def __init__(self, form: Form, numbers: Numbers, state: State, data: Rows, n: int) -> None:
        dtype = state.params[0].w.dtype
        x, y, weights = data
        weights = np.ones(n, dtype) if weights is None else np.asarray(weights, dtype)
        super().__init__(form, numbers, state, Rows(x.tocsr(), y.astype(dtype), weights), n)
        size: Any = form.size
        batches = max(1, _BYTES // (size * x.shape[1] * dtype.itemsize))
        self.length = size * min(batches, -(-n // size))

    def _chunks(
        self,
        epochs: int,
        rows: int,
        orders: Orders | None,
        validation: Rows | None,
        interrupt: Interrupt,
    ) -> Iterator[Epoch]:
        del rows  # an epoch is many calls here, not the other way round
        validation = jax.device_put(validation)
        for _ in range(epochs):
            order = orders.draw(1, 1)[0] if orders else np.arange(self.n)
            state, loss = self._epoch(order)
            state, row = judging.judged_on_device(self.form, state, self.numbers, loss, validation)
            if self.score:
                score = float(self.score(state.params))
                state, row = judging.judged_on_host(
                    self.form, self._with_best(state), self.numbers, row, score
                )
            self.state = state
            row = Epoch._make(np.asarray(row))
            if np.isnan(row.loss):
                self._check_weights(order)
            self.done += 1
            yield row
            self.interrupted = interrupt.asked
            ends = row.event >= records.STOPPED or time.monotonic() > self.deadline
            if (self.after and self.after(state.params)) or ends or self.interrupted:
                return

    def _epoch(self, order: np.ndarray) -> tuple[State, np.ndarray]:
        """The state after all rows in this order, not judged yet, and their mean loss."""
        form = self.form._replace(scoring=scoring.LATER)
        state, total = self.state, 0.0
        for first in range(0, self.n, self.length):
            index = order[first : min(first + self.length, self.n)]
            part, count = self._part(index), len(index)
            state, history = program.run(form, state, self.numbers, part, None, None, count, 1, 1)
            total += float(Epoch._make(np.asarray(history)[0]).loss) * count
        return self._with_best(state), np.asarray(total / self.n)

    def _part(self, index: np.ndarray) -> Rows:
        """These rows, dense, and as many of weight 0 as are missing in a part."""
        x, y, weights = (a[index] for a in self.data)
        more = self.length - len(index)
        dense = np.zeros((self.length, x.shape[1]), weights.dtype)
        x.toarray(out=dense[: len(index)])
        y, weights = (np.pad(a, [(0, more)] + [(0, 0)] * (a.ndim - 1)) for a in (y, weights))
        return jax.device_put(Rows(dense, y, weights))
