"""A progress bar for long runs."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class _StandardError:
    """Standard error; what is wrong with it (closed, a broken pipe, None) ends no run."""

    def write(self, text: str) -> None:
        with suppress(AttributeError, ValueError, OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(AttributeError, ValueError, OSError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        with suppress(AttributeError, ValueError, OSError):
            return sys.stderr.isatty()
        return False

    def __getattr__(self, name: str) -> Any:  # its encoding, how wide it is
        return getattr(sys.stderr, name)


@contextmanager
def bar(
    total: int | None, shown: bool | None, unit: str = "epoch", initial: int = 0
) -> Iterator[Any]:
    """A tqdm bar, or None where it would be in the way.

    Args:
      total: how many units there are.
      shown: None shows it where standard error is a terminal or the code runs in a notebook.
      unit: what is counted.
      initial: how many are done already.
    """
    # a notebook's shell runs in a kernel; that IPython is imported alone means nothing
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    notebook, stream = hasattr(shell, "kernel"), _StandardError()
    if shown is None:
        shown = notebook or stream.isatty()
    if not shown or total == 0:
        yield None
        return
    with warnings.catch_warnings():
        from tqdm import TqdmWarning  # imported late: it is needed only where somebody looks

        # a notebook without ipywidgets gets a plain bar, and need not be told so
        warnings.filterwarnings("ignore", category=TqdmWarning)
        from tqdm.auto import tqdm

        file: Any = None if notebook else stream
        of_tqdm = tqdm(total=total, unit=unit, initial=initial, file=file)
    with of_tqdm:
        yield of_tqdm
