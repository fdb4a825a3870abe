"""Directives of a lecture become plain Markdown."""

import doctest
import re

import pytest
from studies import directives, install

LECTURE = """\
$$ (I - L)\\,dx = D\\,dp . $$ (eq-01-system)

$$ no number $$

$$ \\begin{aligned}
a &= b
\\end{aligned} $$ (eq-01-lines)

:::{exercise} Which way?
:label: ex-01-way
:class: hard

Solve {eq}`eq-01-system`.

*Hint:* {ref}`ex-01-other`.
:::

:::{exercise} Other
:label: ex-01-other
:class: easy

Text.
:::

:::{prf:theorem} Approximation
:label: thm-01-all

For all $x$.
:::

:::{prf:proof}
See {eq}`eq-01-lines` and {prf:ref}`thm-01-all`.
:::
"""
PLAIN = """\
$$ (I - L)\\,dx = D\\,dp . \\tag{1} $$

$$ no number $$

$$ \\begin{aligned}
a &= b
\\end{aligned} \\tag{2} $$

**Exercise 1 (hard): Which way?**

Solve (1).

*Hint:* Exercise 2.

**Exercise 2 (easy): Other.**

Text.

**Theorem 1: Approximation.**

For all $x$.

**Proof.** See (2) and Theorem 1. ∎
"""
KNOWN = directives.labels(LECTURE)
EXERCISE = ":::{exercise} A\n:label: ex-01-a\n:class: easy\n\nText.\n:::\n"


def test_a_lecture_in_plain_markdown() -> None:
    assert directives.plain(LECTURE, KNOWN) == PLAIN


def test_a_solution_stands_under_the_name_of_its_exercise() -> None:
    start = ":::{solution-start} ex-01-other\n:label: sol-01-other\n:class: dropdown\n:::\n"
    text = f":::{{solution-end}}\n:::\n\n{start}\nBy {{eq}}`eq-01-system`."
    expected = "---\n\n## Exercise 2 (easy): Other\n\nBy (1)."
    assert directives.plain(text, KNOWN) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXERCISE * 2, "exercise 'A' has the label 'ex-01-a'; give it one of its own"),
        (EXERCISE.replace(":label: ex-01-a\n", ""), "exercise 'A' has the label ''"),
        (EXERCISE.replace("easy", "simple"), "'simple'; it must be one of easy, medium, hard"),
        ("$$ a $$ (eq-01-a)\n" * 2, "equation '' has the label 'eq-01-a'"),
    ],
)
def test_labels_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        directives.labels(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{eq}`eq-01-none`", "there is no label 'eq-01-none' in this lecture: eq-01-system, "),
        (":::{solution-start} ex-01-none\n:::\n", "there is no label 'ex-01-none'"),
        (":::{note}\nText.\n:::\n", "the directive 'note' is not one of a lecture's"),
        (EXERCISE.removesuffix(":::\n"), "':::{exercise} A' is left over"),
    ],
)
def test_directives_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        directives.plain(text, KNOWN)


@pytest.mark.parametrize("module", [directives, install], ids=lambda module: module.__name__)
def test_examples_of_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0
