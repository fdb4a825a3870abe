"""Pictures of images: a few of the examples that a network sees, each with what is said of it."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data
from jnn.figures.style import INK, layout, numbers

# from white paper to ink, whatever the range of the grey values
_GREYS = [[0.0, "#ffffff"], [1.0, INK]]
_ROOM = 0.4  # of an image's height, above it, for its caption


def images(
    pixels: Data,
    captions: Sequence[str] | None = None,
    *,
    columns: int = 6,
    title: str = "Images",
) -> go.Figure:
    """Grey images in rows, the smallest value white and the largest black.

    Args:
      pixels: (n, height, width), an image each, its first row on top.
      captions: n short texts, such as "8, taken for 3", one above each image; None writes nothing.
      columns: images in a row.
      title: above the picture.
    Raises:
      ValueError: pixels are not finite images, captions are not one an image, columns is below 1.
      TypeError: columns is not an integer, or captions no list.

    >>> figure = images(jnp.ones((3, 8, 8)), ["0", "1", "2"], columns=2)
    >>> [note.text for note in figure.layout.annotations]
    ['0', '1', '2']
    """
    M = numbers("pixels", pixels)
    if M.ndim != 3 or M.size == 0 or not np.isfinite(M).all():
        raise ValueError(
            f"pixels has shape {M.shape}; expected finite numbers (n, height, width): "
            "reshape rows of 64 numbers by pixels.reshape(-1, 8, 8)"
        )
    columns = min(checks.integer("columns", columns, 1), len(M))
    if captions is not None:
        captions = checks.sequence("captions", captions, "texts, one an image")
        if len(captions) != len(M):
            raise ValueError(f"{len(captions)} captions for {len(M)} images; expected one each")
    n, height, width = M.shape
    lines = -(-n // columns)
    above, beside = int(np.ceil(_ROOM * height)), max(1, width // 8)
    mosaic = np.full((lines * (above + height), columns * (width + beside) - beside), np.nan)
    # as high as its images are at this width, below the title
    drawn = round((900 - 40) * mosaic.shape[0] / mosaic.shape[1])
    figure = go.Figure(layout=layout(title, 900, 80 + drawn))
    for i, image in enumerate(M):
        top = i // columns * (above + height) + above
        left = i % columns * (width + beside)
        mosaic[top : top + height, left : left + width] = image
        if captions is not None:
            figure.add_annotation(
                x=left + (width - 1) / 2,
                y=top - 0.5,
                yanchor="bottom",
                text=str(captions[i]),
                showarrow=False,
            )
    figure.add_heatmap(
        z=mosaic, colorscale=_GREYS, showscale=False, hoverinfo="skip", hoverongaps=False
    )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, scaleanchor="x", range=[len(mosaic) - 0.5, -0.5])
    return figure.update_layout(margin={"l": 20, "r": 20, "t": 60, "b": 20})
