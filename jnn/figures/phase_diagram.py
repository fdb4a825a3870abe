"""The plane of variances: where signals vanish, where they explode, and the line between."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from jnn.figures.style import COLOURS, INK, TEMPLATE, numbers, vector

_DIVERGING = [[0.0, "#4393c3"], [0.5, "#f4f4f4"], [1.0, "#d6604d"]]  # ordered is cold, chaotic is hot


def phase_diagram(
    sigma_w2: ArrayLike,
    sigma_b2: ArrayLike,
    chi_1: ArrayLike,
    critical: ArrayLike | None = None,
    *,
    points: Mapping[str, tuple[float, float]] | None = None,
    title: str = "Phase diagram",
) -> go.Figure:
    """χ₁ over weight and bias variance, with the critical line χ₁ = 1 and networks as points in it.

    `figures.phase_diagram(*theory.mean_field.phase_diagram("tanh")[:4])` draws that of wide tanh networks.

    Args:
      sigma_w2: (m,), weight variances times fan_in.
      sigma_b2: (n,), bias variances.
      chi_1: (n, m), what squared gradients are multiplied by, a layer.
      critical: (n,), the σ_w² of the critical line for each σ_b², NaN where there is none.
      points: a name and (σ_w², σ_b²) for each network to be shown.
      title: above the picture.
    Raises:
      ValueError: shapes do not match.

    >>> χ_1 = [[0.9, 1.2], [0.8, 1.1]]
    >>> figure = phase_diagram([1.0, 2.0], [0.0, 0.1], χ_1, [1.0, 1.9], points={"mine": (1.5, 0.05)})
    >>> [trace.name for trace in figure.data]
    ['χ₁', 'critical: χ₁ = 1', 'mine']
    """
    w, b, χ_1 = vector("sigma_w2", sigma_w2), vector("sigma_b2", sigma_b2), numbers("chi_1", chi_1)
    if χ_1.shape != (b.size, w.size):
        raise ValueError(f"chi_1 has shape {χ_1.shape}; expected {(b.size, w.size)}, a row for each sigma_b2")
    heat = go.Heatmap(
        x=w,
        y=b,
        z=np.clip(np.log(χ_1), -1, 1),
        customdata=χ_1,
        name="χ₁",
        colorscale=_DIVERGING,
        zmin=-1,
        zmax=1,
        zsmooth="best",
        hovertemplate="σ_w² %{x:.3g}, σ_b² %{y:.3g}: χ₁ = %{customdata:.4g}<extra></extra>",
        colorbar={"title": {"text": "ln χ₁", "side": "right"}, "outlinewidth": 0, "thickness": 18, "len": 0.9},
    )
    figure = go.Figure(heat, layout={"template": TEMPLATE, "title": {"text": title}, "width": 960, "height": 640})
    if critical is not None:
        line = vector("critical", critical, b.size)
        figure.add_scatter(x=line, y=b, name="critical: χ₁ = 1", mode="lines", line={"color": INK, "width": 3})
        for text, x, y in (("ordered: gradients vanish", 0.06, 0.8), ("chaotic: gradients explode", 0.94, 0.2)):
            anchor = "left" if x < 0.5 else "right"
            figure.add_annotation(text=text, x=x, y=y, xanchor=anchor, xref="paper", yref="paper", showarrow=False)
    for (name, (x, y)), colour in zip((points or {}).items(), 20 * COLOURS[1:], strict=False):
        marker = {"size": 15, "color": colour, "line": {"color": "white", "width": 2}}
        figure.add_scatter(x=[x], y=[y], name=name, mode="markers", marker=marker, cliponaxis=False)
    figure.update_xaxes(
        title_text="σ<sub>w</sub>²  (weight variance × fan-in)", range=[w.min(), w.max()], showgrid=False
    )
    figure.update_yaxes(title_text="σ<sub>b</sub>²  (bias variance)", range=[b.min(), b.max()], showgrid=False)
    return figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": -0.18, "x": 0}, margin={"b": 110}, font={"color": INK}
    )
