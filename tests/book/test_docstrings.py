"""The reader of docstrings, the public names, and lectures put together, without Sphinx's build."""

import importlib.util

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("docutils") is None or importlib.util.find_spec("jupytext") is None,
    reason="the group book is not installed",
)

HOUSE = """\
Lengths |x|² and q* of `jnn.fit`, as in the lecture.

    q = |x|² / n,
        aligned

The next paragraph
goes on.

- one
  item
- another

Data and loss:
  params, data: where to start; they
    are not changed.
  (batch, n): no name, but a shape.
Stopping, by the loss after the epoch: that on
the validation data:
  patience: epochs.
Source: somebody, arXiv:2303.15449.

>>> 1 + 1
2
"""


def test_blocks_of_the_house_style() -> None:
    from studies.book.docstrings import blocks

    found = list(blocks(HOUSE))
    assert [block.kind for block in found] == [
        "text", "equation", "text", "item", "item", "heading", "term", "entry", "heading", "term",
        "text", "doctest",
    ]  # fmt: skip
    assert found[1].text == "q = |x|² / n,\n    aligned"
    assert found[6][1:] == ("params, data", "where to start; they are not changed.")
    assert found[8].text == "Stopping, by the loss after the epoch: that on the validation data"


def test_text_is_text_and_backticks_are_code() -> None:
    from docutils import nodes
    from studies.book.docstrings import rendered

    asked = []
    (first, equation, *_, doctest) = rendered(HOUSE, lambda code, _: asked.append(code))
    assert asked == ["jnn.fit"]
    assert first.astext() == "Lengths |x|² and q* of jnn.fit, as in the lecture."
    assert [type(node) for node in first.children] == [nodes.Text, nodes.literal, nodes.Text]
    assert isinstance(equation, nodes.literal_block)
    assert equation["classes"] == ["equation"]
    assert doctest.astext() == ">>> 1 + 1\n2"


def test_a_public_name_stands_once() -> None:
    from studies.book import names

    import jnn

    rows = names.public()
    ways = [way for row in rows for way in (row.name, *row.others)]
    assert len(ways) == len(set(ways))
    top = {f"jnn.{name}" for name in vars(jnn) if callable(getattr(jnn, name))}
    top = {name for name in top if not name.startswith("jnn._")}
    assert top <= set(ways)
    assert "jnn.Stream" in ways
    assert "jnn.data.Stream" in ways


def test_every_signature_and_field_is_read() -> None:
    from studies.book import names

    for row in names.public():
        if row.kind != "data":
            called = names.signature(row.thing)
            assert "Float[" not in called, row.name
            assert "Shaped[" not in called, row.name
        if row.kind == "class":
            names.fields(row.thing)
            names.members(row.thing)


def test_a_figure_carries_its_data_and_its_image() -> None:
    from jnn.figures.pages import element

    drawn = {"data": [{"name": "</script>"}], "layout": {"title": {"text": "σ<sub>w</sub>"}}}
    shown = element(drawn, "lecture, figure 1", "data:image/png;base64,AA")
    assert shown.count("</script>") == 1
    assert 'aria-label="σw"' in shown
    assert '<noscript><img alt="σw" src="data:image/png;base64,AA"></noscript>' in shown


def test_solutions_stand_under_their_exercises() -> None:
    from nbformat import v4
    from studies.book.lectures import with_solutions

    exercise = ":::{{exercise}} {0}\n:label: ex-{0}\n:class: easy\n\nDo it.\n:::\n"
    text = exercise.format("a") + "\n" + exercise.format("b") + "\n## End"
    lecture = v4.new_notebook(cells=[v4.new_markdown_cell(text)])
    solutions = v4.new_notebook(
        cells=[
            v4.new_markdown_cell(
                "# Shared\n\n:::{solution-start} ex-b\n:label: sol-b\n:::\n\n"
                "So:\n\n$$ a = b $$ (eq-sol)"
            ),
            v4.new_code_cell("1 + 1"),
            v4.new_markdown_cell(":::{solution-end}\n:::"),
        ]
    )
    cells = with_solutions(lecture, solutions)["cells"]
    sources = [cell.source.strip() for cell in cells]
    assert sources[0] == exercise.format("a").strip()
    assert sources[1] == exercise.format("b").strip()
    assert sources[2].startswith("<details")
    assert sources[3:] == ["So:\n\n$$ a = b $$", "1 + 1", "</details>", "## End"]
    assert [cell.cell_type for cell in cells][4] == "code"
