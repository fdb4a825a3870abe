"""Held-out losses: networks without tuning, beside linear models and gradient boosting.

Classes by log loss and accuracy, numbers by 1 − R² and R², of random 80/20 splits. The recipe sees
the rows to train on alone. Every contestant gets standardised columns and targets.
"""
# scikit-learn is an extra of this benchmark
# pyright: reportMissingImports=false

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.estimators.library import OURS, THEIRS, kind
from benchmarks.estimators.sets import HELD_OUT, SETS, Split, split

DEFAULT = "scikit-learn's default"
RECIPE = "recommended"
MOST_SECONDS = 20  # of one fit of the recipe, in those of the default


class Score(NamedTuple):
    """Of one split."""

    loss: float  # log loss, or 1 − R²
    right: float  # accuracy, or R²
    seconds: float


def _theirs(classes: bool) -> Any:
    return kind(THEIRS, classes)(random_state=0)


def _linear(classes: bool) -> Any:
    from sklearn import linear_model

    if classes:
        return linear_model.LogisticRegression(max_iter=2000)
    return linear_model.RidgeCV(np.logspace(-3, 4, 30))


def _boosting(classes: bool) -> Any:
    from sklearn import ensemble

    if classes:
        return ensemble.HistGradientBoostingClassifier(random_state=0)
    return ensemble.HistGradientBoostingRegressor(random_state=0)


def _recommended(classes: bool) -> Any:
    return kind(OURS, classes).recommended(random_state=0)


CONTESTANTS: dict[str, Callable[[bool], Any]] = {
    DEFAULT: _theirs,
    "logistic, ridge": _linear,
    "gradient boosting": _boosting,
    RECIPE: _recommended,
}


def score(make: Callable[[bool], Any], classes: bool, rows: Split) -> Score:
    """Fit, and judge on the held-out rows."""
    model = make(classes)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "not converged": it is the default
        model.fit(rows.x, rows.y)
    seconds = time.perf_counter() - start
    if not classes:
        left = float(np.sum((rows.held_y - model.predict(rows.held_x)) ** 2))
        loss = left / float(np.sum((rows.held_y - rows.held_y.mean()) ** 2))
        return Score(loss, 1 - loss, seconds)
    from sklearn.metrics import log_loss

    p = model.predict_proba(rows.held_x)
    loss = log_loss(rows.held_y, p, labels=model.classes_)
    right = np.mean(model.classes_[p.argmax(axis=1)] == rows.held_y)
    return Score(float(loss), float(right), seconds)


def print_held_out(quick: bool) -> None:
    """The table of held-out losses, and what it is to show."""
    seeds = range(1 if quick else 5)
    names = ("iris", "diabetes") if quick else HELD_OUT
    print(f"\nestimators: held-out log loss, or 1 − R², mean of {len(seeds)} splits")
    print(f"{'':<16}" + "".join(f"{name:>24}" for name in CONTESTANTS))
    every: dict[str, dict[str, np.ndarray]] = {}
    for name in names:
        every[name] = {
            contestant: np.array(
                [score(make, SETS[name].classes, split(name, seed)) for seed in seeds]
            )
            for contestant, make in CONTESTANTS.items()
        }
        means = [scores[:, 0].mean() for scores in every[name].values()]
        print(f"{name:<16}" + "".join(f"{mean:>24.3f}" for mean in means), flush=True)
    for contestant in CONTESTANTS:
        if contestant != DEFAULT:
            print(judged(contestant, every))
    _print_fits(every)


def judged(contestant: str, every: dict[str, dict[str, np.ndarray]]) -> str:
    """One line: a contestant beside the default, over all sets.

    Of a fall of accuracy or R² the standard error is that of the differences, split by split.

    >>> default = np.array([[0.2, 0.9, 1], [0.2, 0.9, 1]])
    >>> other = np.array([[0.1, 0.9, 8], [0.1, 0.8, 8]])
    >>> judged("it", {"iris": {DEFAULT: default, "it": other}})
    'it / default: geometric mean 0.50; worse on none; accuracy or R² lower by over 1 s.e. on none'
    """
    ratios, worse, lower = [], [], []
    for name, scores in every.items():
        ours, theirs = scores[contestant], scores[DEFAULT]
        ratios.append(ours[:, 0].mean() / theirs[:, 0].mean())
        if ratios[-1] >= 1:
            worse.append(name)
        fall = theirs[:, 1] - ours[:, 1]
        error = fall.std(ddof=1) / np.sqrt(len(fall)) if len(fall) > 1 else np.inf
        if fall.mean() > error:
            lower.append(name)
    mean = np.exp(np.mean(np.log(ratios)))
    return (
        f"{contestant} / default: geometric mean {mean:.2f}; worse on {_listed(worse)}; "
        f"accuracy or R² lower by over 1 s.e. on {_listed(lower)}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _print_fits(every: dict[str, dict[str, np.ndarray]]) -> None:
    """Accuracy or R² and seconds, each in a table of its own."""
    for title, column, digits in (
        ("accuracy, or R², on the held-out rows", 1, 3),
        ("seconds of a fit, the least (of the first of a shape compilation is a part)", 2, 2),
    ):
        print(f"\nestimators: {title}")
        print(f"{'':<16}" + "".join(f"{name:>24}" for name in CONTESTANTS))
        reduce = np.mean if column == 1 else np.min
        for name, scores in every.items():
            values = [reduce(scores[contestant][:, column]) for contestant in CONTESTANTS]
            cells = "".join(f"{value:>24.{digits}f}" for value in values)
            if column == 2:
                ratio = values[-1] / values[0]
                cells += f"  {ratio:.1f} × the default, allowed {MOST_SECONDS}"
            print(f"{name:<16}{cells}", flush=True)
