"""The seconds of a run."""

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from jnn.interrupts import Interrupt

T = TypeVar("T")


@dataclasses.dataclass
class Clock:
    """Seconds of a run; compilation does not count as running."""

    compile_seconds: float = 0.0
    earlier: float = 0.0  # of this run before `started`
    started: float = dataclasses.field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        """How long the run has been running."""
        return self.earlier + max(0.0, time.perf_counter() - self.started)

    def start(self, run: Callable[[], T], interrupt: Interrupt) -> T:
        """Call what is compiled first, unless it was, and then runs by itself; begin anew there."""
        start = time.perf_counter()
        with interrupt.held():
            result = run()
        self.started = time.perf_counter()
        self.compile_seconds = self.started - start
        return result

    def stop(self) -> None:
        """Running is over."""
        self.earlier = self.seconds()
        self.started = np.inf
