"""Optimizers by name and learning rate, on optax.

A name becomes an optax transformation of rate one, the same at every call, and the rate a number beside it: `fit`
compiles a program for each transformation it meets, so that trying ten rates costs one compilation.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import optax

from jnn import second_order


class Optimizer(NamedTuple):
    """How it is made, and the learning rate it starts with where none is given; None: it has no rate, but a search."""

    make: Callable[..., optax.GradientTransformation]
    learning_rate: float | None
    full_batch: bool = False  # whether it needs the same objective at every step
    least_squares: bool = False  # whether it needs the residuals and their Jacobian
    by_leaf: bool = False  # whether it tells one array of the parameters from another


class Rule(NamedTuple):
    """p ← p + rate · update: an optimizer as `fit` takes it."""

    transformation: optax.GradientTransformation
    rate: float | None  # None: the schedule's, or in the transformation
    schedule: optax.Schedule | None = None
    full_batch: bool = False
    least_squares: bool = False
    by_leaf: bool = True


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(optax.sgd, 1e-2),  # p ← p − η g
    "momentum": Optimizer(partial(optax.sgd, momentum=0.9), 1e-2),  # v ← 0.9 v + g, p ← p − η v; Polyak 1964
    "nesterov": Optimizer(partial(optax.sgd, momentum=0.9, nesterov=True), 1e-2),  # p ← p − η (g + 0.9 v); 1983
    "adam": Optimizer(optax.adam, 1e-3),  # Kingma & Ba 2015
    "adamw": Optimizer(optax.adamw, 1e-3),  # decay beside the gradient, 1e-4; Loshchilov & Hutter 2019
    "adamax": Optimizer(optax.adamax, 1e-3),
    "nadam": Optimizer(optax.nadam, 1e-3),
    "radam": Optimizer(optax.radam, 1e-3),
    "amsgrad": Optimizer(optax.amsgrad, 1e-3),
    "rmsprop": Optimizer(optax.rmsprop, 1e-3),  # Tieleman & Hinton 2012
    "adagrad": Optimizer(optax.adagrad, 1e-2),  # Duchi et al. 2011
    "adadelta": Optimizer(optax.adadelta, 1.0),  # finds its own scale: the rate multiplies it; Zeiler 2012
    "lion": Optimizer(optax.lion, 1e-4),  # steps of fixed size, hence the small rate; Chen et al. 2023
    "yogi": Optimizer(optax.yogi, 1e-2),
    "lamb": Optimizer(optax.lamb, 1e-3, by_leaf=True),
    # Second order, all examples at once:
    "bfgs": Optimizer(second_order.bfgs, None, full_batch=True),
    "lbfgs": Optimizer(optax.lbfgs, None, full_batch=True),  # Liu & Nocedal 1989
    "levenberg_marquardt": Optimizer(second_order.levenberg_marquardt, None, full_batch=True, least_squares=True),
}


def resolve(
    optimizer: str | optax.GradientTransformation,
    learning_rate: float | optax.Schedule | None = None,
    clip_norm: float | None = None,
) -> Rule:
    """The optimizer of that name and learning rate, or the optax transformation given.

    Args:
      optimizer: one of `OPTIMIZERS`, the name of any other optimizer of optax that takes a learning rate, or an optax
        transformation, which brings its own rate.
      learning_rate: a positive number, an optax schedule, or None for the name's usual rate.
      clip_norm: longer gradients are shortened to this length first (`optax.clip_by_global_norm`).
    Raises:
      ValueError: the name is unknown, a number is not positive, a rate is given beside a transformation or to a method
        that searches for its own, or the gradient is to be clipped that such a method relies on.
      TypeError: neither a name nor a transformation; the rate is neither a number nor a schedule.

    >>> resolve("sgd", 0.1).transformation is resolve("sgd", 0.2).transformation
    True
    """
    rate, clip_norm = _check_rate("learning_rate", learning_rate), _check_rate("clip_norm", clip_norm)
    if callable(clip_norm):
        raise TypeError(f"clip_norm must be a number, got {clip_norm!r}")
    if not isinstance(optimizer, str):
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise TypeError(f"optimizer must be a name or an optax transformation, optax.adam(1e-3), got {optimizer!r}")
        if rate is not None:
            raise ValueError("learning_rate belongs to an optimizer's name; an optax transformation brings its own")
        return Rule(_clipped(optimizer, clip_norm), None)
    if optimizer not in OPTIMIZERS:
        return Rule(_clipped(_other(optimizer, rate), clip_norm), None)
    _, usual, full_batch, least_squares, by_leaf = OPTIMIZERS[optimizer]
    if full_batch and not (rate is None and clip_norm is None):
        raise ValueError(f"{optimizer} finds the length of each step itself: leave learning_rate and clip_norm out")
    rate = usual if rate is None else rate
    schedule: Any = rate if callable(rate) else None
    rate = None if callable(rate) else rate
    return Rule(_clipped(_unit(optimizer), clip_norm), rate, schedule, full_batch, least_squares, by_leaf)


@lru_cache
def _unit(name: str) -> optax.GradientTransformation:
    """At learning rate one: each of OPTIMIZERS is proportional to its rate."""
    make, usual, *_ = OPTIMIZERS[name]
    return make() if usual is None else make(1.0)


@lru_cache(maxsize=128)
def _other(name: str, learning_rate: Any) -> optax.GradientTransformation:
    """One that jnn does not list, and which need not be proportional to its rate."""
    other = getattr(optax, name, None)
    if not inspect.isfunction(other) or "learning_rate" not in inspect.signature(other).parameters:
        raise ValueError(
            f"unknown optimizer {name!r}; known: {', '.join(OPTIMIZERS)}, others of optax by their name there, "
            "or an optax transformation"
        )
    if learning_rate is None:
        raise ValueError(f"optimizer {name!r} needs a learning_rate: jnn knows no usual one for it")
    return other(learning_rate)


@lru_cache(maxsize=128)
def _clipped(transformation: optax.GradientTransformation, norm: float | None) -> optax.GradientTransformation:
    if norm is None:
        return transformation
    return optax.chain(optax.clip_by_global_norm(norm), transformation)


def _check_rate(name: str, rate: Any) -> Any:
    if rate is None or callable(rate):
        return rate
    if isinstance(rate, (bool, str)) or np.ndim(rate) != 0 or not np.issubdtype(np.asarray(rate).dtype, np.number):
        raise TypeError(f"{name} must be a number{' or an optax schedule' * (name == 'learning_rate')}, got {rate!r}")
    if not 0 < float(rate) < np.inf:
        raise ValueError(f"{name} is {rate}; it must be positive and finite")
    return float(rate)
