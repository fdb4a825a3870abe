"""What tells one training run from another: a run goes on from the checkpoints of its own kind alone."""

from typing import Any

import jax
import numpy as np
from jax import Array

from jnn import metrics as measures
from jnn import program
from jnn.params import Params, sizes
from jnn.sealed import fingerprint
from jnn.streams import Stream


def identify(
    params: Params, train: Any, held: Any, settings: program.Settings, knobs: program.Knobs, key: Array
) -> dict[str, Any]:
    """What must be the same for a run to go on from a checkpoint; limits on its length need not be."""

    def contents(arrays: Any) -> Any:
        return None if arrays is None else fingerprint([a for a in arrays if a is not None])

    return {
        "sizes": list(sizes(params)),
        "activations": [name(stack.activation) for stack in params],
        "residual": [bool(stack.residual) for stack in params],
        "start": contents(jax.tree.leaves(params)),
        "data": "a stream" if isinstance(train, Stream) else contents(train),
        "validation": contents(held),
        "loss": name(settings.loss),
        "learning_rate": knobs.rate if settings.schedule is None else "a schedule",
        "plateau": [knobs.limits.cut, str(knobs.limits.cut_patience), knobs.limits.cut_minimum],
        "min_improvement": float(knobs.limits.min_improvement),
        "batch_size": settings.size,
        "steps_per_epoch": train.per_epoch if isinstance(train, Stream) else None,
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "dropout_rate": knobs.dropout,
        "label_smoothing": settings.smoothing,
        "metrics": [*map(measures.name_of, settings.metrics), *settings.watch],
        "backprop": settings.method.backprop,
        "forward": settings.method.forward,
        "checkpoint_every": settings.method.checkpoint_every,
        "compute_dtype": None if settings.compute_dtype is None else settings.compute_dtype.name,
    }


def name(thing: Any) -> Any:
    """A function's name, or the thing itself: a file holds no code, so functions of one name are one."""
    return getattr(thing, "__qualname__", type(thing).__name__) if callable(thing) else thing
