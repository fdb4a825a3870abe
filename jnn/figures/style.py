"""The house style of all pictures, and how arrays of any kind become what plotly draws."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from jnn import arrays
from jnn.checks import Data

# Okabe and Ito's colours, distinct for the colour-blind: the two that keep least contrast on white
# come last.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
INK, FAINT, GRID = "#222222", "#8a8f94", "#e6e8ea"
QUIET = "#5f656b"  # for texts, which need more contrast than lines

# Signed numbers, in every picture: red below zero, blue above. The middle is grey, not white: a
# small entry must not look like a blank, exact zero. Both ends are light enough for INK.
DIVERGING = [[0.0, "#e0705c"], [0.5, "#e6e6e6"], [1.0, "#4f9fd0"]]
# Sizes, in every picture: the smaller the paler, so that what vanishes fades away, but never white.
SEQUENTIAL = [
    [0.0, "#dcefc0"],
    [0.25, "#8fd3bb"],
    [0.5, "#45b0c4"],
    [0.75, "#2272b4"],
    [1.0, "#0b1f58"],
]

# What stands beside the axes of the plane of variances.
SIGMA_W2 = "σ<sub>w</sub>²  (weight variance × fan-in)"
SIGMA_B2 = "σ<sub>b</sub>²  (bias variance)"

_AXIS = {
    "showline": True,
    "linecolor": INK,
    "ticks": "outside",
    "tickcolor": INK,
    "gridcolor": GRID,
    "zeroline": False,
    "automargin": True,
    "autotickangles": [0, 90],
    "title": {"standoff": 12},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {
            "family": "Arial, Helvetica, Liberation Sans, sans-serif",
            "size": 18,
            "color": INK,
        },
        "title": {
            "font": {"size": 24},
            "x": 0.02,
            "xanchor": "left",
            "y": 0.965,
            "yanchor": "top",
        },
        "colorway": COLOURS,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "margin": {"l": 90, "r": 30, "t": 72, "b": 76},
        "hoverlabel": {"font": {"size": 15}},
    }
)


# ---- pictures ----


def empty(title: str, x_title: str, y_title: str) -> go.Figure:
    """An empty picture in the house style, of a size for a slide."""
    figure = go.Figure(layout=layout(title, 960, 600))
    return figure.update_xaxes(title_text=x_title).update_yaxes(title_text=y_title)


def layout(title: str, width: int, height: int) -> dict[str, Any]:
    """The layout of a picture that fills its column.

    Jupyter gives it the height; a page, the book and a static picture the aspect ratio, from
    `size`.
    """
    return {
        "template": TEMPLATE,
        "title": {"text": title},
        "autosize": True,
        "height": height,
        "meta": {"width": width},
    }


def size(drawn: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of a figure as a static picture.

    Args:
      drawn: the figure as a dictionary; any plotly figure, which may have a width of its own.
    """
    shown = drawn["layout"]
    meta = shown.get("meta")
    width = meta.get("width") if isinstance(meta, Mapping) else None
    return shown.get("width") or width or 960, shown.get("height") or 600


def colour_bar(title: str | None) -> dict[str, Any]:
    """The bar beside a heat map that says what its colours mean."""
    # above it, for beside it plotly lays it over the numbers; a line of a blank letter (braille's,
    # for plotly drops spaces) is the room that the topmost number needs
    text = title if title is None else f"{title}<br>\u2800"
    return {
        "title": {"text": text, "side": "top"},
        "outlinewidth": 0,
        "thickness": 18,
        "len": 0.9,
    }


def readable(text: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Texts for cells of SEQUENTIAL colours, black on the light ones and white on the dark.

    Of the two, one has a contrast of 4.58 : 1 at least with any colour: they are as good as each
    other where (L + 0.05)² = 1.05 · 0.05. [WCAG 2.2, relative luminance]

    Args:
      text: of any shape.
      shares: of the same shape, places on the scale from 0 to 1; NaN where a cell is blank.
    """
    places = np.nan_to_num(shares).ravel().tolist()
    rgb = np.array(sample_colorscale(SEQUENTIAL, places, colortype="tuple"))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    light = linear @ [0.2126, 0.7152, 0.0722] > (1.05 * 0.05) ** 0.5 - 0.05
    colours = np.where(light, "#000", "#fff")
    cells = [
        f'<span style="color:{colour}">{words}</span>' if words else ""
        for colour, words in zip(colours, np.ravel(text).tolist(), strict=True)
    ]
    return np.array(cells).reshape(np.shape(text))


# ---- lines ----


def line_styles(count: int) -> list[dict[str, Any]]:
    """Distinct colours for few lines; for many, steps of one scale from dark to light.

    The scale stops before it gets too light for white.
    """
    if count <= len(COLOURS):
        colours, width = COLOURS[:count], 3.5
    else:
        colours, width = sample_colorscale("Viridis", list(np.linspace(0, 0.92, count))), 2.5
    return [{"color": colour, "width": width, "simplify": False} for colour in colours]


def faint_line(dash: str) -> dict[str, Any]:
    """A level to compare with: "dash" of numbers measured, "dot" of limits of the machine."""
    return {"color": FAINT, "width": 2.5, "dash": dash}


def typeset(name: str) -> str:
    """A name for a legend, its σ_w² and σ_b² as on the axes.

    >>> typeset("σ_w² = 1.5")
    'σ<sub>w</sub>² = 1.5'
    """
    return re.sub("σ_([wb])²", r"σ<sub>\1</sub>²", str(name))


# ---- axes ----


def span(title: str, values: np.ndarray) -> dict[str, Any]:
    """An axis without a grid, from the least of the values to the greatest."""
    return {
        "title_text": title,
        "range": [values.min(), values.max()],
        "showgrid": False,
    }


def magnitudes(figure: go.Figure, log_y: bool) -> go.Figure:
    """The vertical axis of an error: powers of ten, or from 0 up.

    Few powers of ten have 2 and 5 between them.
    """
    if not log_y:
        return figure.update_yaxes(rangemode="tozero")
    traces: Any = figure.data
    shown = np.concatenate([np.log10(trace.y[trace.y > 0]) for trace in traces] or [np.zeros(0)])
    decades = np.ptp(shown) if shown.size else 0
    step = "D2" if decades < 2 else int(np.ceil(decades / 8))
    return figure.update_yaxes(type="log", exponentformat="power", dtick=step)


def on_axis(values: np.ndarray, log: bool) -> np.ndarray:
    """The values that the axis can show; the others are gaps."""
    return np.where(values > 0, values, np.nan) if log else values


# ---- arrays ----


def vector(name: str, values: Data, length: int | None = None) -> np.ndarray:
    """(n,) numbers from (n,) or (n, 1), of the given length.

    Raises:
      ValueError: of another shape; the message names what came and what was expected.
    """
    array = numbers(name, values)
    n = "n" if length is None else length
    column = array.ndim == 2 and array.shape[1] == 1
    if not (array.ndim == 1 or column) or array.size == 0 or length not in (None, array.size):
        raise ValueError(f"{name} has shape {array.shape}; expected ({n},) or ({n}, 1)")
    return array.reshape(-1)


def numbers(name: str, values: Data) -> np.ndarray:
    """The values in float64: bfloat16 has no place in a plotly figure.

    Raises:
      ValueError: they are not numbers, as True and False are not.
    """
    try:
        array = arrays.numbers(name, values)
        if array.dtype.kind == "b":
            raise TypeError(f"dtype {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        reason = str(error).removeprefix(f"{name} must hold numbers, got ")
        raise ValueError(f"{name} must be an array of numbers: {reason}") from error
