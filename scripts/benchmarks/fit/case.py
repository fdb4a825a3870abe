"""A training run as data, and what a library makes of it; only NumPy is needed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]  # (W, b) of shapes (n_out, n_in) and (n_out,)


class Training(NamedTuple):
    """A training run: n_0 inputs, `depth` hidden layers of one width, n_N outputs."""

    sizes: list[int]
    activation: str
    loss: str  # "mse" or "cross_entropy"
    batch: int
    epochs: int
    x: np.ndarray
    y: np.ndarray
    parameters: np.ndarray  # W_1, b_1, W_2, … in one vector
    rate: float = 1e-3
    epsilon: float = 1e-8

    @property
    def layers(self) -> Layers:
        """The initial parameters layer by layer."""
        layers: Layers = []
        start = 0
        for n_in, n_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            end = start + n_out * (n_in + 1)
            w, b = np.split(self.parameters[start:end], [n_out * n_in])
            layers.append((w.reshape(n_out, n_in), b))
            start = end
        return layers

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_0, width, hidden layers, n_N)."""
        return self.sizes[0], self.sizes[1], len(self.sizes) - 2, self.sizes[-1]

    @property
    def steps(self) -> int:
        """Updates of the whole run."""
        return self.epochs * -(-len(self.x) // self.batch)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of one epoch; the last may be smaller."""
        for start in range(0, len(self.x), self.batch):
            yield self.x[start : start + self.batch], self.y[start : start + self.batch]

    def shortened(self, steps: int) -> "Training":
        """The same run after fewer steps: whole epochs, or a part of the first one.

        Where gradients are as small as ε, it matters whether ε is added before or after the bias
        correction, and libraries differ there: ε is so small here that it does not.
        """
        rows = min(len(self.x), steps * self.batch)
        epochs = max(1, steps // -(-len(self.x) // self.batch))
        return self._replace(x=self.x[:rows], y=self.y[:rows], epochs=epochs, epsilon=1e-12)

    def full_loss(self, layers: Layers) -> float:
        """The loss over all rows, in float64: one yardstick for all contestants."""
        x = self.x.astype(np.float64)
        for l, (w, b) in enumerate(layers, start=1):
            x = x @ np.asarray(w, np.float64).T + b
            if l < len(layers):
                x = np.tanh(x) if self.activation == "tanh" else np.maximum(x, 0)
        if self.loss == "mse":
            return float(np.mean((x - self.y) ** 2))
        x = x - x.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(x).sum(axis=1))
        return float(np.mean(log_sum - x[np.arange(len(x)), self.y]))

    def save(self, path: Path) -> None:
        """Write the run to a file."""
        np.savez(path, **self._asdict())

    @classmethod
    def load(cls, path: Path) -> "Training":
        """Read the run from its file."""
        with np.load(path) as file:
            fields: dict[str, Any] = {name: file[name] for name in file}
        for name, array in fields.items():
            if not array.ndim or name == "sizes":
                fields[name] = array.tolist()
        return cls(**fields)


class Trainer(NamedTuple):
    """A library, ready for one training run."""

    run: Callable[[], Any]  # the whole run, until the last number is there
    read: Callable[[Any], Layers]  # what it left
