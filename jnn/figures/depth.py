"""Pictures by depth: errors of shallow and deep networks, gradients and correlations on the way."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data, Real
from jnn.figures.measured import measured_and_predicted, rows_of
from jnn.figures.style import (
    QUIET,
    empty,
    faint_line,
    magnitudes,
    on_axis,
    vector,
)


def errors_by_depth(
    depths: Data,
    errors: Data | Mapping[str, Data],
    *,
    predicted: Mapping[str, Data] | None = None,
    baseline: Real | None = None,
    least: Real | None = None,
    title: str = "How deep?",
    y_title: str = "mean squared error",
    log_y: bool = True,
) -> go.Figure:
    """The error against the number of layers: measured points, predicted lines.

    Where the gradient vanishes, it rises to that of predicting the mean.

    Args:
      depths: (n,) numbers of layers, in any order.
      errors: (n,) errors, or (networks, n), of which the median and a band are drawn; or a name and
        these for each set of points. NaN where a depth was not run.
      predicted: a name and (n,) for each line; with names those of the points they belong to.
      baseline: the error of always predicting the mean, the variance of the targets: a dashed line.
      least: errors below it stand at it as triangles that point down, so that an exact one does not
        flatten all the others.
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
    figure = empty(title, "layers", y_title)
    ends = [depths.min() - 0.5, depths.max() + 0.5]
    if baseline is not None:
        level = checks.number("baseline", baseline, meaning="the error of predicting the mean")
        figure.add_scatter(
            x=ends,
            y=np.full(2, level),
            name="predicting the mean",
            mode="lines",
            line=faint_line("dash"),
        )
    given = errors if isinstance(errors, Mapping) else {"error": errors}
    rows = {
        name: rows_of(f"the errors {name!r}" if len(given) > 1 else "errors", values, depths.size)
        for name, values in given.items()
    }
    lines = {
        name: vector(f"the prediction {name!r}", values, depths.size)
        for name, values in (predicted or {}).items()
    }
    if least is not None:
        least = checks.number(
            "least", least, above=0, meaning="the least error to be drawn as it is"
        )
    # the first on top; where others agree with it, they stand around it as rings
    shown = {name: on_axis(values, log_y)[:, order] for name, values in rows.items()}
    foreseen = {name: on_axis(values, log_y)[order] for name, values in lines.items()}
    traces = measured_and_predicted(depths[order], shown, foreseen, rings=True)
    figure.add_traces(traces)
    if least is not None:
        _put_at_the_least(figure, least)
    step = max(1, int(np.ceil((np.ptp(depths) + 1) / 20)))
    figure.update_xaxes(showgrid=False, tick0=depths.min(), dtick=step, range=ends)
    several = baseline is not None or least is not None or len(traces) > 1
    return magnitudes(figure, log_y).update_layout(showlegend=several)


def gradients_by_depth(
    log_norms: Data | Mapping[str, Data],
    *,
    predicted: Data | Mapping[str, Data] | None = None,
    layers: Data = None,
    smallest: Real | None = None,
    title: str = "Gradient by depth",
    y_title: str = "log₁₀ ‖∂ℓ/∂b‖",
) -> go.Figure:
    """The size of the gradient in every layer: measured points, predicted lines.

    Args:
      log_norms: natural logarithms for layers 1 … N, (N,), or (networks, N), of which the median
        and a band that holds 80% of them are drawn; or a name and these for each set of points.
        Logarithms, for the norms themselves may lie outside of what floats can say; −∞ (a gradient
        of exactly 0) leaves a gap.
      predicted: (N,), or a name and (N,) for each line; with names those of the points they belong
        to.
      layers: (N,), their numbers; None for 1 … N.
      smallest: the least positive number of the network's dtype, below which its gradients are 0: a
        dotted line, where the gradients come near it.
      title: above the picture.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape is another, or a prediction is not as long as its measurement.

    >>> log_norms = jnp.array([-6.0, -4.0, -2.0])
    >>> figure = gradients_by_depth(log_norms, predicted=log_norms - 0.1)
    >>> [trace.name for trace in figure.data]
    ['measured', 'predicted']
    """
    if smallest is not None:
        meaning = "the least positive number of a dtype"
        smallest = checks.number("smallest", smallest, above=0, meaning=meaning)
    given = log_norms if isinstance(log_norms, Mapping) else {"measured": log_norms}
    rows = {name: rows_of(f"the norms {name!r}", values) for name, values in given.items()}
    lines = {}
    if predicted is not None:
        alone = "measured" if "measured" in rows else "predicted"
        foreseen = predicted if isinstance(predicted, Mapping) else {alone: predicted}
        for name, values in foreseen.items():
            length = rows[name].shape[1] if name in rows else None
            lines[name] = vector(f"the prediction {name!r}", values, length)
    x = None if layers is None else vector("layers", layers, next(iter(rows.values())).shape[1])
    figure = empty(title, "layer", y_title)
    traces = measured_and_predicted(
        x,
        {name: np.where(np.isfinite(v), v, np.nan) / np.log(10) for name, v in rows.items()},
        {name: values / np.log(10) for name, values in lines.items()},
    )
    figure.add_traces(traces)
    if smallest is not None:
        _add_end_of_floats(figure, smallest, rows)
    return figure.update_layout(showlegend=len(traces) > 1)


def correlations_by_depth(
    measured: Mapping[str, Data],
    *,
    predicted: Mapping[str, Data] | None = None,
    log: bool = False,
    title: str = "Correlation of two inputs by depth",
) -> go.Figure:
    """How alike two inputs become, or how they part, by layer: measured points, predicted lines.

    Args:
      measured: a name and the correlations c_1 … c_N for each set of points, (N,), or
        (networks, N), of which the median and a band that holds 80% of them are drawn.
      predicted: a name and (N,) for each line; names are those of the points they belong to.
      log: draw 1 − c on a logarithmic axis, and both axes so: there c → 1 like a power of depth is
        a straight line.
      title: above the picture.
    Raises:
      ValueError: a shape is another, or a prediction is not as long as its measurement.

    >>> measured = {"relu": jnp.array([0.7, 0.8])}
    >>> predicted = {"relu": jnp.array([0.68, 0.75])}
    >>> [trace.mode for trace in correlations_by_depth(measured, predicted=predicted).data]
    ['markers', 'lines']
    """
    log = checks.flag("log", log)
    figure = empty(title, "layer", "1 − c" if log else "correlation c")

    def height(c: np.ndarray) -> np.ndarray:
        return on_axis(1 - c, log=True) if log else c

    rows = {name: height(rows_of(f"the correlations {name!r}", c)) for name, c in measured.items()}
    lines = {
        name: height(vector(f"the prediction {name!r}", predicted[name], c.shape[1]))
        for name, c in rows.items()
        if predicted is not None and name in predicted
    }
    figure.add_traces(measured_and_predicted(None, rows, lines))
    if log:
        figure.update_xaxes(type="log").update_yaxes(type="log", exponentformat="power")
    return figure.update_layout(showlegend=True)


def _put_at_the_least(figure: go.Figure, least: Real) -> None:
    """Triangles that point down, at the least error, in place of measurements and bands below."""
    name = f"below {least:.0e}".replace("e-0", "e−").replace("e-", "e−")
    traces: Any = figure.data
    triangles = []
    for trace in traces:
        below = trace.y < least
        if trace.mode == "markers" and below.any():
            marker = {"color": trace.marker.color, "symbol": "triangle-down", "size": 13}
            y = np.full(below.sum(), float(least))
            triangles.append(
                go.Scatter(x=trace.x[below], y=y, name=name, mode="markers", marker=marker)
            )
            trace.y = np.where(below, np.nan, trace.y)
        elif trace.fill is not None:
            trace.y = np.where(below, least, trace.y)
    for triangle in triangles[1:]:
        triangle.showlegend = False
    figure.add_traces(triangles)


def _add_end_of_floats(
    figure: go.Figure, smallest: Real, log_norms: Mapping[str, np.ndarray]
) -> None:
    """A dotted line at the least positive number, if a gradient comes within nine decades of it."""
    if min(np.nanmin(y) for y in log_norms.values()) >= np.log(smallest) + 20:
        return
    label = f"floats end at {smallest:.0e}".replace("-", "−")
    figure.add_hline(
        y=np.log10(smallest),
        line=faint_line("dot"),
        annotation={"text": label, "font": {"color": QUIET}},
    )
