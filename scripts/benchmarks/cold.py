"""The group `cold`: from the start of Python to a fitted network, part by part.

Each start is a process of its own (`starts.py`), and contestants take turns. Compiled programs are
kept in no process but those that say so; of these the first, which fills the cache, is not timed.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.process import search_path
from benchmarks.starts import PARTS, STARTS
from benchmarks.timing import package_versions

KEPT = ("jnn, compiled kept", "jax and optax, compiled kept")


def measure(quick: bool) -> None:
    """Seconds by part, of five starts each: medians, and the least and median whole."""
    print(package_versions("scikit-learn", "equinox", "flax", "numpy"))
    print(
        "\ncold: 10–20–20–1 tanh, 200 rows, batch 32, 20 epochs of Adam, from the start of Python;"
        "\nseconds: parts are medians; whole is until the first fit is there"
    )
    print(f"{'':<30}{'least':>7}{'whole':>7}" + "".join(f"{part:>12}" for part in PARTS))
    with tempfile.TemporaryDirectory() as directory:
        every: dict[str, list[list[float]]] = {name: [] for name in STARTS}
        for i in range(2 if quick else 6):
            for name in list(every):
                try:
                    seconds = _started(name, directory)
                except RuntimeError as error:
                    print(f"left out: {name}: {error}", flush=True)
                    del every[name]
                    continue
                if i:  # the first reads files from the disk, and fills the cache
                    every[name].append(seconds)
    for name, runs in every.items():
        wholes = [sum(seconds[:-1]) for seconds in runs]
        parts = "".join(f"{statistics.median(part):>12.3f}" for part in zip(*runs, strict=True))
        print(f"{name:<30}{min(wholes):>7.2f}{statistics.median(wholes):>7.2f}{parts}")


def _started(name: str, directory: str) -> list[float]:
    """The seconds of each part of one start."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    kept = directory if name in KEPT else ""
    command = [sys.executable, "-P", "-m", "benchmarks.starts", name, str(time.time()), kept]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment | search_path(), check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
    return [float(seconds) for seconds in done.stdout.split()[-len(PARTS) :]]
