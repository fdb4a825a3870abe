"""Calls of `fit_many` in processes of their own: very many networks, larger ones, one core and two.

    python -m benchmarks.many.large 100000 1-8-1 200 200 100

(members, sizes, rows, batch, epochs) prints one line of JSON: the seconds of a call, cold and warm,
and the bytes by which the first one's peak of memory lay above the start.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.process import search_path
from benchmarks.timing import assert_close


class Work(NamedTuple):
    """A call of `fit_many`, and how many of its members a loop of `fit` trains beside it."""

    members: int
    sizes: str  # 1-8-1; those of 64 inputs are scikit-learn's digits
    rows: int
    batch: int
    epochs: int
    loop: int = 0
    cores: int = 0  # 0: all that there are


MANY = Work(100_000, "1-8-1", 200, 200, 100)
LARGER = [Work(256, "1-64-64-1", 200, 32, 50, loop=8), Work(32, "64-100-10", 1797, 200, 20, loop=4)]
THREADS = [Work(1024, "1-16-16-1", 200, 200, 500), Work(1024, "1-16-16-1", 200, 32, 100)]


def measure(quick: bool) -> None:
    """Print the tables."""
    share = 50 if quick else 1
    print("\nfit_many in processes of its own; seconds of a call")
    print(f"{'':<52}{'cold':>9}{'warm':>9}{'loop':>9}{'loop/many':>11}{'peak + MiB':>12}")
    for work in (MANY, *LARGER):
        _print(work, _asked(work._replace(members=max(8, work.members // share))))
    if len(cores()) < 2:
        print("two threads against one: left out, there is one core")
        return
    print(f"\n{'two cores against one':<52}{'one':>9}{'two':>9}{'one/two':>11}")
    for work in THREADS:
        few = work._replace(members=max(8, work.members // share))
        one, two = (_asked(few._replace(cores=n))["warm"] for n in (1, 2))
        print(f"{named(few):<52}{one:>9.3f}{two:>9.3f}{one / two:>11.2f}", flush=True)


def _print(work: Work, found: dict[str, float]) -> None:
    if "left_out" in found:
        print(f"{named(work):<52}  left out: {found['left_out']}", flush=True)
        return
    loop = f"{'':>20}"
    if work.loop:
        loop = f"{found['loop']:>9.3f}{found['loop'] / found['warm']:>11.2f}"
    print(
        f"{named(work):<52}{found['cold']:>9.3f}{found['warm']:>9.3f}{loop}"
        f"{found['rise'] / 2**20:>12.0f}",
        flush=True,
    )


def named(work: Work) -> str:
    sizes = work.sizes.replace("-", "–")
    return f"{work.members} × {sizes}, {work.rows} rows, batch {work.batch}, {work.epochs} epochs"


def _asked(work: Work) -> dict[str, Any]:
    """What a process of its own says."""
    command = [sys.executable, "-P", "-m", "benchmarks.many.large", *map(str, work)]
    environment = os.environ | search_path()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return {"left_out": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


# ---- in the process ----


def main(arguments: list[str]) -> None:
    """Train, and print what it took."""
    members, sizes, *numbers = arguments
    work = Work(int(members), sizes, *map(int, numbers))
    if work.cores:  # before JAX starts, which counts them
        os.sched_setaffinity(0, cores()[: work.cores])
    print(json.dumps(_trained(work)))


def cores() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else []


def _trained(work: Work) -> dict[str, float]:
    import jax

    import jnn
    from benchmarks.many.case import drawn

    members = drawn([int(n) for n in work.sizes.split("-")], work.members)
    x, y, loss = _data(work)
    options = {"epochs": work.epochs, "batch_size": work.batch, "loss": loss, "progress": False}
    before = _memory("VmRSS")
    start = time.perf_counter()
    fits = jnn.fit_many(members, (x, y), **options)
    found = {"cold": time.perf_counter() - start, "rise": _memory("VmHWM") - before}
    found["warm"] = _least(lambda: jnn.fit_many(members, (x, y), **options), 3)
    if work.loop:
        each = [jax.tree.map(lambda leaf, m=m: leaf[m], members) for m in range(work.loop)]
        runs = [jnn.fit(params, (x, y), **options) for params in each]
        last = [run.history["loss"][-1] for run in runs]
        assert_close(fits.history["loss"][: work.loop, -1], np.array(last), 1e-2, named(work))
        loop = _least(lambda: [jnn.fit(params, (x, y), **options) for params in each], 3)
        found["loop"] = loop * work.members / work.loop
    return found


def _data(work: Work) -> tuple[np.ndarray, np.ndarray, str]:
    import jnn

    if work.sizes.startswith("64-"):
        from sklearn.datasets import load_digits  # pyright: ignore[reportMissingImports]

        x, y = load_digits(return_X_y=True)
        return x.astype(np.float32) / 16, y, "cross_entropy"
    x, y = jnn.data.logarithm(work.rows)
    return np.asarray(x), np.asarray(y), "half_mse"


def _least(run: Any, times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _memory(name: str) -> int:
    """Bytes that this process holds now, "VmRSS", or at most held, "VmHWM".

    `getrusage` would count the memory of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    main(sys.argv[1:])
