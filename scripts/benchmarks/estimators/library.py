"""The two libraries: scikit-learn's estimators, and ours of the same names."""
# scikit-learn is an extra of this benchmark
# pyright: reportMissingImports=false

import contextlib
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARIES = ("scikit-learn", "jnn")


def module(library: str) -> ModuleType:
    """Where a library's MLPClassifier and MLPRegressor are."""
    if library == "jnn":
        with contextlib.suppress(ModuleNotFoundError):
            import jnn.sklearn

            return jnn.sklearn
    from sklearn import neural_network

    return neural_network


def stands_in() -> bool:
    """Whether scikit-learn plays both parts, as there is no jnn.sklearn."""
    return module("jnn") is module("scikit-learn")


def estimator(library: str, classes: bool, **keywords: Any) -> Any:
    """A library's network, random_state=0."""
    kind = "MLPClassifier" if classes else "MLPRegressor"
    return getattr(module(library), kind)(random_state=0, **keywords)


def keep_programs(library: str, directory: Path) -> None:
    """Keep compiled programs for the next process, where there are any."""
    switch = getattr(module(library), "compilation_cache", None)
    if switch is not None:
        switch(directory)
