"""The committed results as a page: of each study the newest table, with its machine."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = (ROOT / "scripts" / "benchmarks" / "results", ROOT / "scripts" / "studies" / "results")
_NAME = re.compile(r"(?P<study>[a-z_]+)_(?P<machine>[a-z]+_jax.+)_(?P<date>\d{4}-\d\d-\d\d)")
# A contestant, two numbers or more, and how many times the time of jnn that is.
_ROW = re.compile(r"(?P<who>\S.*?) {2,}(?P<numbers>[-–\d., e+]+) {2,}(?P<ratio>\d+\.\d+)")


def newest() -> dict[str, Path]:
    """The newest table of each study, of the newest JAX where one day has several."""
    found: dict[str, Path] = {}
    paths = [path for folder in FOLDERS for path in folder.glob("*.txt")]
    for path in sorted(paths, key=lambda path: (_parts(path)["date"], path.stem)):
        found[_parts(path)["study"]] = path
    return dict(sorted(found.items()))


def _parts(path: Path) -> re.Match[str]:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise ValueError(f"{path.name} is not named STUDY_MACHINE_DATE.txt")
    return match


def page() -> str:
    """The page in Markdown."""
    parts = [
        "# Results, as they were measured\n",
        "Of each benchmark and study the newest table that is committed, as "
        "`scripts/bench --save`\n"
        "and the studies wrote it. *Times jnn* is the time over that of jnn on the same data.\n",
    ]
    for study, path in newest().items():
        text = path.read_text()
        machine, _, rest = text.partition("\n")
        title = study.replace("_", " ").capitalize()
        parts.append(f"\n## {title}\n\n**Measured:** {machine.strip()}\n")
        ratios, whole = _ratios(rest), f"```text\n{rest.strip()}\n```\n"
        parts += [*ratios, f":::{{dropdown}} The whole table\n{whole}:::\n"] if ratios else [whole]
    return "\n".join(parts)


def _ratios(text: str) -> list[str]:
    """One line a problem: who took how many times the time of jnn."""
    rows = []
    for block in text.split("\n\n"):
        title, _, body = block.strip().partition("\n")
        if "× jnn" not in body or ":" not in title:
            continue
        found = [match for line in body.splitlines() if (match := _ROW.fullmatch(line.strip()))]
        told = [f"{m['who']} {float(m['ratio']):.2f}" for m in found if float(m["ratio"]) != 1]
        if told:
            rows.append(f"| {title.partition(':')[0]} | {'; '.join(told)} |")
    return ["\n| problem | times jnn |\n|---|---|\n" + "\n".join(rows) + "\n"] if rows else []
