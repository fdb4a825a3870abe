"""Figures as files: a self-contained page that opens offline and, where Chrome is found, a PNG.

kaleido draws a PNG with a headless Chrome. Its start takes seconds, each picture then a fraction of
one, so one Chrome serves all pictures of a process, from the first that is saved to the exit. It
runs on an event loop of its own, because kaleido's ready-made server waits for ever where its
Chrome fails to start.
"""

import asyncio
import atexit
import html
import os
import sys
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
from jnn.files.atomic import write_atomically

_START_SECONDS = 60  # after which Chrome counts as broken
_PICTURE_SECONDS = 60

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 2rem; display: flex; justify-content: center; }}</style>
</head>
<body>
{figure}
</body>
</html>
"""


def save(
    figure: go.Figure, path: str | os.PathLike[str], *, png: bool = True, scale: Real = 2.0
) -> list[Path]:
    """Write `path.html` with plotly.js inside and, where Chrome is found, `path.png`.

    The page opens offline. A file is written whole or not at all: a reader never sees half of one,
    and a failure leaves what stood there. Without Chrome the page is written alone; `png_hint()` is
    the sentence that tells how to get the pictures. Returns the paths that were written.

    Args:
      figure: from this module, or any plotly figure.
      path: without suffix (".html" or ".png" is dropped); its directory is made where it is
        missing.
      png: False leaves the picture out even where Chrome is found.
      scale: pixels of the picture for each pixel of the page; 2 is sharp on a slide.
    Raises:
      OSError: the directory cannot be made or written to; the message names it and the reason.
    Warns:
      RuntimeWarning: Chrome was found but failed; the page is written all the same.

    >>> import jnn.figures, tempfile
    >>> figure = jnn.figures.matrix(np.eye(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save(figure, f"{folder}/identity", png=False)]
    ['identity.html']
    """
    scale = checks.number("scale", scale, above=0, most=100, meaning="pixels for each pixel")
    png = checks.flag("png", png)
    path = Path(path)
    if path.suffix in {".html", ".png"}:
        path = path.with_suffix("")
    make_directory(path.parent)
    div = figure.to_html(
        full_html=False, include_plotlyjs=True, include_mathjax=False, config={"displaylogo": False}
    )
    page = _PAGE.format(title=html.escape(figure.layout.title.text or path.name), figure=div)
    written = [_write(path.with_name(path.name + ".html"), page.encode())]
    if png and (picture := _picture(figure, scale)) is not None:
        written.append(_write(path.with_name(path.name + ".png"), picture))
    return written


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


def _picture(figure: go.Figure, scale: float) -> bytes | None:
    """The figure as a PNG, or None without a Chrome that works."""
    layout = figure.layout
    options: Any = {
        "format": "png",
        "width": layout.width or 960,
        "height": layout.height or 600,
        "scale": scale,
    }
    try:
        return _chrome().draw(figure.to_dict(), options)
    except ChromeNotFoundError:
        return None
    # whatever goes wrong in a browser: the page stands, and training is done
    except Exception as error:  # noqa: BLE001
        reason = type(error).__name__
        if error.args:
            reason += f": {error.args[0]}"
        callers.warn(f"Chrome was found but failed to draw the PNG ({reason})")
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
