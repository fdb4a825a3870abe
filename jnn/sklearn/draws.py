"""What scikit-learn draws from `random_state`, in its sequence: weights, then orders of visits."""

from itertools import pairwise

import numpy as np

from jnn.activations import ActivationLike


def glorot(
    random: np.random.RandomState, sizes: list[int], activation: ActivationLike, dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases, layer by layer, of U(−r, r) with r = √(6/(n_in + n_out)).

    Before the logistic function r is √(2/(n_in + n_out)), in all layers.

    Args:
      random: the generator.
      sizes: (n_0, …, n_N).
      activation: of the hidden layers.
      dtype: of the result; drawn in float64.
    Source: Glorot and Bengio 2010.

    >>> coefs, intercepts = glorot(np.random.RandomState(0), [2, 3], "relu", np.dtype(float))
    >>> coefs[0].shape, intercepts[0].shape
    ((2, 3), (3,))
    """
    factor = 2.0 if activation == "logistic" else 6.0
    coefs, intercepts = [], []
    for n_in, n_out in pairwise(sizes):
        r = np.sqrt(factor / (n_in + n_out))
        coefs.append(random.uniform(-r, r, (n_in, n_out)).astype(dtype, copy=False))
        intercepts.append(random.uniform(-r, r, n_out).astype(dtype, copy=False))
    return coefs, intercepts


class Orders:
    """The orders in which epochs visit the rows: each a shuffle of the one before.

    They are drawn some epochs ahead. A generator that is the user's, not a seed's, is left as it is
    after the epochs that took place: `rewind` says how many.
    """

    def __init__(self, random: np.random.RandomState, n: int, length: int, is_seed: bool) -> None:
        self.random = random
        self.order = np.arange(n)
        self.length = length
        self.is_seed = is_seed
        self.drawn = 0
        self.marks: list[tuple[int, np.ndarray, dict]] = []

    def draw(self, count: int, rows: int) -> np.ndarray:
        """(rows, length): orders of `count` epochs, the rows that fill up the data last."""
        self._mark()
        orders = np.zeros((rows, self.length), np.int32)
        orders[:] = np.arange(self.length)
        for i in range(count):
            self._shuffle()
            orders[i, : len(self.order)] = self.order
        return orders

    def rewind(self, epochs: int) -> None:
        """As if so many epochs' orders had been drawn; of a seed nobody will draw again."""
        if self.is_seed:
            return
        self._mark()
        drawn, order, state = next(mark for mark in reversed(self.marks) if mark[0] <= epochs)
        self.drawn, self.order = drawn, order.copy()
        self.random.set_state(state)
        while self.drawn < epochs:
            self._shuffle()

    def _shuffle(self) -> None:
        self.random.shuffle(self.order)
        self.drawn += 1

    def _mark(self) -> None:
        if not self.is_seed:
            state = self.random.get_state(legacy=False)
            # a chunk ahead is drawn while one runs: older ones are done with
            self.marks = [*self.marks[-2:], (self.drawn, self.order.copy(), state)]
