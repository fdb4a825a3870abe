"""Figures in pages: one element that `figures.js` draws, as wide as its column, light or dark.

The same element stands in the pages that `save` writes and in those of the book. Plotly has no
media queries; the script, which is ours, lays the figure out by the width that there is.
"""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from jnn.figures.style import size

SCRIPT = Path(__file__).with_name("figures.js")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 1rem auto; max-width: 1200px; background: white; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #14181e; }} }}
</style>
</head>
<body>
{figure}
{plotly}
<script>
{script}
</script>
</body>
</html>
"""


def element(figure: go.Figure | Mapping[str, Any], name: str, image: str = "") -> str:
    """A figure as HTML: its data, which `figures.js` draws.

    Args:
      figure: any plotly figure, or its dictionary.
      name: what it is called for those who cannot see it, where it has no title.
      image: the address of an image that stands there without JavaScript; "" is none.
    """
    drawn = json.loads(str(figure.to_json())) if isinstance(figure, go.Figure) else figure
    shown = drawn["layout"]
    kept = {key: drawn[key] for key in ("data", "layout", "frames") if drawn.get(key)}
    text = json.dumps(kept, separators=(",", ":"))
    text = text.replace("</", "<\\/")  # nothing in it may end the script
    title = shown.get("title", {}).get("text", "") or name
    alt = html.escape(re.sub(r"</?(?:sub|sup|b|i|br)>", "", title), quote=True)
    instead = f'<noscript><img alt="{alt}" src="{image}"></noscript>' if image else ""
    width, height = size(drawn)
    return (
        f'<div class="jnn-figure" role="img" aria-label="{alt}" data-size="{width} {height}">'
        f'<script type="application/json">{text}</script>{instead}</div>'
    )


def page(figure: go.Figure, name: str, plotly: str | None = None) -> str:
    """A whole page with one figure.

    Args:
      figure: any plotly figure.
      name: the title of the page, where the figure has none.
      plotly: the address of plotly.js; None writes it into the page.
    """
    program = f'<script src="{plotly}"></script>'
    if plotly is None:
        program = f"<script>{get_plotlyjs()}</script>"
    return _PAGE.format(
        title=html.escape(figure.layout.title.text or name),
        figure=element(figure, name),
        plotly=program,
        script=SCRIPT.read_text(),
    )


def plotly_file() -> tuple[str, str]:
    """The name of plotly.js, with its version, and its text."""
    return f"plotly-{get_plotlyjs_version()}.min.js", get_plotlyjs()
