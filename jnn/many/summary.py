"""Quantiles of a loss over members, by the columns in which these differ: `print(fits)`."""

from collections.abc import Iterator, Mapping

import numpy as np

_FEW = 6  # values that have a row each; more of them are shared out among _BINS rows
_BINS = 4
_LEVELS = {"best": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "worst": 1.0}


def quantiles(title: str, losses: np.ndarray, columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    """The lines of a table: a row for all, then one for each value, or range, of each column.

    A quantile is the loss of one of the members: infinite ones would spoil a mean of two.

    Args:
      title: what the losses are.
      losses: (M,), infinite for a member that has none.
      columns: (M,) each; one that does not differ, or of many words, has no rows.

    >>> lines = quantiles("loss", np.array([3.0, 1.0, 2.0]), {"rate": np.array([0.1, 0.2, 0.2])})
    >>> print(*lines, sep="\\n")
    loss         n       best        25%     median        75%      worst
    all          3          1          1          2          3          3
    rate = 0.1   1          3          3          3          3          3
    rate = 0.2   2          1          1          1          2          2
    """
    rows = [("all", np.ones(len(losses), bool))]
    for name, column in columns.items():
        rows += [(f"{name} {of}", chosen) for of, chosen in _parts(column)]
    width = max(len(title), *(len(name) for name, _ in rows))
    count = max(4, len(str(len(losses))) + 2)
    yield f"{title:<{width}}{'n':>{count}}" + "".join(f"{level:>11}" for level in _LEVELS)
    for name, chosen in rows:
        found = np.quantile(losses[chosen], list(_LEVELS.values()), method="inverted_cdf")
        cells = "".join(f"{value:>11.4g}" for value in found)
        yield f"{name:<{width}}{chosen.sum():>{count}}{cells}"


def _parts(column: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What the members of a part have in common, and which they are."""
    values = np.unique(column)
    if len(values) < 2:
        return
    if len(values) <= _FEW:
        yield from ((f"= {_text(value)}", column == value) for value in values)
    elif column.dtype.kind in "iuf":
        # ranges of values, each of about as many different ones
        for part in np.array_split(values, _BINS):
            chosen = (column >= part[0]) & (column <= part[-1])
            yield f"{_text(part[0])} to {_text(part[-1])}", chosen


def _text(value: np.generic) -> str:
    return f"{value:.4g}" if value.dtype.kind == "f" else str(value)
