"""What a training run leaves, made to be printed."""

from dataclasses import dataclass

import numpy as np

from jnn.params import Params

# Why a run ended, in words: after "stopped: ".
STOPPED = {
    "epochs": "all epochs done",
    "diverged": "loss or parameters were no longer finite",
    "target": "the target was reached",
    "patience": "no improvement for as many epochs as patience allows",
    "tolerance": "the loss changed by no more than the tolerance",
    "seconds": "the time was up",
    "interrupted": "interrupted (Ctrl-C)",
    "stream": "the stream ended",
    "callback": "the callback asked for it",
}


@dataclass(frozen=True)
class Fit:
    """What a training run leaves: parameters, history, why it stopped, timings. `print` it.

    `history` holds an array, one number an epoch, under each name:

    - "loss": what is minimised (penalty included), the mean over the epoch's minibatches as they were visited;
    - "validation_loss": on the validation data after the epoch, without penalty, dropout or label smoothing; it is the
      watched loss where there is one, else "loss" is;
    - the names of the metrics, on the training data after the epoch, and "validation_…" of them;
    - "learning_rate": at the end of the epoch, where the optimizer is one of `jnn.OPTIMIZERS` with a rate;
    - "gradient_norm": the mean over the epoch's steps, before any clipping;
    - what was watched: (epochs, N), a number for each layer, after the epoch.
    """

    params: Params  # to use: the best where patience was given, else the last
    last_params: Params  # the last finite ones
    best_params: Params  # of the best epoch
    best_epoch: int  # from 1: the last that improved the watched loss by more than min_improvement; 0 for none
    history: dict[str, np.ndarray]
    stopped: str  # a key of STOPPED
    compile_seconds: float
    run_seconds: float  # that of earlier sessions included where the run was resumed from a checkpoint
    resumed: int = 0  # the epoch that this session began after

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

        >>> history = {"loss": np.array([1.0, 0.5, 0.25]), "gradient_norm": np.array([2.0, 1.0, 0.5])}
        >>> print(Fit((), (), (), 3, history, "epochs", 0.1, 0.2).table(rows=2))
        epoch          loss  gradient_norm
            1             1              2
            3          0.25            0.5
        """
        chosen = np.unique(np.linspace(0, self.epochs - 1, min(rows, self.epochs)).round().astype(int))
        widths = {name: max(len(name), 12) for name, column in self.history.items() if column.ndim == 1}
        lines = ["epoch  " + "  ".join(f"{name:>{width}}" for name, width in widths.items())]
        for i in chosen:
            cells = "  ".join(f"{self.history[name][i]:>{width}.5g}" for name, width in widths.items())
            lines.append(f"{i + 1:>5}  {cells}")
        return "\n".join(lines)

    def __str__(self) -> str:
        seconds = f"(compile {self.compile_seconds:.2f} s, run {self.run_seconds:.3f} s)"
        if self.epochs == 0:
            return f"no epochs {seconds}" + (f"\nstopped: {STOPPED[self.stopped]}" if self.stopped != "epochs" else "")
        columns = ((name.replace("_", " "), self.history.get(name)) for name in ("loss", "validation_loss"))
        fell = [f"{name} {column[0]:.4g} → {column[-1]:.4g}" for name, column in columns if column is not None]
        lines = [f"{self.epochs} epochs, {', '.join(fell)} {seconds}"]
        if self.stopped != "epochs":
            lines.append(f"stopped in epoch {self.epochs}: {STOPPED[self.stopped]}")
        if 0 < self.best_epoch < self.epochs:
            used = ", whose parameters are used" if self.params is self.best_params else ""
            watched = "validation_loss" if "validation_loss" in self.history else "loss"
            value = self.history[watched][self.best_epoch - 1]
            lines.append(f"best {watched.replace('_', ' ')} {value:.4g} in epoch {self.best_epoch}{used}")
        if self.resumed:
            lines.append(f"resumed after epoch {self.resumed}")
        told = ("loss", "validation_loss", "learning_rate", "gradient_norm")
        rest = [name for name, column in self.history.items() if name not in told and column.ndim == 1]
        if rest:
            lines.append(", ".join(f"{name} {self.history[name][-1]:.4g}" for name in rest))
        return "\n".join(lines)
