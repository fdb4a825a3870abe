"""Runs of several optimizers in one picture: what an iteration costs, beside what it gains."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from jnn.figures.style import FAINT, INK, TEMPLATE, line_styles, vector


def convergence(
    runs: Mapping[str, tuple[ArrayLike, float]],
    *,
    floor: float | None = None,
    title: str = "Loss by iterations and by seconds",
    y_title: str = "loss",
) -> go.Figure:
    """The loss against iterations on the left, against seconds on the right; all axes logarithmic.

    Args:
      runs: a name and (losses, seconds) for each line: (n,) losses, one an iteration, and what the whole run took,
        which is shared out evenly: `(result.history["loss"], result.run_seconds)`.
      floor: a loss that no method can go below, such as the noise of the data: a dashed line.
      title: above the picture.
      y_title: beside the vertical axis.
    Raises:
      ValueError: losses are no vector, or seconds are not positive.

    >>> figure = convergence({"a": (jnp.array([1.0, 0.1]), 0.5), "b": (jnp.array([1.0, 0.5, 0.2]), 0.1)})
    >>> [trace.x.tolist() for trace in figure.data[:2]]
    [[1, 2], [0.25, 0.5]]
    """
    figure: go.Figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04)
    for (name, (losses, seconds)), style in zip(runs.items(), line_styles(len(runs)), strict=True):
        loss = vector(f"the loss {name!r}", losses)
        if not 0 < seconds < np.inf:
            raise ValueError(f"the run {name!r} took {seconds} seconds; expected a positive number")
        loss, count = np.where(loss > 0, loss, np.nan), np.arange(1, loss.size + 1)
        for column, x in enumerate((count, seconds * count / loss.size), start=1):
            figure.add_scatter(
                x=x,
                y=loss,
                name=name,
                mode="lines",
                line=style,
                legendgroup=name,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    if floor is not None:
        figure.add_hline(y=floor, line={"color": FAINT, "width": 2.5, "dash": "dash"})
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    figure.update_xaxes(title_text="iterations", col=1).update_xaxes(title_text="seconds", col=2)
    figure.update_yaxes(title_text=y_title, col=1)
    return figure.update_layout(
        template=TEMPLATE, title={"text": title}, width=1200, height=600, showlegend=True, font={"color": INK}
    )
