"""Pictures of lines: predictions over x, losses by epoch, errors by depth."""

from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from jnn.figures.style import FAINT, empty, line_styles, vector


def curves(
    x: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    data: tuple[ArrayLike, ArrayLike] | None = None,
    title: str = "Predictions and data",
    x_title: str = "x",
    y_title: str = "y",
) -> go.Figure:
    """One line for each named prediction over x, and the data as points behind them.

    Args:
      x: (n,) or (n, 1), in any order.
      predictions: a name and (n,) or (n, 1) values for each line; up to six lines get distinct colours, more get the
        steps of one scale from dark to light, so give a family (depths, widths) in its order.
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
        if len(data) != 2:
            raise ValueError(f"data must be a pair (x, y), got {len(data)} entries")
        data_x = vector("data[0]", data[0])
        points = {"color": FAINT, "size": 7, "opacity": 0.45}
        figure.add_scatter(
            x=data_x, y=vector("data[1]", data[1], data_x.size), name="data", mode="markers", marker=points
        )
    for (name, values), style in zip(predictions.items(), line_styles(len(predictions)), strict=True):
        y = vector(f"the prediction {name!r}", values, x.size)
        figure.add_scatter(x=x[order], y=y[order], name=name, mode="lines", line=style)
    return figure.update_layout(showlegend=True)


def losses(history: Mapping[str, ArrayLike], *, title: str = "Loss by epoch", log_y: bool = True) -> go.Figure:
    """The loss after each epoch, one line a run; `Fit.history` fits as it is.

    Args:
      history: a name and (epochs,) losses for each line; the lines may differ in length.
      title: above the picture.
      log_y: logarithmic vertical axis, on which a loss that is not above 0 has no place and leaves a gap.
    Raises:
      ValueError: a loss is no vector.

    >>> figure = losses({"3 layers": jnp.array([1.0, 0.1, 0.01])})
    >>> figure.data[0].x.tolist(), figure.layout.yaxis.type
    ([1, 2, 3], 'log')
    """
    figure = empty(title, "epoch", "loss")
    longest = 1
    for (name, values), style in zip(history.items(), line_styles(len(history)), strict=True):
        loss = vector(f"the loss {name!r}", values)
        longest, mode = max(longest, loss.size), "lines" if loss.size > 1 else "markers"
        figure.add_scatter(x=np.arange(1, loss.size + 1), y=_on_axis(loss, log_y), name=name, mode=mode, line=style)
    figure.update_xaxes(range=[1 - 0.02 * longest, 1.02 * longest])  # room for a drop in the first epoch
    return _magnitudes(figure, log_y).update_layout(showlegend=len(history) > 1)


def errors_by_depth(
    depths: ArrayLike,
    errors: ArrayLike | Mapping[str, ArrayLike],
    *,
    baseline: float | None = None,
    title: str = "How deep?",
    y_title: str = "mean squared error",
    log_y: bool = True,
) -> go.Figure:
    """The error against the number of layers: where the gradient vanishes, it rises to that of predicting the mean.

    Args:
      depths: (n,) numbers of layers, in any order.
      errors: (n,) errors, or a name and (n,) errors for each line; NaN where a depth was not run.
      baseline: the error of always predicting the mean, the variance of the targets: a dashed line.
      title: above the picture.
      y_title: beside the vertical axis.
      log_y: logarithmic vertical axis, on which an error of 0 has no place and leaves a gap.
    Raises:
      ValueError: depths and errors differ in length, or have the wrong shape.

    >>> figure = errors_by_depth([1, 2, 3], jnp.array([1e-9, 0.01, 0.02]), baseline=4.7)
    >>> [trace.name for trace in figure.data]
    ['predicting the mean', 'error']
    """
    depths = vector("depths", depths)
    order = np.argsort(depths, kind="stable")
    named: Mapping[str, Any] = errors if isinstance(errors, Mapping) else {"error": errors}
    figure = empty(title, "layers", y_title)
    if baseline is not None:
        ends = [depths.min() - 0.5, depths.max() + 0.5]
        dashed = {"color": FAINT, "width": 2.5, "dash": "dash"}
        figure.add_scatter(x=ends, y=np.full(2, float(baseline)), name="predicting the mean", mode="lines", line=dashed)
    markers = chain([("circle", 10)], repeat(("circle-open", 17)))
    traces: list[go.Scatter] = []
    for (name, values), style, (symbol, size) in zip(named.items(), line_styles(len(named)), markers, strict=False):
        error = _on_axis(vector(f"the errors {name!r}" if len(named) > 1 else "errors", values, depths.size), log_y)
        marker = {"size": size, "symbol": symbol, "line": {"width": 2.5, "color": style["color"]}}
        traces.append(
            go.Scatter(
                x=depths[order],
                y=error[order],
                name=name,
                mode="lines+markers",
                line=style,
                marker=marker,
                cliponaxis=False,
                legendrank=len(traces),
            )
        )
    figure.add_traces(traces[::-1])  # the first on top; where others agree with it, they stand around it as rings
    whole = np.unique(depths)
    step = max(1, int(np.ceil((whole.max() - whole.min() + 1) / 20)))
    figure.update_xaxes(showgrid=False, tick0=whole.min(), dtick=step, range=[depths.min() - 0.5, depths.max() + 0.5])
    return _magnitudes(figure, log_y).update_layout(showlegend=baseline is not None or len(named) > 1)


def _magnitudes(figure: go.Figure, log_y: bool) -> go.Figure:
    """The vertical axis of an error: powers of ten (with 2 and 5 between them if they are few), or from 0 up."""
    if not log_y:
        return figure.update_yaxes(rangemode="tozero")
    traces: Any = figure.data
    seen = np.concatenate([np.log10(trace.y[trace.y > 0]) for trace in traces] or [np.zeros(0)])
    decades = np.ptp(seen) if seen.size else 0
    return figure.update_yaxes(
        type="log", exponentformat="power", dtick="D2" if decades < 2 else int(np.ceil(decades / 8))
    )


def _on_axis(values: np.ndarray, log_y: bool) -> np.ndarray:
    """The values that the axis can show; the others are gaps."""
    return np.where(values > 0, values, np.nan) if log_y else values
