"""Transfers between host and device that are meant, so that `jax.transfer_guard` lets them pass."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def meant(f: Callable[P, R]) -> Callable[P, R]:
    """A decorator for what works on the host: data, seeds and limits go to the device from there.

    A guard that disallows implicit transfers finds those of the caller's own program; what a
    network computes (`forward`, `predict`, their derivatives) makes none and goes without this.

    >>> @meant
    ... def doubled(x):
    ...     return 2 * jnp.asarray(x)
    >>> with jax.transfer_guard("disallow"):
    ...     doubled(np.ones(2)).shape
    (2,)
    """

    @wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.transfer_guard("allow"):
            return f(*args, **kwargs)

    return call
