"""A library's process of the group `estimators`: it takes a task a line and answers in JSON.

    python -m benchmarks.estimators.process LIBRARY CORES [DIRECTORY]

LIBRARY is scikit-learn or jnn, CORES how many it may use, DIRECTORY where compiled programs are
kept. A task is a line of JSON, {"task": name, …}, the rest being arguments of the function of that
name in `TASKS`.
"""
# scikit-learn is an extra of this benchmark
# pyright: reportMissingImports=false

import contextlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMPILED = "/jax/core/compile/backend_compile_duration"  # JAX's own event, one a program
GRID = {
    "hidden_layer_sizes": [(50,), (100,), (50, 50)],
    "activation": ["relu", "tanh"],
    "alpha": [1e-4, 1e-3, 1e-2, 1e-1],
}
QUICK = {"hidden_layer_sizes": [(5,)], "activation": ["relu"], "alpha": [1e-4, 1e-1]}


def main() -> None:
    """Answer the lines of standard input."""
    # what the libraries print must not stand between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    library, cores = sys.argv[1], int(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):  # before any pool of threads is made
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    worker = Worker(library, Path(sys.argv[3]) if sys.argv[3:] else None)
    with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "not converged": max_iter is the default
        for line in sys.stdin:
            task = json.loads(line)
            found = TASKS[task.pop("task")](worker, **task)
            print(json.dumps(found, default=str), file=answers, flush=True)


class Worker:
    """What the tasks share: the library, its data, and the programs that JAX has compiled."""

    def __init__(self, library: str, directory: Path | None) -> None:
        import jax

        import jnn
        from benchmarks.estimators.library import kind

        self.library = library
        self.compiled = 0
        jax.monitoring.register_event_duration_secs_listener(self._heard)
        if directory is not None:
            jnn.keep_compiled(directory)
        self.kind = kind
        self.data: dict[Any, Any] = {}

    def _heard(self, event: str, duration_secs: float, **metadata: str | int) -> None:
        del duration_secs, metadata
        self.compiled += event == COMPILED

    def network(self, classes: bool) -> Any:
        """The library's network with the default parameters."""
        return self.kind(self.library, classes)(random_state=0)

    def rows(self, name: str, dtype: str, rows: int | None = None) -> Any:
        """The rows of a set, and whether they are of classes."""
        from benchmarks.estimators import sets

        if (name, dtype, rows) not in self.data:
            x, y = sets.whole(name, rows)
            classes = sets.SETS[name].classes
            y = y if classes else y.astype(dtype)
            self.data[name, dtype, rows] = x.astype(dtype), y, classes
        return self.data[name, dtype, rows]

    def timed(self, run: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
        """What it returns; seconds by the clock and of all cores, and compilations."""
        before, cpu, start = self.compiled, _cpu(), time.perf_counter()
        found = run()
        seconds = time.perf_counter() - start
        return found, {
            "seconds": seconds,
            "cpu": _cpu() - cpu,
            "compilations": self.compiled - before,
        }


def _cpu() -> float:
    """Seconds of all cores, of this process and of the children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


# ---- tasks ----


def about(worker: Worker) -> dict[str, Any]:
    """Cores and threads as this process has them."""
    import threadpoolctl

    fit(worker, "iris", "float64")  # pools are made with the first product
    pools = {pool["internal_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cores": cores, "pools": pools}


def fit(worker: Worker, name: str, dtype: str) -> dict[str, Any]:
    """One fit with the default parameters."""
    x, y, classes = worker.rows(name, dtype)
    return worker.timed(lambda: worker.network(classes).fit(x, y))[1]


def numbers(worker: Worker, name: str, dtype: str) -> dict[str, Any]:
    """What a fit with the default parameters finds, to be compared."""
    x, y, classes = worker.rows(name, dtype)
    fitted = worker.network(classes).fit(x, y)
    outputs = fitted.predict_proba(x) if classes else fitted.predict(x)
    return {"losses": list(map(float, fitted.loss_curve_)), "outputs": outputs.tolist()}


def cross_validation(worker: Worker, name: str, dtype: str) -> dict[str, Any]:
    """Five folds, of unequal lengths where the rows are no multiple of five."""
    from sklearn.model_selection import cross_val_score

    x, y, classes = worker.rows(name, dtype)
    network = worker.network(classes)
    scores, spent = worker.timed(lambda: cross_val_score(network, x, y, cv=5))
    return spent | {"scores": scores.tolist()}


def search(
    worker: Worker, name: str, dtype: str, jobs: int, rows: int | None, quick: bool
) -> dict[str, Any]:
    """A grid of candidates in five folds each; with several jobs theirs are processes."""
    import joblib
    from sklearn.model_selection import GridSearchCV

    x, y, classes = worker.rows(name, dtype, rows)
    network = worker.network(classes)
    searched = GridSearchCV(network, QUICK if quick else GRID, cv=5, n_jobs=jobs, refit=False)
    backend = "threading" if worker.library == "jnn" else "loky"

    def run() -> None:
        with joblib.parallel_config(backend):
            searched.fit(x, y)
        if backend == "loky" and jobs > 1:  # their seconds count when they have ended
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)

    _, spent = worker.timed(run)
    return spent | {"score": float(searched.best_score_), "best": str(searched.best_params_)}


TASKS = {
    "about": about,
    "fit": fit,
    "numbers": numbers,
    "cross_validation": cross_validation,
    "search": search,
}

if __name__ == "__main__":
    main()
