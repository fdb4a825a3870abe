"""The group `crossover`: which way of differentiating is the fastest, by width, depth and batch.

Run it on a machine with a GPU, `scripts/bench --gpu`, and set the table of
`jnn/triangular/method.py` from what it prints; the map is drawn, too. On a CPU it shows that the
parallel solve does not pay there.
"""

from pathlib import Path

import jax
import numpy as np
import plotly.graph_objects as go

from benchmarks.depth.case import case_of, compared
from benchmarks.depth.cells import Cell
from benchmarks.depth.own import JNN, own
from benchmarks.timing import on_each, race
from jnn import figures
from jnn.triangular import method

METHODS = ("scan autodiff", *(name for name in JNN if name != "auto"))

Gains = dict[tuple[int, int], float]  # by width and depth


def measure(quick: bool, out: Path, seconds: float | None = None) -> None:
    """Microseconds of the gradient of a tanh stack by every method, and the fastest one.

    A remark says where `auto` misses it. In `seconds` only what there is time for: cells are taken
    in such an order that the map is covered evenly wherever it ends.
    """
    if quick:
        widths, depths, batches = (4, 8), (64, 1_000), (1,)
    else:
        widths, depths, batches = (2, 4, 8, 16, 32, 64), (64, 1_000, 10_000), (1, 32, 256)
    print("\ncrossover: gradient of the mean squared error, tanh, float32; least microseconds")
    print(
        f"{'width':>6}{'depth':>7}{'batch':>6}"
        + "".join(f"{name:>15}" for name in METHODS)
        + "  fastest; auto takes"
    )
    gains: dict[int, Gains] = {batch: {} for batch in batches}
    cells = [Cell(depth, n, batch) for batch in batches for n in widths for depth in depths]
    if seconds is not None:
        cells = [cell for first in range(7) for cell in cells[first::7]]

    def row(cell: Cell) -> None:
        each = 0.2 if quick or seconds is not None else 0.4
        times = _times(cell, seconds=each, lenient=seconds is not None)
        _print_row(cell, times)
        gain = _gain(times)
        if gain is not None:
            gains[cell.batch][cell.width, cell.depth] = gain

    on_each(cells, row, "crossover", seconds=seconds)
    for batch, gain in gains.items():
        if gain:
            _draw(batch, gain, out)


def _times(cell: Cell, *, seconds: float, lenient: bool) -> dict[str, float]:
    """Microseconds of every method that fits, results compared first."""
    case = case_of(cell)
    contestants = {name: prepare(case) for name, prepare in own(cell).items() if name in METHODS}
    compared(contestants, f"crossover {cell}", lenient=lenient)
    times = race(
        {name: contestant.seconds for name, contestant in contestants.items()},
        seconds=seconds,
        clock=lambda run: run(),
    )
    return {name: 1e6 * time.minimum for name, time in times.items()}


def _print_row(cell: Cell, times: dict[str, float]) -> None:
    fastest = min(times, key=times.__getitem__)
    auto = method.fastest(cell.depth, cell.width, cell.batch, jax.default_backend())
    if auto == "autodiff":
        auto = "scan autodiff"
    remark = ""
    if auto not in times:
        remark = f"; {auto}, not measured"
    elif auto != fastest:
        remark = f"; {auto}, {times[auto] / times[fastest]:.2f} × the time"
    cells = [f"{times[name]:>15.1f}" if name in times else f"{'–':>15}" for name in METHODS]
    row = "".join(cells)
    print(
        f"{cell.width:>6}{cell.depth:>7}{cell.batch:>6}{row}  {fastest}{remark}",
        flush=True,
    )


def _gain(times: dict[str, float]) -> float | None:
    """By how much the methods of few steps beat the layer-by-layer ones, where they fit."""
    few_steps = [time for name, time in times.items() if name in ("parallel", "fused")]
    if not few_steps or "substitution" not in times:
        return None
    return min(times["scan autodiff"], times["substitution"]) / min(few_steps)


def _draw(batch: int, gains: Gains, out: Path) -> None:
    """The gains, a map of width and depth; above 1 the methods of few steps win."""
    widths = sorted({n for n, _ in gains})
    depths = sorted({depth for _, depth in gains})
    values = np.array([[gains.get((n, depth), np.nan) for n in widths] for depth in depths])
    figure = go.Figure(
        go.Heatmap(
            z=np.log10(values),
            x=[str(n) for n in widths],
            y=[f"{depth:,}" for depth in depths],
            text=[["" if np.isnan(v) else f"{v:.2g} ×" for v in row] for row in values],
            texttemplate="%{text}",
            colorscale="RdBu",
            zmid=0,
            showscale=False,
        )
    )
    device = jax.devices()[0]
    figure.update_layout(
        title=f"All layers at once against one by one, batch {batch} ({device.device_kind})",
        xaxis_title="width",
        yaxis_title="depth",
        width=640,
        height=420,
    )
    for path in figures.save(figure, out / f"crossover_{device.platform}_{batch}"):
        print(f"written: {path}")
