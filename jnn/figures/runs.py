"""Pictures of training runs: the loss by epoch; what an iteration costs, beside what it gains."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from jnn import checks
from jnn.checks import Data, Real
from jnn.figures.style import (
    INK,
    empty,
    faint_line,
    layout,
    line_styles,
    magnitudes,
    on_axis,
    vector,
)


def losses(
    history: Mapping[str, Data], *, title: str = "Loss by epoch", log_y: bool = True
) -> go.Figure:
    """The loss after each epoch, one line a run; `Fit.history` fits as it is.

    Args:
      history: a name and (epochs,) losses for each line; the lines may differ in length.
      title: above the picture.
      log_y: logarithmic vertical axis, on which a loss that is not above 0 has no place and leaves
        a gap.
    Raises:
      ValueError: a loss is not a vector.

    >>> figure = losses({"3 layers": jnp.array([1.0, 0.1, 0.01])})
    >>> figure.data[0].x.tolist(), figure.layout.yaxis.type
    ([1, 2, 3], 'log')
    """
    figure = empty(title, "epoch", "loss")
    longest = 1
    for (name, values), style in zip(history.items(), line_styles(len(history)), strict=True):
        loss = vector(f"the loss {name!r}", values)
        longest = max(longest, loss.size)
        figure.add_scatter(
            x=np.arange(1, loss.size + 1),
            y=on_axis(loss, log_y),
            name=name,
            mode="lines" if loss.size > 1 else "markers",
            line=style,
        )
    # room for a drop in the first epoch
    figure.update_xaxes(range=[1 - 0.02 * longest, 1.02 * longest])
    return magnitudes(figure, log_y).update_layout(showlegend=len(history) > 1)


def convergence(
    runs: Mapping[str, tuple[Data, Real]],
    *,
    floor: Real | None = None,
    title: str = "Loss by iterations and by seconds",
    y_title: str = "loss",
) -> go.Figure:
    """The loss against iterations on the left, against seconds on the right; all axes logarithmic.

    Args:
      runs: a name and (losses, seconds) for each line: (n,) losses, one an iteration, and what the
        whole run took, which is shared out evenly: `(result.history["loss"], result.run_seconds)`.
      floor: a loss that no method can go below, such as the noise of the data: a dashed line.
      title: above the picture.
      y_title: beside the vertical axis.
    Raises:
      ValueError: losses are not a vector, or seconds are not positive.
      TypeError: seconds are not a number.

    >>> runs = {"a": (jnp.array([1.0, 0.1]), 0.5), "b": (jnp.array([1.0, 0.5, 0.2]), 0.1)}
    >>> [trace.x.tolist() for trace in convergence(runs).data[:2]]
    [[1, 2], [0.25, 0.5]]
    """
    figure: go.Figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04)
    for (name, (values, took)), style in zip(runs.items(), line_styles(len(runs)), strict=True):
        loss = vector(f"the loss {name!r}", values)
        seconds = checks.number(f"the seconds of the run {name!r}", took, above=0)
        count = np.arange(1, loss.size + 1)
        for column, x in enumerate((count, seconds * count / loss.size), start=1):
            figure.add_scatter(
                x=x,
                y=on_axis(loss, log=True),
                name=name,
                mode="lines",
                line=style,
                legendgroup=name,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    if floor is not None:
        level = checks.number("floor", floor, above=0, meaning="a loss on a logarithmic axis")
        figure.add_hline(y=level, line=faint_line("dash"))
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    figure.update_xaxes(title_text="iterations", col=1)
    figure.update_xaxes(title_text="seconds", col=2)
    figure.update_yaxes(title_text=y_title, col=1)
    figure.update_layout(layout(title, 1200, 600))
    return figure.update_layout(showlegend=True, font={"color": INK})
