"""What pages load beside their own text, all of it in the book: MathJax and plotly.js.

plotly.js lies in plotly's Python package. MathJax is fetched by npm, once, into the environment, so
that a later build needs no network.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import plotly

from jnn.figures import pages

MATHJAX = "mathjax@3"
CACHE = Path(sys.prefix) / "share" / "jnn-book" / "mathjax"
_KEPT = ("tex-svg.js", "input/tex/extensions/")  # the extensions load when a formula needs them


class MissingError(RuntimeError):
    """Something that the book needs is not on this machine."""


def write(folder: Path, cache: Path = CACHE) -> None:
    """Copy everything into a folder of static files.

    Raises:
      MissingError: MathJax is not there, and npm is missing or fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_mathjax(cache), folder / "mathjax", dirs_exist_ok=True)
    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    shutil.copy(script, folder / "plotly.min.js")
    shutil.copy(pages.SCRIPT, folder / pages.SCRIPT.name)


def _mathjax(cache: Path) -> Path:
    """The folder of MathJax, fetched where it is not there yet."""
    if (cache / "tex-svg.js").exists():
        return cache
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError(
            f"the book needs MathJax, which npm fetches, and npm is not on PATH: install Node.js, "
            f"or put the folder es5 of the npm package {MATHJAX} at {cache}"
        )
    with tempfile.TemporaryDirectory() as name:
        command = [npm, "pack", MATHJAX, "--silent"]
        ran = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
        packed = [*Path(name).glob("*.tgz")]
        if ran.returncode or not packed:
            raise MissingError(f"npm could not fetch {MATHJAX}; it says: {ran.stderr.strip()}")
        with tarfile.open(packed[0]) as archive:
            archive.extractall(name, filter="data")
        whole = Path(name) / "package" / "es5"
        part = cache.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        for path in whole.rglob("*.js"):
            inner = path.relative_to(whole)
            if inner.as_posix().startswith(_KEPT):
                (part / inner).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, part / inner)
        part.rename(cache)
    return cache
