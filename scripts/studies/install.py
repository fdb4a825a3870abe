"""The cells in front of a notebook's copy: the way into Colab, and the installation.

The project's address stands in `[project.urls]` of pyproject.toml and nowhere else. Where it has
none, there is nothing to install from, and no such cell.
"""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COLAB = "https://colab.research.google.com/github/"
CELL = """\
# Installs jnn where it cannot be imported, on Colab for instance, before JAX is
# imported; with the CUDA that the GPU's driver knows, if there is a GPU.
import importlib.util
import shutil
import subprocess
import sys

if importlib.util.find_spec("jnn") is None:
    extra = ""
    if shutil.which("nvidia-smi"):
        query = ["--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.check_output(["nvidia-smi", *query], text=True)
        major = int(driver.partition(".")[0])
        extra = "[cuda13]" if major >= 580 else "[cuda12]"
    package = f"{distribution}{{extra}} @ git+{address}"
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    subprocess.check_call([*pip, package])"""


def front(place: str, project: dict[str, Any] = PROJECT) -> list[tuple[str, str]]:
    """The cells (kind, source) in front of the copy at `place`, a path from the project's root.

    >>> front("notebooks/01.ipynb", {"name": "jnn"})
    []
    >>> made = front("notebooks/01.ipynb", {"name": "jnn", "urls": {"Repository": "https://github.com/a/b"}})
    >>> [kind for kind, _ in made]
    ['markdown', 'code']
    """
    address = project.get("urls", {}).get("Repository", "")
    if not address:
        return []
    cells = [("code", CELL.format(distribution=project["name"], address=address))]
    _, host, repository = address.partition("github.com/")
    if host:
        link = f"[Open in Colab]({COLAB}{repository}/blob/main/{place})"
        cells.insert(0, ("markdown", link))
    return cells
