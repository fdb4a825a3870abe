"""The result of `fit`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jnn.equality import by_value
from jnn.params import Params

# Why a run ended, in words: after "stopped: ".
STOPPED = {
    "epochs": "all epochs done",
    "diverged": "loss or parameters were no longer finite",
    "target": "the target was reached",
    "patience": "no improvement for as many epochs as patience allows",
    "tolerance": "the loss changed by no more than the tolerance",
    "gradient": "the gradient was as small as asked for",
    "converged": "no step lowers the loss any more",
    "seconds": "the time was up",
    "interrupted": "interrupted (Ctrl-C)",
    "halved": "others had smaller losses (successive halving)",
    "stream": "the stream ended",
    "progress": "the progress function asked for it",
}
_SAID = ("loss", "validation_loss", "learning_rate", "gradient_norm")


@by_value
@dataclass(frozen=True, eq=False)
class Fit:
    """What a training run leaves: parameters, history, why it stopped, timings. `print` it.

    `history` holds an array, one number an epoch, under each name:

    - "loss": what is minimised (penalty included), the mean over the epoch's minibatches as they
      were visited; or, where a rule looks at it (patience, plateau or stop without validation data,
      tolerance and gradient always), that of the parameters after the epoch, without dropout;
    - "validation_loss": on the validation data after the epoch, without penalty, dropout or label
      smoothing; it is the monitored loss where there is one, else "loss" is where a rule looks;
    - the names of the metrics, on the training data after the epoch, and "validation_…" of them;
    - "learning_rate": at the end of the epoch, where the optimizer is one of `jnn.OPTIMIZERS` with
      a rate;
    - "gradient_norm": of the epoch's last minibatch, before its step and before any clipping;
    - the names of `watch`: (epochs, N), a number for each layer, after the epoch.
    """

    params: Params  # to use: the best where patience was given, else the last
    last_params: Params  # the last finite ones
    best_params: Params  # of the best epoch
    best_epoch: int  # from 1: the last that improved the monitored loss, or the last; 0 for none
    history: dict[str, np.ndarray]
    stopped: str  # a key of STOPPED
    compile_seconds: float
    run_seconds: float  # that of earlier sessions included, where the run was resumed
    resumed: int = 0  # the epoch that this session began after
    optimizer_state: Any = None  # after the last epoch, for `fit(optimizer_state=)`

    @property
    def epochs(self) -> int:
        """How many epochs were run, a last one that diverged included."""
        return len(self.history["loss"])

    @property
    def diverged(self) -> int | None:
        """The epoch (from 1) in which loss or parameters stopped being finite, or None."""
        return self.epochs if self.stopped == "diverged" else None

    def table(self, rows: int = 12) -> str:
        """The history as text: so many epochs, evenly spaced, the first and the last among them.

        >>> history = {"loss": np.array([1.0, 0.5]), "gradient_norm": np.array([2.0, 1.0])}
        >>> print(Fit((), (), (), 2, history, "epochs", 0.1, 0.2).table())
        epoch          loss  gradient_norm
            1             1              2
            2           0.5              1
        """
        rows = min(rows, self.epochs)
        chosen = np.unique(np.linspace(0, self.epochs - 1, rows).round().astype(int))
        scalars = [name for name, column in self.history.items() if column.ndim == 1]
        widths = {name: max(len(name), 12) for name in scalars}
        lines = ["epoch  " + "  ".join(f"{name:>{width}}" for name, width in widths.items())]
        for i in chosen:
            cells = (f"{self.history[name][i]:>{width}.5g}" for name, width in widths.items())
            lines.append(f"{i + 1:>5}  " + "  ".join(cells))
        return "\n".join(lines)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        seconds = f"(compile {self.compile_seconds:.2f} s, run {self.run_seconds:.3f} s)"
        if self.epochs == 0:
            yield f"no epochs {seconds}"
            if self.stopped != "epochs":
                yield f"stopped: {STOPPED[self.stopped]}"
            return
        both = (name for name in ("loss", "validation_loss") if name in self.history)
        fell = [f"{_words(name)} {_ends(self.history[name])}" for name in both]
        yield f"{self.epochs} epochs, {', '.join(fell)} {seconds}"
        if self.stopped != "epochs":
            yield f"stopped in epoch {self.epochs}: {STOPPED[self.stopped]}"
        if 0 < self.best_epoch < self.epochs:
            monitored = "validation_loss" if "validation_loss" in self.history else "loss"
            value = self.history[monitored][self.best_epoch - 1]
            used = ", whose parameters are used" if self.params is self.best_params else ""
            yield f"best {_words(monitored)} {value:.4g} in epoch {self.best_epoch}{used}"
        if self.resumed:
            yield f"resumed after epoch {self.resumed}"
        others = {n: c for n, c in self.history.items() if n not in _SAID and c.ndim == 1}
        if others:
            yield ", ".join(f"{name} {column[-1]:.4g}" for name, column in others.items())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _ends(column: np.ndarray) -> str:
    return f"{column[0]:.4g} → {column[-1]:.4g}"
