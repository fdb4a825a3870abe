"""Ten sets of data, five from scikit-learn and five made, and random splits of them.

Columns are standardised, and targets of regression in the table of held-out losses, as a user's
pipeline does.
"""
# scikit-learn is an extra of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Set(NamedTuple):
    """Rows x: (n, n_0) and labels or numbers y: (n,)."""

    classes: bool
    load: Callable[[], tuple[Any, Any]]


class Split(NamedTuple):
    """Rows to train on, standardised, and held-out rows in the same units."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray


def whole(name: str, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a set, or the first so many, in float64, the columns of x standardised."""
    x, y = SETS[name].load()
    x, y = np.asarray(x, np.float64)[:rows], y[:rows]
    return _standardized(x, x), y


def split(name: str, seed: int) -> Split:
    """A random 80/20 split. Mean and deviation are those of the rows to train on."""
    from sklearn.model_selection import train_test_split

    x, y = SETS[name].load()
    parts: Any = train_test_split(x, y, test_size=0.2, random_state=seed)
    x, held_x, y, held_y = parts
    if not SETS[name].classes:
        y, held_y = _standardized(y, y), _standardized(y, held_y)
    return Split(_standardized(x, x), y, _standardized(x, held_x), held_y)


def _standardized(known: np.ndarray, x: np.ndarray) -> np.ndarray:
    scale = known.std(axis=0)
    return (x - known.mean(axis=0)) / np.where(scale == 0, 1, scale)


# ---- the sets ----


def _stored(name: str) -> Callable[[], Any]:
    """A set that scikit-learn brings with it."""

    def load() -> Any:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(return_X_y=True)

    return load


def _made(name: str, *args: Any, **keywords: Any) -> Callable[[], Any]:
    """A set that one of scikit-learn's functions draws, always with the same seed."""

    def load() -> Any:
        from sklearn import datasets

        return getattr(datasets, f"make_{name}")(*args, **keywords, random_state=0)

    return load


def _houses() -> tuple[np.ndarray, np.ndarray]:
    """House prices, made: skewed columns, coordinates, noise that grows, prices cut off at 5."""
    draw = np.random.default_rng(0)
    n = 2000
    income = draw.lognormal(1.2, 0.5, n)
    age = draw.uniform(1, 52, n)
    rooms = draw.lognormal(1.6, 0.3, n)
    bedrooms = rooms * draw.lognormal(-1.6, 0.15, n)
    people = draw.lognormal(7, 0.7, n)
    household = draw.lognormal(1, 0.35, n)
    north = draw.uniform(32, 42, n)
    east = draw.uniform(-124, -114, n)
    coast = np.exp(-((east + 124 - 0.6 * (42 - north)) ** 2) / 2)
    first = np.exp(-((north - 37.8) ** 2) - (east + 122.3) ** 2)
    second = np.exp(-((north - 34) ** 2 + (east + 118.2) ** 2) / 2)
    price = (
        0.45 * income
        + 0.8 * coast
        + 1.2 * (first + second)
        + 0.004 * age
        - 0.25 * np.log(household)
        + 0.3 * np.log(rooms / bedrooms)
        + draw.normal(0, 0.35, n) * (1 + 0.05 * income)
    )
    x = np.stack([income, age, rooms, bedrooms, people, household, north, east], axis=1)
    return x, np.clip(price, 0.15, 5)


SETS = {
    "iris": Set(True, _stored("iris")),
    "wine": Set(True, _stored("wine")),
    "breast cancer": Set(True, _stored("breast_cancer")),
    "digits": Set(True, _stored("digits")),
    "four classes": Set(
        True,
        _made(
            "classification",
            1500,
            n_informative=8,
            n_redundant=4,
            n_classes=4,
            flip_y=0.1,
            class_sep=0.8,
        ),
    ),
    "hastie": Set(True, _made("hastie_10_2", 2000)),
    "diabetes": Set(False, _stored("diabetes")),
    "linear": Set(False, _made("regression", 300, 30, noise=40)),
    "friedman1": Set(False, _made("friedman1", 1000, noise=1)),
    "houses": Set(False, _houses),
    # of the tables of speed
    "friedman1, 2,000": Set(False, _made("friedman1", 2000, noise=1)),
}
HELD_OUT = tuple(SETS)[:10]  # the sets of the table of held-out losses
