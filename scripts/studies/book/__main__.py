"""The book of jnn as HTML pages that need neither server nor network, in build/book/html.

It executes nothing: lectures are shown with the outputs of their executed copies, which
scripts/notebooks writes. A warning is an error. The first build fetches MathJax by npm.
"""

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from sphinx.cmd.build import build_main

from studies import shared
from studies.book import assets, printing, sources

BUILD = sources.ROOT / "build" / "book"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the book; the exit code."""
    parser = shared.Parser("book", __doc__ or "")
    parser.add_argument("--open", action="store_true", help="show the book in the browser")
    parser.add_argument(
        "--pdf", action="store_true", help="also print each lecture to build/book/pdf (Chromium)"
    )
    options = parser.parse_args(arguments)
    try:
        if options.pdf:
            printing.browser()  # asked for before minutes of work
        code = build(BUILD)
        if code:
            return code
        start = BUILD / "html" / "index.html"
        print(f"wrote {start}")
        for path in printing.print_lectures(BUILD / "html", BUILD / "pdf") if options.pdf else []:
            print(f"wrote {path}")
    except (assets.MissingError, ValueError) as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    if options.open:
        webbrowser.open(start.as_uri())
    return 0


def build(folder: Path) -> int:
    """Gather the sources and run Sphinx on them; its exit code."""
    assets.write(folder / "static")
    sources.write(folder / "source", folder / "extra")
    return build_main([
        "-W", "--keep-going", "-q", "-b", "html", "-c", str(sources.DOCS),
        "-d", str(folder / "doctrees"),
        "-D", f"html_static_path={sources.DOCS / '_static'},{folder / 'static'}",
        "-D", f"html_extra_path={folder / 'extra'}",
        str(folder / "source"), str(folder / "html"),
    ])  # fmt: skip


if __name__ == "__main__":
    shared.run("book", main)
