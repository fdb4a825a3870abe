"""Options that are one number for all members, or an array with one for each."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn import arrays
from jnn.checks import Thing
from jnn.losses import Loss, smoothed
from jnn.penalties import Penalty
from jnn.training.options import Knobs, Plan
from jnn.training.stopping import Cut, Limits, Plateau, Stop

# what fit_many takes arrays of
_MAY_DIFFER = (
    "loss", "learning_rate", "penalty", "dropout_rate", "plateau", "clip_norm", "patience", "stop",
)  # fmt: skip


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
        if isinstance(value, (Penalty, Stop, Plateau)):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            inner = varied(members, **fields)
            least[name] = dataclasses.replace(value, **inner.least)
            most[name] = dataclasses.replace(value, **inner.most)
            of_plateau = isinstance(value, Plateau)  # whose patience is another
            arrays |= {f"{name}_{n}" if of_plateau else n: a for n, a in inner.arrays.items()}
        elif isinstance(value, Loss) and np.ndim(value.smoothing):
            column = _column("label_smoothing", value.smoothing, members)
            plain: Any = value.measured
            least[name], most[name] = (smoothed(plain, f(column).item()) for f in (np.min, np.max))
            arrays["label_smoothing"] = column
        elif _is_column(name, value):
            column = _column(name, value, members)
            least[name], most[name] = column.min().item(), column.max().item()
            arrays[name] = column
        else:
            least[name] = most[name] = value
    return Varied(least, most, arrays)


def _is_column(name: str, value: Thing) -> bool:
    """Whether it may be one number for each member; of a loss and the like their numbers may."""
    if name in ("loss", "penalty", "plateau", "stop"):
        return False
    if isinstance(value, (np.ndarray, jax.Array)):
        return value.ndim > 0
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes))


def _column(name: str, value: Thing, members: int) -> np.ndarray:
    column = arrays.numbers(name, value)
    if column.dtype == jax.numpy.bfloat16:
        column = column.astype(np.float32)
    if column.shape != (members,):
        raise ValueError(
            f"{name} is an array of shape {column.shape}; it must be one number, or ({members},): "
            "one for each member"
        )
    if column.dtype.kind not in "iuf" or np.isnan(column).any():
        raise ValueError(f"{name} must hold numbers, got {column.dtype} with values {column}")
    return column


def repeated(options: dict[str, Any], members: int, which: np.ndarray) -> dict[str, Any]:
    """Options of so many members, for some that have those of others.

    Args:
      options: of `fit_many`; arrays (M,) among them.
      members: M.
      which: (m,), whose options each has.
    Raises:
      ValueError: an array has another length than M, or holds NaN.

    >>> repeated({"learning_rate": [0.1, 0.2], "epochs": 3}, 2, np.array([0, 0, 1]))
    {'learning_rate': array([0.1, 0.1, 0.2]), 'epochs': 3}
    """

    def of(name: str, value: Any) -> Any:
        if isinstance(value, (Penalty, Stop, Plateau)):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return dataclasses.replace(value, **{n: of(n, v) for n, v in fields.items()})
        if isinstance(value, Loss) and np.ndim(value.smoothing):
            plain: Any = value.measured
            return smoothed(plain, _column("label_smoothing", value.smoothing, members)[which])
        if _is_column(name, value):
            return _column(name, value, members)[which]
        return value

    return {
        name: of(name, value) if name in _MAY_DIFFER else value for name, value in options.items()
    }


def knobs_of(plan: Plan, options: Varied, count: int, dtype: Any) -> Knobs:
    """The numbers of all members, (M,) each.

    Raises:
      ValueError: an array is of what is no number to the program.
    """
    left = dict(options.arrays)

    def column(value: Any, name: str = "") -> Any:
        return np.broadcast_to(np.asarray(left.pop(name, value), dtype), (count,)).copy()

    def given(value: Any, name: str) -> Any:
        return None if value is None else column(value, name)

    knobs = plan.knobs()
    penalty = knobs.penalty
    if isinstance(penalty, Penalty):
        penalty = Penalty(column(penalty.l1, "l1"), column(penalty.l2, "l2"))
    elif penalty is not None:
        penalty = jax.tree.map(column, penalty)
    limits = knobs.limits
    cut = limits.cut and Cut(*(column(n, f"plateau_{f}") for f, n in limits.cut._asdict().items()))
    numbers = limits._replace(cut=None)._asdict()
    found = Knobs(
        rate=given(knobs.rate, "learning_rate"),
        penalty=penalty,
        dropout=given(knobs.dropout, "dropout_rate"),
        key=knobs.key,
        clip=given(knobs.clip, "clip_norm"),
        smoothing=given(knobs.smoothing, "label_smoothing"),
        limits=Limits(**{name: given(n, name) for name, n in numbers.items()})._replace(cut=cut),
    )
    wrong = [name for name, numbers in left.items() if numbers.any()]  # 0 leaves a rate out
    if wrong:
        raise ValueError(
            f"{' and '.join(wrong)} cannot differ between members here: give one number, or "
            "call fit_many once for each"
        )
    return found
