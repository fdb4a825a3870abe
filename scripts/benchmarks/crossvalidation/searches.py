"""What is searched: 24 candidates in five folds, standardised in each, on three sets of data."""

from typing import NamedTuple

import numpy as np

RATES = (1e-3, 2e-3, 3e-3, 5e-3, 7e-3, 1e-2)
PENALTIES = (1e-4, 1e-2, 1e-1, 1.0)  # scikit-learn's alpha; 24 candidates with the rates
FOLDS = 5


class Search(NamedTuple):
    """Networks of one structure on one set of data."""

    hidden: tuple[int, ...]
    batch: int
    epochs: int
    warm: float  # how many times as fast jnn is to be
    cold: float | None
    apart: float  # how far mean scores may be apart, R² or accuracy


SEARCHES = {
    "diabetes": Search((16, 16), 32, 100, 25, 5, 0.05),
    "iris": Search((10,), 32, 200, 25, 5, 0.03),
    "digits": Search((100,), 200, 50, 2, None, 0.02),
}


def folds(y: np.ndarray, classes: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same for both libraries."""
    import jax

    from jnn import data

    return data.folds(len(y), FOLDS, jax.random.key(0), stratify=y if classes else None)
