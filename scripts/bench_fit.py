"""The group `fit` of `bench.py`: whole training runs of jnn and of other libraries.

Same data, same order of visits, same initial parameters, same Adam. Every contestant has a process of its own
(`bench_peers.py`), so that neither threads nor caches of one serve or disturb another. The losses over all rows are
compared before anything is timed; then the processes take turns.

A run from a fresh process is `cold`: from the start of Python to the trained network, imports and compilation included.
Once that is behind, the same call again is `warm`.
"""

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from bench_peers import Case, Peer, peers
from bench_process import Process
from bench_products import operations
from bench_timing import package_versions, race

import jnn

LIMIT = 120  # seconds until a contestant's first run must have ended


class Row(NamedTuple):
    """A case, and how it is to be judged."""

    title: str
    make: Callable[[], Case]
    tolerance: float = 1e-3  # of the final loss, relative
    compared: int | None = None  # the steps after which losses are compared, where the whole run amplifies rounding
    products: bool = False  # also show the matrix products alone


def fit(quick: bool) -> None:
    """Whole training runs against other libraries, cold and warm."""
    contestants = {name: peer for name, peer in peers().items() if _installed(name, peer)}
    packages = ("scikit-learn", "torch", "keras", "equinox", "flax", "optax", "jax", "numpy")
    print(package_versions(*packages))
    rows = _rows(quick)
    with tempfile.TemporaryDirectory() as folder:
        for i, row in enumerate(rows):
            try:
                case = row.make()
            except ImportError as error:
                print(f"\n{row.title}: left out, {error}")
                continue
            kinds = {"peer", "limit"} | ({"deep"} if case.shape[2] > 10 else set())
            kinds |= {"products"} if row.products else set()
            chosen = {name: peer for name, peer in contestants.items() if peer.kind in kinds}
            _case(row, case, chosen, Path(folder) / f"{i}.npz", seconds=1 if quick else 5)
            if i == 0:
                _cold({n: p for n, p in chosen.items() if p.kind == "peer"}, Path(folder) / "0.npz", 1 if quick else 5)


# ---- the cases ----


def _rows(quick: bool) -> list[Row]:
    shallow = [
        Row("ten features: 10–100–1 relu, 850 rows, batch 50", lambda: _ten_features(100, 1, 5 if quick else 50)),
        # rare pixels have gradients as small as ε
        Row(
            "digits: 64–100–10 relu, 1,437 rows, batch 200",
            lambda: _digits(10 if quick else 100),
            compared=None if quick else 80,
        ),
    ]
    if quick:
        return shallow
    return [
        *shallow,
        # the first steps overshoot, 13.4 → 1.3 → 8.3: the signs of a few vanishing gradients, rounded, soon move it all
        Row("wide: 32–512–512–512–1 relu, 8,192 rows, batch 64", _wide, compared=3, products=True),
        Row("narrow: 10–32×16–1 tanh, 850 rows, batch 50", lambda: _ten_features(16, 32, 20), compared=17),
        Row("deep: 8–1,000×8–1 tanh, batch 32, 20 steps", _deep),
    ]


def _given(sizes: list[int], activation: str, x: Any, y: Any, batch: int, epochs: int, loss: str = "mse") -> Case:
    """He's weights for relu, orthogonal ones of gain 1 for tanh; no biases."""
    generator, vectors = np.random.default_rng(0), []
    for n_in, n_out in pairwise(sizes):
        w = generator.normal(size=(max(n_in, n_out), min(n_in, n_out)))
        if activation == "tanh":
            w = np.linalg.qr(w)[0]
        w = w.reshape(n_out, n_in) if w.shape == (n_out, n_in) else w.T
        vectors += [w.ravel() * (np.sqrt(2 / n_in) if activation == "relu" else 1), np.zeros(n_out)]
    parameters = np.concatenate(vectors).astype(np.float32)
    return Case(sizes, activation, loss, batch, epochs, x, y, parameters)


def _ten_features(width: int, depth: int, epochs: int) -> Case:
    x, y = (a[:850] for a in jnn.data.ten_features(jax.random.key(0), 1000))
    return _given([10, *[width] * depth, 1], "relu" if depth == 1 else "tanh", x, y, 50, epochs)


def _digits(epochs: int) -> Case:
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingImports]

    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:1437]
    x = (x[order] / 16).astype(np.float32)
    return _given([64, 100, 10], "relu", x, labels[order], 200, epochs, "cross_entropy")


def _wide() -> Case:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(8192, 32)).astype(np.float32)
    y = np.sin(x @ generator.normal(size=(32, 1)) / 4).astype(np.float32)
    return _given([32, 512, 512, 512, 1], "relu", x, y, 64, 3)


def _deep() -> Case:
    x = np.random.default_rng(1).normal(size=(640, 8)).astype(np.float32)
    return _given([8] * 1001 + [1], "tanh", x, np.cos(x[:, :1]), 32, 1)


def _shortened(case: Case, steps: int) -> Case:
    """The same run after fewer steps: whole epochs, or a part of the first one.

    Where gradients are as small as ε, it matters whether ε is added before or after the bias correction, and libraries
    differ there: ε is so small here that it does not.
    """
    rows = min(len(case.x), steps * case.batch)
    return case._replace(
        x=case.x[:rows], y=case.y[:rows], epochs=max(1, steps // -(-len(case.x) // case.batch)), epsilon=1e-12
    )


# ---- one contestant in a process of its own ----


class Worker:
    """A contestant's process. `cold` are the seconds from its start to its trained network."""

    def __init__(self, name: str, peer: Peer, case: Path) -> None:
        start = time.perf_counter()
        self.process = Process("bench_peers.py", str(case), name, environment=dict(peer.environment))
        self.marks = self.process.answer(LIMIT)
        self.cold = time.perf_counter() - start
        self.loss = self.process.answer(LIMIT)["loss"]

    def seconds(self) -> float:
        """Of one more run, by the process's own clock."""
        return self.process.ask("run")["seconds"]

    def stop(self) -> None:
        self.process.stop()


def _started(contestants: dict[str, Peer], path: Path) -> dict[str, Worker]:
    """The contestants' processes after their first runs; of one that fails or takes too long a line."""
    workers = {}
    for name, peer in contestants.items():
        try:
            workers[name] = Worker(name, peer, path)
        except (TimeoutError, RuntimeError) as error:
            print(f"{name:<36} {error}", flush=True)
    return workers


# ---- tables ----


def _case(row: Row, case: Case, contestants: dict[str, Peer], path: Path, *, seconds: float) -> None:
    print(f"\n{row.title}, {case.epochs} epochs, {case.loss}")
    if row.compared:
        _shortened(case, row.compared).save(path)
        _compare(
            row, _started({n: p for n, p in contestants.items() if p.kind != "products"}, path), contestants, False
        )
    case.save(path)
    workers = _started(contestants, path)
    if not row.compared:
        _compare(row, workers, contestants, True)
    times = race({name: w.seconds for name, w in workers.items()}, seconds=seconds, clock=lambda run: run())
    for worker in workers.values():
        worker.stop()
    print(f"{'':<36}{'final loss':>12}{'cold s':>9}{'compile s':>11}{'warm min ms':>13}{'median':>10}{'× jnn':>9}")
    own = times["jnn"].minimum
    for name, t in times.items():
        worker, product = workers[name], contestants[name].kind == "products"
        first = max(0.0, worker.marks["first"] - t.minimum)
        left = f"{'':>32}" if product else f"{worker.loss:>12.5g}{worker.cold:>9.2f}{first:>11.2f}"
        mark = " (limit)" if contestants[name].kind == "limit" else ""
        print(f"{name + mark:<36}{left}{1e3 * t.minimum:>13.2f}{1e3 * t.median:>10.2f}{t.minimum / own:>9.2f}")
    rivals = {n: t.minimum for n, t in times.items() if contestants[n].kind in ("peer", "deep") and n != "jnn"}
    if rivals:
        fastest = min(rivals, key=rivals.__getitem__)
        print(f"jnn is {rivals[fastest] / own:.2f} times as fast as the fastest peer ({fastest})")
    products = [t.minimum for n, t in times.items() if contestants[n].kind == "products"]
    if products:
        rate = operations(case) / min(products) / 1e9
        print(
            f"the machine's products: {rate:.0f} GFLOP/s; jnn takes {own / min(products):.2f} times as long as they do"
        )


def _compare(row: Row, workers: dict[str, Worker], contestants: dict[str, Peer], keep: bool) -> None:
    """Stop the benchmark where a contestant's loss is another than jnn's."""
    own = workers["jnn"].loss
    off = {n: abs(w.loss / own - 1) for n, w in workers.items() if contestants[n].kind != "products"}
    worst = max(off, key=off.__getitem__)
    if not keep or not off[worst] <= row.tolerance:
        for worker in workers.values():
            worker.stop()
    where = f"after {row.compared} steps, ε = 1e-12" if row.compared else "the whole run"
    if not off[worst] <= row.tolerance:
        listed = ", ".join(f"{name} {workers[name].loss:.7g}" for name in off)
        sys.exit(f"{row.title}: losses differ by {off[worst]:.1e} relative ({where}); nothing was timed: {listed}")
    print(f"losses agree to {off[worst]:.1e} relative, allowed {row.tolerance:.0e} ({where})", flush=True)


def _cold(contestants: dict[str, Peer], path: Path, rounds: int) -> None:
    """The first case again, in one fresh process after another, and where its seconds go."""
    parts = ("total", "python", "imports", "build", "compile", "run")
    seen: dict[str, list[list[float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, worker in ((name, w) for n, p in contestants.items() for name, w in _started({n: p}, path).items()):
            run = min(worker.seconds() for _ in range(3))
            worker.stop()
            imports, build, first = (worker.marks[part] for part in ("imports", "build", "first"))
            python = worker.cold - imports - build - first
            seen[name].append([worker.cold, python, imports, build, max(0.0, first - run), run])
    print(f"\ncold: the same in a fresh process, {rounds} each in turns; seconds, the parts medians")
    print(f"{'':<36}{'minimum':>9}" + "".join(f"{'median' if part == 'total' else part:>9}" for part in parts))
    for name, runs in seen.items():
        if runs:
            medians = [statistics.median(column) for column in zip(*runs, strict=True)]
            print(f"{name:<36}{min(r[0] for r in runs):>9.2f}" + "".join(f"{m:>9.3f}" for m in medians))


def _installed(name: str, peer: Peer) -> bool:
    for module in peer.modules:
        if importlib.util.find_spec(module.split(".")[0]) is None:
            print(f"{name}: left out, {module} is not installed")
            return False
    return True
