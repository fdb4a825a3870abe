"""Pictures of many networks: losses and their spread, medians by two columns, an ensemble."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jnn.checks import Data, Thing
from jnn.figures.fits import add_points
from jnn.figures.spread import band, quantiles
from jnn.figures.style import (
    COLOURS,
    FAINT,
    SEQUENTIAL,
    colour_bar,
    empty,
    layout,
    line_styles,
    magnitudes,
    numbers,
    on_axis,
    readable,
    typeset,
    vector,
)

_BANDS = {
    "10–90% of members": (0.1, 0.9, 0.18),
    "25–75% of members": (0.25, 0.75, 0.35),
}  # levels, and opacity
_FAINT = 0.22
_MOST = 24  # different numbers with a row or column each; more of them share _RANGES
_RANGES = 12
_WRITTEN_UP_TO = 10  # rows or columns with which the values stand in the cells


def fan(
    history: Mapping[str, Data],
    *,
    title: str = "Loss by epoch, over members",
    y_title: str = "loss",
    log_y: bool = True,
) -> go.Figure:
    """A fan chart: the median over members by epoch, and bands that hold half and 80% of them.

    Several fans have the band of the half alone, since more would cover each other. A member that
    is done keeps its last number: what it stopped with is what it has.

    Args:
      history: a name and (M, epochs) numbers for each fan, NaN after a member's last epoch, as in
        `Fits.history`: `{"all seeds": fits.history["validation_loss"]}`.
      title: above the picture.
      y_title: beside the vertical axis.
      log_y: logarithmic vertical axis, on which a number that is not above 0 has no place.
    Raises:
      ValueError: a history is not of shape (M, epochs).

    >>> figure = fan({"three seeds": [[3.0, 2.0], [2.0, 1.0], [1.0, np.nan]]})
    >>> figure.data[-1].name, figure.data[-1].y.tolist()
    ('three seeds', [2.0, 1.0])
    """
    figure = empty(title, "epoch", y_title)
    bands = list(_BANDS.items())[len(history) > 1 :]
    medians = []
    for (name, values), style in zip(history.items(), line_styles(len(history)), strict=True):
        members = _carried_on(name, values)
        x = np.arange(1, members.shape[1] + 1)
        for share, (least, greatest, opacity) in bands:
            low, high = (on_axis(a, log_y) for a in quantiles(members, [least, greatest]))
            area = band(x, low, high, style["color"], opacity, share)
            figure.add_trace(area.update(legendrank=1001, showlegend=len(history) == 1))
        median = on_axis(quantiles(members, [0.5])[0], log_y)
        medians.append(go.Scatter(x=x, y=median, name=typeset(name), mode="lines", line=style))
    magnitudes(figure.add_traces(medians), log_y)
    if len(history) > 1:  # what the bands are, once for all
        (share, (_, _, opacity)), *_ = bands
        nothing = np.zeros(0)
        area = band(nothing, nothing, nothing, FAINT, opacity, share)
        figure.add_trace(area.update(legendrank=1001, x=[None], y=[None]))
    return figure.update_layout(showlegend=True)


def heat_map(
    columns: Mapping[str, Thing],
    x: str,
    y: str,
    value: str,
    *,
    log: bool = False,
    title: str | None = None,
) -> go.Figure:
    """The median of a column over all members that have the same two others, one cell a pair.

    A cell without members is blank, and so is one of which half or more have no number (NaN).

    Args:
      columns: (M,) each, as from `Fits.table()`, with numbers or words in those of the axes. More
        than 24 different numbers share 12 ranges, named by the middle one of each.
      x: the column along the horizontal axis.
      y: the column along the vertical axis.
      value: the column that is coloured.
      log: colour by log₁₀, for values that differ by many powers of ten.
      title: above the picture; None says what is shown.
    Raises:
      ValueError: there is no column of that name, or their lengths differ.

    >>> columns = {"depth": [2, 4, 2, 4], "start": ["a", "a", "b", "b"], "loss": [1, 2, 3, 4]}
    >>> heat_map(columns, "depth", "start", "loss").data[0].z.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    for name in (x, y, value):
        if name not in columns:
            raise ValueError(f"there is no column {name!r}, but {', '.join(columns)}")
    z = vector(f"the column {value!r}", columns[value])
    of_x, x_names = _ordered(x, columns[x], z.size)
    of_y, y_names = _ordered(y, columns[y], z.size)
    medians = np.full((len(y_names), len(x_names)), np.nan)
    for i, j in {*zip(of_y.tolist(), of_x.tolist(), strict=True)}:
        medians[i, j] = _median(z[(of_y == i) & (of_x == j)])
    if title is None:
        title = _words(f"Median {value} by {x} and {y}")
    figure = go.Figure(_cells(medians, value, log), layout=layout(title, 960, 640))
    hover = [[f"{x} {i}, {y} {j}" for i in x_names] for j in y_names]
    figure.update_traces(hovertext=hover)
    edges = {"showgrid": False, "ticks": "", "mirror": True}
    figure.update_xaxes(title_text=_words(x), **edges, **_ticks(x_names))
    return figure.update_yaxes(title_text=_words(y), **edges, **_ticks(y_names))


def ensemble(
    x: Data,
    prediction: tuple[Data, Data],
    *,
    data: tuple[Data, Data] | None = None,
    title: str = "An ensemble's mean and spread",
    x_title: str = "x",
    y_title: str = "y",
) -> go.Figure:
    """The mean of an ensemble over x, a band of two standard deviations, and the data behind.

    Args:
      x: (n,) or (n, 1), in any order.
      prediction: (mean, std), each (n,) or (n, 1), as `Fits.predict(x)` gives them.
      data: (x, y) of the points, each (m,) or (m, 1); None draws none.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match; the message says which, what came and what was expected.

    >>> figure = ensemble([0.0, 1.0], ([1.0, 2.0], [0.1, 0.5]), data=([0.5], [1.4]))
    >>> [trace.name for trace in figure.data]
    ['mean ± 2 std', 'data', 'mean']
    """
    x = vector("x", x)
    if len(prediction) != 2:
        raise ValueError(f"prediction must be a pair (mean, std), got {len(prediction)} entries")
    mean = vector("the mean", prediction[0], x.size)
    std = vector("the standard deviation", prediction[1], x.size)
    order = np.argsort(x, kind="stable")
    x, mean, std = x[order], mean[order], std[order]
    figure = empty(title, x_title, y_title)
    figure.add_trace(band(x, mean - 2 * std, mean + 2 * std, COLOURS[0], _FAINT, "mean ± 2 std"))
    if data is not None:
        add_points(figure, data)
    line = line_styles(1)[0]
    figure.add_scatter(x=x, y=mean, name="mean", mode="lines", line=line, legendrank=999)
    return figure.update_layout(showlegend=True)


# ---- bands ----


def _carried_on(name: str, values: Data) -> np.ndarray:
    """(M, epochs), the last number of each member in place of what comes after it."""
    members = numbers(f"the history {name!r}", values)
    if members.ndim != 2 or members.size == 0:
        raise ValueError(
            f"the history {name!r} has shape {members.shape}; expected (M, epochs), a row a member"
        )
    known = np.where(np.isnan(members), 0, np.arange(members.shape[1]))
    return np.take_along_axis(members, np.maximum.accumulate(known, axis=1), axis=1)


# ---- cells ----


def _ordered(name: str, column: Thing, count: int) -> tuple[np.ndarray, list[str]]:
    """The place of each entry along an axis, and the names of the places.

    Numbers stand by their size, words as they first come.
    """
    values = np.asarray(column)
    if values.shape != (count,):
        raise ValueError(f"the column {name!r} has shape {values.shape}; expected ({count},)")
    different, first, place = np.unique(values, return_index=True, return_inverse=True)
    if values.dtype.kind not in "iuf":
        order = np.argsort(first)
        return np.argsort(order)[place], [str(word) for word in different[order]]
    if len(different) > _MOST:
        parts = np.array_split(different, _RANGES)
        starts = [part[0] for part in parts]
        place = np.searchsorted(starts, values, side="right") - 1
        different = np.array([part[len(part) // 2] for part in parts])
    return place, [f"{number:.3g}" if number % 1 else f"{number:.0f}" for number in different]


def _median(values: np.ndarray) -> float:
    """Of the numbers, NaN where they are no more than half of the values; one of them."""
    known = values[~np.isnan(values)]
    if 2 * known.size <= values.size:
        return np.nan
    return float(np.quantile(known, 0.5, method="inverted_cdf"))


def _cells(medians: np.ndarray, value: str, log: bool) -> go.Heatmap:
    shown = on_axis(medians, log)
    z = np.log10(shown) if log else shown
    heat = go.Heatmap(
        z=np.where(np.isinf(z), np.nan, z),
        customdata=medians,
        hovertemplate="%{hovertext}: %{customdata:.4g}<extra></extra>",
        hoverongaps=False,
        colorscale=SEQUENTIAL,
        colorbar=colour_bar(_words(f"log₁₀ {value}" if log else value)),
    )
    if max(medians.shape) <= _WRITTEN_UP_TO:
        text = np.array([["" if np.isnan(m) else f"{m:.3g}" for m in row] for row in medians])
        z = np.asarray(heat.z)
        low, high = (np.nanmin(z), np.nanmax(z)) if np.isfinite(z).any() else (0.0, 0.0)
        text = readable(text, (z - low) / ((high - low) or 1))
        heat.update(text=text, texttemplate="%{text}", textfont={"size": 14}, xgap=3, ygap=3)
    return heat


def _ticks(names: list[str]) -> dict[str, Any]:
    """At most sixteen names along an axis of cells."""
    step = -(-len(names) // 16)
    places = np.arange(0, len(names), step)
    return {"tickvals": places, "ticktext": names[::step]}


def _words(name: str) -> str:
    return name.replace("_", " ")
