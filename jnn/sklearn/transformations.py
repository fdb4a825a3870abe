"""Solvers that scikit-learn lacks: jnn's by name, and optax transformations."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import optax
from jax import Array

from jnn import optimizers
from jnn.checks import Thing, Tree
from jnn.optimizers.by_name import Rule, resolve
from jnn.params import Params
from jnn.sklearn.solvers import SOLVERS, Numbers, Solver

# scikit-learn's own, of which lbfgs is SciPy's
THEIRS = ("lbfgs", "sgd", "adam")
NAMES = {*THEIRS, *optimizers.OPTIMIZERS}
_SQUARES = "levenberg_marquardt"


class Searched(NamedTuple):
    """What a method that searches along a line, or works with residuals, asks for."""

    value: Array
    value_of: Callable[[Params], Array]
    residuals_of: Callable[[Params], tuple[Array, Array]]


def rule_of(solver: Thing) -> Rule | None:
    """jnn's rule of a solver's name, or of an optax transformation; None of scikit-learn's own."""
    return None if isinstance(solver, str) and solver in THEIRS else resolve(solver)


def sees_all_rows(solver: Thing) -> bool:
    """Whether a step takes all rows, with no minibatches.

    >>> sees_all_rows("bfgs"), sees_all_rows("adam"), sees_all_rows(optax.sgd(0.1))
    (True, False, False)
    """
    rule = rule_of(solver)
    return rule is not None and rule.full_batch


def needs_squares(solver: Thing) -> bool:
    """Whether it minimises sums of squares alone."""
    return isinstance(solver, str) and solver == _SQUARES


@lru_cache(maxsize=64)
def solver_of(solver: Thing) -> Solver:
    """The solver of a name or a transformation; the same one gives the same object.

    A name's rate is that of the run, a number to the program; a transformation brings its own.
    """
    rule = rule_of(solver)
    if rule is None:
        return SOLVERS[solver]

    init = jax.jit(lambda params: _of(rule, params).init(params))

    def start(params: Params) -> Tree:
        with jax.numpy_dtype_promotion("standard"):
            return jax.device_get(init(params))

    def step(
        numbers: Numbers,
        rate: Any,
        t: Any,
        moments: Tree,
        gradient: Params,
        params: Params,
        searched: Searched,
    ) -> tuple[Tree, Params]:
        del numbers, t
        update: Any = optax.with_extra_args_support(_of(rule, params)).update
        extra: dict[str, Any] = {"residuals": searched.residuals_of} if rule.least_squares else {}
        extra |= {"value": searched.value, "grad": gradient, "value_fn": searched.value_of}
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic is written for it
            change, moments = update(gradient, moments, params, **extra)
            if rule.rate is not None:
                change = jax.tree.map(lambda c: (rate * c).astype(c.dtype), change)
        return moments, change

    return Solver(start, step)


def _of(rule: Rule, params: Params) -> Any:
    """The transformation for these parameters."""
    return rule.of(params, params[0].w.dtype)
