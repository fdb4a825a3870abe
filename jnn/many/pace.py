"""How many epochs a chunk has."""

LOOK_SECONDS = 0.5  # between two looks of the host
# A call takes 2 to 5 ms of both cores beside what it trains: where there are many, a look waits
# until they are a tenth of it, but no longer than a user would.
_OF_A_CALL, _MOST = 0.025, 5.0


class Pace:
    """Chunks of half a second, or longer ones where that is but a few milliseconds of a call.

    Args:
      epochs: of the first chunk.

    >>> pace, lengths = Pace(1), []
    >>> for _ in range(6):  # each epoch of 100 groups takes a tenth of a second
    ...     lengths.append(pace.chunk)
    ...     pace.took(pace.chunk, calls=100, seconds=0.1 * pace.chunk)
    >>> lengths  # 2.5 seconds
    [1, 4, 16, 25, 25, 25]
    >>> pace.within(1.0)
    10
    """

    def __init__(self, epochs: int) -> None:
        self.chunk = epochs
        self._speed = 0.0  # epochs in a second

    def took(self, epochs: int, calls: int, seconds: float) -> None:
        """A chunk of so many epochs took so many calls and so long."""
        self._speed = epochs / max(seconds, 1e-6)
        look = max(LOOK_SECONDS, min(_OF_A_CALL * calls, _MOST))
        self.chunk = max(1, min(4 * epochs, int(self._speed * look)))

    def within(self, seconds: float) -> int:
        """A chunk that ends before so many seconds have passed, if one epoch does."""
        return max(1, min(self.chunk, int(self._speed * seconds))) if self._speed else self.chunk
