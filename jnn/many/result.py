"""The result of `fit_many`: a `Fit` for each member, as arrays with one entry for each."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jnn import callers
from jnn.checks import Data, Thing
from jnn.equality import by_value
from jnn.losses import LossLike
from jnn.many import ensemble, summary
from jnn.many.ensemble import Prediction
from jnn.many.members import of_members
from jnn.metrics import is_score
from jnn.params import sizes
from jnn.training.result import STOPPED, Fit
from jnn.transfers import meant


@by_value
@dataclass(frozen=True, eq=False)
class Fits:
    """What `fit_many` leaves of M members; `print` it.

    `fits[i]` is the `Fit` of member i, `fits[mask]` and `fits[a:b]` are the `Fits` of some,
    `fits.best(name)` is the `Fit` of the member with the best entry in a column of the history.
    `history` holds under each name of `Fit.history` an array (M, epochs), or (M, epochs, N), NaN
    after a member's last epoch.
    """

    # (M, …) a leaf, or a list of M networks where they are of several structures
    params: Any  # the best of each where patience was given, else the last
    last_params: Any
    best_params: Any
    best_epoch: np.ndarray  # (M,)
    epochs: np.ndarray  # (M,): how many each has run
    history: dict[str, np.ndarray]
    stopped: np.ndarray  # (M,) keys of `training.result.STOPPED`
    numbers: dict[str, np.ndarray]  # (M,) each: the options that differ between members
    compile_seconds: float
    run_seconds: float
    resumed: int = 0  # the epoch that this session began after
    restores_best: bool = False  # whether params are the best: where patience was given
    loss: LossLike = "half_mse"  # that was minimised
    optimizer_state: Any = None
    standardized: str = ""  # "x", "y" or "xy": what each of a cross-validation has in its own units

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[Fit]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Thing) -> Any:
        chosen = self._chosen(index)
        if chosen.ndim == 0:
            return self._fit(int(chosen))
        several = ("params", "last_params", "best_params", "best_epoch", "epochs", "history",
                   "stopped", "numbers", "optimizer_state")  # fmt: skip
        parts = {name: of_members(getattr(self, name), chosen) for name in several}
        return dataclasses.replace(self, **parts)

    def _chosen(self, index: Thing) -> np.ndarray:
        """Which members an index means, () or (m,)."""
        every = np.arange(len(self))
        if isinstance(index, slice):
            return every[index]
        places = np.asarray(index) if np.size(index) else np.zeros(0, int)
        if places.dtype == bool and places.shape == every.shape:
            return every[places]
        if places.dtype.kind not in "iu" or places.ndim > 1:
            raise IndexError(
                f"members are chosen by a number, an array of numbers (m,), a slice or a mask "
                f"({len(self)},), got {places.dtype} of shape {places.shape}"
            )
        outside = places[(places < -len(self)) | (places >= len(self))]
        if outside.size:
            raise IndexError(f"there is no member {outside.flat[0]} among {len(self)}")
        return np.asarray(every[places])

    def _fit(self, i: int) -> Fit:
        last, best = of_members(self.last_params, i), of_members(self.best_params, i)
        # a column for each layer of the deepest member
        own = {1: slice(self.epochs[i]), 2: (slice(self.epochs[i]), slice(len(sizes(last)) - 1))}
        return Fit(
            params=best if self.restores_best else last,
            last_params=last,
            best_params=best,
            best_epoch=int(self.best_epoch[i]),
            history={n: column[i][own[column.ndim - 1]] for n, column in self.history.items()},
            stopped=str(self.stopped[i]),
            compile_seconds=self.compile_seconds,
            run_seconds=self.run_seconds,
            resumed=self.resumed,
            optimizer_state=of_members(self.optimizer_state, i),
        )

    def best(self, name: str = "loss") -> Fit:
        """The `Fit` of the member whose history has the best entry of that name.

        That is the least, of scores (accuracies, r2, explained_variance) the greatest. One that
        diverged is the best only of those that did.

        Raises:
          ValueError: nothing of that name was recorded, or it is not finite for any member.
        """
        if name not in self.history:
            raise ValueError(f"no {name!r} was recorded, but {', '.join(self.history)}")
        column = -self.history[name] if is_score(name) else self.history[name]
        least = _least(column)
        if not np.isfinite(least).any():
            raise ValueError(f"no member has a finite {name}")
        sound = np.isfinite(least) & (self.stopped != "diverged")
        return self[int(np.argmin(np.where(sound, least, np.inf) if sound.any() else least))]

    def table(self) -> dict[str, np.ndarray]:
        """Columns (M,), as pandas.DataFrame or polars.DataFrame take them.

        The options that differ between members; epochs, best_epoch and why it stopped; the losses,
        metrics and what else the history holds of a run, those of a member's last epoch; the least
        losses.
        """
        last = np.maximum(self.epochs - 1, 0)
        columns = dict(self.numbers)
        columns |= {"epochs": self.epochs, "best_epoch": self.best_epoch, "stopped": self.stopped}
        for name, column in self.history.items():
            # a learning rate that differs is an option, whatever a plateau has made of it
            if column.ndim == 2 and column.shape[1] and name not in self.numbers:
                columns[name] = np.take_along_axis(column, last[:, None], 1)[:, 0]
        for name in ("loss", "validation_loss"):
            if name in self.history:
                columns[f"least_{name}"] = _least(self.history[name])
        return columns

    def by(self, *names: str) -> dict[str, np.ndarray]:
        """The table by options that members share: means and standard deviations over the others.

        `by("member")` of a cross-validation has a row for each member, over folds;
        `by("learning_rate")` of a sweep a row for each rate, over seeds.

        Args:
          names: of `numbers`.
        Returns:
          Columns, a row for each combination of values that occurs, in ascending order: the names
          and the other options that are the same in each row, `members`, how many they are, and
          mean_… and std_… of the other columns of `table`.
        Raises:
          ValueError: no names, or no option of that name differs between members.
        """
        unknown = [name for name in names if name not in self.numbers]
        if unknown or not names:
            raise ValueError(
                f"by takes names of options that differ between members, "
                f"{', '.join(self.numbers) or 'none here'}; got {', '.join(map(repr, names))}"
            )
        levels = [np.unique(self.numbers[name], return_inverse=True)[1] for name in names]
        _, first, row = np.unique(levels, axis=1, return_index=True, return_inverse=True)
        row = row.ravel()
        count = np.bincount(row)
        options, measured = {}, {}
        for name, column in self.table().items():
            if name in self.numbers:
                if np.array_equal(column, column[first][row]):
                    options[name] = column[first]
            elif column.dtype.kind in "iuf":
                with np.errstate(invalid="ignore"):  # the loss of one that diverged
                    mean = np.bincount(row, column) / count
                    square = np.bincount(row, (column - mean[row]) ** 2) / count
                measured |= {f"mean_{name}": mean, f"std_{name}": np.sqrt(square)}
        return options | {"members": count} | measured

    @meant
    def predict(self, x: Data) -> Prediction:
        """The mean of what the members say, and their standard deviation.

            m = Σᵢ fᵢ(x) / M,        s² = Σᵢ (fᵢ(x) − m)² / M

        with fᵢ(x) the outputs of member i or, where the loss is one of logits (cross-entropy), the
        probabilities that they stand for, as `jnn.probabilities` gives them.

        Args:
          x: (batch, n_0).
        Raises:
          ValueError: x does not fit, there are no members, or each was trained in the units of a
            fold of its own.
        """
        if not len(self):
            raise ValueError("there are no members to predict with")
        if self.standardized:
            raise ValueError(
                f"each member was trained on {' and '.join(self.standardized)} in the units of its "
                "own fold: cross_validate judges networks; to predict, fit_many on data that are "
                "standardised once (jnn.data.standardization)"
            )
        return ensemble.predicted(self.params, x, self.loss)

    def warn_of_divergence(self) -> None:
        """Say how many diverged, and which is the first, in the name of whoever called."""
        diverged = np.flatnonzero(self.stopped == "diverged")
        if len(diverged):
            first = diverged[0]
            callers.warn(
                f"{len(diverged)} of {len(self)} members diverged, the first of them member "
                f"{first} in epoch {self.epochs[first]}: they keep their last finite parameters; "
                "try smaller learning rates, or clip_norm"
            )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        seconds = f"(compile {self.compile_seconds:.2f} s, run {self.run_seconds:.3f} s)"
        yield f"{len(self)} networks, up to {self.epochs.max(initial=0)} epochs {seconds}"
        watched = "validation_loss" if "validation_loss" in self.history else "loss"
        if self.history[watched].size:
            title = f"least {watched.replace('_', ' ')}"
            yield from summary.quantiles(title, _least(self.history[watched]), self.numbers)
        for reason, count in zip(*np.unique(self.stopped, return_counts=True), strict=True):
            if reason != "epochs":
                yield f"{count} stopped: {STOPPED[str(reason)]}"


def _least(column: np.ndarray) -> np.ndarray:
    """(M,), of a column (M, epochs) of the history."""
    return np.min(np.where(np.isnan(column), np.inf, column), axis=1, initial=np.inf)
