"""The two libraries: scikit-learn's estimators, and jnn's of the same names."""
# scikit-learn is an extra of this benchmark
# pyright: reportMissingImports=false

import importlib
from typing import Any

LIBRARIES = {"scikit-learn": "sklearn.neural_network", "jnn": "jnn.sklearn"}
THEIRS, OURS = LIBRARIES


def kind(library: str, classes: bool) -> Any:
    """A library's MLPClassifier or MLPRegressor."""
    name = "MLPClassifier" if classes else "MLPRegressor"
    return getattr(importlib.import_module(LIBRARIES[library]), name)
