"""Warnings in the name of whoever called jnn, whatever stands between."""

import sys
import warnings

# the checks of tests, and decorators, stand between jnn's own calls; so do scikit-learn's
_WITHIN = ("jnn", "jaxtyping", "beartype", "sklearn")


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn of the first line outside of jnn, so that a user finds it and can filter by it."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _WITHIN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
