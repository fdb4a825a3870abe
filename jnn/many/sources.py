"""The rows that the members train on, those of all or of each."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.checks import Thing
from jnn.data.rows import Rows, filled_up
from jnn.data.streams import is_stream
from jnn.many.folded import Folded
from jnn.params import Params
from jnn.training import sources
from jnn.training.compiled import Length
from jnn.training.options import Plan
from jnn.training.sources import checked_sources


class Sources(NamedTuple):
    """What the members train on, on the host: one set of rows for all, or S sets, (S, …) a leaf."""

    data: Rows
    validation: Rows | None
    n: np.ndarray  # (S,) examples of each set, of one where all have the same
    size: int  # examples a step; 0: all
    length: Length
    of: np.ndarray | None  # (M,), which set each member has; None: all have the same

    @property
    def own(self) -> bool:
        """Whether members have sets of their own."""
        return self.of is not None

    @property
    def steps(self) -> np.ndarray:
        """(S,), of an epoch."""
        return -(-self.n // (self.size or self.n))

    def steps_of(self, members: np.ndarray) -> np.ndarray:
        """(m,), of an epoch of some members."""
        return self.steps[np.zeros(len(members), int) if self.of is None else self.of[members]]

    def taken(self, members: np.ndarray) -> tuple[Rows, Rows | None, Any]:
        """Rows, validation rows and their number n, (m, …) where each has its own."""
        of = self.of
        if of is None:
            return self.data, self.validation, self.n[0]
        every = (self.data, self.validation, self.n)
        return jax.tree.map(lambda leaf: leaf[of[members]], every)


def examples_a_step(plan: Plan, data: Thing) -> int:
    """How many examples a step takes, those included that validation may split off."""
    x = data.columns[0] if isinstance(data, Folded) else data[0]
    return sources.step_size(plan, len(x))


def of_members(
    plan: Plan, params: Params, data: Thing, validation: Thing, keys: list[Any]
) -> Sources:
    """Checked rows of all members, or of each, where each splits off its own validation rows.

    Args:
      plan, params: the options, and one of the networks.
      data, validation: as given, or `Folded` data, with their validation rows.
      keys: one for all, or M.
    Raises:
      ValueError, TypeError: as `fit`'s, or data are a stream.
    """
    if isinstance(data, Folded):
        return _sets(plan, data.sources(plan, params), data.of)
    if is_stream(data):
        raise TypeError("fit_many takes arrays (x, y): a stream gives each batch to one run, fit")
    own = len(keys) > 1 and validation is not None and np.ndim(validation) == 0
    every = [
        checked_sources(dataclasses.replace(plan, key=key), params, data, validation)
        for key in (keys if own else keys[:1])
    ]
    return _sets(plan, every, np.arange(len(keys)) if own else None)


def _sets(plan: Plan, every: list[sources.Sources], of: np.ndarray | None) -> Sources:
    """Sets of rows, filled up to one length."""
    trains: list[Any] = [one.train for one in every]
    n = np.array([len(train.x) for train in trains])
    sizes = [one.size for one in every]
    # of a set that is smaller than a step, one step takes all
    size = 0 if np.array_equal(sizes, n) else max(sizes)
    held: list[Any] = [one.validation for one in every]
    if plan.takes_weights:
        trains = [filled_up(rows, like=int(n.max())) for rows in trains]
        if held[0] is not None:
            most = max(len(rows.x) for rows in held)
            held = [filled_up(rows, weights=True, like=most) for rows in held]
    length = Length(filled=len(trains[0].x) > n.min(), even=not (n % (size or n)).any())
    rows: Any = (trains[0], held[0])
    if of is not None:
        pairs = zip(trains, held, strict=True)
        rows = jax.tree.map(lambda *leaves: np.stack(leaves), *pairs)
    return Sources(*rows, n=n, size=size, length=length, of=of)
