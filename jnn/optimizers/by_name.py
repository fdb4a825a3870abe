"""Optimizers by name and learning rate, on optax.

A name becomes an optax transformation of rate one, the same at every call, and the rate a number
beside it: `fit` compiles a program for each transformation it meets, so that trying ten rates costs
one compilation.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jnn import checks
from jnn.checks import Real
from jnn.optimizers import bfgs, lbfgs, levenberg_marquardt
from jnn.optimizers.layers import on_layers
from jnn.params import Params

LearningRate: TypeAlias = Real | optax.Schedule | None


class Optimizer(NamedTuple):
    """How an optimizer of a name is made, and what it needs."""

    make: Callable[..., optax.GradientTransformation]
    learning_rate: float | None  # where none is given; None: it has no rate, but a search
    full_batch: bool = False  # whether it needs the same objective at every step
    least_squares: bool = False  # whether it needs the residuals and their Jacobian
    by_layer: bool = False  # whether it tells one array of the parameters from another


class Rule(NamedTuple):
    """p ← p + rate · update: an optimizer as `fit` takes it; `of` makes it one of a network."""

    transformation: optax.GradientTransformation
    rate: float | None  # None: the schedule's, or in the transformation
    schedule: optax.Schedule | None = None
    full_batch: bool = False
    least_squares: bool = False
    by_layer: bool = True

    def of(self, params: Params, dtype: Any) -> optax.GradientTransformation:
        """The transformation of a network's parameters, updated in this dtype.

        Raises:
          ValueError: it cannot take them.
        """
        rule = self.transformation
        return on_layers(rule, params, dtype) if self.by_layer else rule


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(optax.sgd, 1e-2),  # p ← p − η g
    # v ← 0.9 v + g, p ← p − η v; Polyak 1964
    "momentum": Optimizer(partial(optax.sgd, momentum=0.9), 1e-2),
    # p ← p − η (g + 0.9 v); 1983
    "nesterov": Optimizer(partial(optax.sgd, momentum=0.9, nesterov=True), 1e-2),
    "adam": Optimizer(optax.adam, 1e-3),  # Kingma & Ba 2015
    # decay beside the gradient, 1e-4; Loshchilov & Hutter 2019
    "adamw": Optimizer(optax.adamw, 1e-3),
    "adamax": Optimizer(optax.adamax, 1e-3),
    "nadam": Optimizer(optax.nadam, 1e-3),
    "radam": Optimizer(optax.radam, 1e-3),
    "amsgrad": Optimizer(optax.amsgrad, 1e-3),
    "rmsprop": Optimizer(optax.rmsprop, 1e-3),  # Tieleman & Hinton 2012
    "adagrad": Optimizer(optax.adagrad, 1e-2),  # Duchi et al. 2011
    # finds its own scale: the rate multiplies it; Zeiler 2012
    "adadelta": Optimizer(optax.adadelta, 1.0),
    # steps of fixed size, hence the small rate; Chen et al. 2023
    "lion": Optimizer(optax.lion, 1e-4),
    "yogi": Optimizer(optax.yogi, 1e-2),
    "lamb": Optimizer(optax.lamb, 1e-3, by_layer=True),
    # Second order, all examples at once:
    "bfgs": Optimizer(bfgs.optimizer, None, full_batch=True),
    "lbfgs": Optimizer(lbfgs.optimizer, None, full_batch=True),
    "levenberg_marquardt": Optimizer(
        levenberg_marquardt.optimizer, None, full_batch=True, least_squares=True
    ),
}


def resolve(
    optimizer: str | optax.GradientTransformation,
    learning_rate: LearningRate = None,
) -> Rule:
    """The optimizer of that name and learning rate, or the optax transformation given.

    Args:
      optimizer: one of `jnn.OPTIMIZERS`, the name of any other optimizer of optax that takes a
        learning rate, or an optax transformation, which brings its own rate.
      learning_rate: a positive number, an optax schedule, or None for the name's default.
    Raises:
      ValueError: the name is unknown, the rate is not positive, or it is given beside a
        transformation or to a method that searches for its own.
      TypeError: neither a name nor a transformation; the rate is neither a number nor a schedule.

    >>> resolve("sgd", 0.1).transformation is resolve("sgd", 0.2).transformation
    True
    """
    rate = learning_rate
    if callable(rate):
        _check_schedule(rate)
    elif rate is not None:
        meaning = "the length of a step, or an optax schedule of it"
        rate = checks.number("learning_rate", rate, above=0, meaning=meaning)
    if not isinstance(optimizer, str):
        return _given(optimizer, rate)
    if optimizer not in OPTIMIZERS:
        return Rule(_other(optimizer, rate), None)
    known = OPTIMIZERS[optimizer]
    if known.full_batch and rate is not None:
        raise ValueError(
            f"{optimizer} finds the length of each step itself: leave learning_rate out"
        )
    rate = known.learning_rate if rate is None else rate
    return Rule(
        _unit(optimizer),
        rate=None if callable(rate) else rate,
        schedule=rate if callable(rate) else None,
        full_batch=known.full_batch,
        least_squares=known.least_squares,
        by_layer=known.by_layer,
    )


def _check_schedule(schedule: optax.Schedule) -> None:
    """Raise unless it gives one number for the number of a step."""
    try:
        rate = jax.eval_shape(lambda i: jnp.asarray(schedule(i)), jax.ShapeDtypeStruct((), "int32"))
    except jax.errors.ConcretizationTypeError as error:
        raise TypeError(
            "learning_rate is a schedule that needs to know its step in Python, to branch or to "
            "convert: take jnp.where, or schedules of optax"
        ) from error
    except Exception as error:
        raise TypeError(
            f"learning_rate, {schedule!r}, could not be called with the number of a step: {error!r}"
        ) from error
    if rate.shape or not (
        jnp.issubdtype(rate.dtype, jnp.floating) or jnp.issubdtype(rate.dtype, jnp.integer)
    ):
        raise ValueError(
            f"learning_rate is a schedule that returns {rate.dtype} of shape {rate.shape}; it must "
            "return one number"
        )


def _given(transformation: optax.GradientTransformation, rate: LearningRate) -> Rule:
    """A transformation of the user's."""
    if not (hasattr(transformation, "init") and hasattr(transformation, "update")):
        raise TypeError(
            f"optimizer is {transformation!r}; it must be a name or an optax transformation, "
            "optax.adam(1e-3)"
        )
    if rate is not None:
        raise ValueError(
            "learning_rate belongs to an optimizer's name; an optax transformation brings its own"
        )
    return Rule(transformation, None)


@lru_cache
def _unit(name: str) -> optax.GradientTransformation:
    """At learning rate one: each of OPTIMIZERS is proportional to its rate."""
    known = OPTIMIZERS[name]
    return known.make() if known.learning_rate is None else known.make(1.0)


@lru_cache(maxsize=128)
def _other(name: str, learning_rate: LearningRate) -> optax.GradientTransformation:
    """One that jnn does not list, and which need not be proportional to its rate."""
    other: Any = getattr(optax, name, None)
    if not inspect.isfunction(other) or "learning_rate" not in inspect.signature(other).parameters:
        checks.known(
            "optimizer",
            name,
            OPTIMIZERS,
            otherwise="another of optax by its name there, or an optax transformation",
        )
    if learning_rate is None:
        raise ValueError(f"optimizer {name!r} needs a learning_rate: jnn knows no default for it")
    return other(learning_rate)
