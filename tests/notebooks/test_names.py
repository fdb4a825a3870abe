"""A student's walk: no name of JAX, jnn or optax is used before the lecture that introduces it."""

import ast
import re
import tomllib
import warnings
from collections import Counter
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in test_notebooks.py
    import jupytext
    from studies.notebooks import FOLDER, LECTURES, NOTEBOOKS

LISTS: dict[str, list[str]] = tomllib.loads((FOLDER / "names.toml").read_text())
PACKAGES = ("jax", "jnn", "optax")


def names_in(code: str) -> set[str]:
    """The names of the packages that the code uses, in full, but `jnp` for `jax.numpy`."""
    tree, stands_for = ast.parse(code), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                top = name.name.partition(".")[0]
                stands_for[name.asname or top] = name.name if name.asname else top
        if isinstance(node, ast.ImportFrom):
            for name in node.names:
                stands_for[name.asname or name.name] = f"{node.module}.{name.name}"
    found = set()

    def full(node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return stands_for.get(node.id, "")
        if isinstance(node, ast.Attribute) and full(node.value):
            return f"{full(node.value)}.{node.attr}"
        return ""

    def walk(node: ast.AST) -> None:
        name = full(node)
        if name.partition(".")[0] in PACKAGES:
            found.add(re.sub(r"^jax\.numpy\.", "jnp.", name))
        else:
            for child in ast.iter_child_nodes(node):
                walk(child)

    walk(tree)
    return found


def used(path: Path) -> set[str]:
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    return names_in("\n".join(cells))


def told(path: Path) -> str:
    """What a lecture says in code's type."""
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown"]
    return " ".join(re.findall(r"`[^`]+`", "\n".join(cells)))


def test_names_are_read_in_full() -> None:
    code = """
import jax.numpy as jnp, jnn, numpy
from jax import lax
from jnn import figures as f
f.curves(jnp.exp(x), jnn.ACTIVATIONS['tanh'].value)(numpy.exp, lax.scan(x.y))
"""
    expected = {"jnn.figures.curves", "jnp.exp", "jnn.ACTIVATIONS", "jax.lax.scan"}
    assert names_in(code) == expected


def test_each_name_is_introduced_once_and_each_lecture_has_a_list() -> None:
    counts = Counter(name for names in LISTS.values() for name in names)
    assert [name for name, count in counts.items() if count > 1] == []
    assert [*LISTS] == [path.stem for path in LECTURES]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_name_is_used_before_it_is_introduced(path: Path) -> None:
    known = {name for stem, names in LISTS.items() if stem <= path.stem for name in names}
    assert used(path) - known == set()


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_what_is_introduced_is_used_and_spoken_of(path: Path) -> None:
    """Functions of arrays, `jnp`, are NumPy's, and need no word."""
    introduced = LISTS[path.stem]
    if "**Aims.**" not in path.read_text():
        return  # not of the form of a lecture yet
    assert {*introduced} <= used(path)
    words = told(path)
    spoken = {name for name in introduced if re.search(rf"\b{name.rpartition('.')[2]}\b", words)}
    assert [n for n in introduced if n not in spoken and not n.startswith("jnp.")] == []
