"""Why a run stopped being finite, and what may help, in words."""

from functools import partial

import jax
import numpy as np
from jax import Array

from jnn.data.rows import Rows
from jnn.params import Params
from jnn.training import objective
from jnn.training.options import Knobs, Plan, Settings


def message(plan: Plan, epoch: int, start: float) -> str:
    """What is said of a run that diverged.

    Args:
      plan: its options.
      epoch: in which, from 1.
      start: the loss before any step.

    >>> message(Plan(optimizer="lbfgs"), 1, np.inf)[:50]
    'the loss is inf at the start, before any step: sta'
    """
    if not np.isfinite(start):
        return (
            f"the loss is {start} at the start, before any step: standardise x "
            "(jnn.data.standardization), or start from smaller parameters; those given are returned"
        )
    if plan.rule.full_batch:
        remedy = "standardise x and y, or start from smaller parameters"
    elif isinstance(plan.optimizer, str):
        remedy = "try a smaller learning rate, or clip the gradient (clip_norm)"
    else:
        remedy = "give the transformation a smaller learning rate, or clip the gradient (clip_norm)"
    return (
        f"loss or parameters stopped being finite in epoch {epoch}: training ended there, with the "
        f"parameters from before that epoch; {remedy}"
    )


@partial(jax.jit, static_argnums=0)
def loss_of(settings: Settings, knobs: Knobs, params: Params, rows: Rows) -> Array:
    """What is minimised, of such rows."""
    predictions = objective.predictions(settings, params, rows.x)
    return objective.whole(settings, knobs, params, predictions, rows)
