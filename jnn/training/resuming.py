"""Whether a run can go on from a checkpoint: what is in common, and what it must hold."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from jnn import checks, losses
from jnn.files.checkpoints import Found
from jnn.files.sealed import DamagedError
from jnn.losses import Loss
from jnn.penalties import Penalty
from jnn.training.stopping import Memory, Plateau, Reason, Stop
from jnn.triangular.method import Method


def identity(record: Any, prefix: str = "") -> dict[str, Any]:
    """Run identity: the options that must match before a run may resume, as JSON values by name.

    >>> identity(Stop(target=1.0, min_improvement=0.1))
    {'min_improvement': 0.1}
    """
    if dataclasses.is_dataclass(record):
        marked = dataclasses.fields(record)
        names = [field.name for field in marked if field.metadata.get("resumes", True)]
    else:
        names = record._fields
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(record, name)
        if isinstance(value, (Plateau, Stop, Method)):
            found |= identity(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = _in_words(value)
    return found


def _in_words(value: Any) -> Any:
    """A file holds no code: functions, losses and transformations are told apart by their names."""
    if isinstance(value, tuple) and type(value) is tuple:
        return [_in_words(entry) for entry in value]
    if isinstance(value, Loss):
        return losses.name_of(value)
    if isinstance(value, Penalty):
        return repr(value)
    if isinstance(value, Array):
        return np.asarray(jax.random.key_data(value)).tolist()
    if isinstance(value, np.dtype):
        return value.name
    if hasattr(value, "init") and hasattr(value, "update"):
        return "an optax transformation"
    return name_of(value)


def name_of(thing: Any) -> Any:
    """A function's name, or the thing itself.

    >>> name_of(name_of), name_of("tanh")
    ('name_of', 'tanh')
    """
    return getattr(thing, "__qualname__", type(thing).__name__) if callable(thing) else thing


def check_found(
    found: Found,
    *,
    generator: np.random.BitGenerator,
    names: Sequence[str],
    watched: Sequence[str],
) -> None:
    """Refuse a checkpoint that a run could not go on from, though its seal is whole.

    Args:
      found: the checkpoint.
      generator: of the run, as it is before.
      names: of the history's columns.
      watched: which of them have an entry for each layer.
    Raises:
      DamagedError: its texts or its history are not those of such a run.
    """
    try:
        checks.number("seconds", found.record.get("seconds"), least=0)
        state: Any = found.record.get("generator")
        one_like_it = copy.deepcopy(generator)
        one_like_it.state = state
        if one_like_it.state != state:
            raise ValueError("its generator is in no state that it can be in")
        Reason(int(found.tree.reason))
        int(Memory(*found.tree.memory).since_best)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise DamagedError(f"damaged: its record is not a run's: {error!r}") from error
    shapes = {name: column.shape for name, column in found.history.items()}
    expected = {
        name: (found.epoch, *([names.count(name)] if name in watched else [])) for name in names
    }
    if shapes != expected:
        raise DamagedError(
            f"damaged: its history is of {shapes}, that of {found.epoch} epochs is {expected}"
        )
