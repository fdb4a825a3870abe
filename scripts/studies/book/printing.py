"""Lectures as PDF, printed by Chromium from the pages of the book."""

import os
import shutil
import subprocess
from pathlib import Path

from studies.book.assets import MissingError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def browser() -> str:
    """The path of Chromium or Chrome.

    Raises:
      MissingError: there is none.
    """
    named = os.environ.get("BROWSER_PATH")
    found = named or next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if not found:
        raise MissingError(
            "printing needs Chromium or Chrome on PATH, or its path in BROWSER_PATH; none was found"
        )
    return found


def print_lectures(html: Path, folder: Path) -> list[Path]:
    """Print every lecture of the built book into a folder; the files.

    Raises:
      MissingError: there is no browser.
      RuntimeError: it printed nothing.
    """
    program = browser()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in sorted((html / "lectures").glob("[0-9]*.html")):
        path = folder / f"{page.stem}.pdf"
        path.unlink(missing_ok=True)
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
            "--virtual-time-budget=30000",  # until formulas and figures are drawn
            f"--print-to-pdf={path}", page.as_uri(),
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            raise RuntimeError(f"{program} printed no {path.name}; it says: {ran.stderr.strip()}")
        written.append(path)
    return written
