"""What all groups share: taking times in turns, comparing results, naming versions."""

import datetime
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
import optax

import jnn

T = TypeVar("T")


class DisagreementError(Exception):
    """Two contestants do not compute the same."""


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


def on_each(
    items: Sequence[T], run: Callable[[T], Any], what: str, *, seconds: float | None = None
) -> None:
    """Run for one item after another.

    With a limit an item that fails costs a line and not the rest, and none is begun, after the
    first, that would end too late if it took as long as the longest so far.
    """
    start = time.monotonic()
    longest = 0.0
    for i, item in enumerate(items):
        begun = time.monotonic()
        if seconds is not None and i and begun - start + longest > seconds:
            names = "; ".join(map(str, items[i:]))
            print(f"{what}: left out after {begun - start:.0f} s: {names}", flush=True)
            return
        try:
            run(item)
        except Exception as error:
            if seconds is None:
                raise
            say_left_out(f"{what} {item}", error)
        longest = max(longest, time.monotonic() - begun)


def say_left_out(what: str, error: Exception) -> None:
    """One line: what was not measured, and why.

    >>> say_left_out("depth 1x1x1: fused", ValueError("too large\\nand so on"))
    left out: depth 1x1x1: fused: ValueError: too large
    """
    words = (str(error).strip().splitlines() or [""])[0]
    if not isinstance(error, DisagreementError):  # which says what disagrees
        words = f"{what}: {type(error).__name__}: {words[:200]}"
    print(f"left out: {words}", flush=True)


def assert_close(reference: Any, other: Any, tolerance: float, what: str) -> None:
    """Raise a `DisagreementError` where two contestants do not compute the same."""
    pairs = zip(jax.tree.leaves(reference), jax.tree.leaves(other), strict=True)
    for a, b in pairs:
        expected = np.asarray(a, np.float64).ravel()
        difference = np.max(np.abs(expected - np.asarray(b, np.float64).ravel()))
        relative = difference / max(np.max(np.abs(expected)), 1e-30)
        if not relative <= tolerance:
            raise DisagreementError(
                f"{what}: results differ by {relative:.1e} relative, allowed {tolerance:.0e}"
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
