"""The seconds of a run."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jnn.interrupts import Interrupt


@dataclasses.dataclass
class Clock:
    """Seconds of a run; compilation does not count as running."""

    compile_seconds: float = 0.0
    earlier: float = 0.0  # of this run before `started`
    started: float = dataclasses.field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        """How long the run has been running."""
        return self.earlier + max(0.0, time.perf_counter() - self.started)

    def compile(self, run: Callable[[], Any], interrupt: Interrupt) -> None:
        """Compile the run by calling it with zero epochs."""
        start = time.perf_counter()
        with interrupt.held():
            jax.block_until_ready(run())
        self.compile_seconds = time.perf_counter() - start
        self.started = time.perf_counter()

    def stop(self) -> None:
        """Running is over."""
        self.earlier = self.seconds()
        self.started = np.inf
