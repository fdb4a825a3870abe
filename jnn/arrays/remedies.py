"""Remedies: expressions of what was given that work when they are pasted."""

import math


def variable(name: str) -> str:
    """What stands for an argument in an expression.

    >>> variable("x of batch 3"), variable("the prediction 'a'")
    ('x', 'values')
    """
    first = name.partition(" ")[0]
    return "values" if first == "the" else first


def remedy(name: str, then: str) -> str:
    """An expression of what was given, and the same where that is no array yet.

    >>> remedy("y", "[:, None]")
    'y[:, None], or np.asarray(y)[:, None] of a list or frame'
    """
    return f"{name}{then}, or np.asarray({name}){then} of a list or frame"


def to_rows(name: str, shape: tuple[int, ...], n: int) -> str:
    """How an array of that shape becomes rows of n numbers: what ends the sentence, or nothing.

    >>> to_rows("x", (6, 28, 28), 784)
    ': x.reshape(len(x), -1), or np.asarray(x).reshape(len(x), -1) of a list or frame'
    """
    if len(shape) == 1 and n == 1:
        return f": reshape it, {remedy(name, '[:, None]')}"
    if len(shape) > 2 and math.prod(shape[1:]) == n:
        return f": {remedy(name, f'.reshape(len({name}), -1)')}"
    if len(shape) == 2 and shape[0] == n:
        return f": {remedy(name, '.T')}"
    return ""
