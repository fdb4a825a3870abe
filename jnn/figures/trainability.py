"""Which networks could be trained: accuracy over depth and weight variance."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from jnn.figures.style import TEMPLATE, numbers, vector


def trainability(
    sigma_w2: ArrayLike,
    depths: ArrayLike,
    accuracy: ArrayLike,
    *,
    limit: tuple[ArrayLike, ArrayLike] | None = None,
    limit_name: str = "6 ξ<sub>c</sub>",
    title: str = "How deep can it be trained?",
) -> go.Figure:
    """The accuracy reached, over weight variance and depth, and the depth that theory allows drawn over it.

    Args:
      sigma_w2: (m,), weight variances times fan_in.
      depths: (n,).
      accuracy: (n, m), from 0 to 1.
      limit: (σ_w², depth) of a curve, such as 6 ξ_c from `theory.mean_field.limits`; cut off at the largest depth.
      limit_name: what the curve is called.
      title: above the picture.
    Raises:
      ValueError: shapes do not match.

    >>> figure = trainability([1.0, 2.0], [10, 20], [[0.9, 1.0], [0.1, 0.8]], limit=([1.0, 2.0], [12.0, 40.0]))
    >>> [trace.name for trace in figure.data]
    ['accuracy', '6 ξ<sub>c</sub>']
    """
    w, depth, z = vector("sigma_w2", sigma_w2), vector("depths", depths), numbers("accuracy", accuracy)
    if z.shape != (depth.size, w.size):
        raise ValueError(f"accuracy has shape {z.shape}; expected {(depth.size, w.size)}, a row for each depth")
    heat = go.Heatmap(
        x=w,
        y=depth,
        z=z,
        name="accuracy",
        colorscale="Viridis",
        zmin=0,
        zmax=1,
        hovertemplate="σ_w² %{x:.2f}, %{y} layers: %{z:.2f}<extra></extra>",
        colorbar={"title": {"text": "accuracy", "side": "right"}, "outlinewidth": 0, "thickness": 18, "len": 0.9},
    )
    figure = go.Figure(heat, layout={"template": TEMPLATE, "title": {"text": title}, "width": 960, "height": 640})
    if limit is not None:
        x = vector("the limit's σ_w²", limit[0])
        y = vector("the limit's depths", limit[1], x.size)
        within = np.where(y <= 1.3 * depth.max(), y, np.nan)
        figure.add_scatter(x=x, y=within, name=limit_name, mode="lines", line={"color": "white", "width": 4})
    figure.update_xaxes(title_text="σ<sub>w</sub>²  (weight variance × fan-in)", showgrid=False)
    figure.update_xaxes(range=[w.min(), w.max()])
    figure.update_yaxes(title_text="hidden layers", showgrid=False, range=[depth.min(), depth.max()])
    legend = {"x": 0.02, "y": 0.97, "bgcolor": "rgba(40, 40, 40, 0.6)", "font": {"color": "white"}}
    return figure.update_layout(showlegend=limit is not None, legend=legend)
