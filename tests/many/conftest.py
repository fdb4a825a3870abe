"""What the tests of many networks share."""

from types import SimpleNamespace
from typing import Any

import pytest

from jnn.many import host


@pytest.fixture
def an_epoch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one epoch, whatever it takes."""

    def pace(_: int) -> Any:
        return SimpleNamespace(chunk=1, within=lambda _: 1, took=lambda *_: None)

    monkeypatch.setattr(host, "Pace", pace)
