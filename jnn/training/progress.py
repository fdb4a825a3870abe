"""A progress bar for long runs."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
    if shown is None:
        # a notebook's shell runs in a kernel; that IPython is imported alone means nothing
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        shown = sys.stderr.isatty() or hasattr(shell, "kernel")
    if not shown or total == 0:
        yield None
        return
    with warnings.catch_warnings():
        from tqdm import TqdmWarning  # imported late: it is needed only where somebody looks

        # a notebook without ipywidgets gets a plain bar, and need not be told so
        warnings.filterwarnings("ignore", category=TqdmWarning)
        from tqdm.auto import tqdm

        of_tqdm = tqdm(total=total, unit=unit, initial=initial)
    with of_tqdm:
        yield of_tqdm
