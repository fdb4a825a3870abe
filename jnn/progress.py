"""What goes on beside a long run: a bar where somebody looks, and Ctrl-C, which ends it without losing anything."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(total: int | None, wanted: bool | None, unit: str = "epoch", initial: int = 0) -> Iterator[Any]:
    """A tqdm bar, or None where it would be in the way: `wanted` None means a terminal or a notebook decides."""
    if wanted is None:
        # a notebook's shell runs in a kernel; that IPython is imported alone means nothing
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        wanted = sys.stderr.isatty() or hasattr(shell, "kernel")
    if not wanted or total == 0:
        yield None
        return
    with warnings.catch_warnings():
        from tqdm import TqdmWarning  # imported late: it is needed only where somebody looks

        # a notebook without ipywidgets gets a plain bar, and need not be told so
        warnings.filterwarnings("ignore", category=TqdmWarning)
        from tqdm.auto import tqdm

        shown = tqdm(total=total, unit=unit, initial=initial)
    with shown:
        yield shown


class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked = False


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Let Ctrl-C raise a flag, to be looked at between two chunks of a run; pressed again, it interrupts at once.

    Python runs signal handlers in the main thread alone; in another one Ctrl-C keeps its meaning.
    """
    interrupt = Interrupt()
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield interrupt  # what somebody else has made of Ctrl-C stays so
        return

    def ask(number: int, frame: Any) -> None:
        if interrupt.asked:
            signal.default_int_handler(number, frame)
        interrupt.asked = True

    signal.signal(signal.SIGINT, ask)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, usual)
