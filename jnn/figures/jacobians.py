"""Pictures of Jacobians: their singular values, and how sensitive every layer is to every other."""

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data
from jnn.figures.style import INK, SEQUENTIAL, colour_bar, empty, layout, numbers, vector


def jacobian_spectrum(
    singular_values: Data,
    *,
    law: tuple[Data, Data] | None = None,
    bins: int = 60,
    title: str = "Singular values of the Jacobian",
) -> go.Figure:
    """A histogram of singular values, and the density that theory predicts over it.

    Args:
      singular_values: of one Jacobian or of many, any shape.
      law: (s, density) of the prediction, as `theory.isometry.spectrum` gives; its integral is the
        share of values that are not exactly 0.
      bins: of the histogram.
      title: above the picture.
    Raises:
      ValueError: something does not hold numbers, the law's shapes differ, or bins is not positive.
      TypeError: bins is not an integer.

    >>> law = ([0.0, 1.0, 2.0], [0.3, 0.4, 0.3])
    >>> [trace.name for trace in jacobian_spectrum(jnp.array([0.5, 1.0, 1.5]), law=law).data]
    ['measured', 'predicted']
    """
    bins = checks.integer("bins", bins, 1, 10**5, meaning="of the histogram")
    s = numbers("singular_values", singular_values).ravel()
    s = s[np.isfinite(s)]
    if s.size == 0:
        raise ValueError("no finite singular values to draw")
    x = np.zeros(1) if law is None else vector("the law's s", law[0])
    edges = np.linspace(0, 1.001 * max(s.max(), x.max()) or 1, bins + 1)
    width = edges[1]
    counts, _ = np.histogram(s, edges)
    heights = counts / (s.size * width)
    figure = empty(title, "singular value", "density")
    figure.add_bar(x=edges[:-1] + width / 2, y=heights, width=width, name="measured", opacity=0.55)
    if law is not None:
        density = vector("the law's density", law[1], x.size)
        line = {"color": INK, "width": 3}
        figure.add_scatter(x=x, y=density, name="predicted", mode="lines", line=line)
        # neither a spike of the density nor that of exact zeros is to flatten all the rest
        top = max(np.percentile(density, 99), np.sort(heights)[-2])
        figure.update_yaxes(range=[0, 1.25 * top])
    return figure.update_layout(showlegend=law is not None, bargap=0)


def sensitivity(
    log_norms: Data,
    layers: Data | None = None,
    *,
    title: str = "Sensitivity of layer i to layer j",
) -> go.Figure:
    """The blocks of (I − L)⁻¹ by their size: how much layer i changes where layer j is changed.

    The picture of a vanishing gradient: the diagonal is the identity, and colours fade away from it
    as signals do.

    Args:
      log_norms: (N, N), natural logarithms of the blocks' norms, −∞ above the diagonal, as
        `diagnostics.sensitivity_map` gives them.
      layers: (N,), the numbers of the layers; None for 1 … N.
      title: above the picture.
    Raises:
      ValueError: log_norms is not a square matrix, or layers do not match it.

    >>> sensitivity([[0.0, -jnp.inf], [-1.0, 0.0]]).data[0].z.round(3).tolist()
    [[0.0, nan], [-0.434, 0.0]]
    """
    M = numbers("log_norms", log_norms)
    if M.ndim != 2 or M.shape[0] != M.shape[1]:
        raise ValueError(
            f"log_norms has shape {M.shape}; expected a square matrix, a row and a column for "
            "each layer"
        )
    names = np.arange(1, len(M) + 1) if layers is None else vector("layers", layers, len(M))
    heat = go.Heatmap(
        x=names,
        y=names,
        z=np.where(np.isfinite(M), M, np.nan) / np.log(10),
        colorscale=SEQUENTIAL,
        hoverongaps=False,
        hovertemplate="layer %{y} to layer %{x}: 10^%{z:.2f}<extra></extra>",
        colorbar=colour_bar("log₁₀ ‖∂xᵢ/∂xⱼ‖"),
    )
    figure = go.Figure(heat, layout=layout(title, 780, 720))
    figure.update_xaxes(title_text="layer j", showgrid=False, constrain="domain")
    return figure.update_yaxes(
        title_text="layer i", autorange="reversed", scaleanchor="x", showgrid=False
    )
