"""Pictures of training runs: the loss by epoch; what an iteration costs, beside what it gains."""

from collections.abc import Mapping
from typing import Any

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
    typeset,
    vector,
)

_SHOWN = 800  # iterations of a run on a logarithmic axis: more than a picture has pixels for


def losses(
    history: Mapping[str, Data],
    *,
    best_epoch: int | None = None,
    stopped: str | None = None,
    title: str = "Loss by epoch",
    x_title: str = "epoch",
    log_y: bool = True,
) -> go.Figure:
    """The loss after each epoch, one line a run; or train and validation of one fit.

    `losses(fit.history, best_epoch=fit.best_epoch, stopped=fit.stopped)` shows how a fit went.

    Args:
      history: a name and (epochs,) losses for each line; the lines may differ in length. Where one
        is named "loss" it is `Fit.history`, of which "loss" and "validation_loss" are drawn.
      best_epoch: from 1, a ring around the loss that was monitored, validation's where there is
        one; 0 and None mark nothing.
      stopped: why the run ended before its last epoch, a cross at its end; "epochs" and None mark
        nothing.
      title: above the picture.
      x_title: below the horizontal axis, such as "step".
      log_y: logarithmic vertical axis, on which a loss that is not above 0 has no place and leaves
        a gap.
    Raises:
      ValueError: a loss is not a vector, best_epoch lies outside of the run, or there is no "loss"
        to mark.

    >>> figure = losses({"3 layers": jnp.array([1.0, 0.1, 0.01])})
    >>> figure.data[0].x.tolist(), figure.layout.yaxis.type
    ([1, 2, 3], 'log')
    >>> history = {"loss": [2.0, 1.0, 0.5], "validation_loss": [2.0, 1.5, 1.6]}
    >>> [trace.name for trace in losses(history, best_epoch=2, stopped="patience").data]
    ['train', 'validation', 'best: epoch 2', 'stopped: patience']
    """
    of_a_fit = {"loss": "train", "validation_loss": "validation"}
    names = {name: name for name in history} if "loss" not in history else of_a_fit
    columns = {
        name: vector(f"the loss {name!r}", history[name]) for name in names if name in history
    }
    figure = empty(title, x_title, "loss")
    for (name, loss), style in zip(columns.items(), line_styles(len(columns)), strict=True):
        figure.add_scatter(
            x=np.arange(1, loss.size + 1),
            y=on_axis(loss, log_y),
            name=typeset(names[name]),
            mode="lines" if loss.size > 1 else "markers",
            line=style,
        )
    _mark(figure, columns, best_epoch, stopped, log_y)
    # room for a drop in the first epoch
    longest = max((loss.size for loss in columns.values()), default=1)
    figure.update_xaxes(range=[1 - 0.02 * longest, 1.02 * longest])
    shown: Any = figure.data
    return magnitudes(figure, log_y).update_layout(showlegend=len(shown) > 1)


def convergence(
    runs: Mapping[str, tuple[Data, Real]],
    *,
    floor: Real | None = None,
    title: str = "Loss by iterations and by seconds",
    y_title: str = "loss",
) -> go.Figure:
    """The loss against iterations on the left, against seconds on the right; all axes logarithmic.

    Of a long run as many iterations are drawn as the axis has room for.

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
    figure: go.Figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.1)
    for (name, (values, took)), style in zip(runs.items(), line_styles(len(runs)), strict=True):
        loss = vector(f"the loss {name!r}", values)
        seconds = checks.number(f"the seconds of the run {name!r}", took, above=0)
        count = np.unique(np.geomspace(1, loss.size, _SHOWN).round().astype(int))
        shown = on_axis(loss[count - 1], log=True)
        for column, x in enumerate((count, seconds * count / loss.size), start=1):
            figure.add_scatter(
                x=x,
                y=shown,
                name=typeset(name),
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
    magnitudes(figure, log_y=True)
    figure.update_xaxes(title_text="iterations", col=1)
    figure.update_xaxes(title_text="seconds", col=2)
    figure.update_yaxes(title_text=y_title, col=1)
    figure.update_layout(layout(title, 1200, 600))
    return figure.update_layout(showlegend=True, font={"color": INK})


def _mark(
    figure: go.Figure,
    columns: Mapping[str, np.ndarray],
    best_epoch: int | None,
    stopped: str | None,
    log_y: bool,
) -> None:
    """The best epoch, and the last where it was not the last that was asked for."""
    if best_epoch is None and stopped is None:
        return
    monitored = columns.get("validation_loss", columns.get("loss"))
    if monitored is None:
        raise ValueError(
            'best_epoch and stopped are those of one fit; the history has no "loss", but '
            f"{', '.join(map(repr, columns)) or 'nothing'}"
        )
    marks = []
    if best_epoch is not None:
        of_run = "an epoch of the run, or 0 for none"
        best = checks.integer("best_epoch", best_epoch, 0, monitored.size, meaning=of_run)
        marks += [(best, f"best: epoch {best}", "circle-open", 16)] if best else []
    if stopped not in (None, "epochs"):
        marks.append((monitored.size, f"stopped: {stopped}", "x-thin", 10))
    for epoch, name, symbol, size in marks:
        y = on_axis(monitored[epoch - 1 : epoch], log_y)
        line = {"width": 3, "color": INK}
        marker = {"color": INK, "size": size, "symbol": symbol, "line": line}
        figure.add_scatter(
            x=[epoch], y=y, name=name, mode="markers", marker=marker, cliponaxis=False
        )
