"""Every exercise is solved, and a solution that is wrong fails."""

import ast
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in test_notebooks.py
    import jupytext
    import nbformat
    from nbclient.exceptions import CellExecutionError
    from studies import directives
    from studies.notebooks import FOLDER, LECTURES, SOLUTIONS, run

MARKER = re.compile(r"^:::\{(solution-\w+)\} *(.*)$", re.MULTILINE)

# Solutions in which the right text, replaced by the wrong one, must raise an AssertionError.
WRONG = [
    ("ex-00-by-hand", "return (1 - t**2)", "return (1 + t**2)"),
    ("ex-00-distances", "(0, None))", "(None, 0))"),
    ("ex-00-loop", "c - h * c", "c + h * c"),
    ("ex-01-neumann", "I + L + L @ L", "I + L"),
    ("ex-01-relu", "slopes[1:] - slopes[:-1]", "slopes[1:]"),
    ("ex-01-wide", "λ_1 = a[0] * λ_2", "λ_1 = a[0]"),
    ("ex-02-relu", "return sigma_w2 / 2 * q + sigma_b2", "return sigma_w2 * q + sigma_b2"),
    ("ex-02-scale", "np.log(1 - np.array(c))", "-np.log(1 - np.array(c))"),
    ("ex-03-floor", "x**3 / 6", "x**3 / 3"),
    ("ex-03-fold", "row = [0.0, -0.5], [2.0, -4.0]", "row = [0.0, -0.5], [2.0, -3.0]"),
    ("ex-04-bfgs", "@ B @ (I - ρ * np.outer(v, s))", "@ B @ (I - ρ * np.outer(s, v))"),
    ("ex-04-marquardt", "np.append(-r, ", "np.append(r, "),
    ("ex-04-rate", "2 / (μ_min + μ_max)", "1 / μ_max"),
    ("ex-04-twins", "T_2 @ W_2 @ T_1.T", "T_2 @ W_2"),
    ("ex-05-hand", "np.maximum(A @ W_1.T + b_1, 0)", "np.tanh(A @ W_1.T + b_1)"),
    ("ex-05-weights", "len(y) / (2 * np.bincount(y))[y]", "2 * np.bincount(y)[y] / len(y)"),
    ("ex-06-identity", ".mean(axis=0) - s2", ".mean(axis=0) + s2"),
    ("ex-06-luck", "min(axis=1)", "max(axis=1)"),
    ("ex-07-momentum", "0.9 * v + g", "0.9 * v - g"),
    ("ex-07-he", "2 / (1 + a**2)", "2 / (1 + a)"),
    ("ex-08-r2", "(y - y.mean()) ** 2", "y**2"),
    ("ex-08-backprop", "λ_1 = W_2.T @ λ_2", "λ_1 = W_2.T @ (λ_2 / 2)"),
    ("ex-08-leak", "np.ones((len(x), 1))], axis=1", "np.zeros((len(x), 1))], axis=1"),
    ("ex-09-factors", "(N - 1).bit_length()", "N.bit_length()"),
    ("ex-09-transposed", "J.mT[::-1]", "J[::-1]"),
]


def parts(path: Path) -> list[tuple[str, str]]:
    """Each code cell of solutions, with the label of its exercise, "" for set-up."""
    label, found = "", []
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "code":
            found.append((label, cell.source))
        for kind, title in MARKER.findall(cell.source):
            label = title if kind == "solution-start" else ""
    return found


def exercises(path: Path) -> list[str]:
    labels = directives.labels(path.read_text())
    return [label for label, at in labels.items() if at.kind == "exercise"]


def solved(label: str, right: str = "", wrong: str = "") -> Any:
    """A notebook of one solution alone, with a replacement."""
    [path] = (path for path in SOLUTIONS if path.stem[:2] == label.split("-")[1])
    code = [source for of, source in parts(path) if of in ("", label)]
    assert any(right in source for source in code), f"{label} has no {right!r}"
    cells = [nbformat.v4.new_code_cell(source.replace(right, wrong)) for source in code]
    return nbformat.v4.new_notebook(cells=cells)


def test_there_are_solutions() -> None:
    assert SOLUTIONS


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_each_exercise_has_one_solution(path: Path) -> None:
    starts = [title for kind, title in MARKER.findall(path.read_text()) if kind == "solution-start"]
    ends = [title for kind, title in MARKER.findall(path.read_text()) if kind == "solution-end"]
    assert starts == exercises(FOLDER / path.name)
    assert len(ends) == len(starts)
    for label in starts:
        assert f":label: {label.replace('ex-', 'sol-')}\n:class: dropdown" in path.read_text()


def test_no_exercise_is_without_a_solution() -> None:
    counted = {path.stem: len(exercises(path)) for path in LECTURES}
    there = {path.stem for path in SOLUTIONS}
    assert {name for name, count in counted.items() if count} == there


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_each_solution_ends_in_an_assertion(path: Path) -> None:
    last = {label: source for label, source in parts(path) if label}
    assert [*last] == exercises(FOLDER / path.name)
    for label, source in last.items():
        assert isinstance(ast.parse(source).body[-1], ast.Assert), label


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:zmq"
)
@pytest.mark.parametrize(("label", "right", "wrong"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_solution_fails(label: str, right: str, wrong: str) -> None:
    with pytest.raises(CellExecutionError, match="AssertionError"):
        run(solved(label, right, wrong), FOLDER)
