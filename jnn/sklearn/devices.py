"""Where an estimator computes, and in what precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import numpy as np

from jnn.checks import Thing

FLOAT32 = "float32"


@cache
def host() -> Any:
    """The CPU, where scikit-learn's numbers are; what JAX takes by default if it has no CPU."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return jax.local_devices()[0]


def device_of(device: Thing) -> Any:
    """A device of JAX: None is the CPU, a name the first device of that platform.

    Raises:
      ValueError: there is none of that name.

    >>> device_of(None).platform
    'cpu'
    """
    if device is None:
        return host()
    if not isinstance(device, str):
        return device
    try:
        return jax.local_devices(backend=device)[0]
    except RuntimeError as error:
        here = sorted({found.platform for found in jax.local_devices()})
        raise ValueError(
            f"device is {device!r}, which JAX does not have here ({error}); it has {here}"
        ) from error


def dtypes(estimator: Thing) -> Any:
    """What data are computed in: theirs, float32 where it is asked for or on an accelerator."""
    if estimator.dtype == FLOAT32 or device_of(estimator.device).platform != "cpu":
        return np.float32
    return (np.float64, np.float32)


@contextmanager
def computing(device: Thing = None) -> Iterator[None]:
    """Within, JAX computes on the device, in the precision that arrays have.

    >>> with computing():
    ...     jax.numpy.asarray(1.0).dtype
    dtype('float64')
    """
    with jax.enable_x64(True), jax.transfer_guard("allow"), jax.default_device(device_of(device)):
        yield
