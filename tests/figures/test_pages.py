"""Pages in a browser: a figure is as wide as its column, in the light and in the dark."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from jnn import figures

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)} is on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 700, 1200])
def test_a_figure_fills_its_column(browser, tmp_path: Path, width, theme):
    (written,) = figures.save(figures.matrix(np.eye(3)), tmp_path / "a.html", shared_js=True)
    page = browser.new_page(viewport={"width": width, "height": 600}, color_scheme=theme)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(written.as_uri())
    page.wait_for_selector(f".jnn-figure[data-drawn$={theme}]")
    column = page.evaluate("document.querySelector('.jnn-figure').clientWidth")
    drawn = page.evaluate("document.querySelector('.main-svg').getBoundingClientRect().width")
    assert abs(column - drawn) <= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
    assert said == []
