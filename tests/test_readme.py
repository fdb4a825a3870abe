"""The Python of the README and of docs/, run as a reader would: all blocks of a page in order."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(page: str) -> int:
    """Run all blocks of a page in one session; how many there are."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    session: dict[str, object] = {}
    for block in blocks:
        exec(block, session)
    return len(blocks)


@pytest.mark.slow
def test_every_block_runs(capsys: pytest.CaptureFixture[str], as_a_user) -> None:
    assert run("README.md") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("300 epochs, loss 0.1088 → 7.")
    assert "all pairs agree" in printed
    assert "vanishing" in printed


@pytest.mark.slow
def test_every_block_of_the_tour_runs(capsys: pytest.CaptureFixture[str], as_a_user) -> None:
    assert run("docs/tour.md") > 5
    assert "all pairs agree" in capsys.readouterr().out


def test_every_block_on_devices_runs(capsys: pytest.CaptureFixture[str], as_a_user) -> None:
    assert run("docs/devices.md") == 4
    assert capsys.readouterr().out.endswith("float64\n")


def test_no_page_is_forgotten() -> None:
    """Every page of docs/ is linked from the README, and its Python is run above."""
    pages = {f"docs/{page.name}" for page in ROOT.glob("docs/*.md")} - {"docs/index.md"}
    readme = (ROOT / "README.md").read_text()
    assert [page for page in pages if f"({page})" not in readme] == []
    assert {page for page in pages if "```python" in (ROOT / page).read_text()} == {
        "docs/devices.md",
        "docs/tour.md",
    }


def test_nobody_is_told_to_install_another_project() -> None:
    """`jnn` on the package index is somebody else's; the distribution is `jnn-jax`."""
    told = re.compile(r"pip install [^`\n]*?\bjnn(?![-\w.])")
    texts = [
        path
        for folder in ("jnn", "docs", "notebooks", "scripts")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".ipynb")
    ]
    for path in [*texts, ROOT / "CONTRIBUTING.md"]:
        assert not told.search(path.read_text()), path
    assert told.findall((ROOT / "README.md").read_text()) == ["pip install jnn"]  # "Never …"
