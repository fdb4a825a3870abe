"""Activations h and their slopes h', written by hand and elementwise.

A network's Jacobians need both the value x = h(z) and the slope δ = h'(z). Each named activation is therefore a pair.
For a function of the user's, the slope is its derivative by `jax.jvp`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erf

ActivationLike: TypeAlias = str | Callable[[Array], Array]


class Activation(NamedTuple):
    """Elementwise functions: the value h(z), the slope h'(z), and the slope as a function of the value.

    The last is there where it loses no digit against h'(z): a network then need not keep z for its adjoints.
    """

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    slope_of_value: Callable[[Array], Array] | None = None


def _sigmoid_slope_of_value(s: Array) -> Array:
    return s * (1 - s)


def _sigmoid_slope(z: Array) -> Array:
    return _sigmoid_slope_of_value(jax.nn.sigmoid(z))


def _tanh_slope_of_value(t: Array) -> Array:
    return 1 - t * t


def _tanh_slope(z: Array) -> Array:
    return _tanh_slope_of_value(jnp.tanh(z))


def _elu(z: Array, scale: float, alpha: float) -> Array:
    # expm1 only ever sees z ≤ 0: an overflow in the branch not taken would turn the derivative into NaN. And not by
    # minimum(z, 0), whose derivative at 0 is ½ to JAX.
    return scale * jnp.where(z > 0, z, alpha * jnp.expm1(jnp.where(z > 0, 0.0, z)))


def _elu_slope(z: Array, scale: float, alpha: float) -> Array:
    return scale * jnp.where(z > 0, 1.0, alpha * jnp.exp(jnp.where(z > 0, 0.0, z)))


def _leaky(z: Array, below: float) -> Array:
    return jnp.where(z > 0, z, below * z)


def _leaky_slope(z: Array, below: float) -> Array:
    return jnp.where(z > 0, 1.0, jnp.full_like(z, below))


def _normal_cdf(z: Array) -> Array:
    return 0.5 * (1 + erf(z / np.sqrt(2).item()))


def _gelu_slope(z: Array) -> Array:
    return _normal_cdf(z) + z * jnp.exp(-0.5 * z * z) / np.sqrt(2 * np.pi).item()


def _silu_slope(z: Array) -> Array:
    s = jax.nn.sigmoid(z)
    return s * (1 + z * (1 - s))


def _hard_tanh_slope(z: Array) -> Array:
    return jnp.where(jnp.abs(z) <= 1, jnp.ones_like(z), 0.0)


_SELU = {"scale": 1.0507009873554805, "alpha": 1.6732632423543772}  # Klambauer et al. 2017
_LECUN = 1.7159  # LeCun et al. 1998: maps ±1 to ±1 and has its largest curvature there

ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda z: z, jnp.ones_like, jnp.ones_like),
    "sigmoid": Activation(jax.nn.sigmoid, _sigmoid_slope, _sigmoid_slope_of_value),
    "tanh": Activation(jnp.tanh, _tanh_slope, _tanh_slope_of_value),
    "relu": Activation(partial(_leaky, below=0.0), *2 * [partial(_leaky_slope, below=0.0)]),
    "leaky_relu": Activation(partial(_leaky, below=0.01), *2 * [partial(_leaky_slope, below=0.01)]),
    "elu": Activation(partial(_elu, scale=1.0, alpha=1.0), partial(_elu_slope, scale=1.0, alpha=1.0)),
    "selu": Activation(partial(_elu, **_SELU), partial(_elu_slope, **_SELU)),
    "gelu": Activation(lambda z: z * _normal_cdf(z), _gelu_slope),
    "silu": Activation(lambda z: z * jax.nn.sigmoid(z), _silu_slope),
    "softplus": Activation(lambda z: jnp.logaddexp(z, 0.0), jax.nn.sigmoid),
    "softsign": Activation(lambda z: z / (1 + jnp.abs(z)), lambda z: 1 / (1 + jnp.abs(z)) ** 2),
    "erf": Activation(erf, lambda z: 2 / np.sqrt(np.pi).item() * jnp.exp(-z * z)),
    "hard_tanh": Activation(jax.nn.hard_tanh, _hard_tanh_slope),
    "lecun_tanh": Activation(
        lambda z: _LECUN * jnp.tanh(2 / 3 * z),
        lambda z: _LECUN * 2 / 3 * _tanh_slope(2 / 3 * z),
        lambda x: _LECUN * 2 / 3 * _tanh_slope_of_value(x / _LECUN),
    ),
    "sin": Activation(jnp.sin, jnp.cos),
}


def resolve(activation: str | Callable[[Array], Array]) -> Activation:
    """The pair (h, h') of a named activation, or of an elementwise function of your own.

    Args:
      activation: one of `ACTIVATIONS`, or a function z -> h(z) that acts on each entry by itself.
    Raises:
      ValueError: the name is unknown.
      TypeError: neither a name nor a function.

    >>> resolve("tanh").slope(jnp.zeros(2)).tolist()
    [1.0, 1.0]
    >>> float(resolve(lambda z: z**3).slope(jnp.array(2.0)))
    12.0
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}; known: {', '.join(ACTIVATIONS)}, or a function")
        return ACTIVATIONS[activation]
    if not callable(activation):
        raise TypeError(f"activation must be a name or a function, got {activation!r}")
    return Activation(activation, lambda z: jax.jvp(activation, (z,), (jnp.ones_like(z),))[1])


def check(activation: str | Callable[[Array], Array]) -> None:
    """Refuse an activation that is unknown, or that mixes entries (softmax, say): its slope would be no vector δ.

    Raises:
      ValueError: the name is unknown, or the function is not elementwise.
      TypeError: neither a name nor a function.

    >>> check("tanh")
    """
    h = resolve(activation).value
    if isinstance(activation, str):
        return
    z = jnp.array([-1.5, -0.3, 0.4, 2.0])
    try:
        kind = jax.eval_shape(h, z)
    except Exception as error:
        raise ValueError(f"activation {activation!r} must be a JAX function of one array: {error!r}") from error
    if not (isinstance(kind, jax.ShapeDtypeStruct) and jnp.issubdtype(kind.dtype, jnp.floating)):
        raise ValueError(f"activation {activation!r} must return an array of floating-point numbers, got {kind}")
    together, alone = h(z), [h(z[i : i + 1]) for i in range(4)]
    if jnp.shape(together) != (4,) or not np.allclose(together, jnp.concatenate(alone), atol=1e-5, equal_nan=True):
        raise ValueError(
            f"activation {activation!r} must act on each entry by itself: h of a vector differs from h of its entries"
        )
