"""Streams: data that come batch by batch, from a generator or a file larger than memory.

A thread reads ahead: it checks the batches and packs them into blocks, which go to the device while the program works
on the block before. Never more than `_AHEAD` blocks wait, so memory does not grow with the length of the stream.
"""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import examples
from jnn.params import Params
from jnn.program import Examples

_AHEAD = 2  # blocks that wait for the device
_BLOCK_ENTRIES = 2**20  # numbers of x and y in a block: 4 MiB
_BLOCK_STEPS = 64  # batches in a block at most
_BLOCK_SECONDS = 0.2  # after which a block goes as it is, so that slow sources are trained on, too, as they come


def is_stream(data: Any) -> bool:
    """Whether data are batches to come, rather than (x, y) or something wrong."""
    return not isinstance(data, (tuple, list, dict, str)) and not hasattr(data, "__array__") and (
        callable(data) or isinstance(data, Iterable)
    )  # fmt: skip


class Stream:
    """Batches (x, y) or (x, y, weights), epoch by epoch.

    Args:
      source: an iterable that begins anew for every epoch; a function from the number of the epoch (from 0) to such an
        iterable; or an iterator, such as a generator, whose batches come once.
      per_epoch: batches that make an epoch, None for all that the source has. An iterator needs it for more than one.
      check: what makes a batch into checked arrays.
    """

    def __init__(self, source: Any, per_epoch: int | None, check: Callable[[Any, str], examples.Checked]) -> None:
        self.source, self.per_epoch, self.check = source, per_epoch, check
        self.once = isinstance(source, Iterator)
        self.size = 0  # examples in a batch; smaller ones are filled up with examples of weight zero

    def skip(self, epochs: int) -> None:
        """Pass over what the epochs before a checkpoint used up."""
        if self.once and epochs:
            for _ in islice(self.source, epochs * (self.per_epoch or 0)):
                pass

    @contextmanager
    def epoch(self, number: int, given_up: Callable[[], bool]) -> Iterator[Iterator[tuple[Examples, int]]]:
        """Blocks of one epoch and how many batches each holds, read ahead by a thread that ends with the `with`.

        Where a batch is long in coming, `given_up` is asked meanwhile, and ends the epoch.
        """
        ready: queue.Queue[Any] = queue.Queue(_AHEAD)
        stop = threading.Event()
        x64 = jax.config.read("jax_enable_x64")  # a context holds for one thread, and the source may use JAX

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
            except BaseException as error:  # noqa: BLE001  whatever the user's code raises is raised where it is awaited
                put(error)

        def blocks() -> Iterator[tuple[Examples, int]]:
            while not given_up():
                try:
                    item = ready.get(timeout=0.1)
                except queue.Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield jax.tree.map(jnp.asarray, item[0]), item[1]

        reader = threading.Thread(target=read, name="jnn stream", daemon=True)
        reader.start()
        try:
            yield blocks()
        finally:
            stop.set()
            reader.join(timeout=10)  # it waits for one batch at most; a source that hangs is left behind

    def _blocks(self, number: int, stop: threading.Event) -> Iterator[tuple[Examples, int]]:
        batches: Any = self.source(number) if callable(self.source) else self.source
        if not isinstance(batches, Iterable):
            raise TypeError(f"the stream's function must return an iterable of batches, got {batches!r}")
        waiting: list[examples.Checked] = []
        begun = time.monotonic()
        for i, batch in enumerate(islice(batches, self.per_epoch)):
            if stop.is_set():
                return
            checked = self.check(batch, f"batch {i + 1} of epoch {number + 1}")
            if waiting and (checked.y.shape[1:], checked.y.dtype) != (waiting[0].y.shape[1:], waiting[0].y.dtype):
                kinds = " and ".join(f"{b.y.shape} {b.y.dtype}" for b in (waiting[0], checked))
                raise ValueError(f"y is of two kinds in batches up to {i + 1} of epoch {number + 1}: {kinds}")
            if len(checked.x) > self.size:  # only the first, unless batches grow: then the program is compiled anew
                if waiting:
                    yield self._packed(waiting)
                waiting, self.size = [], len(checked.x)
            waiting.append(checked)
            if len(waiting) == self._steps(checked) or time.monotonic() - begun > _BLOCK_SECONDS:
                yield self._packed(waiting)
                waiting, begun = [], time.monotonic()
        if waiting:
            yield self._packed(waiting)

    def _steps(self, batch: examples.Checked) -> int:
        row = batch.x.shape[1] + math.prod(batch.y.shape[1:])
        return max(1, min(_BLOCK_STEPS, _BLOCK_ENTRIES // (self.size * row)))

    def _packed(self, batches: list[examples.Checked]) -> tuple[Examples, int]:
        """Batches side by side: x (steps, size, n_0), …"""
        x, y, _ = batches[0]
        steps = self._steps(batches[0])
        block = [np.zeros((steps, self.size, *a.shape[1:]), a.dtype) for a in (x, y)]
        weights = np.zeros((steps, self.size), jnp.promote_types(x.dtype, jnp.float32))
        for i, batch in enumerate(batches):
            rows = len(batch.x)
            block[0][i, :rows], block[1][i, :rows] = batch.x, batch.y
            block[0][i, rows:], block[1][i, rows:] = batch.x[0], batch.y[0]  # a loss may not be finite at zero
            weights[i, :rows] = 1 if batch.weights is None else batch.weights
        return Examples(block[0], block[1], weights), len(batches)


def checker(params: Params, loss: Any) -> Callable[[Any, str], examples.Checked]:
    """What a stream checks its batches with; the loss itself is tried once, on the first."""
    tried: list[bool] = []

    def check(batch: Any, name: str) -> examples.Checked:
        checked = examples.check(params, batch, loss, name)
        if not tried:
            examples.check_loss(loss, params[-1].w.shape[1], checked.y)
            tried.append(True)
        return checked

    return check
