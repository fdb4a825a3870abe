"""The pages of the reference: names and signatures; `extension` adds what the docstrings say."""

import importlib
import inspect
from itertools import groupby
from pathlib import Path

from studies.book import names

INDEX = """\
API reference
=============

Every public name stands on one page, with the equation that it computes, the shapes it takes and
the errors it raises. ``import jnn`` brings all but ``jnn.theory``, ``jnn.figures`` and
``jnn.sklearn``, which are imported when they are asked for.

.. toctree::
   :maxdepth: 1

"""


def write(folder: Path) -> None:
    """Write a page a chapter, and the one that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    index = INDEX
    for page, rows in groupby(names.public(), key=lambda row: row.page):
        (folder / f"{page}.rst").write_text(_page(page, list(rows)))
        index += f"   {page}\n"
    (folder / "index.rst").write_text(index)


def _page(page: str, rows: list[names.Public]) -> str:
    """A chapter in ReStructuredText, whose indentation nests methods in classes."""
    module = f"jnn.{page}"
    parts = [module, "=" * len(module), "", f".. jnn-module:: {module}", ""]
    for row in rows:
        called = "" if row.kind == "data" else names.signature(row.thing)
        parts += [f".. py:{row.kind}:: {row.name}{called}", ""]
        for kind, name, function in names.members(row.thing) if row.kind == "class" else []:
            called = "" if kind == "property" else names.signature(function)
            option = f"      :{kind}:" if kind in ("classmethod", "staticmethod") else ""
            directive = "property" if kind == "property" else "method"
            parts += [f"   .. py:{directive}:: {name}{called}", option, ""]
    return "\n".join(parts)


def docstring(name: str) -> str:
    """What is written under a public name, a member of one, or a module."""
    if name in (row.name for row in names.public() if row.kind == "data"):
        return table(name)
    thing = member(name)
    thing = thing.fget if isinstance(thing, property) else thing
    return inspect.cleandoc(getattr(thing, "__doc__", "") or "")


def member(name: str) -> object:
    """The object of a dotted name."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            thing = inspect.getattr_static(thing, part)
        return thing
    raise ValueError(f"there is no {name!r}")


def table(name: str) -> str:
    """What a table holds: its keys."""
    thing = member(name)
    if name == "jnn.Params":
        return "The parameters of a network: a tuple of stacks, `jnn.Stack`, first layer first."
    keys = ", ".join(f"`{key}`" for key in thing) if isinstance(thing, (dict, tuple)) else ""
    return f"By name: {keys}."
