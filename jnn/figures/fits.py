"""Pictures of fits: predictions over x, and the data behind them."""

from collections.abc import Mapping
from typing import Any

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
    numbers,
    on_axis,
    typeset,
    vector,
)


def curves(
    x: Data,
    predictions: Mapping[str, Data],
    *,
    data: tuple[Data, Data] | None = None,
    measured: Mapping[str, tuple[Data, Data]] | None = None,
    reference: Mapping[str, Data] | None = None,
    title: str = "Predictions and data",
    x_title: str = "x",
    y_title: str = "y",
) -> go.Figure:
    """One line for each named prediction over x, and the data as points behind them.

    Args:
      x: (n,) or (n, 1), in any order.
      predictions: a name and (n,) or (n, 1) values for each line; up to six lines get distinct
        colours, more get the steps of one scale from dark to light, so give a family (depths,
        widths) in its order. NaN leaves a gap, as a jump needs one.
      data: (x, y) of the points, each (m,) or (m, 1); None draws none.
      measured: (x, y) of points that belong to the line of the same name, in its colour.
      reference: a name and (n,) or (n, 1) values to compare with: dashed lines in grey.
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
    for name, values in (reference or {}).items():
        y = vector(f"the reference {name!r}", values, x.size)
        line = faint_line("dash")
        figure.add_scatter(x=x[order], y=y[order], name=typeset(name), mode="lines", line=line)
    if unknown := [name for name in measured or {} if name not in predictions]:
        raise ValueError(f"measured has {unknown}; expected names of lines, {[*predictions]}")
    for (name, values), style in zip(
        predictions.items(), line_styles(len(predictions)), strict=True
    ):
        y = vector(f"the prediction {name!r}", values, x.size)
        label = {"name": typeset(name), "legendgroup": name}
        if measured is not None and name in measured:
            marker = {"color": style["color"], "size": 9, "opacity": 0.6}
            pair = _pair(f"measured[{name!r}]", measured[name])
            figure.add_scatter(
                x=pair[0], y=pair[1], mode="markers", marker=marker, showlegend=False, **label
            )
        figure.add_scatter(x=x[order], y=y[order], mode="lines", line=style, **label)
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
        figure.add_scatter(x=x, y=y, name=typeset(name), mode="markers", marker=marker)
    if log:
        magnitudes(figure, log_y=True)
    else:
        figure.add_hline(y=0, line=faint_line("dash"), layer="below")
    return figure.update_layout(showlegend=len(residuals) > 1)


def predicted(
    measured: Data,
    predictions: Mapping[str, Data],
    *,
    title: str = "Predicted against measured values",
    x_title: str = "measured y",
    y_title: str = "predicted ŷ",
) -> go.Figure:
    """Predictions over what was measured: each point's height above the dashed ŷ = y is its error.

    Args:
      measured: (n,) or (n, 1) targets y.
      predictions: a name and (n,) or (n, 1) predictions ŷ of these rows for each fit.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match; the message says which, what came and what was expected.

    >>> figure = predicted([0.0, 2.0], {"net": [0.1, 1.5]})
    >>> [trace.name for trace in figure.data], figure.data[0].x.tolist()
    (['ŷ = y', 'net'], [0.0, 2.0])
    """
    y = vector("measured", measured)
    figure = empty(title, x_title, y_title)
    ends = np.array([y.min(), y.max()])
    figure.add_scatter(x=ends, y=ends, name="ŷ = y", mode="lines", line=faint_line("dash"))
    for (name, values), style in zip(
        predictions.items(), line_styles(len(predictions)), strict=True
    ):
        points = vector(f"the prediction {name!r}", values, y.size)
        marker = {"color": style["color"], "size": 8 if y.size <= 100 else 6, "opacity": 0.7}
        figure.add_scatter(x=y, y=points, name=typeset(name), mode="markers", marker=marker)
    return figure.update_layout(showlegend=True)


def training(
    x: Data,
    predictions: Mapping[int, Data] | Data,
    *,
    epochs: Data = None,
    data: tuple[Data, Data] | None = None,
    title: str = "The fit, epoch by epoch",
    x_title: str = "x",
    y_title: str = "y",
) -> go.Figure:
    """The fit after each of some epochs, with a slider; the first stays, dashed, to compare with.

    It opens on the last fit, so that a static image of it shows the first and the last.

    Args:
      x: (n,) or (n, 1), in any order.
      predictions: an epoch and (n,) or (n, 1) values for each frame, or (frames, n) values.
      epochs: (frames,) of predictions without names; None numbers them from 0.
      data: (x, y) of the points, each (m,) or (m, 1); None draws none.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match, there are no frames, or names of epochs came twice.

    >>> x = jnp.linspace(0.0, 1.0, 5)
    >>> figure = training(x, {0: 0 * x, 10: x, 100: x**2}, data=(x, x**2))
    >>> [trace.name for trace in figure.data], [frame.name for frame in figure.frames]
    (['data', 'epoch 0', 'epoch 100'], ['0', '10', '100'])
    """
    x = vector("x", x)
    order = np.argsort(x, kind="stable")
    frames = {name: y[order] for name, y in _frames(predictions, epochs, x.size).items()}
    names = list(frames)
    first, last = names[0], names[-1]
    figure = empty(title, x_title, y_title)
    if data is not None:
        add_points(figure, data)
    style = line_styles(1)[0]
    figure.add_scatter(
        x=x[order], y=frames[first], name=f"epoch {first}", mode="lines", line=faint_line("dash")
    )
    figure.add_scatter(x=x[order], y=frames[last], name=f"epoch {last}", mode="lines", line=style)
    traces: Any = figure.data
    figure.frames = [
        go.Frame(name=name, data=[go.Scatter(y=y, name=f"epoch {name}")], traces=[len(traces) - 1])
        for name, y in frames.items()
    ]
    seen = np.concatenate([traces[0].y, *frames.values()])
    seen = seen[np.isfinite(seen)]
    room = 0.05 * np.ptp(seen) if seen.size else 0
    if room:  # of all frames, or the axis would jump
        figure.update_yaxes(range=[seen.min() - room, seen.max() + room])
    at_once = {"mode": "immediate", "frame": {"duration": 0}, "transition": {"duration": 0}}
    steps = [{"label": n, "method": "animate", "args": [[n], at_once]} for n in frames]
    value = {"prefix": "epoch ", "font": {"size": 16}}
    slider = {"steps": steps, "active": len(steps) - 1, "currentvalue": value, "pad": {"t": 60}}
    return figure.update_layout(showlegend=True, sliders=[slider])


def _frames(
    predictions: Mapping[int, Data] | Data, epochs: Data, length: int
) -> dict[str, np.ndarray]:
    """Vectors by the names of their epochs."""
    if isinstance(predictions, Mapping):
        if epochs is not None:
            raise ValueError("predictions have their epochs as names; epochs must not come as well")
        named = {
            f"{epoch}": vector(f"the prediction of epoch {epoch}", y, length)
            for epoch, y in predictions.items()
        }
    else:
        rows = numbers("predictions", predictions)
        if rows.ndim == 3 and rows.shape[2] == 1:
            rows = rows[..., 0]
        if rows.ndim != 2 or rows.shape[1] != length:
            raise ValueError(
                f"predictions have shape {rows.shape}; expected (frames, {length}), a row a frame"
            )
        count = len(rows)
        after = np.arange(count) if epochs is None else vector("epochs", epochs, count or None)
        named = {f"{epoch:g}": y for epoch, y in zip(after, rows, strict=True)}
        if len(named) < count:
            raise ValueError(f"epochs name {len(named)} different ones for {count} frames")
    if not named:
        raise ValueError("there are no predictions; expected one frame at least")
    return named


def add_points(figure: go.Figure, data: tuple[Data, Data]) -> None:
    """Measurements, as points in grey."""
    x, y = _pair("data", data)
    few = x.size <= 20  # which lines through them would hide
    marker = {"color": FAINT, "size": 12 if few else 7, "opacity": 0.9 if few else 0.45}
    figure.add_scatter(x=x, y=y, name="data", mode="markers", marker=marker)


def _pair(name: str, pair: tuple[Data, Data]) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of points, as many of the one as of the other."""
    if len(pair) != 2:
        raise ValueError(f"{name} must be a pair (x, y), got {len(pair)} entries")
    x = vector(f"{name}[0]", pair[0])
    return x, vector(f"{name}[1]", pair[1], x.size)
