"""The group `depth`: the gradient of a deep, narrow network, microseconds a layer.

    scripts/bench depth --cells 1000x8x32,10000x8x1     these cells alone, depth × width × batch

Every contestant differentiates the same loss of the same tanh layers by all parameters; the
gradients are compared before anything is timed. jnn's contestants stand in `own.py`, other
libraries and the limit, a loop in C, in `peers.py`.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.depth.case import MissingError, case_of, compared
from benchmarks.depth.cells import Cell, default_cells, sweep_cells
from benchmarks.depth.own import OWN, own
from benchmarks.depth.peers import Peers
from benchmarks.timing import Time, on_each, package_versions, race

RIVALS = (  # whom "auto" is measured by
    "scan autodiff",
    "PyTorch",
    "torch.compile",
    "Equinox",
    "Flax NNX",
)


def measure(quick: bool, cells: Sequence[Cell] = (), seconds: float | None = None) -> None:
    """The gradient of a mean squared error through a stack of tanh layers, a row a cell.

    In `seconds` only what there is time for, and without PyTorch.
    """
    peers = Peers()
    if not cells:
        cells = default_cells(quick) if seconds is None else sweep_cells(quick)
    if seconds is not None:
        print("PyTorch: left out of --gpu, it computes on the CPU here")
        for name in peers.torch:
            del peers.by_name[name]
    columns = (*OWN, *peers.by_name)
    print(package_versions("torch", "equinox", "flax"))
    print(
        "\ndepth: gradient of the mean squared error, tanh, orthogonal weights, float32; "
        "least microseconds a layer"
    )
    print(
        f"{'depth':>6}{'width':>6}{'batch':>6}"
        + "".join(f"{name:>14}" for name in columns)
        + f"{'auto median':>13}{'compile s':>11}{'parallel':>10}{'peer/auto':>11}{'auto/C':>8}"
        + "  fastest peer; PyTorch",
        flush=True,
    )
    ratios: list[tuple[float, float]] = []

    def row(cell: Cell) -> None:
        each = 0.3 if quick or seconds is not None else 2.0
        times, remarks = _measured(cell, peers, seconds=each, lenient=seconds is not None)
        ratios.append(_print_row(cell, columns, times, remarks))

    try:
        on_each(cells, row, "depth", seconds=seconds)
    finally:
        peers.stop()
    if ratios:
        _print_ratios(ratios)


def _measured(
    cell: Cell, peers: Peers, *, seconds: float, lenient: bool
) -> tuple[dict[str, Time], dict[str, str]]:
    """Everybody's times, and remarks.

    A peer that cannot be had is taken out of `peers` with a line.
    """
    case = case_of(cell)
    contestants = {name: prepare(case) for name, prepare in own(cell).items()}
    for name, prepare in list(peers.by_name.items()):
        try:
            contestants[name] = prepare(case)
        except (ImportError, MissingError) as error:
            print(f"{name}: left out from here on, {error}", flush=True)
            del peers.by_name[name]
    first = compared(contestants, f"depth {cell}", lenient=lenient)
    times = race(
        {name: contestant.seconds for name, contestant in contestants.items()},
        seconds=seconds,
        rounds=10,
        clock=lambda run: run(),
    )
    for name, time in times.items():
        times[name] = time._replace(compile=max(0.0, first[name] - time.minimum))
    return times, {name: contestant.remark for name, contestant in contestants.items()}


# ---- what is printed ----


def _print_row(
    cell: Cell, columns: Sequence[str], times: dict[str, Time], remarks: dict[str, str]
) -> tuple[float, float]:
    """Print a row; the fastest peer's time over that of "auto", and this over the limit's."""
    per_layer = {name: 1e6 * time.minimum / cell.depth for name, time in times.items()}
    auto = times["auto"]
    fastest = min((name for name in RIVALS if name in times), key=per_layer.__getitem__)
    peer_over_auto = per_layer[fastest] / per_layer["auto"]
    auto_over_limit = per_layer["auto"] / per_layer.get("C loop", float("nan"))
    parallel = times["parallel"].compile if "parallel" in times else float("nan")
    print(
        f"{cell.depth:>6}{cell.width:>6}{cell.batch:>6}"
        + "".join(_number(per_layer.get(name), 14, 3) for name in columns)
        + f"{1e6 * auto.median / cell.depth:>13.3f}{auto.compile:>11.2f}"
        + _number(parallel, 10, 2)
        + f"{peer_over_auto:>11.2f}"
        + _number(auto_over_limit, 8, 2)
        + f"  {fastest}; {remarks.get('PyTorch', '–')}",
        flush=True,
    )
    return peer_over_auto, auto_over_limit


def _number(value: float | None, width: int, digits: int) -> str:
    """The number, or a dash where there is none."""
    if value is None or not np.isfinite(value):
        return f"{'–':>{width}}"
    return f"{value:>{width}.{digits}f}"


def _print_ratios(ratios: Sequence[tuple[float, float]]) -> None:
    names = ("fastest peer / auto", "auto / C loop")
    for name, column in zip(names, zip(*ratios, strict=True), strict=True):
        known = [ratio for ratio in column if np.isfinite(ratio)]
        if known:
            mean = np.exp(np.mean(np.log(known)))
            print(f"{name}: geometric mean {mean:.2f}, least {min(known):.2f}")
