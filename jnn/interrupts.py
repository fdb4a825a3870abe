"""Ctrl-C, kept until it can be acted on.

Python raises KeyboardInterrupt wherever it happens to be. Within a compilation of JAX that may end
the process, then or at its exit, and lose what was computed.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether Ctrl-C was pressed, to be looked at where a run can be ended."""

    def __init__(self) -> None:
        self.presses = 0
        self.is_held = False

    @property
    def asked(self) -> bool:
        """Whether an end was asked for."""
        return self.presses > 0

    def press(self, number: int, frame: FrameType | None) -> None:
        """What Ctrl-C does: the first time it asks, then it interrupts, unless it is held."""
        self.presses += 1
        if self.presses > 1 and not self.is_held:
            signal.default_int_handler(number, frame)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While something must not be interrupted; a second press interrupts at its end.

        >>> interrupt = Interrupt()
        >>> with interrupt.held():
        ...     interrupt.press(signal.SIGINT, None)
        >>> interrupt.asked
        True
        """
        self.is_held = True
        try:
            yield
        finally:
            self.is_held = False
        if self.presses > 1:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Let Ctrl-C raise a flag, to be looked at between chunks; pressed again, it interrupts.

    Python runs signal handlers in the main thread alone; in another one Ctrl-C keeps its meaning,
    and so does what somebody else has made of it.
    """
    interrupt = Interrupt()
    default = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or default is not signal.default_int_handler:
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, default)


@contextmanager
def kept() -> Iterator[None]:
    """While something is compiled: Ctrl-C interrupts at its end."""
    with interruptible() as interrupt, interrupt.held():
        yield
    if interrupt.asked:
        raise KeyboardInterrupt
