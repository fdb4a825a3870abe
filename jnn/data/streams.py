"""Streams: data that come batch by batch, from a generator or a file larger than memory.

A thread reads ahead: it checks the batches and packs them into blocks, which go to the device while
the program works on the block before. Never more than `_AHEAD` blocks wait, so memory does not grow
with the length of the stream.
"""

import dataclasses
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import jax
import numpy as np

from jnn import checks
from jnn.checks import Real, Thing
from jnn.data.rows import Rows
from jnn.precision import wide

_AHEAD = 2  # blocks that wait for the device
_BLOCK_ENTRIES = 2**20  # numbers of x and y in a block: 4 MiB
_BLOCK_STEPS = 64  # batches in a block at most
_BLOCK_SECONDS = 0.2  # after which a block goes as it is, so that slow sources are trained on, too


@dataclasses.dataclass(frozen=True)
class Stream:
    """Batches (x, y) or (x, y, weights), one after the other, epoch by epoch.

    Args:
      batches: an iterable that begins anew for every epoch; a function from the number of the epoch
        (from 0) to such an iterable; or an iterator, such as a generator, whose batches come once.
      steps_per_epoch: batches that make an epoch, None for all there are. An iterator needs it for
        more than one epoch.
      mean_weight: of all rows, where batches bring weights: a batch's loss is Σ w ℓ / (its rows ·
        mean_weight). None takes the mean weight of all rows so far, those of the batch included.
    Raises:
      ValueError: steps_per_epoch or mean_weight is not positive.
      TypeError: batches are not to be iterated over, steps_per_epoch is not an integer, or
        mean_weight not a number.

    >>> batches = [(np.zeros((4, 1)), np.zeros((4, 1)))] * 10
    >>> Stream(lambda epoch: batches, steps_per_epoch=5).steps_per_epoch
    5
    """

    batches: Any
    steps_per_epoch: int | None = None
    mean_weight: Real | None = None

    def __post_init__(self) -> None:
        if not callable(self.batches) and not isinstance(self.batches, Iterable):
            raise TypeError(
                f"batches is {self.batches!r}; it must be an iterable of (x, y), or a function "
                "from the number of the epoch to one"
            )
        if self.steps_per_epoch is not None:
            checks.integer("steps_per_epoch", self.steps_per_epoch, 1)
        if self.mean_weight is not None:
            checks.number("mean_weight", self.mean_weight, above=0)

    @property
    def once(self) -> bool:
        """Whether the batches come but once."""
        return isinstance(self.batches, Iterator)


def is_stream(data: Thing) -> bool:
    """Whether `data` is a stream of batches rather than arrays.

    >>> is_stream(iter([])), is_stream(([[1.0]], [[2.0]]))
    (True, False)
    """
    arrays = isinstance(data, (tuple, list, dict, str)) or hasattr(data, "__array__")
    batches = isinstance(data, (Stream, Iterable)) or callable(data)
    return batches and not arrays


class Reader:
    """A stream as a program takes it: blocks of batches of one size, checked, on the host.

    Args:
      stream: where the batches come from.
      check: what makes a batch into checked rows; its second argument names the batch.
      multiple: what the length of a batch is a multiple of, as it is filled up.
      steady: whether blocks hold as many batches however slow the stream is.
    """

    def __init__(
        self,
        stream: Stream,
        check: Callable[[Any, str], Rows],
        multiple: int = 1,
        *,
        steady: bool = False,
    ) -> None:
        self.stream = stream
        self.check = check
        self.multiple = multiple
        self.steady = steady
        self.size = 0  # examples in a batch; smaller ones are filled up with rows of weight zero

    def skip(self, epochs: int) -> None:
        """Pass over what the epochs before a checkpoint used up."""
        if self.stream.once and epochs:
            for _ in islice(self.stream.batches, epochs * (self.stream.steps_per_epoch or 0)):
                pass

    @contextmanager
    def epoch(
        self, number: int, given_up: Callable[[], bool]
    ) -> Iterator[Iterator[tuple[Rows, int]]]:
        """Blocks of one epoch and how many batches each holds.

        They are read ahead by a thread that ends with the `with`. Where a batch is long in coming,
        `given_up` is asked meanwhile, and ends the epoch.
        """
        ready: queue.Queue[Any] = queue.Queue(_AHEAD)
        stop = threading.Event()
        # a context holds for one thread, and the source may use JAX
        x64 = jax.config.read("jax_enable_x64")

        def put(item: Any) -> bool:
            while not stop.is_set():
                try:
                    ready.put(item, timeout=0.1)
                except queue.Full:
                    continue
                return True
            return False

        def read() -> None:
            try:
                with jax.enable_x64(x64):
                    for block in self._blocks(number, stop):
                        if not put(block):
                            return
                put(None)
            except BaseException as error:  # noqa: BLE001  raised again where it is awaited
                put(error)

        def blocks() -> Iterator[tuple[Rows, int]]:
            while not given_up():
                try:
                    item = ready.get(timeout=0.1)
                except queue.Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item

        reader = threading.Thread(target=read, name="jnn stream", daemon=True)
        reader.start()
        try:
            yield blocks()
        finally:
            stop.set()
            # it waits for one batch at most; a source that hangs is left behind
            reader.join(timeout=10)

    def _blocks(self, number: int, stop: threading.Event) -> Iterator[tuple[Rows, int]]:
        batches: Any = self.stream.batches
        batches = batches(number) if callable(batches) else batches
        if not isinstance(batches, Iterable):
            raise TypeError(
                f"the stream's function must return an iterable of batches, got {batches!r}"
            )
        waiting: list[Rows] = []
        start = time.monotonic()
        for i, batch in enumerate(islice(batches, self.stream.steps_per_epoch)):
            if stop.is_set():
                return
            checked = self.check(batch, f"batch {i + 1} of epoch {number + 1}")
            if waiting and _kind(checked) != _kind(waiting[0]):
                kinds = f"{waiting[0].y.shape} {waiting[0].y.dtype} and "
                kinds += f"{checked.y.shape} {checked.y.dtype}"
                raise ValueError(
                    f"y is of two kinds in batches up to {i + 1} of epoch {number + 1}: {kinds}"
                )
            # only the first, unless batches grow: then the program is compiled anew
            if len(checked.x) > self.size:
                if waiting:
                    yield self._packed(waiting)
                waiting = []
                self.size = -(-len(checked.x) // self.multiple) * self.multiple
            waiting.append(checked)
            waited = not self.steady and time.monotonic() - start > _BLOCK_SECONDS
            if waited or len(waiting) == self._steps(checked):
                yield self._packed(waiting)
                waiting = []
                start = time.monotonic()
        if waiting:
            yield self._packed(waiting)

    def _steps(self, batch: Rows) -> int:
        row = batch.x.shape[1] + math.prod(batch.y.shape[1:])
        return max(1, min(_BLOCK_STEPS, _BLOCK_ENTRIES // (self.size * row)))

    def _packed(self, batches: list[Rows]) -> tuple[Rows, int]:
        """Batches side by side: x (steps, size, n_0), …"""
        x, y, _ = batches[0]
        steps = self._steps(batches[0])
        xs, ys = (np.zeros((steps, self.size, *a.shape[1:]), a.dtype) for a in (x, y))
        weights = np.zeros((steps, self.size), wide(x.dtype))
        for i, batch in enumerate(batches):
            rows = len(batch.x)
            xs[i, :rows] = batch.x
            ys[i, :rows] = batch.y
            # a loss may not be finite at zero
            xs[i, rows:] = batch.x[0]
            ys[i, rows:] = batch.y[0]
            weights[i, :rows] = 1 if batch.weights is None else batch.weights
        return Rows(xs, ys, weights), len(batches)


def _kind(rows: Rows) -> tuple[Any, Any]:
    return rows.y.shape[1:], rows.y.dtype
