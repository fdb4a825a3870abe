"""The seconds of fits, first fits, cross-validation and a search, in processes that take turns.

Each library has a process of its own (`process.py`) for each number of cores. Loss curves and
outputs are compared before anything is timed; the scores of a search when it has ended, as it takes
minutes.
"""

import itertools
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from benchmarks.estimators.library import LIBRARIES, OURS, THEIRS
from benchmarks.process import Process
from benchmarks.timing import DisagreementError, assert_close, race

TOLERANCES = {"float64": 1e-6, "float32": 1e-2}  # of loss curves and outputs, relative
SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Row(NamedTuple):
    """A set in the table of whole fits, and how many times as fast ours is to be."""

    name: str
    dtype: str
    reach: float


ROWS = (
    Row("iris", "float64", 5),
    Row("wine", "float64", 4),
    Row("breast cancer", "float64", 2.5),
    Row("digits", "float64", 2.5),
    Row("digits", "float32", 3.5),
    Row("diabetes", "float64", 3),
    Row("friedman1, 2,000", "float64", 5),
)


class Search(NamedTuple):
    """A search in the table of searches, and how many times as fast ours is to be."""

    name: str
    rows: int | None
    theirs: str  # dtype
    ours: str
    reach: float


SEARCHES = (
    Search("friedman1", None, "float64", "float64", 2.5),
    Search("digits", None, "float64", "float64", 2),
    Search("digits", None, "float64", "float32", 3),
)


def cores() -> tuple[int, ...]:
    """One, and two where this process may use two."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (1, 2) if (usable or 1) > 1 else (1,)


class Library:
    """The process of a library, asked for tasks."""

    def __init__(self, library: str, threads: int, directory: str = "") -> None:
        # programs are kept only where that is measured
        environment = {name: str(threads) for name in SETTINGS} | {"JAX_COMPILATION_CACHE_DIR": ""}
        arguments = [library, str(threads), *([directory] if directory else [])]
        self.process = Process("benchmarks.estimators.process", *arguments, environment=environment)

    def ask(self, task: str, **arguments: Any) -> dict[str, Any]:
        """Its answer to one task."""
        return self.process.ask(json.dumps({"task": task, **arguments}))

    def stop(self) -> None:
        """End it."""
        self.process.stop()


@contextmanager
def libraries(threads: int, directory: str = "") -> Iterator[dict[str, Library]]:
    """A fresh process of each library."""
    both = {name: Library(name, threads, directory) for name in LIBRARIES}
    try:
        yield both
    finally:
        for one in both.values():
            one.stop()


# ---- whole fits ----


def print_fits(quick: bool) -> None:
    """Milliseconds of one fit with the default parameters, its program there before."""
    rows = ROWS[::5] if quick else ROWS
    every = {}
    print()
    for count in cores():
        with libraries(count) as both:
            for name, one in both.items():
                print(f"{name}, asked for {count}: {_told(one.ask('about'))}", flush=True)
            for row in rows:
                _compare(both, row)
                every[row, count] = _raced(both, row, quick)
    print("\nestimators: one fit, default parameters, warm; milliseconds, least/median")
    titles = [f"{library}, cores: {count}" for count in cores() for library in LIBRARIES]
    print(f"{'':<26}" + "".join(f"{title:>23}" for title in titles) + "   best/best  to reach")
    for row in rows:
        _print_fit(row, [every[row, count] for count in cores()])


def _told(about: dict[str, Any]) -> str:
    pools = ", ".join(f"{name} {count} threads" for name, count in about["pools"].items())
    return f"usable cores {about['cores']}, {pools}"


def _compare(both: dict[str, Library], row: Row) -> None:
    theirs, ours = (one.ask("numbers", name=row.name, dtype=row.dtype) for one in both.values())
    lengths = [len(found["losses"]) for found in (theirs, ours)]
    if row.dtype == "float64" and lengths[0] != lengths[1]:
        raise DisagreementError(f"estimators {row.name}: epochs are {lengths}")
    for part in ("losses", "outputs"):
        pair = [found[part] for found in (theirs, ours)]
        if part == "losses":  # in float32 one may stop an epoch before the other
            pair = [losses[: min(lengths)] for losses in pair]
        what = f"estimators {row.name}, {row.dtype}: {part}"
        assert_close(np.array(pair[0]), np.array(pair[1]), TOLERANCES[row.dtype], what)


def _raced(both: dict[str, Library], row: Row, quick: bool) -> dict[str, Any]:
    def timed(one: Library) -> Callable[[], Any]:
        return lambda: one.ask("fit", name=row.name, dtype=row.dtype)

    contestants = {name: timed(one) for name, one in both.items()}
    seconds, rounds = (0.2, 1) if quick else (2.0, 5)
    return race(contestants, seconds=seconds, rounds=rounds, clock=lambda run: run()["seconds"])


def _print_fit(row: Row, by_cores: list[dict[str, Any]]) -> None:
    cells = [times[library] for times in by_cores for library in LIBRARIES]
    shown = [f"{1e3 * time.minimum:.1f}/{1e3 * time.median:.1f}" for time in cells]
    theirs, ours = (min(times[library].minimum for times in by_cores) for library in LIBRARIES)
    print(
        f"{row.name + ', ' + row.dtype:<26}"
        + "".join(f"{cell:>23}" for cell in shown)
        + f"{theirs / ours:>12.2f}{row.reach:>10g}",
        flush=True,
    )


# ---- the first fit ----


def print_first_fits(quick: bool) -> None:
    """What the first fit of a shape takes on top of a later one, in a process that has imported."""
    print("\nestimators: the first fit of iris in a process, less a warm one; seconds, one core")
    print(f"{'':<40}{'least':>8}{'median':>8}{'programs':>10}{'to reach':>10}")
    with tempfile.TemporaryDirectory() as directory:
        _first(OURS, directory)  # fills it
        for title, library, folder, reach in (
            (THEIRS, THEIRS, "", ""),
            (OURS, OURS, "", "0.8"),
            (f"{OURS}, programs kept on disk", OURS, directory, "0.3"),
        ):
            runs = [_first(library, folder) for _ in range(1 if quick else 5)]
            seconds = [run["seconds"] for run in runs]
            print(
                f"{title:<40}{min(seconds):>8.2f}{statistics.median(seconds):>8.2f}"
                f"{runs[0]['compilations']:>10}{reach:>10}",
                flush=True,
            )


def _first(library: str, directory: str) -> dict[str, Any]:
    one = Library(library, 1, directory)
    first, *later = (one.ask("fit", name="iris", dtype="float64") for _ in range(4))
    one.stop()
    return first | {"seconds": first["seconds"] - min(run["seconds"] for run in later)}


# ---- many fits ----


def print_cross_validation(quick: bool) -> None:
    """`cross_val_score` where nothing was compiled before."""
    name = "iris" if quick else "digits"
    print(f"\nestimators: cross_val_score, 5 unequal folds, {name}, nothing compiled before, s")
    print(f"{'':<26}" + "".join(f"{library:>16}" for library in LIBRARIES) + "   compilations")
    for count in cores():
        runs = []
        for _ in range(1 if quick else 3):
            with libraries(count) as both:
                asked = {"name": name, "dtype": "float64"}
                runs.append({n: one.ask("cross_validation", **asked) for n, one in both.items()})
        scores = [np.array(runs[0][library]["scores"]) for library in LIBRARIES]
        assert_close(scores[0], scores[1], 1e-6, f"estimators {name}: scores of the folds")
        least = [min(run[library]["seconds"] for run in runs) for library in LIBRARIES]
        print(
            f"{f'{count} cores, least of {len(runs)}':<26}"
            + "".join(f"{seconds:>16.2f}" for seconds in least)
            + f"{runs[0][OURS]['compilations']:>15}",
            flush=True,
        )


def print_searches(quick: bool) -> None:
    """`GridSearchCV`, compilation included."""
    candidates = 2 if quick else 24
    print(f"\nestimators: GridSearchCV, {candidates} candidates × 5 folds, compilation included")
    titles = ("seconds", "CPU seconds", "CPU ratio", "to reach", "programs")
    widths = (16, 16, 11, 10, 10)
    print(" " * 44 + "".join(f"{t:>{width}}" for t, width in zip(titles, widths, strict=True)))
    searches = [Search("iris", 60, "float64", "float64", 2.5)] if quick else SEARCHES
    for searched, count in itertools.product(searches, cores()):
        with libraries(count) as both:
            found = {
                name: one.ask(
                    "search",
                    name=searched.name,
                    dtype=dtype,
                    jobs=count,
                    rows=searched.rows,
                    quick=quick,
                )
                for (name, one), dtype in zip(both.items(), searched[2:4], strict=True)
            }
        _print_search(searched, count, found)


def _print_search(searched: Search, count: int, found: dict[str, Any]) -> None:
    """A row; in float64 the best score and candidate must be the same."""
    theirs, ours = (found[library] for library in LIBRARIES)
    title = f"{searched.name}, {searched.theirs}/{searched.ours}, n_jobs={count}"
    if searched.ours == searched.theirs:
        assert_close(theirs["score"], ours["score"], 1e-6, f"estimators {title}: best score")
        if theirs["best"] != ours["best"]:
            raise DisagreementError(f"{title}: best are {theirs['best']} and {ours['best']}")
    shown = [f"{theirs[key]:.1f}/{ours[key]:.1f}" for key in ("seconds", "cpu")]
    print(
        f"{title:<44}"
        + "".join(f"{cell:>16}" for cell in shown)
        + f"{theirs['cpu'] / ours['cpu']:>11.2f}{searched.reach:>10g}{ours['compilations']:>10}"
        + (
            ""
            if searched.ours == searched.theirs
            else f"  scores {theirs['score']:.4f}/{ours['score']:.4f}"
        ),
        flush=True,
    )
