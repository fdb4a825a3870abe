"""The group `crossover` of `bench.py`: which way of differentiating is the fastest, by width, depth and batch.

Run it on a machine with a GPU, and set the table of `jnn/choice.py` from what it prints; the map is drawn, too. On a
CPU it shows that the parallel solve does not pay there.
"""

from pathlib import Path

import jax
import numpy as np
import plotly.graph_objects as go
from bench_depth import JNN, Cell, case_of, own
from bench_timing import assert_close, race

from jnn import choice, figures

WAYS = ("scan autodiff", *(name for name in JNN if name != "auto"))


def crossover(quick: bool) -> None:
    """Microseconds of the gradient of a tanh stack by every way, and the fastest one; `auto`, where it misses it."""
    widths, depths, batches = ((4, 8), (64, 1_000), (1,)) if quick else (
        (2, 4, 8, 16, 32, 64), (64, 1_000, 10_000), (1, 32, 256),
    )  # fmt: skip
    print("\ncrossover: gradient of the mean squared error, tanh, float32; least microseconds")
    print(f"{'width':>6}{'depth':>7}{'batch':>6}" + "".join(f"{way:>15}" for way in WAYS) + "  fastest; auto takes")
    gains: dict[int, dict[tuple[int, int], float]] = {batch: {} for batch in batches}
    for batch in batches:
        for n in widths:
            for layers in depths:
                cell = Cell(layers, n, batch)
                times = _times(cell, seconds=0.2 if quick else 0.4)
                fastest = min(times, key=times.__getitem__)
                auto = choice.fastest(layers, n, batch)
                auto = "scan autodiff" if auto == "autodiff" else auto
                row = "".join(f"{times[way]:>15.1f}" if way in times else f"{'–':>15}" for way in WAYS)
                remark = "" if auto == fastest else f"; {auto}, {times[auto] / times[fastest]:.2f} × the time"
                print(f"{n:>6}{layers:>7}{batch:>6}{row}  {fastest}{remark}", flush=True)
                rest = [time for way, time in times.items() if way in ("parallel", "fused")]
                if rest:
                    gains[batch][n, layers] = min(times["scan autodiff"], times["substitution"]) / min(rest)
    for batch, gain in gains.items():
        _draw(batch, gain)


def _times(cell: Cell, *, seconds: float) -> dict[str, float]:
    """Microseconds of every way that fits, results compared first."""
    case = case_of(cell)
    contestants = {name: prepare(case) for name, prepare in own(cell).items() if name in WAYS}
    reference = contestants["scan autodiff"].gradient()
    for name, contestant in contestants.items():
        assert_close(reference, contestant.gradient(), 1e-3, f"{cell}: {name}")
    times = race({name: c.seconds for name, c in contestants.items()}, seconds=seconds, clock=lambda run: run())
    return {name: 1e6 * time.minimum for name, time in times.items()}


def _draw(batch: int, gain: dict[tuple[int, int], float]) -> None:
    """By how much the ways of few steps beat the layer-by-layer ones, a map of width and depth; above 1 they win."""
    widths, depths = (sorted({key[axis] for key in gain}) for axis in (0, 1))
    values = np.array([[gain.get((n, layers), np.nan) for n in widths] for layers in depths])
    figure = go.Figure(
        go.Heatmap(
            z=np.log10(values),
            x=[str(n) for n in widths],
            y=[f"{layers:,}" for layers in depths],
            text=[["" if np.isnan(v) else f"{v:.2g} ×" for v in row] for row in values],
            texttemplate="%{text}",
            colorscale="RdBu",
            zmid=0,
            showscale=False,
        )
    )
    figure.update_layout(
        title=f"All layers at once against one by one, batch {batch} ({jax.devices()[0].device_kind})",
        xaxis_title="width",
        yaxis_title="depth",
        width=640,
        height=420,
    )
    for path in figures.save(figure, Path("out") / f"crossover_{jax.devices()[0].platform}_{batch}"):
        print(f"written: {path}")
