"""Options that are one number for all members, or an array with one for each."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jnn.checks import Thing
from jnn.penalties import Penalty
from jnn.training.options import Knobs, Plan


class Varied(NamedTuple):
    """Options by name: as the extremes that a plan is checked with, and as arrays."""

    least: dict[str, Any]
    most: dict[str, Any]
    arrays: dict[str, np.ndarray]  # (M,) each, those that are arrays


def varied(members: int, **options: Thing) -> Varied:
    """Options that may be arrays, of so many members.

    Raises:
      ValueError: an array has another length than the members, or holds NaN.

    >>> varied(2, learning_rate=[0.1, 0.2], patience=3).most
    {'learning_rate': 0.2, 'patience': 3}
    """
    least, most, arrays = {}, {}, {}
    for name, value in options.items():
        if isinstance(value, Penalty):
            strengths = varied(members, l1=value.l1, l2=value.l2)
            least[name], most[name] = Penalty(**strengths.least), Penalty(**strengths.most)
            arrays |= strengths.arrays
        elif isinstance(value, (list, tuple)) or np.ndim(value) > 0:
            column = _column(name, value, members)
            least[name], most[name] = column.min().item(), column.max().item()
            arrays[name] = column
        else:
            least[name] = most[name] = value
    return Varied(least, most, arrays)


def _column(name: str, value: Thing, members: int) -> np.ndarray:
    column = np.asarray(value)
    if column.shape != (members,):
        raise ValueError(
            f"{name} is an array of shape {column.shape}; it must be one number, or ({members},): "
            "one for each member"
        )
    if column.dtype.kind not in "iuf" or np.isnan(column).any():
        raise ValueError(f"{name} must hold numbers, got {column.dtype} with values {column}")
    return column


def knobs_of(plan: Plan, options: Varied, count: int, dtype: Any) -> Knobs:
    """The numbers of all members, (M,) each."""
    knobs = plan.knobs()
    arrays = options.arrays

    def column(value: Any, name: str = "") -> Any:
        return np.broadcast_to(np.asarray(arrays.get(name, value), dtype), (count,)).copy()

    penalty = knobs.penalty
    if isinstance(penalty, Penalty):
        penalty = Penalty(column(penalty.l1, "l1"), column(penalty.l2, "l2"))
    elif penalty is not None:
        penalty = jax.tree.map(column, penalty)
    limits = jax.tree.map(column, knobs.limits._replace(patience=None))
    if knobs.limits.patience is not None:
        limits = limits._replace(patience=column(knobs.limits.patience, "patience"))
    return Knobs(
        rate=None if knobs.rate is None else column(knobs.rate, "learning_rate"),
        penalty=penalty,
        dropout=None if knobs.dropout is None else column(knobs.dropout, "dropout_rate"),
        key=knobs.key,
        limits=limits,
    )
