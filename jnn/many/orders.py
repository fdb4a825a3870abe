"""The orders in which members visit their examples, epoch by epoch."""

from itertools import cycle
from typing import Any

import numpy as np

from jnn.data.splits import host_generator
from jnn.many.sources import Sources
from jnn.training.options import Plan

_EPOCHS = 512  # the most of one call
_ENTRIES = 2**20  # of the orders handed to one group at once


class Orders:
    """Orders of visits, drawn once for all members that have the same key and as many examples.

    Args:
      plan: whether examples are shuffled, and whether their places matter.
      sources: the rows.
      keys: one for all members, or M.
      group: how many members a call of a program trains, at most.
    """

    def __init__(self, plan: Plan, sources: Sources, keys: list[Any], group: int) -> None:
        self.shuffle = plan.shuffle
        self.shared = len(keys) == 1  # the few streams that there are serve every group
        n = sources.n if sources.of is None else sources.n[sources.of]
        if self.shared:
            self.n, self.stream = np.unique(n, return_inverse=True)
        else:
            self.n, self.stream = np.broadcast_to(n, len(keys)), np.arange(len(keys))
        self.own = len(self.n) > 1
        visits = np.append(
            np.arange(sources.data.x.shape[sources.own]), np.zeros(sources.size, int)
        )
        self.in_order = visits.astype(np.int32)
        self.generators: list[np.random.Generator] = []
        self.visited = bool(sources.size and (plan.shuffle or plan.dropout_rate))
        if self.visited and plan.shuffle:
            self.generators = [host_generator(key) for key, _ in zip(cycle(keys), self.n)]
        self.rows = max(1, min(_EPOCHS, _ENTRIES // (len(visits) * (group if self.own else 1))))
        self.drawn: Any = None

    def draw(self, count: int) -> None:
        """Those of the next epochs, so many, where they serve every group."""
        if self.visited and self.shared:
            self.drawn = self._drawn(range(len(self.n)), count)

    def of(self, members: np.ndarray, count: int) -> np.ndarray | None:
        """(m, R, length) of some members, or (R, length) where all have one; None: as data lie.

        To be asked once for each member after `draw`.
        """
        if not self.visited:
            return None
        if not self.shared:
            return self._drawn(members, count)
        return self.drawn[self.stream[members]] if self.own else self.drawn[0]

    def _drawn(self, streams: Any, count: int) -> np.ndarray:
        orders = np.tile(self.in_order, (len(streams), self.rows, 1))
        if self.shuffle:
            for order, i in zip(orders, streams, strict=True):
                part = order[:count, : self.n[i]]
                order[:count, : self.n[i]] = self.generators[i].permuted(part, axis=1)
        return orders
