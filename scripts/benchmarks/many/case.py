"""Many training runs as data: what every contestant is given, and one yardstick for its losses."""

from typing import NamedTuple

import jax
import numpy as np

import jnn

RATE, EPSILON = 1e-3, 1e-8  # of Adam
Layers = list[tuple[np.ndarray, np.ndarray]]  # (M, n_out, n_in) and (M, n_out)


class Case(NamedTuple):
    """M networks 1–W–W–1, tanh, half squares, Adam, on n points of a logarithm."""

    width: int
    batch: int
    epochs: int
    layers: Layers  # at the start
    x: np.ndarray  # (n, 1)
    y: np.ndarray  # (n, 1)
    order: np.ndarray | None = None  # (epochs, n); None: that of the data

    @property
    def members(self) -> int:
        """How many networks there are."""
        return len(self.layers[0][0])

    @property
    def visits(self) -> np.ndarray:
        """(epochs, n) rows as they are visited."""
        rows = np.arange(len(self.x), dtype=np.int32)
        return np.tile(rows, (self.epochs, 1)) if self.order is None else self.order

    @property
    def steps(self) -> int:
        """Updates of a member; the last of an epoch may be of fewer examples."""
        return self.epochs * -(-len(self.x) // self.batch)

    def first(self, members: int | None, part: int = 1) -> "Case":
        """The first members (None: all), for a part of the epochs."""
        epochs = -(-self.epochs // part)
        return self._replace(
            epochs=epochs,
            layers=[(w[:members], b[:members]) for w, b in self.layers],
            order=None if self.order is None else self.order[:epochs],
        )

    def losses(self, layers: Layers) -> np.ndarray:
        """(M,) losses over all rows, in float64."""
        x = self.x.T.astype(np.float64)[None]  # (1, n_0, n)
        for l, (w, b) in enumerate(layers, start=1):
            x = np.asarray(w, np.float64) @ x + np.asarray(b, np.float64)[:, :, None]
            x = np.tanh(x) if l < len(layers) else x
        return np.mean((x - self.y.T) ** 2, axis=(1, 2)) / 2


def case(width: int, batch: int, epochs: int, members: int) -> Case:
    """A case whose rows are visited in a new order in every epoch."""
    x, y = (np.asarray(a, np.float32) for a in jnn.data.logarithm(200))
    rows = np.tile(np.arange(len(x), dtype=np.int32), (epochs, 1))
    order = np.random.default_rng(0).permuted(rows, axis=1)
    layers = layers_of(drawn([1, width, width, 1], members))
    return Case(width, batch, epochs, layers, x, y, order)


def drawn(sizes: list[int], members: int) -> jnn.Params:
    """Networks of jnn's, leaves (members, …)."""
    keys = jax.random.split(jax.random.key(0), members)
    return jax.jit(jax.vmap(lambda key: jnn.init_network_params(sizes, key)))(keys)


def layers_of(members: jnn.Params) -> Layers:
    """Layer by layer, what jnn keeps in stacks."""
    return [(np.asarray(w), np.asarray(b)) for w, b in jax.vmap(jnn.layers)(members)]
