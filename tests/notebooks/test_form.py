"""The form of a lecture: what each says before it begins, numbers, exercises, lines of code."""

import re
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in test_notebooks.py
    import jupytext
    from studies import directives, install
    from studies.notebooks import FOLDER, LECTURES, NOTEBOOKS

# The lectures that are held to the whole form.
WHOLE = [
    "00_jax_in_one_sitting",
    "01_artificial_neural_networks",
    "02_vanishing_gradients",
    "03_deep_and_narrow",
    "04_from_least_squares_to_networks",
    "05_from_scikit_learn",
    "06_many_networks",
    "07_classification_from_scratch",
    "08_tabular_regression",
    "09_backpropagation_in_parallel",
]
SAID = ["**Aims.**", "**Prerequisites.**", "**Time.**", "**Device.**"]
CLOSING = ["## Summary", "## Exercises", "## Sources"]
WIDTH = 80  # of a line of code


@pytest.fixture(params=WHOLE)
def lecture(request: pytest.FixtureRequest) -> str:
    """The text of a lecture."""
    return (FOLDER / f"{request.param}.md").read_text()


@pytest.fixture(params=WHOLE)
def with_solutions(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The text of a lecture and that of its solutions."""
    name = f"{request.param}.md"
    return (FOLDER / name).read_text(), (FOLDER / "solutions" / name).read_text()


def of_kind(text: str, kind: str) -> list[str]:
    return [label for label, at in directives.labels(text).items() if at.kind == kind]


def test_the_lectures_are_numbered_once() -> None:
    numbers = [path.stem[:2] for path in LECTURES]
    assert len({*numbers}) == len(numbers)
    assert {*WHOLE} <= {path.stem for path in LECTURES}


def test_a_lecture_says_what_it_is_for_and_closes_with_its_sources(lecture: str) -> None:
    places = [lecture.index(words) for words in ("# ", *SAID, *CLOSING)]
    assert places == sorted(places)
    assert lecture.index(SAID[-1]) < lecture.index("\n## ")
    assert re.findall(r"^## .*", lecture, re.MULTILINE)[-3:] == CLOSING
    sources = lecture.partition("## Sources")[2]
    assert len(re.findall(r"^- .*?\]\(https://", sources, re.MULTILINE | re.DOTALL)) >= 2


def test_the_time_to_read_is_that_of_its_words(lecture: str) -> None:
    """From 50 to 200 words a minute: mathematics and programs are read slowly."""
    minutes = int(re.search(r"\*\*Time\.\*\* (\d+) minutes", lecture)[1])
    assert 50 <= len(lecture.split()) / minutes <= 200


def test_there_are_six_exercises_of_three_levels(lecture: str) -> None:
    of = [at for at in directives.labels(lecture).values() if at.kind == "exercise"]
    assert len(of) >= 6
    assert {at.level for at in of} == {*directives.LEVELS}


def test_numbered_equations_and_theorems_are_referred_to(with_solutions: tuple[str, str]) -> None:
    text = "".join(with_solutions)
    referred = {label for _, label in directives.REFERENCE.findall(text)}
    labels = directives.labels(with_solutions[0])
    assert of_kind(with_solutions[0], "equation")
    assert {label for label, at in labels.items() if at.kind != "exercise"} <= referred
    assert directives.labels(with_solutions[1]) == {}


def test_labels_carry_the_number_of_the_lecture() -> None:
    for path in LECTURES:
        for label in directives.labels(path.read_text()):
            assert re.match(rf"(eq|ex|thm)-{path.stem[:2]}-", label), label


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_texts_are_not_paired_by_jupytext(path: Path) -> None:
    """A copy in plain Markdown that jupytext wrote back would lose the directives."""
    assert "formats:" not in path.read_text().partition("# ")[0]


def test_lines_of_code_fit(with_solutions: tuple[str, str]) -> None:
    for text in with_solutions:
        for cell in jupytext.reads(text, fmt="md:myst").cells:
            if cell.cell_type == "code":
                assert [line for line in cell.source.splitlines() if len(line) > WIDTH] == []


def test_lectures_name_the_address_nowhere() -> None:
    """Install cells and links are made from pyproject.toml, and stand or fall together."""
    cells = install.front("notebooks/01.ipynb")
    assert bool(cells) == bool(install.PROJECT.get("urls", {}).get("Repository"))
    for path in NOTEBOOKS:
        assert not re.search(r"pip install|colab\.research|git\+", path.read_text()), path
