"""The notebooks, executed anew: each text `notebooks/NAME.md` into its copy `NAME.ipynb`.

Run by `scripts/notebooks` after a text was changed; the tests compare texts and copies. A name, or
the number of a lecture, executes that lecture and its solutions alone. Every figure gets a static
image, which Chrome draws; --pictures draws these anew and executes nothing.
"""

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jnn.figures import png_hint
from studies import directives, install, pictures, shared

with warnings.catch_warnings():
    # jupyter_client, nbformat and pyzmq announce their own deprecations; none of them is ours
    warnings.simplefilter("ignore", DeprecationWarning)
    import jupytext
    import nbformat
    from nbclient import NotebookClient

FOLDER = install.ROOT / "notebooks"
LECTURES = sorted(FOLDER.glob("[0-9]*.md"))
SOLUTIONS = sorted(FOLDER.glob("solutions/[0-9]*.md"))
NOTEBOOKS = [*LECTURES, *SOLUTIONS]
TIMEOUT = 120  # seconds for one cell


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the notebooks and write their copies; the exit code."""
    parser = shared.Parser("notebooks", __doc__ or "")
    parser.add_argument(
        "names", nargs="*", type=chosen, metavar="NAME", help="01, 01_artificial_neural_networks, …"
    )
    parser.add_argument("--pictures", action="store_true", help="only the images in the copies")
    options = parser.parse_args(arguments)
    if not pictures.can_be_drawn():
        parser.error(png_hint())
    os.environ.pop("PLOTLY_RENDERER", None)
    for path in [path for paths in options.names for path in paths] or NOTEBOOKS:
        copy = path.with_suffix(".ipynb")
        notebook = nbformat.read(copy, 4) if options.pictures else executed(path)
        pictures.add(notebook)
        nbformat.write(notebook, copy)
        print(f"{'illustrated' if options.pictures else 'executed'} {path.relative_to(FOLDER)}")
    return 0


def chosen(name: str) -> list[Path]:
    """The notebooks that a name stands for; `solutions/01` means these alone."""
    of = SOLUTIONS if name.startswith("solutions/") else NOTEBOOKS
    stem = name.removeprefix("solutions/").removesuffix(".md")
    found = [path for path in of if stem in (path.stem, path.stem[:2])]
    if not found:
        known = ", ".join(path.stem for path in of)
        raise argparse.ArgumentTypeError(f"there is no notebook {name!r}: {known}")
    return found


def rendered(path: Path) -> Any:
    """The notebook of a text as Jupyter can show it: directives in plain Markdown, not executed.

    The cells are those of the text, one for one, behind those that install jnn.
    """
    notebook = jupytext.read(path)
    known = directives.labels((FOLDER / path.name).read_text())
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = directives.plain(cell.source, known)
    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    place = path.with_suffix(".ipynb").relative_to(install.ROOT).as_posix()
    for kind, source in reversed(install.front(place)):
        notebook.cells.insert(0, new[kind](source, metadata={"tags": ["install"]}))
    # what jupytext keeps would pair the copy with the text, and write it over the directives
    notebook.metadata.pop("jupytext", None)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["kernelspec"] = kernel
    notebook.metadata["language_info"] = {"name": "python"}
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # jupytext draws random ones, which would change with every run
    return notebook


def executed(path: Path) -> Any:
    """The notebook of a text, executed in its folder by a fresh kernel.

    Nothing in it differs by machine.
    """
    notebook = run(rendered(path), path.parent)
    notebook.metadata["language_info"] = {"name": "python"}  # the kernel says its version
    return notebook


def run(notebook: Any, folder: Path) -> Any:
    """The notebook with its outputs; a cell that raises, raises `CellExecutionError` here."""
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,  # else what one cell prints is cut into pieces by chance
    )
    client.execute()
    return notebook


if __name__ == "__main__":
    shared.run("notebooks", main)
