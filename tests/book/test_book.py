"""The book, built once with warnings as errors, and every page of it in a browser."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from studies.book import assets, printing

SPHINX = (
    "myst_nb", "sphinx_book_theme", "sphinx_design", "sphinx_exercise", "sphinx_proof",
)  # fmt: skip
MISSING = [name for name in SPHINX if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"the group book is not installed: {MISSING}"),
    # Sphinx and its extensions announce each other's deprecations
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::PendingDeprecationWarning"),
]

WIDTHS = (1280, 390)
# What is wrong with the page as it stands, in words.
FAULTS = """() => {
  const faults = [], root = document.documentElement;
  const wide = root.scrollWidth - root.clientWidth;
  if (wide > 0) faults.push(`the page scrolls sideways by ${wide} px`);
  document.querySelectorAll(".jnn-figure").forEach((box, i) => {
    const drawn = box.querySelectorAll(".cartesianlayer .trace, .cartesianlayer image").length;
    if (!drawn || box.clientHeight < 100) faults.push(`figure ${i} is blank`);
    const svg = box.querySelector(".main-svg");
    const gap = svg ? Math.abs(svg.clientWidth - box.clientWidth) : 0;
    if (gap > 2) faults.push(`figure ${i} does not fit`);
  });
  const plain = document.querySelectorAll(".math:not(:has(mjx-container))").length;
  if (plain) faults.push(`${plain} formulas are not set`);
  const wrong = document.querySelectorAll("[data-mjx-error], mjx-merror").length;
  if (wrong) faults.push(`${wrong} formulas are wrong`);
  return faults;
}"""
READY = """() => window.MathJax === undefined
  || (MathJax.startup && MathJax.startup.promise.then(() => true))"""
# every figure that is not folded away stands as wide as its box, in the mode
DRAWN = """mode => Array.from(document.querySelectorAll(".jnn-figure")).every(box =>
  !box.clientWidth || box.dataset.drawn === `${Math.floor(box.clientWidth)} ${mode}`)"""
SEARCH = """name => {
  const found = Search._performSearch(...Search._parseQuery(name));
  return found.map(result => result[0] + ".html" + result[2]);
}"""


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the book; building them gives no warning."""
    from studies.book.__main__ import build

    folder = tmp_path_factory.mktemp("book")
    try:
        assets.write(folder / "static")
    except assets.MissingError as missing:
        pytest.skip(str(missing))
    assert build(folder) == 0
    return folder / "html"


def test_every_page_in_a_browser_from_files(html: Path, browser) -> None:
    """At both widths, light and dark: see FAULTS; a quiet console, and no request outside."""
    faults = []
    page = browser.new_page()
    # the theme says in which mode it is
    page.on("console", lambda said: said.text.startswith("[PST]") or faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    allowed = ("file:", "data:", "blob:")
    page.on("request", lambda asked: asked.url.startswith(allowed) or faults.append(asked.url))
    # the theme leaves templates among the static files
    paths = sorted(path for path in html.rglob("*.html") if "_static" not in path.parts)
    assert len(paths) > 40
    for path in paths:
        before = len(faults)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if width == WIDTHS[0]:
                page.goto(path.as_uri())
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                page.wait_for_function(READY)
            for mode in ("light", "dark"):
                page.evaluate("mode => document.documentElement.dataset.theme = mode", mode)
                page.wait_for_function(DRAWN, arg=mode)
                page.wait_for_timeout(80)
                faults += [f"{width} {mode}: {fault}" for fault in page.evaluate(FAULTS)]
        name = str(path.relative_to(html))
        faults[before:] = [f"{name}: {fault}" for fault in faults[before:]]
    page.close()
    assert faults == []


def test_without_javascript_every_figure_is_a_picture(html: Path, browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path in (html / "lectures").glob("[0-9]*.html"):
        page.goto(path.as_uri())
        pictures = page.locator(".jnn-figure img")
        assert pictures.count() == page.locator(".jnn-figure").count() > 0
        for picture in pictures.all():
            folded = picture.locator("xpath=ancestor::details").count()
            box = picture.bounding_box()
            assert folded or (box and box["height"] > 100), path.name
    context.close()


def test_the_search_finds_every_public_name(html: Path, browser) -> None:
    from studies.book import names

    page = browser.new_page()
    page.goto((html / "search.html").as_uri())
    page.wait_for_function("() => Search.hasIndex()")
    missed = []
    for row in names.public():
        place = f"reference/{row.page}.html#{row.name}"
        if place not in page.evaluate(SEARCH, row.name):
            missed.append(row.name)
    page.close()
    assert missed == []


def test_every_public_name_is_on_one_page(html: Path) -> None:
    from studies.book import names

    pages = {path: path.read_text() for path in html.rglob("*.html")}
    for row in names.public():
        on = [path.name for path, text in pages.items() if f'id="{row.name}"' in text]
        assert on == [f"{row.page}.html"], row.name


def test_every_solution_is_folded_under_its_exercise(html: Path) -> None:
    for path in (html / "solutions").glob("[0-9]*.html"):
        lecture = (html / "lectures" / path.name).read_text()
        exercises = len(re.findall(r'<div class="exercise[ "]', lecture))
        solutions = re.findall(r'<details class="solution">', lecture)
        assert exercises == len(solutions), path.name
        assert exercises > 0


def test_a_lecture_prints(html: Path, browser, tmp_path: Path) -> None:
    lectures = sorted((html / "lectures").glob("[0-9]*.html"))
    for other in lectures[1:]:
        assert other.stat().st_size > 10_000
    one = tmp_path / "html"
    shutil.copytree(html, one, ignore=lambda folder, found: [
        name for name in found if name in {path.name for path in lectures[1:]}
    ])  # fmt: skip
    (printed,) = printing.print_lectures(one, tmp_path / "pdf")
    assert printed.read_bytes().startswith(b"%PDF")
    assert printed.stat().st_size > 50_000


def test_the_lectures_go_into_another_book_unchanged(tmp_path: Path) -> None:
    """A lecturer's walk: the texts as they are, in a configuration as Jupyter Book 1 makes them."""
    from sphinx.cmd.build import build_main

    source = tmp_path / "source"
    source.mkdir()
    lectures = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.md"))
    for lecture in lectures:
        shutil.copy(lecture, source / lecture.name)
    names = "\n".join(lecture.stem for lecture in lectures)
    (source / "index.md").write_text(f"# A book\n\n```{{toctree}}\n{names}\n```\n")
    said = (Path(__file__).parents[2] / "docs" / "lecturers.md").read_text()

    def named(key: str) -> list[str]:
        return re.findall(rf"{key}: \[(.+)\]", said)[0].split(", ")

    extensions = ["myst_nb", *named("extra_extensions")]
    enabled = named("myst_enable_extensions")
    (source / "conf.py").write_text(
        f"extensions = {json.dumps(extensions)}\nmyst_enable_extensions = {json.dumps(enabled)}\n"
        "nb_execution_mode = 'off'\nhtml_theme = 'sphinx_book_theme'\nnumfig = True\n"
        "html_context = {'default_mode': 'auto'}\n"
        "root_doc = 'index'\n"
    )
    code = build_main(["-W", "-q", "-b", "html", str(source), str(tmp_path / "html")])
    assert code == 0
