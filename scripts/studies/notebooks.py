"""The notebooks, executed anew: each text `notebooks/NAME.md` into its copy `NAME.ipynb`.

Run by `scripts/notebooks` after a text was changed; the tests compare texts and copies.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies import shared

with warnings.catch_warnings():
    # jupyter_client, nbformat and pyzmq announce their own deprecations; none of them is ours
    warnings.simplefilter("ignore", DeprecationWarning)
    import jupytext
    import nbformat
    from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.md"))
TIMEOUT = 120  # seconds for one cell


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute every notebook and write its copy; the exit code."""
    shared.Parser("notebooks", __doc__ or "").parse_args(arguments)
    os.environ.pop("PLOTLY_RENDERER", None)
    for path in NOTEBOOKS:
        nbformat.write(executed(path), path.with_suffix(".ipynb"))
        print(f"executed {path.name}")
    return 0


def executed(path: Path) -> Any:
    """The notebook of a text, executed in its folder by a fresh kernel.

    Nothing in it differs by machine.
    """
    notebook = jupytext.read(path)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,  # else what one cell prints is cut into pieces by chance
    )
    client.execute()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["kernelspec"] = kernel
    notebook.metadata["language_info"] = {"name": "python"}
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # jupytext draws random ones, which would change with every run
    return notebook


if __name__ == "__main__":
    shared.run("notebooks", main)
