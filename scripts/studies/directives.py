"""Directives as plain Markdown: exercises, theorems, solutions and numbered equations of a lecture.

A text `notebooks/NAME.md` is written with the directives of sphinx-exercise and sphinx-proof, which
a book renders. Jupyter and Colab would show them raw; the copy NAME.ipynb says the same in words:

    :::{exercise} Title          →  **Exercise 1 (easy): Title.**
    $$ y = x $$ (eq-01-line)     →  $$ y = x \\tag{1} $$
    {eq}`eq-01-line`             →  (1)
"""

import re
from typing import NamedTuple

LEVELS = ("easy", "medium", "hard")
NUMBERED = (
    "theorem", "lemma", "proposition", "corollary", "definition", "remark", "example"
)  # fmt: skip
EQUATION = re.compile(r"\$\$([^$]*?)\s*\$\$ \(([^()\s]+)\)$", re.MULTILINE)
BLOCK = re.compile(
    r"^:::\{(?P<kind>[\w:-]+)\}[ ]*(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)(?P<body>.*?)^:::$",
    re.MULTILINE | re.DOTALL,
)
REFERENCE = re.compile(r"\{(eq|ref|prf:ref)\}`([^`]+)`")


class Label(NamedTuple):
    """What a label of a lecture stands at."""

    kind: str  # equation, exercise, theorem, …
    number: int  # of its kind, from 1 in each lecture
    title: str = ""
    level: str = ""  # of an exercise

    def __str__(self) -> str:
        """How it is referred to."""
        if self.kind == "equation":
            return f"({self.number})"
        return f"{self.kind.capitalize()} {self.number}"

    @property
    def heading(self) -> str:
        """What stands above it: `Exercise 1 (easy): Title`."""
        level = f" ({self.level})" if self.level else ""
        title = f": {self.title}" if self.title else ""
        return f"{self}{level}{title}"


def labels(text: str) -> dict[str, Label]:
    """Every label of a lecture's text, numbered in the order in which they stand.

    Raises:
      ValueError: a label that stands twice, an exercise without one or without a level.

    >>> labels("$$ a $$ (eq-01-a)")["eq-01-a"].heading
    '(1)'
    """
    found: dict[str, Label] = {}
    counts: dict[str, int] = {}

    def add(label: str, kind: str, title: str = "", level: str = "") -> None:
        if label in found or not label:
            raise ValueError(f"{kind} {title!r} has the label {label!r}; give it one of its own")
        counts[kind] = counts.get(kind, 0) + 1
        found[label] = Label(kind, counts[kind], title, level)

    for equation in EQUATION.finditer(text):
        add(equation[2], "equation")
    for block in BLOCK.finditer(text):
        kind, given = block["kind"].removeprefix("prf:"), options(block["options"])
        if kind == "exercise":
            level = given.get("class", "")
            if level not in LEVELS:
                raise ValueError(
                    f"exercise {block['title']!r} has the class {level!r}; it must be one of "
                    f"{', '.join(LEVELS)}"
                )
            add(given.get("label", ""), kind, block["title"], level)
        elif kind in NUMBERED:
            add(given.get("label", ""), kind, block["title"])
    return found


def options(text: str) -> dict[str, str]:
    """The options of a directive.

    >>> options(":label: ex-01-a\\n:class: easy\\n")
    {'label': 'ex-01-a', 'class': 'easy'}
    """
    return {
        name: value.strip() for name, value in re.findall(r"^:([\w-]+):(.*)$", text, re.MULTILINE)
    }


def plain(text: str, known: dict[str, Label]) -> str:
    """The Markdown of one cell without directives; `known` are the labels of its lecture.

    Raises:
      ValueError: a directive or a reference that is not known.

    >>> plain("See {eq}`eq-01-a`.", {"eq-01-a": Label("equation", 2)})
    'See (2).'
    """

    def of(label: str) -> Label:
        if label not in known:
            raise ValueError(f"there is no label {label!r} in this lecture: {', '.join(known)}")
        return known[label]

    def block(match: re.Match[str]) -> str:
        kind, body = match["kind"].removeprefix("prf:"), match["body"].strip()
        if kind == "solution-start":
            return f"## {of(match['title']).heading}"
        if kind == "solution-end":
            return "---"
        if kind == "proof":
            return f"**Proof.** {body} ∎"
        if kind != "exercise" and kind not in NUMBERED:
            raise ValueError(f"the directive {kind!r} is not one of a lecture's")
        heading = of(options(match["options"])["label"]).heading
        end = "" if heading.endswith(("?", "!")) else "."
        return f"**{heading}{end}**\n\n{body}"

    text = EQUATION.sub(lambda match: f"$${match[1]} \\tag{{{of(match[2]).number}}} $$", text)
    text = REFERENCE.sub(lambda match: str(of(match[2])), BLOCK.sub(block, text))
    left = re.search(r"^:::.*", text, re.MULTILINE)
    if left:
        raise ValueError(f"{left[0]!r} is left over: a directive ends in its cell, by a line :::")
    return text
