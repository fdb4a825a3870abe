"""The house style of all pictures, and how arrays of any kind become what plotly draws."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

# Okabe and Ito's colours, distinct for the colour-blind: the two that keep least contrast on white come last.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
INK, FAINT, GRID = "#222222", "#8a8f94", "#e6e8ea"

_AXIS = {
    "showline": True,
    "linecolor": INK,
    "ticks": "outside",
    "tickcolor": INK,
    "gridcolor": GRID,
    "zeroline": False,
    "automargin": True,
    "title": {"standoff": 12},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "Arial, Helvetica, Liberation Sans, sans-serif", "size": 18, "color": INK},
        "title": {"font": {"size": 24}, "x": 0.02, "xanchor": "left", "y": 0.965, "yanchor": "top"},
        "colorway": COLOURS,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "margin": {"l": 90, "r": 30, "t": 72, "b": 76},
        "hoverlabel": {"font": {"size": 15}},
    }
)


def empty(title: str, x_title: str, y_title: str) -> go.Figure:
    """An empty picture in the house style, of a size for a slide."""
    layout = {"template": TEMPLATE, "title": {"text": title}, "width": 960, "height": 600}
    return go.Figure(layout=layout).update_xaxes(title_text=x_title).update_yaxes(title_text=y_title)


def line_styles(count: int) -> list[dict[str, Any]]:
    """Distinct colours for few lines; for many, steps of one scale that stops before it gets too light for white."""
    few = count <= len(COLOURS)
    colours = COLOURS[:count] if few else sample_colorscale("Viridis", list(np.linspace(0, 0.92, count)))
    return [{"color": colour, "width": 3.5 if few else 2.5, "simplify": False} for colour in colours]


def vector(name: str, values: Any, length: int | None = None) -> np.ndarray:
    """(n,) numbers from (n,) or (n, 1), of the given length, or an error that names what came and what was expected."""
    array = numbers(name, values)
    n = "n" if length is None else length
    column = array.ndim == 2 and array.shape[1] == 1
    if not (array.ndim == 1 or column) or array.size == 0 or length not in (None, array.size):
        raise ValueError(f"{name} has shape {array.shape}; expected ({n},) or ({n}, 1)")
    return array.reshape(-1)


def numbers(name: str, values: Any) -> np.ndarray:
    """The values in float64 (bfloat16 has no place in a plotly figure), or an error that says they are no numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufV":  # V: the narrow floats of JAX
            raise TypeError(f"dtype {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
