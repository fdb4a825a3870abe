"""The explorer as a page that needs no server: `python -m studies.explorer FOLDER`.

The book takes in docs/explorer/element.html and the files beside it; this writes the same element
as a page of its own, with plotly.js from the Python package.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from plotly.offline import get_plotlyjs

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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where explorer.html is written")
    print(write_page(parser.parse_args(arguments).folder))


if __name__ == "__main__":
    main()
