"""Pages in a browser: every figure fits its column and can be read, light and dark."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from figures.examples import EXAMPLES

from jnn import figures
from jnn.figures import pages

# What cannot be read, in words: of texts that are drawn at all. Those in cells stand on colours of
# their own; test_style measures them.
FAULTS = """() => {
  const faults = [];
  const luminance = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map(Number).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  for (const box of document.querySelectorAll(".jnn-figure")) {
    const all = box.querySelector(".plot-container").getBoundingClientRect();
    const texts = [...box.querySelectorAll("svg text")]
      .filter(text => text.textContent.trim())
      .map(text => ({text, what: text.textContent.trim(), at: text.getBoundingClientRect()}))
      .filter(({text, at}) => at.width && getComputedStyle(text).visibility !== "hidden"
        && getComputedStyle(text).opacity > 0);
    const say = (what, how) => faults.push(`${box.ariaLabel}: ${what} ${how}`);
    const gap = Math.abs(box.clientWidth - all.width);
    if (gap > 1) say("picture", `is ${gap} px off its column`);
    texts.forEach(({text, what, at}, i) => {
      const style = getComputedStyle(text);
      if (parseFloat(style.fontSize) < 10) say(what, `has ${style.fontSize}`);
      if (at.left < all.left - 1 || at.right > all.right + 1
          || at.top < all.top - 1 || at.bottom > all.bottom + 1) say(what, "lies outside");
      if (!text.closest(".heatmaplayer, .hm, .heatmap-label")) {
        const own = luminance(style.fill);
        const ratio = (Math.max(own, page) + 0.05) / (Math.min(own, page) + 0.05);
        if (ratio < 4.5) say(what, `has contrast ${ratio.toFixed(1)}`);
      }
      for (const other of texts.slice(i + 1)) {
        const width = Math.min(at.right, other.at.right) - Math.max(at.left, other.at.left);
        const height = Math.min(at.bottom, other.at.bottom) - Math.max(at.top, other.at.top);
        if (width > 1.5 && height > 0.25 * Math.min(at.height, other.at.height))
          say(what, `overlaps ${other.what}`);
      }
    });
    if (!texts.length) say("picture", "is blank");
  }
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page scrolls sideways by ${wide} px`);
  return faults;
}"""

DRAWN = """() => [...document.querySelectorAll(".jnn-figure")].every(box =>
  box.dataset.drawn === `${Math.floor(box.clientWidth)} light`)"""


def test_every_function_has_an_example():
    functions = {name for name, of in vars(figures).items() if inspect.isfunction(of)}
    assert set(EXAMPLES) == functions - {"save", "make_directory", "png_hint"}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """One page with a figure of each function."""
    path = tmp_path_factory.mktemp("pages") / "every.html"
    write({name: make() for name, make in EXAMPLES.items()}, path)
    return path


def write(every: dict[str, Any], path: Path) -> None:
    elements = {name: pages.element(figure, name) for name, figure in every.items()}
    name, one = next(iter(every.items()))
    page = pages.page(one, name).replace(elements[name], "\n".join(elements.values()))
    path.write_text(page, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 700, 1200])
def test_every_figure_can_be_read(browser, written, width, theme):
    page = browser.new_page(viewport={"width": width, "height": 600}, color_scheme=theme)
    said = opened(page, written, theme)
    said += page.evaluate(FAULTS)
    page.close()
    assert said == []


@pytest.mark.slow
def test_long_legends_at_every_width(browser, tmp_path):
    """Plotly gives up a layout that goes round: labels, height, legend, width, labels."""
    every = {name: make() for name, make in EXAMPLES.items()}
    for figure in every.values():
        figure.for_each_trace(lambda trace: trace.update(name=f"{trace.name}, by descent"))
    written = tmp_path / "every.html"
    write(every, written)
    page = browser.new_page(viewport={"width": 320, "height": 600}, color_scheme="light")
    said = opened(page, written, "light")
    for width in range(340, 800, 20):
        page.set_viewport_size({"width": width, "height": 600})
        page.wait_for_function(DRAWN)
    page.close()
    assert said == []


def opened(page, path: Path, theme: str) -> list[str]:
    """What the page says, from its opening on; every figure is drawn."""
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function(
        f"document.querySelectorAll('[data-drawn$={theme}]').length === {len(EXAMPLES)}"
    )
    return said
