"""What `fit` can write down of every layer after every epoch."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jnn import checks
from jnn.checks import Thing
from jnn.data.rows import Rows
from jnn.diagnostics import gradients, states
from jnn.losses import LossLike
from jnn.params import Params
from jnn.precision import full_precision

PROBE = 256  # examples that are looked at, at most


def _log_gradients(
    params: Params, x: Array, y: Array, weights: Array | None, loss: LossLike
) -> Array:
    _, by_weights, _, exponents = gradients.norms(params, x, y, weights, loss)
    exponents = exponents.astype(by_weights.dtype)
    return jnp.log(by_weights) + exponents * jnp.log(2.0).astype(by_weights.dtype)


def _statistic(name: str) -> Callable[..., Array]:
    return lambda params, x, *_: getattr(states.layer_statistics(params, x), name)


# name -> function of (params, x, y, weights, loss), to be compiled, that gives (N,) numbers
WATCHES: dict[str, Callable[..., Array]] = {
    "log_gradients": _log_gradients,  # ln ‖∂ℓ/∂Wₗ‖
    "state_std": _statistic("x_std"),
    "saturated": _statistic("saturated"),
    "dead": _statistic("dead"),
    "constant": _statistic("constant"),
    "effective_rank": lambda params, x, *_: states.ranks(params, x),
}


@full_precision
def watch_layers(names: tuple[str, ...], params: Params, rows: Rows, loss: LossLike) -> list[Array]:
    """(N,) numbers for each name, on the first of the rows; to be compiled."""
    if not names:
        return []
    few = [None if a is None else a[:PROBE] for a in rows]
    return [WATCHES[name](params, *few, loss) for name in names]


def check_watch(watch: Thing) -> tuple[str, ...]:
    """The names as a tuple.

    Raises:
      TypeError: neither a name nor several.
      ValueError: a name is unknown, or stands there twice.

    >>> check_watch("dead"), check_watch(None)
    (('dead',), ())
    """
    if watch is None:
        return ()
    if not hasattr(watch, "__iter__"):
        raise TypeError(
            f"watch is {watch!r}; it must be a name of jnn.diagnostics.WATCHES, or several"
        )
    names = (watch,) if isinstance(watch, str) else tuple(watch)
    for name in names:
        checks.known("watch", name, WATCHES)
    if len(set(names)) < len(names):
        raise ValueError(f"watch names some twice: {', '.join(names)}")
    return names
