"""What Sphinx is told: docstrings in the house style, and the script of figures where one is.

Signatures stand in the pages that `reference` writes; here everything that jnn documents gets its
docstring, a record its fields with the comments beside them, an alias its other names.
"""

import inspect
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from studies.book import docstrings, names, reference

FIGURE = 'class="jnn-figure"'  # what `lectures` puts in place of a figure


def known() -> dict[str, str]:
    """The public names, by every way to them."""
    return {way: row.name for row in names.public() for way in (row.name, *row.others)}


def linker(document: str, scope: str) -> docstrings.Link:
    """Links from names in backticks, as they are meant in the namespace `scope`."""
    targets = known()

    def link(code: str, shown: nodes.Node) -> nodes.Node | None:
        bare = code.partition("(")[0]
        for way in (bare, f"{scope}.{bare}", f"jnn.{bare}"):
            if way in targets:
                return addnodes.pending_xref(
                    "", shown, refdoc=document, refdomain="py", reftype="obj",
                    reftarget=targets[way], refexplicit=True, refwarn=True,
                )  # fmt: skip
        return None

    return link


class Module(SphinxDirective):
    """`.. jnn-module:: jnn.data`: the docstring of a module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Its nodes."""
        name = self.arguments[0]
        text = inspect.cleandoc(reference.docstring(name))
        own = text.removeprefix("jnn: ")
        return docstrings.rendered(own, linker(self.env.current_document.docname, name))


def described(app: Sphinx, domain: str, kind: str, content: addnodes.desc_content) -> None:
    """Put its docstring, and the fields of a record, in front of what an object contains."""
    assert isinstance(content.parent, addnodes.desc)
    signature = content.parent[0]
    assert isinstance(signature, addnodes.desc_signature)
    if domain != "py":
        return
    name = signature["fullname"]
    link = linker(app.env.current_document.docname, name.rpartition(".")[0])
    text = reference.docstring(name)
    added = docstrings.rendered(text, link)
    if kind == "class":
        added += _fields(reference.member(name), text, link)
    others = [way for row in names.public() if row.name == name for way in row.others]
    if others:
        also = [node for way in others for node in (nodes.literal("", way), nodes.Text(", "))]
        added.append(nodes.paragraph("", "", nodes.Text("Also "), *also[:-1], nodes.Text(".")))
    for place, node in enumerate(added):
        content.insert(place, node)


def _fields(thing: Any, text: str, link: docstrings.Link) -> list[nodes.Node]:
    """The fields that the docstring does not explain already."""
    told = {
        name
        for block in docstrings.blocks(text)
        if block.kind == "term"
        for name in block.text.split(", ")
    }
    shown = [field for field in names.fields(thing) if field.name not in told]
    if not shown:
        return []
    items = [docstrings.term(*field, link) for field in shown]
    heading = nodes.paragraph("", "", nodes.Text("Fields"), classes=["heading"])
    return [heading, nodes.definition_list("", *items)]


def with_figures(app: Sphinx, _page: str, _template: str, context: Any, _tree: Any) -> None:
    """plotly.js is five megabytes: only a page with a figure loads it."""
    if FIGURE in context.get("body", ""):
        app.add_js_file("plotly.min.js", loading_method="defer")
        app.add_js_file("figures.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("jnn-module", Module)
    app.connect("object-description-transform", described)
    app.connect("html-page-context", with_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
