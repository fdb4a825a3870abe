"""The tables of docs/lecturers.md say what the lectures' headers and exercises say."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "lecturers.md"


def _row(path: Path) -> str:
    text = path.read_text()
    (time,) = re.findall(r"^\*\*Time\.\*\* (.+?)\.", text, re.MULTILINE)
    levels = re.findall(r"^:class: (easy|medium|hard)$", text, re.MULTILINE)
    counts = " | ".join(str(levels.count(level)) for level in ("easy", "medium", "hard"))
    return f"| `{path.stem}` | {time} | {counts} |"


def test_the_table_of_times_and_exercises_is_that_of_the_lectures() -> None:
    expected = [_row(path) for path in sorted((ROOT / "notebooks").glob("[0-9]*.md"))]
    found = re.findall(r"^\| `\d\d_.*$", PAGE.read_text(), re.MULTILINE)
    assert found == expected, "the rows must be:\n" + "\n".join(expected)
