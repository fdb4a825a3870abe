"""Pictures of what happens on the way through a deep network: gradients and correlations, measured and predicted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from jnn.figures.style import FAINT, INK, empty, line_styles, vector


def gradients_by_depth(
    log_norms: ArrayLike | Mapping[str, ArrayLike],
    *,
    predicted: ArrayLike | Mapping[str, ArrayLike] | None = None,
    smallest: float | None = None,
    title: str = "Gradient by depth",
    y_title: str = "log₁₀ ‖∂ℓ/∂b‖",
) -> go.Figure:
    """The size of the gradient in every layer: measured points, predicted lines, and where floats end.

    Args:
      log_norms: natural logarithms for layers 1 … N, (N,), or a name and (N,) for each set of points. Logarithms,
        for the norms themselves may lie outside of what floats can say; −∞ (a gradient of exactly 0) leaves a gap.
      predicted: the same, drawn as lines; with names those of the points they belong to.
      smallest: the least positive number of the network's dtype, below which its gradients are 0: a dotted line, where
        the gradients come near it.
      title: above the picture.
      y_title: beside the vertical axis.
    Raises:
      ValueError: something is no vector, or a prediction is not as long as its measurement.

    >>> figure = gradients_by_depth(jnp.array([-6.0, -4.0, -2.0]), predicted=jnp.array([-6.1, -4.0, -2.1]))
    >>> [trace.name for trace in figure.data]
    ['predicted', 'measured']
    """
    points = _named(log_norms, "measured")
    lines = {} if predicted is None else _named(predicted, "measured" if "measured" in points else "predicted")
    figure = empty(title, "layer", y_title)
    colours = {name: style["color"] for name, style in zip(points, line_styles(len(points)), strict=True)}
    for name, values in lines.items():
        y = vector(f"the prediction {name!r}", values, points[name].size if name in points else None) / np.log(10)
        label = "predicted" if len(points) == 1 else f"{name}, predicted"
        line = {"color": colours.get(name, INK) if len(points) > 1 else INK, "width": 2.5}
        figure.add_scatter(x=np.arange(1, y.size + 1), y=y, name=label, mode="lines", line=line)
    for name, y in points.items():
        many = y.size > 200
        marker = {"color": colours[name], "size": 5 if many else 9, "opacity": 0.6 if many else 1}
        shown = np.where(np.isfinite(y), y, np.nan) / np.log(10)
        figure.add_scatter(x=np.arange(1, y.size + 1), y=shown, name=name, mode="markers", marker=marker)
    if smallest is not None and min(np.nanmin(y) for y in points.values()) < np.log(smallest) + 20:
        figure.add_hline(
            y=np.log10(smallest),
            line={"color": FAINT, "width": 2.5, "dash": "dot"},
            annotation={"text": f"floats end at {smallest:.0e}".replace("-", "−"), "font": {"color": FAINT}},
        )
    return figure.update_layout(showlegend=len(points) + len(lines) > 1)


def correlations_by_depth(
    measured: Mapping[str, ArrayLike],
    *,
    predicted: Mapping[str, ArrayLike] | None = None,
    log: bool = False,
    title: str = "Correlation of two inputs by depth",
) -> go.Figure:
    """How alike two inputs become, or how they part, on their way through the layers.

    Args:
      measured: a name and the correlations c_1 … c_N, (N,), for each set of points.
      predicted: the same, as lines; names are those of the points they belong to.
      log: draw 1 − c on a logarithmic axis, and both axes so: there c → 1 like a power of depth is a straight line.
      title: above the picture.
    Raises:
      ValueError: something is no vector, or a prediction is not as long as its measurement.

    >>> figure = correlations_by_depth({"relu": jnp.array([0.7, 0.8])}, predicted={"relu": jnp.array([0.68, 0.75])})
    >>> [trace.mode for trace in figure.data]
    ['lines', 'markers']
    """
    figure = empty(title, "layer", "1 − c" if log else "correlation c")

    def on_axis(values: np.ndarray) -> np.ndarray:
        return np.where(values < 1, 1 - values, np.nan) if log else values

    for (name, values), style in zip(measured.items(), line_styles(len(measured)), strict=True):
        c = vector(f"the correlations {name!r}", values)
        layer = np.arange(1, c.size + 1)
        if predicted is not None and name in predicted:
            line = vector(f"the prediction {name!r}", predicted[name], c.size)
            style_ = {**style, "width": 2.5}
            figure.add_scatter(x=layer, y=on_axis(line), name=f"{name}, predicted", mode="lines", line=style_)
        marker = {"color": style["color"], "size": 5 if c.size > 200 else 8}
        figure.add_scatter(x=layer, y=on_axis(c), name=name, mode="markers", marker=marker)
    if log:
        figure.update_xaxes(type="log").update_yaxes(type="log", exponentformat="power")
    return figure.update_layout(showlegend=True)


def _named(values: Any, name: str) -> dict[str, np.ndarray]:
    named = values if isinstance(values, Mapping) else {name: values}
    return {key: vector(f"the norms {key!r}", value) for key, value in named.items()}
