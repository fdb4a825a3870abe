"""What two runs must have in common for one to go on from a checkpoint of the other."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax import Array

from jnn import losses
from jnn.losses import Loss
from jnn.penalties import Penalty


def identity(record: Any, prefix: str = "") -> dict[str, Any]:
    """Run identity: the options that must match before a run may resume, as JSON values by name.

    >>> identity(Plan(stop=Stop(min_improvement=0.1)))["stop.min_improvement"]
    0.1
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
