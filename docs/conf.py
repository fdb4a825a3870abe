"""Sphinx's configuration of the book; `scripts/book` gathers its sources and runs it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

project = "jnn"
author = "The jnn maintainers"
project_copyright = "the jnn maintainers. Text: CC BY 4.0; code: Apache-2.0"

extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_exercise",
    "sphinx_proof",
    "studies.book.extension",
]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are executed by scripts/notebooks, and compared by the tests
nb_ipywidgets_js = {}  # from other hosts
math_eqref_format = "({number})"
numfig = True
math_numfig = False  # each page counts its equations from 1, as the notebook does

html_theme = "sphinx_book_theme"
html_title = "jnn"
html_context = {"default_mode": "auto"}  # the theme asks for it
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search stands in the sidebar already
    "show_navbar_depth": 1,
    "show_toc_level": 2,
}
html_css_files = ["book.css"]
html_show_sourcelink = False
html_copy_source = False
mathjax_path = "mathjax/tex-svg.js"
# arguments one below the other where they do not fit
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
add_function_parentheses = False
