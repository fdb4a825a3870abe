"""Initial weights and biases by name, on `jax.nn.initializers`.

A scheme is a function `(key, (n_in, n_out), dtype) -> array`, the convention of `jax.nn.initializers`, so any of those
can be given as it is. jnn stores the transpose, W: (n_out, n_in).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array
from jax.nn import initializers as jax_initializers

Scheme = Callable[[Array, tuple[int, ...], Any], Array]


class Initializer(NamedTuple):
    """How one layer starts: a scheme for the weights and one for the biases."""

    weights: Scheme
    biases: Scheme


_zeros = jax_initializers.zeros

INITIALIZERS: dict[str, Initializer] = {
    # the lecture's choice: every weight and every bias from N(0, 1), whatever the width
    "normal": Initializer(jax_initializers.normal(1.0), jax_initializers.normal(1.0)),
    "lecun_normal": Initializer(jax_initializers.lecun_normal(), _zeros),  # variance 1/n_in; LeCun et al. 1998
    "lecun_uniform": Initializer(jax_initializers.lecun_uniform(), _zeros),
    "glorot_normal": Initializer(jax_initializers.glorot_normal(), _zeros),  # 2/(n_in + n_out); Glorot & Bengio 2010
    "glorot_uniform": Initializer(jax_initializers.glorot_uniform(), _zeros),
    "he_normal": Initializer(jax_initializers.he_normal(), _zeros),  # 2/n_in; He et al. 2015
    "he_uniform": Initializer(jax_initializers.he_uniform(), _zeros),
    "orthogonal": Initializer(jax_initializers.orthogonal(), _zeros),  # Saxe et al. 2014
}

_RELU_FAMILY = ("relu", "leaky_relu", "elu", "gelu", "silu")


def resolve(init: str | Scheme | None, activation: str | Callable[[Array], Array]) -> Initializer:
    """The initializer of a layer; `None` chooses by activation: He for the relu family, LeCun for selu, Glorot else.

    Args:
      init: one of `INITIALIZERS`, a function `(key, (n_in, n_out), dtype) -> weights` (zero biases), or None.
      activation: the layer's activation, read only when `init` is None.
    Raises:
      ValueError: the name is unknown.
      TypeError: neither a name, nor a function, nor None.

    >>> resolve(None, "relu") is INITIALIZERS["he_uniform"]
    True
    """
    if init is None:
        if activation in _RELU_FAMILY:
            init = "he_uniform"
        else:
            init = "lecun_normal" if activation == "selu" else "glorot_uniform"
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(f"unknown init {init!r}; known: {', '.join(INITIALIZERS)}, or a function")
        return INITIALIZERS[init]
    if not callable(init):
        raise TypeError(
            f"init must be a name, a function (key, (n_in, n_out), dtype) -> weights, or None, got {init!r}"
        )
    return Initializer(init, _zeros)
