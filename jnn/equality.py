"""Equality of records that hold arrays: one answer, where `==` of arrays has one an entry."""

from typing import Any, TypeVar

import jax
import numpy as np

Record = TypeVar("Record", bound=type)


def by_value(record: Record) -> Record:
    """A class decorator: records are equal where they are of one class and every entry is the same.

    Shapes, dtypes and what is static (an activation) count, too; NaN is the same as NaN, so that
    what was saved, pickled or copied equals what it was made from. Such records have no hash, as
    arrays have none.

    >>> params = jnn.from_layers([(1.0, 2.0)])
    >>> params == jax.tree.map(jnp.copy, params), params == jax.tree.map(jnp.zeros_like, params)
    (True, False)
    """

    def equal(self: Any, other: Any) -> Any:
        return _same(self, other) if type(other) is type(self) else NotImplemented

    def unequal(self: Any, other: Any) -> Any:
        return not _same(self, other) if type(other) is type(self) else NotImplemented

    methods = {"__eq__": equal, "__ne__": unequal, "__hash__": None}  # a tuple has its own
    for name, method in methods.items():
        setattr(record, name, method)
    return record


def _same(left: Any, right: Any) -> bool:
    """Whether two records of one class hold the same."""
    for name in getattr(left, "_fields", None) or left.__dataclass_fields__:
        (a, of_a), (b, of_b) = (jax.tree.flatten(getattr(record, name)) for record in (left, right))
        if of_a != of_b or not all(_identical(x, y) for x, y in zip(a, b, strict=True)):
            return False
    return True


def _identical(x: Any, y: Any) -> bool:
    if x is y:
        return True
    x, y = np.asarray(x), np.asarray(y)
    alike = x.dtype == y.dtype and x.shape == y.shape
    return alike and bool(np.all((x == y) | ((x != x) & (y != y))))  # NaN alone is not itself
