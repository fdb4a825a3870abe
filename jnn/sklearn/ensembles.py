"""Networks of several seeds in one estimator, averaged: each is a whole estimator of its own.

Source: Lakshminarayanan, Pritzel and Blundell 2017 (deep ensembles).
"""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from jnn.checks import Data, Thing

# what an ensemble shows of its members, who agree on it
_SHARED = ("n_features_in_", "feature_names_in_", "classes_", "_label_binarizer", "n_outputs_",
           "n_layers_", "out_activation_")  # fmt: skip
_LABELS = ("classes_", "_label_binarizer")


def fit(
    estimator: Thing,
    rows: tuple[Data, Data, Data],
    apart: tuple[Data, Data, Data],
    *,
    incremental: bool,
) -> Any:
    """Fit each member to all rows, or go on with each; the estimator itself.

    Args:
      estimator: with n_ensemble of at least 2; its members are left in `estimators_`.
      rows: X, y and weights.
      apart: likewise, or three times None.
      incremental: whether this is `partial_fit`.
    """
    again = incremental or estimator.warm_start
    if not (again and len(members(estimator)) == estimator.n_ensemble):
        random = check_random_state(estimator.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=estimator.n_ensemble)
        estimator.estimators_ = [type(estimator)(random_state=int(seed)) for seed in seeds]
    parameters: Any = clone(estimator)
    parameters = parameters.get_params() | {"n_ensemble": 1}
    del parameters["random_state"]
    for member in estimator.estimators_:
        member.set_params(**parameters)
        if incremental:  # all the classes there will be have come with the call
            for name in _LABELS:
                if hasattr(estimator, name):
                    setattr(member, name, getattr(estimator, name))
        member._fit(*rows, apart, incremental=incremental)
    first = estimator.estimators_[0]
    for name in _SHARED:
        if hasattr(first, name):
            setattr(estimator, name, getattr(first, name))
    estimator.n_iter_ = max(member.n_iter_ for member in estimator.estimators_)
    return estimator


def members(estimator: Thing) -> list[Any]:
    """The fitted members; none of a single network."""
    return getattr(estimator, "estimators_", []) if estimator.n_ensemble > 1 else []


def averaged(members: list[Any], method: str, X: Data) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, over the members, of what a method of theirs says of X."""
    each = np.stack([getattr(member, method)(X) for member in members])
    return each.mean(axis=0), each.std(axis=0)
