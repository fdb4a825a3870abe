"""The group `many`: microseconds a step of a member, by every way at hand to train many networks.

Same data, same start, same Adam. The losses of all members that several contestants train are
compared after a few steps, in the order of the data; then the contestants take turns. Those that
train one network after another train a few, those that are slow a part of the epochs: their time is
proportional to either.
"""

import gc
import importlib.util
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.many import counts, large, on_jax, others, pool
from benchmarks.many.case import Case, Layers, case
from benchmarks.timing import assert_close, elapsed, on_each, package_versions, race, say_left_out

PACKAGES = ("torch", "equinox", "scikit-learn", "joblib", "optax", "jax", "numpy")
FEW = 16  # members, of those who train one after the other
COMPARED = 4  # steps, of one epoch at least


class Contestant(NamedTuple):
    """A way to train many networks."""

    make: Callable[[Case], Callable[[], Layers]]
    needs: tuple[str, ...] = ()  # modules
    few: bool = False  # whether it trains one network after the other
    part: int = 1  # of the epochs are run


CONTESTANTS = {
    "fit_many": Contestant(on_jax.fit_many),
    "loop of fit": Contestant(on_jax.loop_of_fit, few=True),
    "vmap of a textbook loop": Contestant(on_jax.textbook, ("optax",)),
    "torch.func": Contestant(others.torch_func, ("torch",), part=10),
    "torch.baddbmm": Contestant(others.torch_baddbmm, ("torch",), part=10),
    "Equinox, filter_vmap": Contestant(on_jax.equinox, ("equinox",), part=10),
    "scikit-learn × joblib 2": Contestant(others.scikit_learn, ("sklearn", "joblib"), few=True),
    "C loop, 2 threads (limit)": Contestant(others.loop_in_c),
}


class Row(NamedTuple):
    """Networks 1–W–W–1, on 200 points."""

    width: int
    batch: int
    epochs: int

    def __str__(self) -> str:
        return f"1–{self.width}–{self.width}–1, batch {self.batch}"


ROWS = [Row(16, 200, 500), Row(16, 32, 100), Row(4, 32, 200), Row(16, 1, 10)]


def measure(quick: bool, seconds: float | None = None) -> None:
    """Every table; in `seconds`, as for a GPU, how it grows with the number of networks alone."""
    counts.measure(quick, seconds)
    if seconds is not None:
        return
    print(f"\n{package_versions(*PACKAGES)}")
    installed = {name: c for name, c in CONTESTANTS.items() if _installed(name, c.needs)}
    members = 64 if quick else 1024
    rows = [row._replace(epochs=max(1, row.epochs // 20)) for row in ROWS] if quick else ROWS
    on_each(rows, lambda row: _row(row, installed, members, 0.1 if quick else 3), "many")
    large.measure(quick)
    pool.measure(quick)


def _installed(name: str, modules: Sequence[str]) -> bool:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        print(f"{name}: left out, {', '.join(missing)} is not installed")
    return not missing


def _row(row: Row, contestants: dict[str, Contestant], members: int, seconds: float) -> None:
    """Print a row's table, the losses compared first."""
    whole = case(*row, members=members)
    print(f"\n{row}: {members} networks, {row.epochs} epochs, {whole.steps} steps", flush=True)
    taking_part = _compared(whole, contestants)
    cases = {name: _share(whole, c) for name, c in taking_part.items()}
    runs = {name: c.make(cases[name]) for name, c in taking_part.items()}
    times = race(runs, seconds=seconds, rounds=3, clock=_undisturbed)
    print(f"{'':<28}{'compile s':>11}{'min µs':>10}{'median':>10}{'× fit_many':>12}")
    ours = times["fit_many"].minimum / _member_steps(cases["fit_many"])
    for name, time in times.items():
        least, median = (1e6 * t / _member_steps(cases[name]) for t in time[1:])
        print(
            f"{name:<28}{time.compile:>11.2f}{least:>10.3f}{median:>10.3f}"
            f"{1e-6 * least / ours:>12.2f}",
            flush=True,
        )


def _share(whole: Case, contestant: Contestant) -> Case:
    return whole.first(FEW if contestant.few else None, contestant.part)


def _member_steps(of: Case) -> int:
    return of.members * of.steps


def _undisturbed(run: Callable[[], Layers]) -> float:
    gc.collect()
    return elapsed(run)


def _compared(whole: Case, contestants: dict[str, Contestant]) -> dict[str, Contestant]:
    """Those that run, all of which agree: the losses of the first members after a few steps."""
    epochs = max(1, COMPARED * whole.batch // len(whole.x))
    start = whole.first(FEW)._replace(epochs=epochs, order=None)
    found = {}
    for name, contestant in contestants.items():
        try:
            layers = contestant.make(start)()
        except (ImportError, RuntimeError, OSError) as error:
            say_left_out(name, error)
        else:
            found[name] = start.losses(layers)
    reference = found["fit_many"]
    begin = start.losses(start.layers)
    if not np.all(np.abs(begin - reference) > 1e-3 * begin):
        raise AssertionError("nobody has learned anything: the comparison would be void")
    for name, losses in found.items():
        assert_close(reference, losses, 1e-3, f"many {whole.width}, {whole.batch}: {name}")
    worst = max(float(np.max(np.abs(losses / reference - 1))) for losses in found.values())
    print(f"losses agree to {worst:.1e} relative, allowed 1e-03 ({start.steps} steps)", flush=True)
    return {name: contestants[name] for name in found}
