"""What all groups share: taking times in turns, comparing results, naming versions."""

import datetime
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import jnn


class Time(NamedTuple):
    """Seconds of one contestant: of its compilation, and of its runs."""

    compile: float
    minimum: float
    median: float


def elapsed(run: Callable[[], Any]) -> float:
    """Seconds until what it returns is there."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def race(
    contestants: dict[str, Callable[[], Any]],
    *,
    seconds: float,
    rounds: int = 5,
    clock: Callable[[Callable[[], Any]], float] = elapsed,
) -> dict[str, Time]:
    """Time the contestants in turns, for about so many seconds each.

    The first call of each is its compilation. `clock` runs a contestant and says how many seconds
    it took: one in another process has a clock of its own.
    """
    first = {name: clock(run) for name, run in contestants.items()}
    runs: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            stop = time.perf_counter() + seconds / rounds
            runs[name].append(clock(run))
            while time.perf_counter() < stop:
                runs[name].append(clock(run))
    return {
        name: Time(max(0.0, first[name] - min(times)), min(times), statistics.median(times))
        for name, times in runs.items()
    }


def assert_close(reference: Any, other: Any, tolerance: float, what: str) -> None:
    """Stop the benchmark where two contestants do not compute the same."""
    pairs = zip(jax.tree.leaves(reference), jax.tree.leaves(other), strict=True)
    for a, b in pairs:
        expected = np.asarray(a, np.float64).ravel()
        difference = np.max(np.abs(expected - np.asarray(b, np.float64).ravel()))
        relative = difference / max(np.max(np.abs(expected)), 1e-30)
        if not relative <= tolerance:
            sys.exit(
                f"{what}: results differ by {relative:.1e} relative, allowed {tolerance:.0e}; "
                "nothing was timed"
            )


def versions() -> str:
    """One line: when, on what, with what."""
    device = jax.devices()[0]
    parts = [
        str(datetime.date.today()),
        f"jnn {jnn.__version__}",
        f"jax {jax.__version__}",
        f"optax {optax.__version__}",
        f"Python {platform.python_version()}",
        f"{device.platform} ({device.device_kind})",
        platform.machine(),
    ]
    return " · ".join(parts)


def package_versions(*packages: str) -> str:
    """One line: the packages' versions, a dash for one that is not installed."""

    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "–"

    return " · ".join(f"{package} {version(package)}" for package in packages)
