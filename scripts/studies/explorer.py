"""The explorer as a page that needs no server: `python -m studies.explorer FOLDER`.

The book takes in docs/explorer/element.html and the files beside it; this writes the same element
as a page of its own, with plotly.js from the Python package. `--picture` draws anew what stands
there without JavaScript, docs/explorer/explorer.svg.
"""

import argparse
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from plotly.offline import get_plotlyjs

import jnn
from jnn import diagnostics
from jnn.theory import mean_field

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "explorer"
ASSETS = (".js", ".css", ".svg")
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Where do gradients go?</title>
<style>
body {{ margin: 16px; background: #fff; }}
@media (prefers-color-scheme: dark) {{
  html:not([data-theme="light"]) body {{ background: #121212; color: #e8e8e8; }}
}}
html[data-theme="dark"] body {{ background: #121212; color: #e8e8e8; }}
h1 {{ font: bold 26px Arial, Helvetica, sans-serif; max-width: 1200px; margin: 0 auto 16px; }}
</style>
</head>
<body>
<h1>Where do gradients go?</h1>
{element}
</body>
</html>
"""


def write_assets(folder: Path) -> None:
    """Scripts, styles, the static picture and plotly.js, for a page in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in SOURCE.iterdir():
        if file.suffix in ASSETS:
            shutil.copyfile(file, folder / file.name)
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")


def write_page(folder: Path) -> Path:
    """The explorer as a page of its own, and what it needs beside it."""
    write_assets(folder)
    element = (SOURCE / "element.html").read_text(encoding="utf-8")
    page = folder / "explorer.html"
    page.write_text(PAGE.format(element=element), encoding="utf-8")
    return page


# ---- the static picture ----

DEPTH, WIDTH, SIGMA_B2 = 100, 16, 0.05
SHOWN = {1.0: "vanishing", 1.761: "critical", 4.0: "exploding"}  # σ_w²
LOW, HIGH = -20, 20  # log₁₀ of the gradient
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="Arial, \
Helvetica, sans-serif" font-size="14">
<style>
:root {{ color: #222 }} text {{ fill: currentColor }}
path {{ fill: none; stroke: #c24e00; stroke-width: 2.5 }} circle {{ fill: #0072b2 }}
.axis {{ stroke: currentColor; stroke-width: 1 }}
@media (prefers-color-scheme: dark) {{
:root {{ color: #e8e8e8 }} path {{ stroke: #ff9a4d }} circle {{ fill: #56b4e9 }} }}
</style>
{marks}
</svg>
"""


def draw_picture() -> str:
    """Gradients of three networks by layer, measured (points) and predicted (lines), as SVG."""
    x = jnp.linspace(-1, 1, 16)[:, None]
    marks = ['<path class="axis" d="M70 20V340H620"/>']
    for log in range(LOW, HIGH + 1, 10):
        text = f"1e{log}".replace("-", "−") if log else "1"
        marks.append(f'<text x="60" y="{_height(log) + 5:.0f}" text-anchor="end">{text}</text>')
    for l in (1, 50, 100):
        marks.append(f'<text x="{_across(l):.0f}" y="360" text-anchor="middle">{l}</text>')
    marks.append('<text x="345" y="385" text-anchor="middle">layer</text>')
    marks.append('<text x="80" y="18">gradient of a layer over that of the last hidden one</text>')
    for sigma_w2, name in SHOWN.items():
        measured = diagnostics.gradient_norms(_network(sigma_w2), x, jnp.sin(3 * x)).log_states
        points = (measured[:DEPTH] - measured[DEPTH - 1]) / math.log(10)
        marks += [
            f'<circle cx="{_across(l):.1f}" cy="{_height(log):.1f}" r="2"/>'
            for l, log in enumerate(points, start=1)
        ]
        factors = mean_field.signals(
            DEPTH, "tanh", sigma_w2=sigma_w2, sigma_b2=SIGMA_B2, start=(float(jnp.mean(x**2)), 0.0)
        ).log_gradient
        line = np.append(np.cumsum(factors[:0:-1])[::-1], 0) / math.log(10)
        path = "L".join(f"{_across(l):.1f} {_height(log):.1f}" for l, log in enumerate(line, 1))
        marks.append(f'<path d="M{path}"/>')
        marks.append(
            f'<text x="{_across(25):.0f}" y="{_height(line[24]) - 14:.0f}">σ_w² = {sigma_w2:g}: '
            f"{name}</text>"
        )
    return PICTURE.format(marks="\n".join(marks))


def _network(sigma_w2: float) -> jnn.Params:
    sizes = [1] + [WIDTH] * DEPTH + [1]
    units = jnn.init_network_params(sizes, jax.random.key(0), init="normal")
    return jnn.from_layers(
        (sigma_w2**0.5 * w / w.shape[1] ** 0.5, SIGMA_B2**0.5 * b) for w, b in jnn.layers(units)
    )


def _across(layer: float) -> float:
    return 70 + 550 * layer / DEPTH


def _height(log: float) -> float:
    return 340 - 310 * (log - LOW) / (HIGH - LOW)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where explorer.html is written")
    parser.add_argument("--picture", action="store_true", help="draw the static picture anew")
    given = parser.parse_args(arguments)
    if given.picture:
        (SOURCE / "explorer.svg").write_text(draw_picture(), encoding="utf-8")
    print(write_page(given.folder))


if __name__ == "__main__":
    main()
