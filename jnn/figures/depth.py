"""Pictures by depth: errors of shallow and deep networks, gradients and correlations on the way."""

from collections.abc import Mapping
from itertools import chain, repeat

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data, Real
from jnn.figures.style import (
    FAINT,
    INK,
    empty,
    faint_line,
    line_styles,
    magnitudes,
    on_axis,
    vector,
)


def errors_by_depth(
    depths: Data,
    errors: Data | Mapping[str, Data],
    *,
    baseline: Real | None = None,
    title: str = "How deep?",
    y_title: str = "mean squared error",
    log_y: bool = True,
) -> go.Figure:
    """The error against the number of layers.

    Where the gradient vanishes, it rises to that of predicting the mean.

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
    named = {}
    given = errors if isinstance(errors, Mapping) else {"error": errors}
    for name, values in given.items():
        called = f"the errors {name!r}" if len(given) > 1 else "errors"
        named[name] = vector(called, values, depths.size)
    # the first on top; where others agree with it, they stand around it as rings
    figure.add_traces(_error_lines(depths, named, log_y)[::-1])
    step = max(1, int(np.ceil((np.ptp(depths) + 1) / 20)))
    figure.update_xaxes(showgrid=False, tick0=depths.min(), dtick=step, range=ends)
    shown = baseline is not None or len(named) > 1
    return magnitudes(figure, log_y).update_layout(showlegend=shown)


def gradients_by_depth(
    log_norms: Data | Mapping[str, Data],
    *,
    predicted: Data | Mapping[str, Data] | None = None,
    smallest: Real | None = None,
    title: str = "Gradient by depth",
    y_title: str = "log₁₀ ‖∂ℓ/∂b‖",
) -> go.Figure:
    """The size of the gradient in every layer: measured points, predicted lines.

    Args:
      log_norms: natural logarithms for layers 1 … N, (N,), or a name and (N,) for each set of
        points. Logarithms, for the norms themselves may lie outside of what floats can say; −∞ (a
        gradient of exactly 0) leaves a gap.
      predicted: the same, drawn as lines; with names those of the points they belong to.
      smallest: the least positive number of the network's dtype, below which its gradients are 0: a
        dotted line, where the gradients come near it.
      title: above the picture.
      y_title: beside the vertical axis.
    Raises:
      ValueError: something is not a vector, or a prediction is not as long as its measurement.

    >>> log_norms = jnp.array([-6.0, -4.0, -2.0])
    >>> figure = gradients_by_depth(log_norms, predicted=log_norms - 0.1)
    >>> [trace.name for trace in figure.data]
    ['predicted', 'measured']
    """
    if smallest is not None:
        meaning = "the least positive number of a dtype"
        smallest = checks.number("smallest", smallest, above=0, meaning=meaning)
    points = _named(log_norms, "measured")
    lines = {}
    if predicted is not None:
        lines = _named(predicted, "measured" if "measured" in points else "predicted")
    styles = line_styles(len(points))
    colours = {name: style["color"] for name, style in zip(points, styles, strict=True)}
    figure = empty(title, "layer", y_title)
    for name, values in lines.items():
        length = points[name].size if name in points else None
        y = vector(f"the prediction {name!r}", values, length) / np.log(10)
        label, colour = "predicted", INK
        if len(points) > 1:
            label, colour = f"{name}, predicted", colours.get(name, INK)
        line = {"color": colour, "width": 2.5}
        figure.add_scatter(x=_layers(y), y=y, name=label, mode="lines", line=line)
    for name, y in points.items():
        marker = {"color": colours[name], "size": 9, "opacity": 1}
        if y.size > 200:
            marker |= {"size": 5, "opacity": 0.6}
        shown = np.where(np.isfinite(y), y, np.nan) / np.log(10)
        figure.add_scatter(x=_layers(y), y=shown, name=name, mode="markers", marker=marker)
    if smallest is not None:
        _add_end_of_floats(figure, smallest, points)
    return figure.update_layout(showlegend=len(points) + len(lines) > 1)


def correlations_by_depth(
    measured: Mapping[str, Data],
    *,
    predicted: Mapping[str, Data] | None = None,
    log: bool = False,
    title: str = "Correlation of two inputs by depth",
) -> go.Figure:
    """How alike two inputs become, or how they part, on their way through the layers.

    Args:
      measured: a name and the correlations c_1 … c_N, (N,), for each set of points.
      predicted: the same, as lines; names are those of the points they belong to.
      log: draw 1 − c on a logarithmic axis, and both axes so: there c → 1 like a power of depth is
        a straight line.
      title: above the picture.
    Raises:
      ValueError: something is not a vector, or a prediction is not as long as its measurement.

    >>> measured = {"relu": jnp.array([0.7, 0.8])}
    >>> predicted = {"relu": jnp.array([0.68, 0.75])}
    >>> [trace.mode for trace in correlations_by_depth(measured, predicted=predicted).data]
    ['lines', 'markers']
    """
    figure = empty(title, "layer", "1 − c" if log else "correlation c")

    def height(c: np.ndarray) -> np.ndarray:
        return on_axis(1 - c, log=True) if log else c

    for (name, values), style in zip(measured.items(), line_styles(len(measured)), strict=True):
        c = vector(f"the correlations {name!r}", values)
        if predicted is not None and name in predicted:
            y = height(vector(f"the prediction {name!r}", predicted[name], c.size))
            line = style | {"width": 2.5}
            figure.add_scatter(
                x=_layers(c), y=y, name=f"{name}, predicted", mode="lines", line=line
            )
        marker = {"color": style["color"], "size": 5 if c.size > 200 else 8}
        figure.add_scatter(x=_layers(c), y=height(c), name=name, mode="markers", marker=marker)
    if log:
        figure.update_xaxes(type="log").update_yaxes(type="log", exponentformat="power")
    return figure.update_layout(showlegend=True)


def _error_lines(
    depths: np.ndarray, errors: Mapping[str, np.ndarray], log_y: bool
) -> list[go.Scatter]:
    """A line of points for each set of errors, from left to right."""
    order = np.argsort(depths, kind="stable")
    markers = chain([("circle", 10)], repeat(("circle-open", 17)))
    traces = []
    for (name, error), style, (symbol, size) in zip(
        errors.items(), line_styles(len(errors)), markers, strict=False
    ):
        edge = {"width": 2.5, "color": style["color"]}
        traces.append(
            go.Scatter(
                x=depths[order],
                y=on_axis(error, log_y)[order],
                name=name,
                mode="lines+markers",
                line=style,
                marker={"size": size, "symbol": symbol, "line": edge},
                cliponaxis=False,
                legendrank=len(traces),
            )
        )
    return traces


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
        annotation={"text": label, "font": {"color": FAINT}},
    )


def _layers(values: np.ndarray) -> np.ndarray:
    """Their numbers, 1 … N."""
    return np.arange(1, values.size + 1)


def _named(values: Data | Mapping[str, Data], name: str) -> dict[str, np.ndarray]:
    """Vectors by name; one that has none gets the name given."""
    named = values if isinstance(values, Mapping) else {name: values}
    return {key: vector(f"the norms {key!r}", value) for key, value in named.items()}
