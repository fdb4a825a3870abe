"""The cells of the table of depth; only the standard library is needed to read them."""

import argparse
from typing import NamedTuple


class Cell(NamedTuple):
    """So many layers of one width, and the rows of a batch."""

    depth: int
    width: int
    batch: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


def default_cells(quick: bool) -> list[Cell]:
    """Those of the whole table, or a few."""
    if quick:
        depths, widths, batches = (100, 1000), (1, 8), (1, 32)
    else:
        depths, widths, batches = (100, 1_000, 10_000), (1, 8, 16, 32, 64), (1, 32)
    return [Cell(depth, n, batch) for n in widths for batch in batches for depth in depths]


def sweep_cells(quick: bool) -> list[Cell]:
    """Those of `scripts/bench --gpu`, which CPUs' tables have as well, the foremost first."""
    text = "1000x8x32,10000x8x1,1000x8x1,10000x8x32,1000x64x32,1000x16x32,10000x16x32,10000x64x32"
    return parse_cells("100x4x4,1000x8x1" if quick else text)


def parse_cells(text: str) -> list[Cell]:
    """The cells that a command line names, as in 1000x8x32,10000x8x1.

    >>> parse_cells("1000x8x32")
    [Cell(depth=1000, width=8, batch=32)]
    """
    return [_cell(word) for word in text.split(",")]


def _cell(word: str) -> Cell:
    numbers = word.split("x")
    if len(numbers) != 3 or not all(map(_is_positive, numbers)):
        raise argparse.ArgumentTypeError(
            f"{word!r} is not a cell; expected depth, width and batch as in 1000x8x32, "
            "commas between cells"
        )
    return Cell(*map(int, numbers))


def _is_positive(text: str) -> bool:
    # int() refuses numbers of thousands of digits with a message of its own
    return text.isascii() and text.isdecimal() and len(text) < 20 and int(text) > 0
