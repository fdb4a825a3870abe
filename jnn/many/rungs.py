"""Rungs, at which the worst of the members that are left end: successive halving."""

import math
from typing import NamedTuple

import numpy as np

from jnn.many.parts import Part, columns
from jnn.training.stopping import Reason


class Rungs(NamedTuple):
    """How many epochs the best are to run, and where the others end.

    >>> Rungs(10, (5,), 0.5).survivors(np.array([0.3, np.nan, 0.1, 0.2]), 5).tolist()
    [False, False, True, True]
    """

    epochs: int
    at: tuple[int, ...] = ()  # epochs, ascending; several may fall on one
    keep: float = 1.0  # the share that goes on at each

    def ahead(self, done: int) -> int:
        """How many epochs there are to the next rung, or to the end."""
        return next(at for at in (*self.at, self.epochs) if at > done) - done

    def survivors(self, losses: np.ndarray, epoch: int) -> np.ndarray:
        """(M,), who goes on at the rung of that epoch; NaN is no loss to go on with.

        Args:
          losses: (M,), infinite of those that ended at an earlier rung.
        """
        share = self.keep ** sum(at <= epoch for at in self.at)
        count = max(1, math.ceil(len(losses) * share - 1e-9))  # ⌈10 · 0.1⌉ is 1
        best = np.zeros(len(losses), bool)
        best[np.argsort(losses, kind="stable")[:count]] = True  # NaN comes last
        return best

    def halve(self, parts: list[Part], epoch: int, *, name: str, at_best: bool) -> None:
        """End those that do not go on, where the rung of that epoch is reached.

        Args:
          parts: all members.
          name: of the loss in their history that judges them.
          at_best: whether the parameters of the best epoch are the result: their loss, then.
        """
        if epoch not in self.at:
            return
        history = columns(parts)[name]
        losses = np.full(len(history), np.inf)
        for part in parts:
            of_part = history[part.places]
            last = np.maximum(part.states.epoch - 1, 0)
            judged = np.take_along_axis(of_part, last[:, None], 1)[:, 0]
            if at_best:
                judged = np.where(np.isnan(of_part), np.inf, of_part).min(axis=1)
            out = part.states.reason == int(Reason.HALVED)
            losses[part.places] = np.where(out, np.inf, judged)
        best = self.survivors(losses, epoch)
        for part in parts:
            running = part.states.reason == int(Reason.RUNNING)
            part.states.reason[running & ~best[part.places]] = int(Reason.HALVED)
