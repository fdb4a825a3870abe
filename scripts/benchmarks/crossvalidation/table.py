"""The seconds of a search by cross-validation: the first call in a process, and later ones."""

import json
from typing import Any

import numpy as np

from benchmarks.crossvalidation.searches import FOLDS, PENALTIES, RATES, SEARCHES
from benchmarks.process import Process
from benchmarks.timing import DisagreementError, package_versions

CONTESTANTS = ("scikit-learn", "jnn")


def measure(quick: bool) -> None:
    """Print the table. Both choose among the same candidates, on the same folds.

    Starts and orders are the libraries' own: mean scores are compared, not networks.
    """
    candidates = len(RATES) * len(PENALTIES)
    print(package_versions("scikit-learn", "jax", "numpy"))
    print(
        f"\ncross_validation: {candidates} candidates × {FOLDS} folds, standardised in each fold; "
        "GridSearchCV(n_jobs=2) / jnn.cross_validate; seconds"
    )
    titles = ("first", "later", "first ratio", "to reach", "later ratio", "to reach", "scores")
    widths = (15, 15, 13, 10, 13, 10, 18)
    print(" " * 10 + "".join(f"{t:>{w}}" for t, w in zip(titles, widths, strict=True)), flush=True)
    for name in ("iris",) if quick else SEARCHES:
        _print_row(name, quick)


def _print_row(name: str, quick: bool) -> None:
    case = SEARCHES[name]
    asked = json.dumps({"name": name, "epochs": 2 if quick else case.epochs})
    environment = {"JAX_COMPILATION_CACHE_DIR": ""}  # nothing compiled before
    found: dict[str, list[dict[str, Any]]] = {library: [] for library in CONTESTANTS}
    module = "benchmarks.crossvalidation.process"
    processes = {
        library: Process(module, library, environment=environment) for library in CONTESTANTS
    }
    try:
        for turn in range(2 if quick else 3):
            for library, process in processes.items():
                found[library].append(process.ask(asked))
            if turn == 0 and not quick:  # compared before anything is timed again
                _compare(name, *(np.array(found[library][0]["scores"]) for library in CONTESTANTS))
    finally:
        for process in processes.values():
            process.stop()
    first = [found[library][0]["seconds"] for library in CONTESTANTS]
    later = [min(run["seconds"] for run in found[library][1:]) for library in CONTESTANTS]
    scores = [max(found[library][0]["scores"]) for library in CONTESTANTS]
    cells = [
        f"{first[0]:.2f}/{first[1]:.2f}",
        f"{later[0]:.2f}/{later[1]:.2f}",
        f"{first[0] / first[1]:.1f}",
        "–" if case.cold is None else f"{case.cold:g}",
        f"{later[0] / later[1]:.1f}",
        f"{case.warm:g}",
        f"{scores[0]:.3f}/{scores[1]:.3f}",
    ]
    widths = (15, 15, 13, 10, 13, 10, 18)
    print(
        f"{name:<10}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)),
        flush=True,
    )


def _compare(name: str, theirs: np.ndarray, ours: np.ndarray) -> None:
    """Raise where the scores are apart, in the mean over candidates or of the best."""
    allowed = SEARCHES[name].apart
    for what, reduce in (("mean", np.mean), ("best", np.max)):
        pair = float(reduce(theirs)), float(reduce(ours))
        if not abs(pair[0] - pair[1]) <= allowed:
            raise DisagreementError(
                f"cross_validation {name}: {what} scores are {pair[0]:.3f} and {pair[1]:.3f}, "
                f"allowed are {allowed} apart"
            )
