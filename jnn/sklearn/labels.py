"""Classes, from one call of an estimator to the next."""

import numpy as np

from jnn.checks import Thing


def check_classes(estimator: Thing, classes: np.ndarray, *, all_of_them: bool) -> None:
    """Raise where a later call brings classes that the network does not have."""
    if all_of_them:
        if set(classes) != set(estimator.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the "
                f"previous call to fit. Previously got {estimator.classes_}, `y` has {classes}"
            )
    elif len(np.setdiff1d(classes, estimator.classes_, assume_unique=True)):
        raise ValueError(
            "`y` has classes not in `self.classes_`. "
            f"`self.classes_` has {estimator.classes_}. 'y' has {classes}."
        )
