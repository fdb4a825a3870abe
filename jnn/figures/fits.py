"""Pictures of fits: predictions over x, and the data behind them."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data
from jnn.figures.style import (
    FAINT,
    empty,
    faint_line,
    line_styles,
    magnitudes,
    on_axis,
    vector,
)


def curves(
    x: Data,
    predictions: Mapping[str, Data],
    *,
    data: tuple[Data, Data] | None = None,
    title: str = "Predictions and data",
    x_title: str = "x",
    y_title: str = "y",
) -> go.Figure:
    """One line for each named prediction over x, and the data as points behind them.

    Args:
      x: (n,) or (n, 1), in any order.
      predictions: a name and (n,) or (n, 1) values for each line; up to six lines get distinct
        colours, more get the steps of one scale from dark to light, so give a family (depths,
        widths) in its order.
      data: (x, y) of the points, each (m,) or (m, 1); None draws none.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match; the message says which, what came and what was expected.

    >>> x = jnp.linspace(0.0, 1.0, 5)[:, None]
    >>> [trace.name for trace in curves(x, {"2 layers": x**2}, data=(x, x)).data]
    ['data', '2 layers']
    """
    x = vector("x", x)
    order = np.argsort(x, kind="stable")
    figure = empty(title, x_title, y_title)
    if data is not None:
        add_points(figure, data)
    styles = line_styles(len(predictions))
    for (name, values), style in zip(predictions.items(), styles, strict=True):
        y = vector(f"the prediction {name!r}", values, x.size)
        figure.add_scatter(x=x[order], y=y[order], name=name, mode="lines", line=style)
    return figure.update_layout(showlegend=True)


def residuals(
    x: Data,
    residuals: Mapping[str, Data],
    *,
    log: bool = False,
    title: str = "Residuals",
    x_title: str = "x",
    y_title: str = "ŷ − y",
) -> go.Figure:
    """What fits leave, as points about a dashed line at 0: for fits that curves cannot tell apart.

    Args:
      x: (n,) or (n, 1), in any order; the predictions themselves will do as well.
      residuals: a name and (n,) or (n, 1) differences ŷ − y for each fit.
      log: draw |ŷ − y| on a logarithmic axis, for fits whose errors differ by powers of ten; there
        is no 0 on it.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match; the message says which, what came and what was expected.

    >>> figure = residuals([0.0, 1.0], {"line": [0.1, -0.1], "curve": [0.0, 0.01]})
    >>> [trace.name for trace in figure.data], figure.layout.shapes[0].line.dash
    (['line', 'curve'], 'dash')
    """
    log = checks.flag("log", log)
    x = vector("x", x)
    figure = empty(title, x_title, f"|{y_title}|" if log else y_title)
    for (name, values), style in zip(residuals.items(), line_styles(len(residuals)), strict=True):
        left = vector(f"the residual {name!r}", values, x.size)
        y = on_axis(np.abs(left), log=True) if log else left
        marker = {"color": style["color"], "size": 8 if x.size <= 100 else 5}
        figure.add_scatter(x=x, y=y, name=name, mode="markers", marker=marker)
    if log:
        magnitudes(figure, log_y=True)
    else:
        figure.add_hline(y=0, line=faint_line("dash"), layer="below")
    return figure.update_layout(showlegend=len(residuals) > 1)


def add_points(figure: go.Figure, data: tuple[Data, Data]) -> None:
    """Measurements, as points in grey."""
    if len(data) != 2:
        raise ValueError(f"data must be a pair (x, y), got {len(data)} entries")
    x = vector("data[0]", data[0])
    y = vector("data[1]", data[1], x.size)
    marker = {"color": FAINT, "size": 7, "opacity": 0.45}
    figure.add_scatter(x=x, y=y, name="data", mode="markers", marker=marker)
