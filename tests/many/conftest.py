"""What the tests of many networks share."""

import pytest

from jnn.many import host
from jnn.many.pace import Pace


class AnEpoch(Pace):
    """Chunks of one epoch, whatever it takes."""

    def took(self, epochs: int, calls: int, seconds: float) -> None:
        """Nothing to learn from."""


@pytest.fixture
def an_epoch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "Pace", lambda _: AnEpoch(1))
