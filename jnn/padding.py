"""Lengths of data, filled up to a few: a new shape is a new program."""

import math

import numpy as np


def longer(n: int) -> int:
    """The length that n rows are filled up to, a multiple of a power of two near n^0.6.

    That is 12% more of 200 rows, 4% of 2,000, and less of more.

    >>> [longer(n) for n in (1, 33, 200, 201, 212, 2_000, 100_000)]
    [2, 48, 224, 224, 224, 2048, 100352]
    """
    step = 2 ** math.ceil(0.6 * math.log2(n)) if n > 1 else 2
    return -(-n // step) * step


def filled_up(array: np.ndarray, length: int) -> np.ndarray:
    """As long as that, by copies of the first row: a function may not be finite at zero.

    >>> filled_up(np.array([3.0, 4.0]), 4)
    array([3., 4., 3., 3.])
    """
    more = length - len(array)
    return np.concatenate([array, np.repeat(array[:1], more, axis=0)]) if more else array
