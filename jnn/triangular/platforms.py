"""What depends on the platform, chosen where a program is lowered and not where it is traced.

A traced program may be lowered for another platform than the default one: for arrays on the CPU of
a machine with a GPU, under `jax.default_device`, by `jax.export`. Until then both ways are kept.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from jax import lax

T = TypeVar("T")
Computation = Callable[..., Any]


def either(cpu: Computation, other: Computation) -> Computation:
    """The function that is `cpu` where it is lowered for a CPU, and `other` elsewhere.

    >>> either(jnp.sin, jnp.cos)(jnp.zeros(1)).shape
    (1,)
    """

    def of_platform(*operands: Any) -> Any:
        return lax.platform_dependent(*operands, cpu=cpu, default=other)

    return of_platform


def by_platform(compute: Computation, choice: Callable[[str], T], *operands: Any) -> Any:
    """compute(choice(platform), *operands), for "cpu" or "gpu", which is every accelerator.

    Where both choices are one, it is traced once and nothing branches.

    >>> by_platform(lambda way, x: way(x), lambda platform: jnp.sin, jnp.zeros(1)).tolist()
    [0.0]
    """
    cpu, other = choice("cpu"), choice("gpu")
    if cpu == other:
        return compute(cpu, *operands)
    return either(partial(compute, cpu), partial(compute, other))(*operands)
