"""Updates of parameters, by name; BFGS and Levenberg–Marquardt."""

from jnn.optimizers.by_name import (
    OPTIMIZERS as OPTIMIZERS,
    Optimizer as Optimizer,
    Rule as Rule,
    resolve as resolve,
)
