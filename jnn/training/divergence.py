"""Why a run stopped being finite, and what may help, in words."""

from functools import partial

import jax
import numpy as np
from jax import Array

from jnn.data.rows import Rows
from jnn.params import Params
from jnn.training import objective
from jnn.training.host import Run
from jnn.training.options import Knobs, Settings


def message(run: Run, params: Params, epoch: int) -> str:
    """What is said of a run that diverged.

    Args:
      run: that did.
      params: where it started.
      epoch: in which it diverged, from 1.
    """
    start = _start(run.settings, run.knobs, params, run.first) if epoch == 1 else 0.0
    if not np.isfinite(start):
        return (
            f"the loss is {start} at the start, before any step: standardise x "
            "(jnn.data.standardization), or start from smaller parameters; those given are returned"
        )
    if run.plan.rule.full_batch:
        remedy = "standardise x and y, or start from smaller parameters"
    elif isinstance(run.plan.optimizer, str):
        remedy = "try a smaller learning rate, or clip the gradient (clip_norm)"
    else:
        remedy = "give the transformation a smaller learning rate, or clip the gradient (clip_norm)"
    return (
        f"loss or parameters stopped being finite in epoch {epoch}: training ended there, with the "
        f"parameters from before that epoch; {remedy}"
    )


@partial(jax.jit, static_argnums=0)
def _start(settings: Settings, knobs: Knobs, params: Params, rows: Rows) -> Array:
    """The loss of rows before any step."""
    predictions = objective.predictions(settings, params, rows.x)
    return objective.whole(settings, knobs, params, predictions, rows)
