"""Transfers between host and device that are meant, so that `jax.transfer_guard` lets them pass."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

from jnn.meshes import entered

P = ParamSpec("P")
R = TypeVar("R")


def meant(f: Callable[P, R]) -> Callable[P, R]:
    """A decorator for what works on the host: data, seeds and limits go to the device from there.

    A guard that disallows implicit transfers finds those of the caller's own program; what a
    network computes (`forward`, `predict`, their derivatives) makes none and goes without this.
    Where the parameters, the first argument, lie on an explicit mesh, it is the current one.

    >>> @meant
    ... def doubled(x):
    ...     return 2 * jnp.asarray(x)
    >>> with jax.transfer_guard("disallow"):
    ...     doubled(np.ones(2)).shape
    (2,)
    """

    @wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        first = next(iter((*args, *kwargs.values())), None)
        network = first if isinstance(first, tuple) else ()
        with jax.transfer_guard("allow"), entered(network):
            return f(*args, **kwargs)

    return call
