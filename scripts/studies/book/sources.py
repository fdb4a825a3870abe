"""All sources of the book in one folder: `docs/`, notebooks, reference and results.

Nothing is listed by hand: each notebook that is there is a chapter, each public name an entry.
"""

import re
import shutil
from pathlib import Path

import nbformat

from studies.book import lectures, reference, tables
from studies.install import PROJECT, front

ROOT = tables.ROOT
DOCS, NOTEBOOKS = ROOT / "docs", ROOT / "notebooks"
_OUTSIDE = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<path>\.\./[^)]*)\)")


def write(folder: Path, extra: Path) -> None:
    """Write the folder anew, and beside it what the explorer's page loads."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(extra, ignore_errors=True)
    extra.mkdir(parents=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("conf.py", "_static", "*.js"))
    for page in folder.rglob("*.md"):
        page.write_text(_inside(page.read_text()))
    _explorer(folder, extra)
    texts = sorted(NOTEBOOKS.glob("[0-9]*.md"))
    (folder / "lectures").mkdir()
    (folder / "solutions").mkdir()
    for text in texts:
        notebook = lectures.combined(text)
        solution = NOTEBOOKS / "solutions" / text.name
        # a solution that is not executed yet waits until it is
        if solution.with_suffix(".ipynb").exists():
            solutions = lectures.combined(solution)
            nbformat.write(solutions, folder / "solutions" / f"{text.stem}.ipynb")
            notebook = lectures.with_solutions(notebook, solutions)
        colab = [cell for cell in front(f"notebooks/{text.stem}.ipynb") if cell[0] == "markdown"]
        for _, source in colab:
            notebook["cells"].insert(1, nbformat.v4.new_markdown_cell(source))
        path = folder / "lectures" / f"{text.stem}.ipynb"
        nbformat.write(nbformat.from_dict(notebook), path)
    for kind, intro in (("lectures", LECTURES), ("solutions", SOLUTIONS)):
        names = sorted(path.stem for path in (folder / kind).glob("*.ipynb"))
        (folder / kind / "index.md").write_text(intro + _contents(names))
    reference.write(folder / "reference")
    (folder / "results.md").write_text(tables.page())


LECTURES = """\
# Lectures

Each is a Jupyter notebook that has been run: read it here, or open the notebook of the same name
in the folder `notebooks` and change what you like. Their text is under CC BY 4.0, their code under
Apache-2.0 ([licences](../licences.md)).
"""
SOLUTIONS = """\
# Solutions

Every exercise worked out. In the lectures each solution stands, folded, under its exercise; here
they are together, with the cells that several of them share.
"""


def _explorer(folder: Path, extra: Path) -> None:
    """Its programs, styles and picture lie beside its page; plotly.js is the book's."""
    page = folder / "explorer" / "element.html"
    if not page.exists():
        start = folder / "index.md"
        start.write_text(start.read_text().replace("explorer/index\n", ""))
        return
    page.write_text(page.read_text().replace('"plotly.min.js"', '"../_static/plotly.min.js"'))
    (extra / "explorer").mkdir(parents=True, exist_ok=True)
    for path in (DOCS / "explorer").iterdir():
        if path.suffix in (".css", ".js", ".svg"):
            shutil.copy(path, extra / "explorer" / path.name)


def _contents(names: list[str]) -> str:
    return "\n```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"


def _inside(text: str) -> str:
    """Links to files outside of `docs/` lead into the repository, where its address is known."""
    address = PROJECT.get("urls", {}).get("Repository", "")

    def replace(match: re.Match[str]) -> str:
        if not address:
            return match["text"]
        return f"[{match['text']}]({address}/blob/main/{match['path'].lstrip('./')})"

    return _OUTSIDE.sub(replace, text)
