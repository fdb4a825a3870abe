"""The tables of docs/lecturers.md say what the lectures' headers and exercises say."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "lecturers.md"
LECTURES = sorted((ROOT / "notebooks").glob("[0-9]*.md"))


def _needs(path: Path) -> str:
    """One row of *What each lecture takes*: the lectures named as prerequisites, and the extra."""
    text = path.read_text()
    (time,) = re.findall(r"^\*\*Time\.\*\* (.+?)\.", text, re.MULTILINE)
    (before,) = re.findall(r"^\*\*Prerequisites\.\*\* (.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    numbers = sorted({*re.findall(r"\b0\d\b", before)} - {path.stem[:2]})
    needs = [number for number in numbers if number < path.stem[:2]]
    if "jnn[sklearn]" in before:
        needs.append("scikit-learn")
    (title,) = re.findall(r"^# (.+)$", text.partition("```{code-cell}")[0], re.MULTILINE)
    link = f"[{title}](lectures/{path.stem}.ipynb)"
    return f"| {path.stem[:2]} | {link} | {time} | {', '.join(needs) or '–'} |"


def _exercises(path: Path) -> str:
    """One row of *Exercises by difficulty*."""
    found = re.findall(
        r"^:::\{exercise\} (.+)\n:label: .+\n:class: (\w+)$", path.read_text(), re.MULTILINE
    )
    levels = ["; ".join(t for t, l in found if l == level) for level in ("easy", "medium", "hard")]
    return f"| {path.stem[:2]} | {' | '.join(levels)} |"


def test_the_table_of_times_and_needs_is_that_of_the_lectures() -> None:
    expected = [_needs(path) for path in LECTURES]
    found = re.findall(r"^\| \d\d \| \[.*$", PAGE.read_text(), re.MULTILINE)
    assert found == expected, "the rows must be:\n" + "\n".join(expected)


def test_the_table_of_exercises_is_that_of_the_lectures() -> None:
    expected = [_exercises(path) for path in LECTURES]
    assert all(row.count("; ") >= 3 for row in expected)
    section = PAGE.read_text().partition("## Exercises by difficulty")[2].partition("\n## ")[0]
    found = re.findall(r"^\| \d\d \|.*$", section, re.MULTILINE)
    assert found == expected, "the rows must be:\n" + "\n".join(expected)
