"""The group `fit`: whole training runs of jnn and of other libraries.

Same data, same order of visits, same initial parameters, same Adam. Every contestant has a process
of its own (`process.py`), so that neither threads nor caches of one serve or disturb another. The
losses over all rows are compared before anything is timed; then the processes take turns.

A run from a fresh process is `cold`: from the start of Python to the trained network, imports and
compilation included. Once that is behind, the same call again is `warm`.
"""

import importlib.util
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from benchmarks.fit.case import Training
from benchmarks.fit.contestants import PEERS, Peer
from benchmarks.fit.products import operations
from benchmarks.fit.rows import Row, rows
from benchmarks.fit.workers import Worker, Workers, started, stop_all
from benchmarks.timing import DisagreementError, Time, on_each, package_versions, race

PACKAGES = ("scikit-learn", "torch", "keras", "equinox", "flax", "optax", "jax", "numpy")
PARTS = ("total", "python", "imports", "build", "compile", "run")  # of a cold run
# where time is short: the places in `rows` of the foremost, the largest products, the deepest
SWEEP = (0, 2, 4, 3, 1)


def measure(quick: bool, seconds: float | None = None) -> None:
    """Whole training runs against other libraries, cold and warm.

    In `seconds` only what there is time for.
    """
    rounds = 1 if quick or seconds is not None else 5
    peers = {name: peer for name, peer in PEERS.items() if _installed(name, peer)}
    if jax.default_backend() == "cpu":
        peers = {name: peer for name, peer in peers.items() if peer.kind != "cpu"}
    else:
        print("scikit-learn, PyTorch and NumPy compute on the CPU")
    print(package_versions(*PACKAGES))
    chosen = list(enumerate(rows(quick)))
    if seconds is not None:
        chosen = [chosen[i] for i in SWEEP if i < len(chosen)]
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            _Job(row.title, partial(_row, row, peers, Path(folder) / f"{i}.npz", rounds, i == 0))
            for i, row in chosen
        ]
        on_each(jobs, lambda job: job.run(), "fit", seconds=seconds)


class _Job(NamedTuple):
    title: str
    run: Callable[[], None]

    def __str__(self) -> str:
        return self.title


def _row(row: Row, peers: dict[str, Peer], path: Path, rounds: int, cold: bool) -> None:
    """A row, if its data can be had, and what its cold runs take."""
    try:
        training = row.make()
    except ImportError as error:
        print(f"\n{row.title}: left out, {error}")
        return
    chosen = _chosen(peers, row, training)
    _measure_row(row, training, chosen, path, seconds=rounds)
    if cold:
        _measure_cold(_of_kind(chosen, "peer", "cpu"), path, rounds=rounds)


def _installed(name: str, peer: Peer) -> bool:
    for module in peer.modules:
        if importlib.util.find_spec(module.split(".")[0]) is None:
            print(f"{name}: left out, {module} is not installed")
            return False
    return True


def _of_kind(peers: dict[str, Peer], *kinds: str) -> dict[str, Peer]:
    return {name: peer for name, peer in peers.items() if peer.kind in kinds}


def _chosen(peers: dict[str, Peer], row: Row, training: Training) -> dict[str, Peer]:
    """Who takes part in a row."""
    kinds = ["peer", "limit", "cpu"]
    if training.shape[2] > 10:
        kinds.append("deep")
    if row.products:
        kinds.append("products")
    chosen = _of_kind(peers, *kinds)
    if training.shape[2] > 100 and jax.default_backend() != "cpu":
        unrolled = [name for name, peer in chosen.items() if peer.kind == "peer" and name != "jnn"]
        print(
            f"left out of {row.title}: {', '.join(unrolled)}: layers one by one, minutes to compile"
        )
        for name in unrolled:
            del chosen[name]
    return chosen


# ---- warm runs ----


def _measure_row(
    row: Row, training: Training, peers: dict[str, Peer], path: Path, *, seconds: float
) -> None:
    print(f"\n{row.title}, {training.epochs} epochs, {training.loss}")
    if row.compared:
        training.shortened(row.compared).save(path)
        compared = {name: peer for name, peer in peers.items() if peer.kind != "products"}
        workers = started(compared, path)
        _compare(row, workers, peers)
        stop_all(workers)
    training.save(path)
    workers = started(peers, path)
    if not row.compared:
        _compare(row, workers, peers)
    times = race(
        {name: worker.seconds for name, worker in workers.items()},
        seconds=seconds,
        clock=lambda run: run(),
    )
    stop_all(workers)
    _print_times(workers, peers, times)
    _print_remarks(training, peers, times)


def _compare(row: Row, workers: Workers, peers: dict[str, Peer]) -> None:
    """Stop the benchmark where a contestant's loss is another than jnn's."""
    ours = workers["jnn"].loss
    off = {
        name: abs(worker.loss / ours - 1)
        for name, worker in workers.items()
        if peers[name].kind != "products"
    }
    worst = np.max(list(off.values()))  # NaN where one of them is
    where = f"after {row.compared} steps, ε = 1e-12" if row.compared else "the whole run"
    if not worst <= row.tolerance:
        stop_all(workers)
        listed = ", ".join(f"{name} {workers[name].loss:.7g}" for name in off)
        raise DisagreementError(
            f"{row.title}: losses differ by {worst:.1e} relative ({where}): {listed}"
        )
    print(
        f"losses agree to {worst:.1e} relative, allowed {row.tolerance:.0e} ({where})", flush=True
    )


def _print_times(workers: Workers, peers: dict[str, Peer], times: dict[str, Time]) -> None:
    print(
        f"{'':<36}{'final loss':>12}{'cold s':>9}{'compile s':>11}{'warm min ms':>13}"
        f"{'median':>10}{'× jnn':>9}"
    )
    for name, t in times.items():
        worker = workers[name]
        kind = peers[name].kind
        first = max(0.0, worker.marks["first"] - t.minimum)
        left = f"{worker.loss:>12.5g}{worker.cold:>9.2f}{first:>11.2f}"
        if kind == "products":
            left = f"{'':>32}"
        mark = " (limit)" if kind == "limit" else ""
        ratio = t.minimum / times["jnn"].minimum
        print(
            f"{name + mark:<36}{left}{1e3 * t.minimum:>13.2f}{1e3 * t.median:>10.2f}{ratio:>9.2f}"
        )


def _print_remarks(training: Training, peers: dict[str, Peer], times: dict[str, Time]) -> None:
    """How jnn compares with the fastest peer, and with the products alone."""
    ours = times["jnn"].minimum
    rivals = {
        name: times[name].minimum
        for name in times
        if peers[name].kind in ("peer", "deep") and name != "jnn"
    }
    if rivals:
        fastest = min(rivals, key=rivals.__getitem__)
        ratio = rivals[fastest] / ours
        print(f"jnn is {ratio:.2f} times as fast as the fastest peer ({fastest})")
    products = [times[name].minimum for name in times if peers[name].kind == "products"]
    if products:
        least = min(products)
        rate = operations(training) / least / 1e9
        print(
            f"the machine's products: {rate:.0f} GFLOP/s; "
            f"jnn takes {ours / least:.2f} times as long as they do"
        )


# ---- cold runs ----


def _measure_cold(peers: dict[str, Peer], path: Path, *, rounds: int) -> None:
    """The same run in one fresh process after another, and where its seconds go."""
    parts: dict[str, list[list[float]]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            for worker in started({name: peer}, path).values():
                parts[name].append(_cold_parts(worker))
                worker.stop()
    print(
        f"\ncold: the same in a fresh process, {rounds} each in turns; seconds, the parts medians"
    )
    names = ("median", *PARTS[1:])
    print(f"{'':<36}{'minimum':>9}" + "".join(f"{name:>9}" for name in names))
    for name, runs in parts.items():
        if runs:
            least = min(total for total, *_ in runs)
            medians = [statistics.median(column) for column in zip(*runs, strict=True)]
            print(f"{name:<36}{least:>9.2f}" + "".join(f"{m:>9.3f}" for m in medians))


def _cold_parts(worker: Worker) -> list[float]:
    """Seconds in the order of PARTS."""
    run = min(worker.seconds() for _ in range(3))
    imports, build, first = (worker.marks[part] for part in ("imports", "build", "first"))
    python = worker.cold - imports - build - first
    return [worker.cold, python, imports, build, max(0.0, first - run), run]
