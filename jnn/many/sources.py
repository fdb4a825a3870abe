"""The rows that the members train on, those of all or of each."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.checks import Thing
from jnn.data.rows import Rows, filled_up
from jnn.data.streams import is_stream
from jnn.params import Params
from jnn.training.compiled import Length
from jnn.training.options import Plan
from jnn.training.sources import checked_sources


class Sources(NamedTuple):
    """What the members train on, on the host; with a leading M where each has its own rows."""

    data: Rows
    validation: Rows | None
    n: int
    size: int  # examples a step; 0: all
    length: Length
    own: bool  # whether each has its own


def of_members(
    plan: Plan, params: Params, data: Thing, validation: Thing, keys: list[Any]
) -> Sources:
    """Checked rows of all members, or of each, where each splits off its own validation rows.

    Args:
      plan, params: the options, and one of the networks.
      data, validation: as given.
      keys: one for all, or M.
    Raises:
      ValueError, TypeError: as `fit`'s, or data are a stream.
    """
    if is_stream(data):
        raise TypeError("fit_many takes arrays (x, y): a stream gives each batch to one run, fit")
    own = len(keys) > 1 and validation is not None and np.ndim(validation) == 0
    every = [
        checked_sources(dataclasses.replace(plan, key=key), params, data, validation)
        for key in (keys if own else keys[:1])
    ]
    first: Any = every[0].train
    size = 0 if every[0].size == len(first.x) else every[0].size
    fills = plan.takes_weights
    trains = [_prepared(one.train, size, fills=fills) for one in every]
    held = [
        filled_up(one.validation, weights=True) if one.validation and fills else one.validation
        for one in every
    ]
    train, length = trains[0]
    rows: Any = (train, held[0])
    if own:
        pairs = [(train, one) for (train, _), one in zip(trains, held, strict=True)]
        rows = jax.tree.map(lambda *leaves: np.stack(leaves), *pairs)
    return Sources(*rows, n=len(first.x), size=size, length=length, own=own)


def _prepared(rows: Any, size: int, *, fills: bool) -> tuple[Rows, Length]:
    """Rows filled up to a few lengths, and what the program must know of their number."""
    n = len(rows.x)
    if fills:
        rows = filled_up(rows)
    return rows, Length(filled=len(rows.x) > n, even=n % (size or n) == 0)
