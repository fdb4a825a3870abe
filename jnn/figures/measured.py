"""Measurements as points, with a band where networks are many; predictions as lines over them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jnn.checks import Data
from jnn.figures.spread import band, quantiles
from jnn.figures.style import INK, line_styles, numbers, typeset, vector


def rows_of(name: str, values: Data, length: int | None = None) -> np.ndarray:
    """(networks, n) numbers from these, or from the (n,) of one network."""
    array = numbers(name, values)
    if array.ndim == 2 and array.shape[1] > 1 and array.shape[1] == (length or array.shape[1]):
        return array
    return vector(name, array, length)[None]


def measured_and_predicted(
    x: np.ndarray | None,
    rows: Mapping[str, np.ndarray],
    lines: Mapping[str, np.ndarray],
    *,
    rings: bool = False,
) -> list[go.Scatter]:
    """Bands of several networks, points, and lines over them, for each name in one colour.

    Several pairs of points and line have one entry in the legend each.
    """
    styles = line_styles(len(rows))
    colours = {name: style["color"] for name, style in zip(rows, styles, strict=True)}
    bands, points, over, entries = [], [], [], []
    nowhere = np.full(1, np.nan)
    for i, (name, networks) in enumerate(rows.items()):
        at = np.arange(1, networks.shape[1] + 1) if x is None else x
        low, median, high = (
            networks[[0, 0, 0]] if len(networks) == 1 else quantiles(networks, [0.1, 0.5, 0.9])
        )
        if len(networks) > 1:
            area = band(at, low, high, colours[name], 0.25, "10–90% of networks")
            bands.append(area.update(legendrank=1001, showlegend=not bands))
        marker = _marker(colours[name], median.size, ring=rings and i > 0, under=name in lines)
        pair = name in lines and len(rows) > 1
        label = {
            "name": typeset(name),
            "legendgroup": name,
            "showlegend": not pair,
            "legendrank": i + 1,
        }
        points.append(
            go.Scatter(x=at, y=median, mode="markers", marker=marker, cliponaxis=False, **label)
        )
        if pair:
            both = {"mode": "lines+markers", "line": {"color": colours[name], "width": 2.5}}
            label |= {"showlegend": True}
            entries.append(go.Scatter(x=nowhere, y=nowhere, marker=marker, **both, **label))
    for name, y in lines.items():
        at = np.arange(1, y.size + 1) if x is None else x
        alone = len(rows) == 1 and (name in rows or name == "predicted")
        line = {"color": INK if len(rows) == 1 else colours.get(name, INK), "width": 2.5}
        label = {
            "name": "predicted" if alone else typeset(name),
            "showlegend": alone or name not in rows,
        }
        over.append(go.Scatter(x=at, y=y, mode="lines", line=line, legendgroup=name, **label))
    return [*bands, *points[::-1], *over, *entries]


def _marker(colour: str, count: int, *, ring: bool, under: bool) -> dict[str, Any]:
    """Of measurements: smaller the more there are, paler where a line goes over them."""
    marker = {"color": colour, "size": 5 if count > 200 else 9, "symbol": "circle"}
    if ring:
        marker |= {"size": 17, "symbol": "circle-open", "line": {"width": 2.5, "color": colour}}
    return marker | {"opacity": 0.5 if under else 1}
