"""The README's Python, run as a reader would: all blocks in order, in one session."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_every_block_runs(capsys: pytest.CaptureFixture[str], as_a_user) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    session: dict[str, object] = {}
    for block in blocks:
        exec(block, session)
    printed = capsys.readouterr().out
    assert printed.startswith("300 epochs, loss 0.1")
    assert "all pairs agree" in printed
