"""A lecture as the book shows it: its text, the outputs of its copy, its solutions folded.

The text `NAME.md` has the directives that Sphinx renders; the executed copy `NAME.ipynb` has the
outputs. Both have the same code, cell for cell, behind the cells tagged "install".
"""

import base64
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from jnn.figures import pages

PLOTLY = "application/vnd.plotly.v1+json"
_SOLUTION = re.compile(r":::+\{solution-start\} *(?P<exercise>\S+)\n(?::.*\n)*:::+\n?")
_END = re.compile(r":::+\{solution-end\}\n:::+\n?")
_EXERCISE = re.compile(r"(:::+)\{exercise\}.*?\n\1(?:\n|$)", re.DOTALL)
_LABEL = re.compile(r"^:label: *(\S+)$", re.MULTILINE)


def combined(text: Path) -> Any:
    """The cells of a text with the outputs of its copy.

    Raises:
      ValueError: text and copy differ in their code.
    """
    notebook = jupytext.read(text)
    copy = nbformat.read(text.with_suffix(".ipynb"), 4)
    ran = [
        cell
        for cell in copy.cells
        if cell.cell_type == "code" and "install" not in cell.metadata.get("tags", [])
    ]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in code] != [cell.source for cell in ran]:
        raise ValueError(f"{text.name} and its copy differ: run scripts/notebooks {text.stem}")
    for i, (cell, executed) in enumerate(zip(code, ran, strict=True)):
        cell.execution_count = executed.execution_count
        cell.outputs = [_shown(output, f"{text.stem}, figure {i}") for output in executed.outputs]
    notebook.metadata["kernelspec"] = copy.metadata["kernelspec"]
    return notebook


def with_solutions(lecture: Any, solutions: Any) -> Any:
    """The lecture, each solution folded under its exercise."""
    found = solved(solutions)
    cells = []
    for cell in lecture.cells:
        pieces = _after_exercises(cell.source) if cell.cell_type == "markdown" else []
        if len(pieces) < 2:
            cells.append(cell)
            pieces = [("", label) for _, label in pieces]
        for source, label in pieces:
            if source.strip():
                cells.append(nbformat.v4.new_markdown_cell(source))
            cells += _folded(found[label]) if label in found else []
    return {**lecture, "cells": cells}


def _after_exercises(source: str) -> list[tuple[str, str]]:
    """A text in pieces, each but the last up to the end of an exercise, of this label."""
    pieces, end = [], 0
    for match in _EXERCISE.finditer(source):
        label = _LABEL.search(match[0])
        pieces.append((source[end : match.end()], label[1] if label else ""))
        end = match.end()
    return [*pieces, (source[end:], "")] if pieces else []


def solved(solutions: Any) -> dict[str, list[Any]]:
    """The cells of each solution, by the label of its exercise."""
    found: dict[str, list[Any]] = {}
    current: list[Any] | None = None
    for cell in solutions.cells:
        if cell.cell_type != "markdown":
            if current is not None:
                current.append(cell)
            continue
        for piece in re.split(r"(?=:::+\{solution-)", cell.source):
            start, source = _SOLUTION.match(piece), piece
            if start:
                current = found[start["exercise"]] = []
                source = piece[start.end() :]
            elif _END.match(piece):
                current = None
            if current is not None and source.strip():
                current.append(nbformat.v4.new_markdown_cell(_unlabelled(source)))
    return found


def _unlabelled(source: str) -> str:
    """Without the labels of equations, which the page of solutions has already, and headings."""
    source = re.sub(r"^(\$\$[^$]*\$\$) \([^()\s]+\)$", r"\1", source, flags=re.MULTILINE)
    return re.sub(r"^#+ (.*)$", r"**\1**", source, flags=re.MULTILINE)


def _folded(cells: list[Any]) -> list[Any]:
    """Cells that a reader opens, by the browser's own means."""
    new = nbformat.v4.new_markdown_cell
    opening = '<details class="solution">\n<summary>Solution</summary>\n'
    return [new(opening), *cells, new("</details>")]


# ---- figures ----


def _shown(output: Any, name: str) -> Any:
    """The output; a figure of plotly as its data, which `figures.js` draws, and a static image."""
    data = output.get("data", {})
    if PLOTLY not in data:
        return output
    data = {"text/html": pages.element(data[PLOTLY], name, _image(data))}
    return nbformat.v4.new_output("display_data", data=data)


def _image(data: dict[str, Any]) -> str:
    """The stored image as an address that holds it."""
    if "image/svg+xml" in data:
        svg = "".join(data["image/svg+xml"]).encode()
        return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    if "image/png" in data:
        return "data:image/png;base64," + "".join(data["image/png"]).replace("\n", "")
    return ""
