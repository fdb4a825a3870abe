"""Activations h and their slopes h', by name, written by hand and elementwise.

A network's Jacobians need the value x = h(z) and the slope δ = h'(z); theorems need to know what
kind of function h is. An `Activation` holds both. Of a function of the user's, the slope is found
by `jax.jvp`, and nothing else is claimed.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.scipy.special import erf

from jnn import checks

Elementwise: TypeAlias = Callable[[Array], Array]
ActivationLike: TypeAlias = str | Elementwise


class Activation(NamedTuple):
    """A function h of every entry by itself, and what is known of it.

    No field has a default: what is not known of a new activation has to be said, not assumed.
    """

    value: Elementwise  # h(z)
    slope: Elementwise  # h'(z)
    # h' from h(z), where that loses no digit: then z can be let go
    slope_of_value: Elementwise | None
    start: str  # the plain initializer that suits it, such as "glorot_uniform"
    monotone: bool  # whether h never falls
    kinks: tuple[float, ...]  # where h' jumps
    family: str | None  # of theorems: "affine", "relu", "relu-like"; None: no such theorem applies
    probability: bool  # whether h(z) lies in (0, 1) and is read as a probability


def _elu(z: Array, scale: float, alpha: float) -> Array:
    # expm1 only ever sees z ≤ 0: an overflow in the branch not taken would turn the derivative into
    # NaN. And not by minimum(z, 0), whose derivative at 0 is ½ to JAX.
    return scale * jnp.where(z > 0, z, alpha * jnp.expm1(jnp.where(z > 0, 0.0, z)))


def _elu_slope(z: Array, scale: float, alpha: float) -> Array:
    return scale * jnp.where(z > 0, 1.0, alpha * jnp.exp(jnp.where(z > 0, 0.0, z)))


def _relu(z: Array) -> Array:
    return jnp.where(z <= 0, 0.0, z)  # 0 at −∞, and NaN stays NaN


def _leaky_slope(z: Array, below: float) -> Array:
    return jnp.where(z > 0, 1.0, jnp.full_like(z, below))


def _near(z: Array) -> Array:  # beyond ±1000 even float64's e^z is 0, and its products 0 · ∞
    return jnp.clip(z, -1e3, 1e3)


def _gated(z: Array, gate: Elementwise) -> Array:
    """z g(z) of a gate that goes from 0 to 1; beyond ±1000, and at ±∞, 0 or z."""
    near = _near(z)
    return jnp.where(jnp.abs(z) < 1e3, near * gate(near), _relu(z))


def _normal_cdf(z: Array) -> Array:
    return 0.5 * (1 + erf(z / np.sqrt(2).item()))


def _gelu_slope(z: Array) -> Array:
    z = _near(z)
    return _normal_cdf(z) + z * jnp.exp(-0.5 * z * z) / np.sqrt(2 * np.pi).item()


def _silu_slope(z: Array) -> Array:
    z, s = _near(z), jax.nn.sigmoid(z)
    return s * (1 + z * (1 - s))


def _mish_gate(z: Array) -> Array:  # Misra 2019: tanh(softplus(z)), with softplus(z) = −log r
    s, r = jax.nn.sigmoid(z), jax.nn.sigmoid(-z)
    return s * (1 + r) / (1 + r * r)


def _mish_slope(z: Array) -> Array:  # to 3 ε; by 1 − tanh² 7 bits are lost at z = 16
    z, s, r = _near(z), jax.nn.sigmoid(z), jax.nn.sigmoid(-z)
    return (s * (1 + r) + 4 * s * r * r / (1 + r * r) * z) / (1 + r * r)


def _softsign(z: Array) -> Array:
    z = jnp.clip(z, jnp.finfo(z.dtype).min, jnp.finfo(z.dtype).max)  # ∞/∞ is NaN
    return z / (1 + jnp.abs(z))


_SELU = {"scale": 1.0507009873554805, "alpha": 1.6732632423543772}  # Klambauer et al. 2017
_LECUN = 1.7159  # LeCun et al. 1998: maps ±1 to ±1 and has its largest curvature there


# slopes of values, too: a value has the sign of z, which is all that they take
_RELU, _LEAKY = (partial(_leaky_slope, below=below) for below in (0.0, 0.01))

# value, slope, slope of value; start, monotone, kinks, family, probability
ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(
        lambda z: z, jnp.ones_like, jnp.ones_like, "glorot_uniform", True, (), "affine", False
    ),
    "sigmoid": Activation(
        jax.nn.sigmoid, lambda z: jax.nn.sigmoid(z) * (1 - jax.nn.sigmoid(z)),
        lambda s: s * (1 - s),
        "glorot_uniform", True, (), None, True
    ),
    "tanh": Activation(
        jnp.tanh, lambda z: 1 - jnp.tanh(z) ** 2, lambda t: 1 - t * t,
        "glorot_uniform", True, (), None, False
    ),
    "relu": Activation(
        _relu, _RELU, _RELU, "he_uniform", True, (0.0,), "relu", False
    ),
    "leaky_relu": Activation(
        lambda z: jnp.where(z > 0, z, 0.01 * z), _LEAKY, _LEAKY,
        "he_uniform", True, (0.0,), "relu-like", False
    ),
    "elu": Activation(
        partial(_elu, scale=1.0, alpha=1.0), partial(_elu_slope, scale=1.0, alpha=1.0), None,
        "he_uniform", True, (), "relu-like", False
    ),
    "selu": Activation(
        partial(_elu, **_SELU), partial(_elu_slope, **_SELU), None,
        "lecun_normal", True, (0.0,), "relu-like", False
    ),
    "gelu": Activation(
        partial(_gated, gate=_normal_cdf), _gelu_slope, None,
        "he_uniform", False, (), None, False
    ),
    "silu": Activation(
        partial(_gated, gate=jax.nn.sigmoid), _silu_slope, None,
        "he_uniform", False, (), None, False
    ),
    "mish": Activation(
        partial(_gated, gate=_mish_gate), _mish_slope, None, "he_uniform", False, (), None, False
    ),
    "softplus": Activation(
        lambda z: jnp.logaddexp(z, 0.0), jax.nn.sigmoid, None,
        "glorot_uniform", True, (), "relu-like", False
    ),
    "softsign": Activation(
        _softsign, lambda z: (1 / (1 + jnp.abs(z))) ** 2, None,
        "glorot_uniform", True, (), None, False
    ),
    "erf": Activation(
        lambda z: erf(_near(z)),
        lambda z: 2 / np.sqrt(np.pi).item() * jnp.exp(-(_near(z) ** 2)), None,
        "glorot_uniform", True, (), None, False
    ),
    "hard_tanh": Activation(
        jax.nn.hard_tanh, lambda z: jnp.where(jnp.abs(z) <= 1, jnp.ones_like(z), 0.0), None,
        "glorot_uniform", True, (-1.0, 1.0), None, False
    ),
    "lecun_tanh": Activation(
        lambda z: _LECUN * jnp.tanh(2 / 3 * z),
        lambda z: _LECUN * 2 / 3 * (1 - jnp.tanh(2 / 3 * z) ** 2),
        lambda x: _LECUN * 2 / 3 * (1 - (x / _LECUN) ** 2),
        "glorot_uniform", True, (), None, False
    ),
    "sin": Activation(jnp.sin, jnp.cos, None, "glorot_uniform", False, (), None, False),
}  # fmt: skip


def resolve(activation: ActivationLike) -> Activation:
    """What is known of a named activation, or of an elementwise function of your own.

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
        also = 'a function (softmax mixes entries: it is for the readout, output="softmax")'
        return ACTIVATIONS[checks.known("activation", activation, ACTIVATIONS, otherwise=also)]
    h = checks.function("activation", activation, "a name or a function")

    def slope(z: Array) -> Array:
        return jax.jvp(h, (z,), (jnp.ones_like(z),))[1]

    return Activation(h, slope, None, "glorot_uniform", False, (), None, False)


def check(activation: ActivationLike) -> None:
    """Raise unless it is an activation: known by name, or a function that does not mix entries.

    Raises:
      ValueError: the name is unknown, or the function is not elementwise.
      TypeError: neither a name nor a function.

    >>> check("tanh")
    """
    h = resolve(activation).value
    if isinstance(activation, str):
        return
    try:
        kind = jax.eval_shape(h, jax.ShapeDtypeStruct((4,), jax.dtypes.canonicalize_dtype(float)))
    except Exception as error:
        raise ValueError(
            f"activation {activation!r} must be a JAX function of one array: {error!r}"
        ) from error
    if not isinstance(kind, jax.ShapeDtypeStruct) or not jnp.issubdtype(kind.dtype, jnp.floating):
        raise ValueError(
            f"activation {activation!r} must return an array of floating-point numbers, got {kind}"
        )
    with jax.ensure_compile_time_eval(), jax.transfer_guard("allow"):  # numbers, under jit as well
        z = jnp.array([-1.5, -0.3, 0.4, 2.0])
        together, alone = h(z), [h(z[i : i + 1]) for i in range(4)]
    if isinstance(together, Tracer):  # it depends on what is traced: not known yet
        return
    if jnp.shape(together) != (4,) or not np.allclose(
        together, np.concatenate(alone), atol=1e-5, equal_nan=True
    ):
        raise ValueError(
            f"activation {activation!r} must act on each entry by itself: h of a vector differs "
            'from h of its entries (softmax is for the readout, output="softmax")'
        )
