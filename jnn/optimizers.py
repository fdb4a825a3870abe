"""Optimizers by name and learning rate, on optax.

A name becomes an optax transformation, and the same name with the same rate becomes the *same* one: `fit` compiles a
program for each transformation it meets, so that naming one twice costs one compilation.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import optax


class Optimizer(NamedTuple):
    """How optax makes it from a learning rate, and the rate that it starts with where none is given."""

    make: Callable[..., optax.GradientTransformation]
    learning_rate: float


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
    "lamb": Optimizer(optax.lamb, 1e-3),
}


def resolve(
    optimizer: str | optax.GradientTransformation, learning_rate: float | optax.Schedule | None = None
) -> optax.GradientTransformation:
    """The optax transformation of that name and learning rate, or the one given.

    Args:
      optimizer: one of `OPTIMIZERS`, the name of any other optimizer of optax that takes a learning rate, or an optax
        transformation, which brings its own rate.
      learning_rate: a positive number, an optax schedule, or None for the name's usual rate.
    Raises:
      ValueError: the name is unknown, the rate is not positive, or a rate is given beside a transformation.
      TypeError: neither a name nor a transformation; the rate is neither a number nor a schedule.

    >>> resolve("sgd", 0.1) is resolve("sgd", 0.1)
    True
    """
    if isinstance(optimizer, str):
        return _make(optimizer, _check_rate(learning_rate))
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(f"optimizer must be a name or an optax transformation, optax.adam(1e-3), got {optimizer!r}")
    if learning_rate is not None:
        raise ValueError("learning_rate belongs to an optimizer's name; an optax transformation brings its own")
    return optimizer


@lru_cache(maxsize=128)
def _make(name: str, learning_rate: Any) -> optax.GradientTransformation:
    if name in OPTIMIZERS:
        make, usual = OPTIMIZERS[name]
        return make(usual if learning_rate is None else learning_rate)
    other = getattr(optax, name, None)
    if not inspect.isfunction(other) or "learning_rate" not in inspect.signature(other).parameters:
        raise ValueError(
            f"unknown optimizer {name!r}; known: {', '.join(OPTIMIZERS)}, others of optax by their name there, "
            "or an optax transformation"
        )
    if learning_rate is None:
        raise ValueError(f"optimizer {name!r} needs a learning_rate: jnn knows no usual one for it")
    return other(learning_rate)


def _check_rate(rate: Any) -> Any:
    if rate is None or callable(rate):
        return rate
    if isinstance(rate, (bool, str)) or np.ndim(rate) != 0 or not np.issubdtype(np.asarray(rate).dtype, np.number):
        raise TypeError(f"learning_rate must be a number or an optax schedule, got {rate!r}")
    if not 0 < float(rate) < np.inf:
        raise ValueError(f"learning_rate is {rate}; it must be positive and finite")
    return float(rate)
