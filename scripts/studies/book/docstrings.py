"""The house style of docstrings, read: text as blocks, blocks as nodes of docutils.

Text is text (`|x|²` and `q*` mean no markup); what is marked are single backticks, addresses,
equations (indented by four), doctests, lists, and headings whose lines below are indented by two:

    Args:
      x: its description, which goes on
        further in.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from docutils import nodes

Link = Callable[[str, nodes.Node], nodes.Node | None]  # to what a name in backticks stands for


class Block(NamedTuple):
    """A piece of a docstring."""

    kind: str  # "text", "equation", "doctest", "item" or "heading"; in a list: "term", "entry"
    text: str
    body: str = ""  # of a term: its description


_INLINE = re.compile(
    r"``(?P<double>.+?)``|`(?P<code>[^`]+)`"
    r"|(?P<url>https?://[^\s)\]]+[^\s)\].,;:])|(?P<arxiv>arXiv[: ]\d{4}\.\d{4,5})"
)
_TERM = re.compile(r"(?P<term>\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): +(?P<text>.+)", re.DOTALL)


def blocks(docstring: str) -> Iterator[Block]:
    """The pieces of a docstring as `inspect.cleandoc` gives it.

    >>> text = "Sum.\\n\\n    s = a + b\\n\\nArgs:\\n  a: one\\n    number."
    >>> [block.kind for block in blocks(text)]
    ['text', 'equation', 'heading', 'term']
    >>> list(blocks("Args:\\n  a: one\\n    number."))[1]
    Block(kind='term', text='a', body='one number.')
    """
    lines = docstring.splitlines()
    at = 0
    while at < len(lines):
        kind, end = _next(lines, at)
        if kind == "section":
            yield from _section(lines[at:end])
        elif kind != "blank":
            yield _block(kind, lines[at:end])
        at = end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _next(lines: list[str], at: int) -> tuple[str, int]:
    """What begins in a line, and where it ends."""
    line, end = lines[at], at + 1
    if not line.strip():
        return "blank", end
    if line.lstrip().startswith(">>>"):
        while end < len(lines) and lines[end].strip():
            end += 1
        return "doctest", end
    if _indent(line):
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end])):
            end += 1
        return "equation", end
    if line.startswith("- "):
        while end < len(lines) and lines[end].strip() and _indent(lines[end]):
            end += 1
        return "item", end
    while end < len(lines) and lines[end].strip() and not _indent(lines[end]):
        if lines[end].startswith("- "):
            break
        end += 1
    # its last line ends in a colon, and what follows is further in by less than an equation is
    if lines[end - 1].endswith(":") and end < len(lines) and 0 < _indent(lines[end]) < 4:
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end])):
            end += 1
        return "section", end
    return "text", end


def _block(kind: str, lines: list[str]) -> Block:
    if kind in ("equation", "doctest"):
        while not lines[-1].strip():
            lines = lines[:-1]
        least = min(_indent(line) for line in lines if line.strip())
        return Block(kind, "\n".join(line[least:] for line in lines))
    text = _joined(lines)
    return Block(kind, text.removeprefix("- ") if kind == "item" else text)


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _section(lines: list[str]) -> Iterator[Block]:
    """A heading, then its entries: one begins in every line of the least indentation."""
    first = next(i for i, line in enumerate(lines) if line.strip() and _indent(line))
    yield Block("heading", _joined(lines[:first]).removesuffix(":"))
    level = _indent(lines[first])
    starts = [i for i, line in enumerate(lines) if line.strip() and _indent(line) == level]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if lines[start].lstrip().startswith(">>>"):
            yield _block("doctest", lines[start:end])
            continue
        text = _joined(lines[start:end])
        match = _TERM.fullmatch(text)
        yield Block("term", match["term"], match["text"]) if match else Block("entry", text)


# ---- nodes ----


def inline(text: str, link: Link) -> list[nodes.Node]:
    """Text with its code and addresses."""
    found: list[nodes.Node] = []
    end = 0
    for match in _INLINE.finditer(text):
        if match.start() > end:
            found.append(nodes.Text(text[end : match.start()]))
        end = match.end()
        code = match["double"] or match["code"]
        if code:
            shown = nodes.literal("", code)
            found.append(link(code, shown) or shown)
        else:
            number = (match["arxiv"] or "")[6:]
            address = match["url"] or f"https://arxiv.org/abs/{number}"
            found.append(nodes.reference("", match[0], refuri=address, internal=False))
    if end < len(text):
        found.append(nodes.Text(text[end:]))
    return found


def rendered(docstring: str, link: Link) -> list[nodes.Node]:
    """The nodes of a docstring."""
    done: list[nodes.Node] = []
    for block in blocks(docstring):
        if block.kind == "doctest":
            code = nodes.literal_block(block.text, block.text, language="pycon")
            done.append(code)
        elif block.kind == "equation":
            done.append(_equation(block.text))
        elif block.kind == "heading":
            title = nodes.paragraph("", "", *inline(block.text, link), classes=["heading"])
            done.append(title)
        elif block.kind == "item":
            _in_list(done, nodes.bullet_list).append(
                nodes.list_item("", nodes.paragraph("", "", *inline(block.text, link)))
            )
        elif block.kind == "term":
            _in_list(done, nodes.definition_list).append(term(block.text, "", block.body, link))
        else:
            done.append(nodes.paragraph("", "", *inline(block.text, link)))
    return done


def _equation(text: str) -> nodes.Node:
    """Lines that stay aligned; a narrow page scrolls them."""
    return nodes.literal_block(text, text, language="none", classes=["equation"])


def _in_list(done: list[nodes.Node], kind: type[nodes.Element]) -> nodes.Element:
    """The list that the last node is, or a new one."""
    if not done or not isinstance(done[-1], kind):
        done.append(kind())
    last = done[-1]
    assert isinstance(last, nodes.Element)
    return last


def term(name: str, annotation: str, text: str, link: Link) -> nodes.Node:
    """A name, its type, and what it is."""
    head = nodes.term("", "", nodes.strong("", name))
    if annotation:
        head += [nodes.Text(": "), nodes.literal("", annotation)]
    body = nodes.definition()
    if text:
        body += nodes.paragraph("", "", *inline(text, link))
    return nodes.definition_list_item("", head, body)
