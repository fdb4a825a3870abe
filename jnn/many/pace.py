"""How many epochs a chunk has."""

LOOK_SECONDS = 0.5  # of all groups, between two looks of the host
_GAIN = 1.1  # by less a longer chunk is no faster: calls cost a tenth of it at most


class Pace:
    """Chunks of half a second, or longer ones where the calls of many programs cost that much.

    A call takes milliseconds beside what it trains, so that a chunk of a single epoch of forty
    structures took as long as one of ten. Chunks are doubled while an epoch becomes cheaper; as
    members end, what counts is an epoch of one.

    Args:
      epochs: of the first chunk, whose time says nothing: programs are compiled in it.

    >>> pace, lengths = Pace(1), []
    >>> for _ in range(8):  # calls take three seconds, each epoch one
    ...     lengths.append(pace.chunk)
    ...     pace.took(pace.chunk, members=10, seconds=3.0 + pace.chunk)
    >>> lengths
    [1, 1, 2, 4, 8, 16, 32, 16]
    """

    def __init__(self, epochs: int) -> None:
        self.chunk = epochs
        self._compiles = self._growing = True
        self._best = 0.0  # epochs of members in a second
        self._least = 1

    def took(self, epochs: int, members: int, seconds: float) -> None:
        """A chunk of so many epochs of so many members took so long."""
        seconds = max(seconds, 1e-6)
        self.chunk = max(1, min(4 * epochs, int(epochs / seconds * LOOK_SECONDS)))
        if self._compiles:
            self._compiles = False
        elif self._growing:
            speed = epochs * members / seconds
            if speed > _GAIN * self._best:
                self._best, self._least = speed, epochs
                self.chunk = max(self.chunk, 2 * epochs)
            else:
                self._growing = False
        self.chunk = max(self.chunk, self._least)
