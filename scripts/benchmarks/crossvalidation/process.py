"""A library's process of the group `cross_validation`: a task a line, answered in JSON.

    python -m benchmarks.crossvalidation.process LIBRARY

A task is {"name": set, "epochs": number}; the answer has the seconds and the mean score over folds
of each candidate, R² or accuracy.
"""
# scikit-learn is an extra of this benchmark
# pyright: reportMissingImports=false

import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.crossvalidation.searches import PENALTIES, RATES, SEARCHES, Search, folds
from benchmarks.estimators.sets import SETS

JOBS = 2


def main() -> None:
    """Answer the lines of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print must not stand between the answers
    search = LIBRARIES[sys.argv[1]]
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            task = json.loads(line)
            kind = SETS[task["name"]]
            x, y = kind.load()
            x = np.asarray(x, np.float32)
            case = SEARCHES[task["name"]]._replace(epochs=task["epochs"])
            pairs = folds(y, kind.classes)
            start = time.perf_counter()
            scores = search(case, x, y, pairs, kind.classes)
            seconds = time.perf_counter() - start
            found = {"seconds": seconds, "scores": np.asarray(scores, float).tolist()}
            print(json.dumps(found), file=answers, flush=True)


def of_scikit_learn(case: Search, x: Any, y: Any, pairs: Any, classes: bool) -> Any:
    """`GridSearchCV` over a pipeline, its candidates on two processes."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind: Any = MLPClassifier if classes else MLPRegressor
    network = kind(
        hidden_layer_sizes=case.hidden, batch_size=case.batch, max_iter=case.epochs, random_state=0,
        n_iter_no_change=case.epochs,
    )  # fmt: skip
    model: Any = make_pipeline(StandardScaler(), network)
    prefix = f"{type(network).__name__.lower()}__"
    if not classes:
        y = y.astype(np.float32)
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
        prefix = f"regressor__{prefix}"
    grid = {f"{prefix}learning_rate_init": RATES, f"{prefix}alpha": PENALTIES}
    search = GridSearchCV(model, grid, cv=pairs, n_jobs=JOBS, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "not converged": the epochs are given
        search.fit(x, y)
    # the rate varies slowest in both libraries, once the names are in the order of the alphabet
    results = search.cv_results_
    order = np.lexsort([
        np.asarray(results[f"param_{prefix}{name}"], float)
        for name in ("alpha", "learning_rate_init")
    ])  # fmt: skip
    return results["mean_test_score"][order]


def of_jnn(case: Search, x: Any, y: Any, pairs: Any, classes: bool) -> Any:
    """One call of `jnn.cross_validate`."""
    import jax

    import jnn

    design = jnn.grid(learning_rate=RATES, l2=PENALTIES)
    outputs = len(np.unique(y)) if classes else 1
    sizes = [x.shape[1], *case.hidden, outputs]
    params = jnn.init_network_params(
        sizes, jax.random.key(0), activation="relu", init="glorot_uniform"
    )
    count = len(design["l2"])
    members = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], count, 0), params)
    metric = "accuracy" if classes else "r2"
    fits = jnn.cross_validate(
        members,
        (x, y if classes else y[:, None]),
        pairs,
        standardize="x" if classes else "xy",
        loss="cross_entropy" if classes else "half_mse",
        metrics=metric,
        learning_rate=design["learning_rate"],
        # of a minibatch scikit-learn's is α / (2 examples) Σ w²
        penalty=jnn.penalties.l2(design["l2"] / case.batch),
        epochs=case.epochs,
        batch_size=case.batch,
        progress=False,
    )
    return fits.by("member")[f"mean_validation_{metric}"]


LIBRARIES: dict[str, Callable[..., Any]] = {"scikit-learn": of_scikit_learn, "jnn": of_jnn}

if __name__ == "__main__":
    main()
