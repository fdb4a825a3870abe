"""Initial weights and biases: by name, by a function of your own, or by what theory says of the layer's place.

A scheme is a function `(key, (n_in, n_out), dtype) -> weights`, the convention of `jax.nn.initializers`, so that any of
those can be given as it is. jnn stores the transpose, W: (n_out, n_in).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import initializers as jax_initializers

from jnn import activations
from jnn.activations import ActivationLike

Scheme: TypeAlias = Callable[[Array, tuple[int, ...], Any], Array]


class Initializer(NamedTuple):
    """How one layer starts: `draw(key, (n_in, n_out), dtype)` gives weights (n_in, n_out) and biases (n_out,)."""

    draw: Callable[[Array, tuple[int, int], Any], tuple[Array, Array]]


class Place(NamedTuple):
    """What an initializer may know of a layer."""

    activation: ActivationLike
    residual: bool
    first: bool
    last: bool
    depth: int  # residual layers in the network


def _apart(weights: Scheme, biases: Scheme = jax_initializers.zeros) -> Initializer:
    """Weights and biases drawn with keys of their own."""

    def draw(key: Array, shape: tuple[int, int], dtype: Any) -> tuple[Array, Array]:
        key_w, key_b = jax.random.split(key)
        w = weights(key_w, shape, dtype)
        if jnp.shape(w) != shape:
            raise ValueError(f"init returned weights of shape {jnp.shape(w)}; expected (n_in, n_out) = {shape}")
        return w, biases(key_b, shape[1:], dtype)

    return Initializer(draw)


_SIMPLE = {
    # the lecture's choice: every weight and every bias from N(0, 1), whatever the width
    "normal": _apart(jax_initializers.normal(1.0), jax_initializers.normal(1.0)),
    "lecun_normal": _apart(jax_initializers.lecun_normal()),  # variance 1/n_in; LeCun et al. 1998
    "lecun_uniform": _apart(jax_initializers.lecun_uniform()),
    "glorot_normal": _apart(jax_initializers.glorot_normal()),  # 2/(n_in + n_out); Glorot & Bengio 2010
    "glorot_uniform": _apart(jax_initializers.glorot_uniform()),
    "he_normal": _apart(jax_initializers.he_normal()),  # 2/n_in; He et al. 2015
    "he_uniform": _apart(jax_initializers.he_uniform()),
    "orthogonal": _apart(jax_initializers.orthogonal()),  # Saxe et al. 2014
}


def default(activation: ActivationLike) -> Initializer:
    """What None stands for: He for the relu family, LeCun for selu, Glorot else.

    >>> default("relu") is default("gelu")
    True
    """
    if activation in ("relu", "leaky_relu", "elu", "gelu", "silu"):
        return _SIMPLE["he_uniform"]
    return _SIMPLE["lecun_normal" if activation == "selu" else "glorot_uniform"]


# ---- on the critical line ----


class Variances(NamedTuple):
    """Weight variance times n_in, and bias variance."""

    sigma_w2: float
    sigma_b2: float


_BIAS = 2.01e-5  # as of Xiao et al. 2018; the smaller it is, the nearer tanh layers are to isometries


@lru_cache(maxsize=64)
def critical_variances(activation: ActivationLike, sigma_b2: float | None = None) -> Variances:
    """A point of the critical line of an activation, where signals and gradients reach any depth, χ₁ = 1.

    Args:
      activation: a name or a function.
      sigma_b2: the bias variance; None takes 2.01e-5, 0 where the line has no other point (relu), or the one critical
        point of the activation (gelu, silu).
    Raises:
      ValueError: the activation has no such point (softplus has none).
    Source: Poole et al. 2016; Schoenholz et al. 2017; Roberts, Yaida and Hanin 2022.

    >>> critical_variances("relu")
    Variances(sigma_w2=2.0, sigma_b2=0.0)
    >>> round(critical_variances("tanh", 0.05).sigma_w2, 6)
    1.760955
    """
    from jnn.theory import mean_field  # slow to import

    if sigma_b2 is not None:
        return Variances(*mean_field.critical(sigma_b2, activation)[:2])
    tries: list[Callable[[], Any]] = [partial(mean_field.critical, b, activation) for b in (_BIAS, 0)]
    for critical in [*tries, partial(mean_field.critical_point, activation)]:
        try:
            return Variances(*critical()[:2])
        except ValueError:
            continue
    raise ValueError(f"{activation!r} has no critical network; tanh, relu, gelu and most others have")


@lru_cache(maxsize=64)
def critical(activation: ActivationLike, *, sigma_b2: float | None = None, orthogonal: bool = False) -> Initializer:
    """Weights and biases on the critical line: W ~ N(0, σ_w²/n_in) or σ_w times orthogonal, b ~ N(0, σ_b²).

    An orthogonal W is scaled by √max(1, n_out/n_in), so that |Wx|²/n_out is σ_w² |x|²/n_in for every shape.

    Args:
      activation: that of the layers.
      sigma_b2: as in `critical_variances`.
      orthogonal: rather than Gaussian.
    Raises:
      ValueError: as in `critical_variances`.

    >>> params = jnn.init_network_params([4] * 99, jax.random.key(0), init=critical("tanh", sigma_b2=0.05))
    >>> round(float(jnp.mean(params[0].w ** 2)) * 4, 1)  # σ_w² = 1.76
    1.7
    """
    σ_w2, σ_b2 = critical_variances(activation, sigma_b2)

    def weights(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        n_in, n_out = shape
        if orthogonal:
            return jax_initializers.orthogonal((σ_w2 * max(1, n_out / n_in)) ** 0.5)(key, shape, dtype)
        return (σ_w2 / n_in) ** 0.5 * jax.random.normal(key, shape, dtype)

    return _apart(weights, jax_initializers.normal(σ_b2**0.5) if σ_b2 else jax_initializers.zeros)


# ---- against dead units, and for residual layers ----


@Initializer
def _asymmetric(key: Array, shape: tuple[int, int], dtype: Any) -> tuple[Array, Array]:
    """Gaussian rows of [W, b], of which one entry each is positive, from Beta(2, 1): Lu, Shin, Su, Karniadakis 2019."""
    n_in, n_out = shape
    key, key_place, key_positive = jax.random.split(key, 3)
    rows = 0.6007 / n_in**0.5 * jax.random.normal(key, (n_out, n_in + 1), dtype)
    place = jax.random.randint(key_place, (n_out,), 0, n_in + 1)
    positive = jnp.sqrt(jax.random.uniform(key_positive, (n_out,), dtype))  # whose distribution function is x²
    rows = rows.at[jnp.arange(n_out), place].set(positive)
    return rows[:, :-1].T, rows[:, -1]


def fixup_variance(activation: ActivationLike, depth: int) -> float:
    """σ_w² of residual layers, x + h(Wx + b), of which there are `depth`, such that the sum of all stays of order 1.

    1/depth, as Zhang, Dauphin and Ma 2019 scale branches, where h is odd. Else h has a mean, all branches push the same
    way, and it takes 2/depth².

    Raises:
      ValueError: h(0) is not 0, so that no small weights make a small branch.

    >>> fixup_variance("tanh", 100), fixup_variance("relu", 100)
    (0.01, 0.0002)
    """
    h, z = activations.resolve(activation).value, jnp.linspace(-3.0, 3.0, 7)
    values = np.asarray(h(z), np.float64)
    if abs(values[3]) > 1e-6:
        raise ValueError(f"residual layers of {activation!r} add h(0) = {values[3]:.3g} each: take one with h(0) = 0")
    return 1 / depth if np.allclose(values, -values[::-1], atol=1e-5) else 2 / depth**2


def _fixup(place: Place) -> Initializer:
    if not place.residual:
        return default(place.activation)
    return _gaussian(fixup_variance(place.activation, place.depth))


def _rezero(place: Place) -> Initializer:
    """Every residual layer starts as the identity (Bachlechner et al. 2021); W = 0 does it where h(0) = 0."""
    if not place.residual:
        return default(place.activation)
    fixup_variance(place.activation, place.depth)
    if float(activations.resolve(place.activation).slope(jnp.zeros(()))) == 0:
        raise ValueError(f'zero weights would leave {place.activation!r} dead, h\'(0) = 0: take init="fixup"')
    return _ZERO


_ZERO = _apart(jax_initializers.zeros)


@lru_cache(maxsize=64)
def _gaussian(σ_w2: float) -> Initializer:
    return _apart(lambda key, shape, dtype: (σ_w2 / shape[0]) ** 0.5 * jax.random.normal(key, shape, dtype))


@lru_cache(maxsize=4)
def _mirrored(first: bool, last: bool) -> Initializer:
    """Neurons in pairs relu(z), relu(−z), whose difference is z: [V; −V], [[V, −V], [−V, V]] and [V, −V].

    V is orthogonal, so the network starts as an isometry (Balduzzi et al. 2017).
    """

    def weights(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        n_in, n_out = shape
        if (n_in % 2 and not first) or (n_out % 2 and not last):
            raise ValueError(f'init="looks_linear" pairs neurons: hidden widths must be even, got {n_in} → {n_out}')
        V = jax_initializers.orthogonal()(key, (n_in if first else n_in // 2, n_out if last else n_out // 2), dtype)
        V = V if first else jnp.concatenate([V, -V], 0)
        return V if last else jnp.concatenate([V, -V], 1)

    return _apart(weights)


def _looks_linear(place: Place) -> Initializer:
    if place.residual or not (place.last or place.activation == "relu"):
        raise ValueError(f'init="looks_linear" is for relu without residual layers, got {place.activation!r}')
    return _mirrored(place.first, place.last)


INITIALIZERS: dict[str, Callable[[Place], Initializer]] = {
    **{name: partial(lambda simple, _: simple, simple) for name, simple in _SIMPLE.items()},
    "critical": lambda place: critical(place.activation),
    "critical_orthogonal": lambda place: critical(place.activation, orthogonal=True),
    "asymmetric": lambda place: default("identity") if place.last else _asymmetric,
    "fixup": _fixup,
    "rezero": _rezero,
    "looks_linear": _looks_linear,
}


def resolve(
    init: str | Scheme | Initializer | None, layers: Sequence[tuple[ActivationLike, bool]]
) -> list[Initializer]:
    """The initializer of every layer, first to last, from their (activation, residual).

    Args:
      init: one of `INITIALIZERS`, an `Initializer` such as `critical("tanh")`, a function `(key, (n_in, n_out), dtype)
        -> weights` (zero biases), or None, which chooses by activation (see `default`).
      layers: of the network.
    Raises:
      ValueError: the name is unknown, or does not fit the layers; the message says why.
      TypeError: of the wrong kind.

    >>> resolve(None, [("relu", False), ("identity", False)]) == [default("relu"), default("identity")]
    True
    """
    if init is None:
        return [default(activation) for activation, _ in layers]
    if isinstance(init, Initializer):
        return [init for _ in layers]
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(f"unknown init {init!r}; known: {', '.join(INITIALIZERS)}, or a function")
        depth = sum(residual for _, residual in layers)
        if init in ("fixup", "rezero") and depth == 0:
            raise ValueError(f"init={init!r} is for residual layers: give residual=True and equal hidden widths")
        last = len(layers) - 1
        places = [Place(h, residual, l == 0, l == last, depth) for l, (h, residual) in enumerate(layers)]
        return [INITIALIZERS[init](place) for place in places]
    if not callable(init):
        raise TypeError(
            f"init must be a name, a function (key, (n_in, n_out), dtype) -> weights, or None, got {init!r}"
        )
    own = _own(init)
    return [own for _ in layers]


@lru_cache(maxsize=64)
def _own(scheme: Scheme) -> Initializer:
    return _apart(scheme)
