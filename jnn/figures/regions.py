"""Pictures of classifiers of the plane: which class they see where, and the labelled points."""

from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data, Thing
from jnn.figures.style import COLOURS, INK, layout, numbers

_MOST_CLASSES = len(COLOURS)


def decision_boundary(
    predict: Callable[[np.ndarray], Thing],
    x: Data,
    labels: Thing,
    *,
    points: int = 100,
    title: str = "Decision boundary",
    x_title: str = "x₁",
    y_title: str = "x₂",
) -> go.Figure:
    """The regions that a classifier gives to each class, their boundaries, and labelled points.

    A point of the plane belongs to the class of the greatest probability, argmax_k p_k(x).

    Args:
      predict: from rows (m, 2), float32, to classes (m,) or to probabilities (m, K), whose columns
        stand for the classes in the order of their names, such as
        `lambda x: jnn.probabilities(params, x)`.
      x: (n, 2) points.
      labels: (n,) classes, numbers or words; six different ones at most.
      points: of the grid that `predict` is asked at, along each axis.
      title: above the picture.
      x_title: below the horizontal axis.
      y_title: beside the vertical axis.
    Raises:
      ValueError: a shape does not match, or there are more classes than colours.
      TypeError: predict is no function.

    >>> x, labels = [[0.0, 0.0], [1.0, 1.0]], ["low", "high"]
    >>> figure = decision_boundary(lambda x: np.where(x[:, 0] > 0.5, "high", "low"), x, labels)
    >>> [trace.name for trace in figure.data[2:]]  # after the regions and their boundary
    ['high', 'low']
    """
    checks.function("predict", predict, "a function from rows (m, 2) to classes or probabilities")
    points = checks.integer("points", points, 2, 2000, meaning="of the grid along each axis")
    x = numbers("x", x)
    given = np.asarray(labels)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) == 0 or given.shape != (len(x),):
        raise ValueError(
            f"x has shape {x.shape} and labels {given.shape}; expected (n, 2) and (n,)"
        )
    room = 0.08 * (np.ptp(x, axis=0) + (np.ptp(x, axis=0) == 0))
    axes = np.linspace(x.min(axis=0) - room, x.max(axis=0) + room, points).T
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float32)
    classes, scores = _scores(predict(grid), given, len(grid))
    figure = go.Figure(layout=layout(title, 780, 720))
    figure.add_traces(_regions(axes, scores.reshape(points, points, -1)))
    for name, colour in zip(classes.tolist(), COLOURS, strict=False):
        some = x[given == name]
        marker = {"color": colour, "size": 9, "line": {"color": "white", "width": 1.5}}
        figure.add_scatter(
            x=some[:, 0], y=some[:, 1], name=str(name), mode="markers", marker=marker
        )
    for update, title_text, ends in (
        (figure.update_xaxes, x_title, axes[0]),
        (figure.update_yaxes, y_title, axes[1]),
    ):
        update(title_text=title_text, range=[ends[0], ends[-1]], showgrid=False)
    return figure.update_layout(showlegend=True)


def _scores(predicted: Thing, labels: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes, and (rows, K) scores, of which the greatest wins: 0 and 1 where classes came."""
    found = np.asarray(predicted)
    if found.ndim == 2 and found.shape[0] == rows and found.shape[1] > 1:
        scores, K = numbers("the probabilities", found), found.shape[1]
        classes = np.unique(labels)
        if labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < K:
            classes = np.arange(K)  # of which some may have no point
        if len(classes) != K:
            raise ValueError(f"predict gave {K} probabilities a row for {len(classes)} classes")
    elif found.shape == (rows,):
        classes = np.unique(np.concatenate([labels, found]))
        scores = (found[:, None] == classes).astype(float)
    else:
        raise ValueError(
            f"predict gave shape {found.shape} for {rows} rows; expected ({rows},) classes or "
            f"({rows}, K) probabilities of K ≥ 2 classes"
        )
    if len(classes) > _MOST_CLASSES:
        raise ValueError(f"there are {len(classes)} classes; at most {_MOST_CLASSES} have a colour")
    return classes, scores


def _regions(axes: np.ndarray, scores: np.ndarray) -> list[Any]:
    """Faint colours, and lines where a class leads all the others by 0."""
    K = scores.shape[-1]
    steps = [[edge / K, colour] for i, colour in enumerate(COLOURS[:K]) for edge in (i, i + 1)]
    traces: list[Any] = [
        go.Heatmap(
            x=axes[0],
            y=axes[1],
            z=scores.argmax(axis=-1).astype(np.uint8),  # small types keep notebooks small
            colorscale=steps,
            zmin=-0.5,
            zmax=K - 0.5,
            opacity=0.25,
            showscale=False,
            hoverinfo="skip",
        )
    ]
    for k in range(K if K > 2 else K - 1):  # of two, both have the same
        others = np.delete(scores, k, axis=-1).max(axis=-1)
        traces.append(
            go.Contour(
                x=axes[0],
                y=axes[1],
                z=(scores[..., k] - others).astype(np.float32),
                contours={"type": "constraint", "operation": "=", "value": 0},
                line={"color": INK, "width": 2},
                showlegend=False,
                hoverinfo="skip",
            )
        )
    return traces
