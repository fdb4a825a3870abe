"""Each notebook runs from scratch, and its executed copy is that of its text."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    # jupyter_client, nbformat and pyzmq announce their own deprecations; none is ours to mend
    warnings.simplefilter("ignore", DeprecationWarning)
    import nbconvert
    import nbformat
    from studies import notebooks
    from studies.notebooks import NOTEBOOKS, SOLUTIONS, executed, rendered

PLOTLY = "application/vnd.plotly.v1+json"
LARGEST = 1_000_000  # bytes of an executed notebook, with its pictures
NUMBER = re.compile(r"-?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?")


def of_path(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def outputs_of(cell: Any) -> list[Any]:
    return cell.outputs if cell.cell_type == "code" else []


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in outputs_of(cell)]


def printed(notebook: Any) -> Iterator[tuple[str, list[float]]]:
    """What each cell prints: its words, and its numbers, which differ a little by machine.

    But for seconds, and for cells tagged "trained": after thousands of steps networks differ.
    """
    for cell in notebook.cells:
        streams = [o.text for o in outputs_of(cell) if o.output_type == "stream"]
        text = "".join(streams)
        words = re.sub(r"[─ ]+", " ", NUMBER.sub("#", text))
        words = words.replace("[ ", "[").replace(" ]", "]")  # as wide as its longest number
        found = [] if "trained" in cell.metadata.get("tags", []) else NUMBER.finditer(text)
        numbers = [m[0] for m in found if not re.match(r" s\b", text[m.end() :])]
        yield words, [float(number.replace(",", "")) for number in numbers]


def labels(value: Any) -> Iterator[str]:
    """Every string in a plotly figure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (label for part in value.values() for label in labels(part))
    elif isinstance(value, list):
        yield from (label for part in value for label in labels(part))


@pytest.fixture(params=NOTEBOOKS, ids=of_path)
def text(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def copy(text: Path) -> Any:
    return nbformat.read(text.with_suffix(".ipynb"), as_version=4)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:zmq"
)
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=of_path)
def test_runs_from_scratch_and_prints_what_its_copy_shows(path: Path) -> None:
    notebook = executed(path)  # a cell that raises, raises here
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text
    copy = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    for (now, numbers_now), (before, numbers) in zip(printed(notebook), printed(copy), strict=True):
        assert now == before
        assert numbers_now == pytest.approx(numbers, rel=0.05, abs=1e-6, nan_ok=True), before


def test_copy_has_the_cells_of_the_text(text: Path, copy: Any) -> None:
    cells = [
        [(cell.cell_type, cell.source) for cell in notebook.cells]
        for notebook in (rendered(text), copy)
    ]
    assert cells[0] == cells[1], f"{text.name} changed: run scripts/notebooks"


def test_copy_is_executed_and_sound(copy: Any) -> None:
    cells = [cell for cell in copy.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert outputs(copy)
    for output in outputs(copy):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
    assert copy.metadata.kernelspec.name == "python3"


def test_copy_is_small_and_of_no_machine(text: Path) -> None:
    path = text.with_suffix(".ipynb")
    assert path.stat().st_size < LARGEST
    assert not re.search(r"/(home|root|tmp|work|Users|usr)/", path.read_text())


def test_every_figure_has_an_image_that_pages_without_javascript_show(copy: Any) -> None:
    kinds = [output.data for output in outputs(copy) if PLOTLY in output.get("data", {})]
    assert all("image/png" in data for data in kinds), "run scripts/notebooks --pictures"
    page, _ = nbconvert.HTMLExporter().from_notebook_node(copy)
    assert page.count('src="data:image/png;base64,') == len(kinds)


def test_figures_have_plain_labels(text: Path, copy: Any) -> None:
    figures = [output.data[PLOTLY] for output in outputs(copy) if PLOTLY in output.get("data", {})]
    assert figures or text in SOLUTIONS
    for figure in figures:
        assert not [label for label in labels(figure) if "$" in label]


def test_without_chrome_nothing_is_executed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(notebooks.pictures, "can_be_drawn", lambda: False)
    monkeypatch.setattr(notebooks, "executed", lambda path: pytest.fail("executed"))
    with pytest.raises(SystemExit) as stopped:
        notebooks.main(["00"])
    assert stopped.value.code == 2
    assert "No Chrome found" in capsys.readouterr().err
