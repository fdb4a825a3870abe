"""Pictures of a loss over two parameters, and of the ways that methods take through it."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from jnn.checks import Data
from jnn.figures.style import (
    COLOURS,
    INK,
    SEQUENTIAL,
    colour_bar,
    layout,
    numbers,
    span,
    typeset,
    vector,
)

_TOLD_APART = 200  # points of a path; of more, white edges would hide its colour
_SIZES = {True: 8, False: 5}


def descent(
    first: Data,
    second: Data,
    loss: Data,
    paths: Mapping[str, Data] | None = None,
    *,
    title: str = "Descent",
    x_title: str = "p<sub>1</sub>",
    y_title: str = "p<sub>2</sub>",
) -> go.Figure:
    """The contours of a loss over two parameters, and paths through them.

    The levels are those of log₁₀ ℓ, evenly spaced: near a minimum ℓ itself has none. What of a path
    lies outside of the grid is not shown.

    Args:
      first: (m,), values of the parameter across, rising.
      second: (n,), values of the parameter upwards, rising.
      loss: (n, m), positive: a row for each value of `second`.
      paths: a name and (k, 2) points for each method, in the order in which it went through them; a
        path of one point is a mark, such as the minimum.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match, values do not rise, or a loss is not positive.

    >>> p = np.linspace(-1, 1, 5)
    >>> loss = p[None] ** 2 + 10 * p[:, None] ** 2 + 0.1
    >>> paths = {"steepest descent": [(1, 1), (0.8, -1), (0.6, 1)], "minimum": [(0, 0)]}
    >>> [trace.name for trace in descent(p, p, loss, paths).data]
    ['loss', 'steepest descent', 'minimum']
    """
    x, y = (_rising(name, values) for name, values in (("first", first), ("second", second)))
    z = numbers("loss", loss)
    if z.shape != (y.size, x.size):
        raise ValueError(
            f"loss has shape {z.shape}; expected {(y.size, x.size)}: a row for each value of second"
        )
    if not (z > 0).all():
        raise ValueError(
            f"loss has {np.count_nonzero(~(z > 0))} entries that are not positive; its logarithm "
            "is drawn: add what the loss is above 0 at its least"
        )
    contours = go.Contour(
        x=x,
        y=y,
        z=np.log10(z),
        customdata=z,
        name="loss",
        colorscale=SEQUENTIAL,
        ncontours=20,
        line={"width": 1, "color": INK},
        hovertemplate="%{x:.3g}, %{y:.3g}: loss %{customdata:.3g}<extra></extra>",
        colorbar=colour_bar("log<sub>10</sub> ℓ"),
    )
    figure = go.Figure(contours, layout=layout(title, 960, 640))
    for (name, path), colour in zip((paths or {}).items(), 20 * COLOURS[1:], strict=False):
        points = numbers(f"the path {name!r}", path)
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(f"the path {name!r} has shape {points.shape}; expected (k, 2)")
        few = len(points) <= _TOLD_APART
        figure.add_scatter(
            x=points[:, 0],
            y=points[:, 1],
            name=typeset(name),
            mode="lines+markers" if len(points) > 1 else "markers",
            line={"color": colour, "width": 3},
            marker={
                "color": colour,
                "size": _SIZES[few] if len(points) > 1 else 15,
                "line": {"color": "white", "width": int(few)},
            },
        )
    figure.update_xaxes(**span(x_title, x)).update_yaxes(**span(y_title, y))
    return figure.update_layout(
        showlegend=bool(paths),
        legend={"orientation": "h", "y": -0.18, "x": 0},
        margin={"b": 110},
        font={"color": INK},
    )


def _rising(name: str, values: Data) -> np.ndarray:
    vector_of_values = vector(name, values)
    if not (np.diff(vector_of_values) > 0).all():
        raise ValueError(f"{name} must rise from entry to entry: sort it, and its rows of the loss")
    return vector_of_values
