"""Designs: which values the options of many networks take together."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from jnn import arrays

_MOST = 10**7  # rows of a design; more is a slip, not a search


def grid(**levels: Iterable[Any]) -> dict[str, np.ndarray]:
    """The full factorial design: every combination of the levels, the last name varies fastest.

    The columns go to `fit_many` as arrays, one entry for each member.

    Args:
      levels: under each name the values that it takes, one or more.
    Returns:
      Under each name a column (M,), M the product of the numbers of levels.
    Raises:
      ValueError: no names, a name without values, values that are no column, or more than 10⁷ rows.

    >>> design = grid(learning_rate=[0.01, 0.1], seed=range(3))
    >>> design["seed"].tolist()
    [0, 1, 2, 0, 1, 2]
    >>> design["learning_rate"].tolist()
    [0.01, 0.01, 0.01, 0.1, 0.1, 0.1]
    """
    if not levels:
        raise ValueError("grid has no levels: give some, grid(learning_rate=[0.01, 0.1])")
    columns = {name: _column(name, values) for name, values in levels.items()}
    rows = math.prod(map(len, columns.values()))
    if rows > _MOST:
        shown = " × ".join(str(len(column)) for column in columns.values())
        raise ValueError(f"grid has {shown} = {rows} rows, allowed are {_MOST}: give fewer levels")
    index = np.indices([len(column) for column in columns.values()])
    return {
        name: column[which.ravel()]
        for (name, column), which in zip(columns.items(), index, strict=True)
    }


def _column(name: str, values: Iterable[Any]) -> np.ndarray:
    if isinstance(values, dict):
        raise ValueError(f"levels of {name} are a dict; give a list of them, list({name})")
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise ValueError(f"levels of {name} are {values!r}; give a list, {name}=[{values!r}]")
    if not hasattr(values, "dtype"):
        values = list(values)
        nested = any(isinstance(value, (list, tuple, dict)) for value in values)
        if nested or len({isinstance(value, str) for value in values}) > 1:
            raise ValueError(
                f"levels of {name} are {values!r}; they must be numbers, or texts: for anything "
                f"else give its number, {name}=range({len(values)})"
            )
    column = arrays.array(name, values)
    if column.ndim != 1 or len(column) == 0:
        raise ValueError(
            f"levels of {name} have shape {column.shape}; they must be a list of one or more values"
        )
    return column
