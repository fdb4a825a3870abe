"""Figures as files: pages that open offline, and where Chrome is found PNG, SVG and PDF.

kaleido draws a PNG with a headless Chrome. Its start takes seconds, each picture then a fraction of
one, so one Chrome serves all pictures of a process, from the first that is saved to the exit. It
runs on an event loop of its own, because kaleido's ready-made server waits for ever where its
Chrome fails to start.
"""

import asyncio
import atexit
import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import kaleido
import plotly.graph_objects as go
from kaleido.errors import ChromeNotFoundError

from jnn import callers, checks
from jnn.checks import Real
from jnn.figures import pages
from jnn.figures.style import size
from jnn.files.atomic import write_atomically

_START_SECONDS = 60  # after which Chrome counts as broken
_PICTURE_SECONDS = 60

_FORMATS = (".html", ".png", ".svg", ".pdf")


def save(
    figure: go.Figure,
    path: str | os.PathLike[str],
    *,
    png: bool = True,
    scale: Real = 2.0,
    shared_js: bool = False,
) -> list[Path]:
    """Write a figure as its suffix says: a page that opens offline, or a PNG, SVG or PDF by Chrome.

    Without suffix it is the page and, where Chrome is found, the PNG; without Chrome the page is
    written alone, and `png_hint()` is the sentence that tells how to get the pictures. In a page a
    figure is as wide as the window, and light or dark as the reader's screen. A file is written
    whole or not at all: a reader never sees half of one, and a failure leaves what stood there.
    Returns the paths that were written.

    Args:
      figure: from this module, or any plotly figure.
      path: with suffix ".html", ".png", ".svg" or ".pdf", or without (what begins with a digit, as
        in "rate_0.5", is none); its directory is made where it is missing.
      png: False leaves the PNG out where the path has no suffix.
      scale: pixels of a PNG for each pixel of the page; 2 is sharp on a slide.
      shared_js: the pages of a folder share one plotly.js, of 4.7 MB, beside them, named with its
        version; False writes it into the page, which is then one file.
    Raises:
      ValueError: another suffix.
      RuntimeError: a picture was asked for by its suffix, and Chrome was not found or failed.
      OSError: the directory cannot be made or written to; the message names it and the reason.
    Warns:
      RuntimeWarning: without suffix, where Chrome was found but failed; the page is written all the
        same.

    >>> import jnn.figures, tempfile
    >>> figure = jnn.figures.matrix(np.eye(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save(figure, f"{folder}/identity.html")]
    ['identity.html']
    """
    scale = checks.number("scale", scale, above=0, most=100, meaning="pixels for each pixel")
    png, shared_js = checks.flag("png", png), checks.flag("shared_js", shared_js)
    path = Path(path)
    suffix = _suffix(path)
    make_directory(path.parent)
    if suffix in _FORMATS[1:]:
        try:
            return [_write(path, picture(figure.to_dict(), suffix[1:], scale))]
        except ChromeNotFoundError as error:
            raise RuntimeError(f"cannot draw {path.name}. {png_hint()}") from error
    name = path.name.removesuffix(".html")
    plotly = None
    if shared_js:
        plotly, program = pages.plotly_file()
        if not (path.parent / plotly).exists():
            _write(path.parent / plotly, program.encode())
    page = pages.page(figure, name, plotly)
    written = [_write(path.with_name(name + ".html"), page.encode())]
    if png and not suffix and (drawn := _picture_if_possible(figure, scale)) is not None:
        written.append(_write(path.with_name(name + ".png"), drawn))
    return written


def _suffix(path: Path) -> str:
    """What of the name says the format; a number is no format."""
    suffix = path.suffix.lower()
    if not suffix[1:2].isalpha():
        return ""
    if suffix not in _FORMATS:
        raise ValueError(
            f"cannot write a figure as {path.suffix!r} (path {str(path)!r}): give {_either()}, or "
            "no suffix for a page and a PNG"
        )
    return suffix


def _either() -> str:
    return ", ".join(_FORMATS[:-1]) + f" or {_FORMATS[-1]}"


def make_directory(path: str | os.PathLike[str]) -> Path:
    """The directory, made with its parents where it is missing, and known to be writable.

    Raises:
      NotADirectoryError: a file stands in its place, or in that of a parent.
      OSError: it cannot be made or written to.
    """
    path = Path(path)
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(
                f"cannot write pictures into {path}: {part} is a file, not a directory"
            )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot make the directory {path} for pictures: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write pictures into {path}: permission denied")
    return path


def png_hint() -> str:
    """How to get PNGs where `save` wrote pages alone, in one sentence.

    >>> "Chrome" in png_hint()
    True
    """
    command = Path(sys.executable).with_name("kaleido_get_chrome")
    return (
        "No Chrome found, so no PNGs: install Chrome or Chromium (on Debian: apt install "
        f"chromium), or run {command}, or set BROWSER_PATH to one."
    )


def _write(path: Path, content: bytes) -> Path:
    try:
        write_atomically(path, content)
    except ValueError as error:  # a directory, or a device
        raise OSError(f"cannot write {path}: it is not a regular file") from error
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def picture(drawn: Mapping[str, Any], kind: str, scale: float = 1) -> bytes:
    """A figure, as a dictionary, as "png", "svg" or "pdf".

    Raises:
      ChromeNotFoundError: there is no Chrome.
      RuntimeError: Chrome was found but failed.
    """
    width, height = size(drawn)
    options = {"format": kind, "width": width, "height": height, "scale": scale}
    try:
        return _chrome().draw(drawn, options)
    except ChromeNotFoundError:
        raise
    # whatever goes wrong in a browser
    except Exception as error:
        reason = type(error).__name__
        if error.args:
            reason += f": {error.args[0]}"
        raise RuntimeError(
            f"Chrome was found but failed to draw the {kind.upper()} ({reason})"
        ) from error


def _picture_if_possible(figure: go.Figure, scale: float) -> bytes | None:
    """The figure as a PNG, or None without a Chrome that works: the page stands without it."""
    try:
        return picture(figure.to_dict(), "png", scale)
    except ChromeNotFoundError:
        return None
    except RuntimeError as error:
        callers.warn(str(error))
        return None


@cache
def _chrome() -> "_Chrome":
    """The Chrome of this process, started by its first picture."""
    return _Chrome()


class _Chrome:
    """A headless Chrome and its event loop, in a thread of their own until the process ends."""

    def __init__(self) -> None:
        self._started: Future[kaleido.Kaleido] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._browser = self._started.result(_START_SECONDS)
        atexit.register(self.close)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        try:
            # no MathJax: it would be fetched from the network, which can take a minute to fail
            async with kaleido.Kaleido(mathjax=False, timeout=_PICTURE_SECONDS) as browser:
                self._started.set_result(browser)
                await self._done.wait()
        # handed to the thread that waits for the start
        except Exception as error:  # noqa: BLE001
            if not self._started.done():
                self._started.set_exception(error)

    def draw(self, figure: Any, options: Any) -> bytes:
        work = self._browser.calc_fig(figure, options)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PICTURE_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(_START_SECONDS)
