"""Pictures of the plane of variances: where signals vanish or explode, and what can be trained."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data, Real
from jnn.figures.style import (
    COLOURS,
    DIVERGING,
    INK,
    SEQUENTIAL,
    SIGMA_B2,
    SIGMA_W2,
    colour_bar,
    layout,
    numbers,
    span,
    typeset,
    vector,
)


def phase_diagram(
    sigma_w2: Data,
    sigma_b2: Data,
    chi_1: Data,
    critical: Data | None = None,
    *,
    points: Mapping[str, tuple[Real, Real]] | None = None,
    title: str = "Phase diagram",
) -> go.Figure:
    """χ₁ over weight and bias variance, with the critical line χ₁ = 1 and networks as points in it.

    `figures.phase_diagram(*theory.mean_field.phase_diagram("tanh")[:4])` draws that of wide tanh
    networks.

    Args:
      sigma_w2: (m,), weight variances times fan_in.
      sigma_b2: (n,), bias variances.
      chi_1: (n, m), what squared gradients are multiplied by, a layer.
      critical: (n,), the σ_w² of the critical line for each σ_b², NaN where there is none.
      points: a name and (σ_w², σ_b²) for each network to be shown.
      title: above the picture.
    Raises:
      ValueError: shapes do not match.

    >>> w, b, χ_1 = [1.0, 2.0], [0.0, 0.1], [[0.9, 1.2], [0.8, 1.1]]
    >>> figure = phase_diagram(w, b, χ_1, [1.0, 1.9], points={"mine": (1.5, 0.05)})
    >>> [trace.name for trace in figure.data]
    ['χ₁', 'critical: χ₁ = 1', 'mine']
    """
    w = vector("sigma_w2", sigma_w2)
    b = vector("sigma_b2", sigma_b2)
    χ_1 = numbers("chi_1", chi_1)
    if χ_1.shape != (b.size, w.size):
        raise ValueError(
            f"chi_1 has shape {χ_1.shape}; expected {(b.size, w.size)}: a row for each sigma_b2"
        )
    figure = go.Figure(_phases(w, b, χ_1), layout=layout(title, 960, 640))
    if critical is not None:
        _add_critical_line(figure, vector("critical", critical, b.size), b)
    for (name, point), colour in zip((points or {}).items(), 20 * COLOURS[1:], strict=False):
        x, y = (checks.number(f"a variance of {name!r}", value, least=0) for value in point)
        marker = {"size": 15, "color": colour, "line": {"color": "white", "width": 2}}
        figure.add_scatter(
            x=[x], y=[y], name=typeset(name), mode="markers", marker=marker, cliponaxis=False
        )
    figure.update_xaxes(**span(SIGMA_W2, w)).update_yaxes(**span(SIGMA_B2, b))
    return figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": -0.18, "x": 0},
        margin={"b": 110},
        font={"color": INK},
    )


def trainability(
    sigma_w2: Data,
    depths: Data,
    accuracy: Data,
    *,
    limit: tuple[Data, Data] | None = None,
    limit_name: str = "6 ξ<sub>c</sub>",
    title: str = "How deep can it be trained?",
) -> go.Figure:
    """The accuracy reached, over weight variance and depth, and the depth that theory allows.

    Args:
      sigma_w2: (m,), weight variances times fan_in.
      depths: (n,).
      accuracy: (n, m), from 0 to 1.
      limit: (σ_w², depth) of a curve, such as 6 ξ_c from `theory.mean_field.limits`; cut off at the
        largest depth.
      limit_name: what the curve is called.
      title: above the picture.
    Raises:
      ValueError: shapes do not match.

    >>> w, depths, accuracy = [1.0, 2.0], [10, 20], [[0.9, 1.0], [0.1, 0.8]]
    >>> [trace.name for trace in trainability(w, depths, accuracy, limit=(w, [12.0, 40.0])).data]
    ['accuracy', '6 ξ<sub>c</sub>', '6 ξ<sub>c</sub>']
    """
    w = vector("sigma_w2", sigma_w2)
    depth = vector("depths", depths)
    z = numbers("accuracy", accuracy)
    if z.shape != (depth.size, w.size):
        raise ValueError(
            f"accuracy has shape {z.shape}; expected {(depth.size, w.size)}: a row for each depth"
        )
    heat = go.Heatmap(
        x=w,
        y=depth,
        z=z,
        name="accuracy",
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=1,
        hovertemplate=typeset("σ_w² %{x:.2f}, %{y} layers: %{z:.2f}<extra></extra>"),
        colorbar=colour_bar("accuracy"),
    )
    figure = go.Figure(heat, layout=layout(title, 960, 640))
    if limit is not None:
        x = vector("the limit's σ_w²", limit[0])
        y = vector("the limit's depths", limit[1], x.size)
        y = np.where(y <= 1.3 * depth.max(), y, np.nan)
        for colour, width in (("white", 8), (INK, 4)):  # seen on light and on dark cells
            line = {"color": colour, "width": width}
            figure.add_scatter(
                x=x, y=y, name=limit_name, mode="lines", line=line, showlegend=colour == INK
            )
    figure.update_xaxes(**span(SIGMA_W2, w)).update_yaxes(**span("hidden layers", depth))
    legend = {"x": 0.02, "y": 0.97, "bgcolor": "rgba(255, 255, 255, 0.8)", "font": {"color": INK}}
    return figure.update_layout(showlegend=limit is not None, legend=legend)


def _phases(w: np.ndarray, b: np.ndarray, chi_1: np.ndarray) -> go.Heatmap:
    return go.Heatmap(
        x=w,
        y=b,
        z=np.clip(np.log(chi_1), -1, 1),
        customdata=chi_1,
        name="χ₁",
        colorscale=DIVERGING,
        zmin=-1,
        zmax=1,
        zsmooth="best",
        hovertemplate=typeset(
            "σ_w² %{x:.3g}, σ_b² %{y:.3g}: χ₁ = %{customdata:.4g}<extra></extra>"
        ),
        colorbar=colour_bar("ln χ₁"),
    )


def _add_critical_line(figure: go.Figure, w: np.ndarray, b: np.ndarray) -> None:
    """The line between the phases, and what happens to either side of it."""
    line = {"color": INK, "width": 3}
    figure.add_scatter(x=w, y=b, name="critical: χ₁ = 1", mode="lines", line=line)
    for text, x, y, anchor in (
        ("ordered: gradients vanish", 0.06, 0.8, "left"),
        ("chaotic: gradients explode", 0.94, 0.2, "right"),
    ):
        figure.add_annotation(
            text=text, x=x, y=y, xanchor=anchor, xref="paper", yref="paper", showarrow=False
        )
