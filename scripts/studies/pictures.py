"""Static images beside the figures of an executed notebook, for readers without JavaScript.

GitHub, `nbconvert` and a PDF show an image; JupyterLab and the book take plotly's own data, which
stay. A PNG with a palette is a tenth of one without, so that a notebook stays below 1 MB; SVG is
larger than that for half of the figures, and has other identifiers in each run.
"""

import base64
import io
from collections.abc import Iterator
from typing import Any

from kaleido.errors import ChromeNotFoundError
from PIL import Image

from jnn.figures.export import picture

PLOTLY = "application/vnd.plotly.v1+json"
PNG = "image/png"
_SCALE = 1.25  # pixels of the image for each pixel of the page
_OF_LINES, _OF_SCALES = 48, 96  # colours of a palette; a scale in few of them has steps


def add(notebook: Any) -> None:
    """Put an image beside every figure of a notebook, anew; nothing is executed.

    Raises:
      ChromeNotFoundError: there is no Chrome to draw it.
      RuntimeError: Chrome failed.
    """
    for output in figures(notebook):
        drawn = output["data"][PLOTLY]
        figure = {"data": drawn["data"], "layout": drawn["layout"]}
        scales = any("colorscale" in trace for trace in drawn["data"])
        image = small(picture(figure, "png", _SCALE), _OF_SCALES if scales else _OF_LINES)
        output["data"][PNG] = base64.b64encode(image).decode()
        width, height = (round(side / _SCALE) for side in Image.open(io.BytesIO(image)).size)
        output["metadata"][PNG] = {"width": width, "height": height}


def can_be_drawn() -> bool:
    """Whether there is a Chrome, before a notebook is executed for nothing."""
    try:
        picture({"data": [], "layout": {}}, "png", 1.0)
    except ChromeNotFoundError:
        return False
    return True


def figures(notebook: Any) -> Iterator[Any]:
    """The outputs that are figures of plotly."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if PLOTLY in output.get("data", {}):
                yield output


def small(png: bytes, colours: int) -> bytes:
    """A PNG with a palette of so many colours, which reach as far as the image's own.

    The most frequent ones would do for a photograph; in a figure the few pixels of a point count.
    """
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.quantize(colours, Image.Quantize.MAXCOVERAGE)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()
