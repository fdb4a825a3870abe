"""Initial weights and biases: by name, by a function, or by what theory says.

A scheme is a function `(key, (n_in, n_out), dtype) -> weights`, as those of `jax.nn.initializers`
are, which can be given too. jnn stores W: (n_out, n_in).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import initializers as schemes
from jax.typing import DTypeLike

from jnn import activations, checks
from jnn.activations import ActivationLike
from jnn.checks import Real
from jnn.outputs import mixing

Scheme: TypeAlias = Callable[[Array, tuple[int, ...], DTypeLike], Array]


class Initializer(NamedTuple):
    """How one layer starts."""

    # (key, (n_in, n_out), dtype) -> weights (n_in, n_out) and biases (n_out,)
    draw: Callable[[Array, tuple[int, int], DTypeLike], tuple[Array, Array]]


class Place(NamedTuple):
    """What an initializer may know of a layer."""

    activation: ActivationLike
    residual: bool
    first: bool
    last: bool
    depth: int  # residual layers in the network


def _apart(weights: Scheme, biases: Scheme = schemes.zeros) -> Initializer:
    """Weights and biases drawn with a key each."""

    def draw(key: Array, shape: tuple[int, int], dtype: DTypeLike) -> tuple[Array, Array]:
        key_w, key_b = jax.random.split(key)
        w = weights(key_w, shape, dtype)
        if jnp.shape(w) != shape:
            raise ValueError(
                f"init returned weights of shape {jnp.shape(w)}; expected (n_in, n_out) = {shape}"
            )
        return w, biases(key_b, shape[1:], dtype)

    return Initializer(draw)


_SIMPLE = {
    # the lecture's: all from N(0, 1)
    "normal": _apart(schemes.normal(1.0), schemes.normal(1.0)),
    # 1/n_in; LeCun et al. 1998
    "lecun_normal": _apart(schemes.lecun_normal()),
    "lecun_uniform": _apart(schemes.lecun_uniform()),
    # 2/(n_in + n_out); Glorot & Bengio 2010
    "glorot_normal": _apart(schemes.glorot_normal()),
    "glorot_uniform": _apart(schemes.glorot_uniform()),
    # 2/n_in; He et al. 2015
    "he_normal": _apart(schemes.he_normal()),
    "he_uniform": _apart(schemes.he_uniform()),
    # Saxe 2014
    "orthogonal": _apart(schemes.orthogonal()),
}


def default(activation: ActivationLike) -> Initializer:
    """What None stands for: He for the relu family, LeCun for selu, Glorot else.

    >>> default("relu") is default("gelu")
    True
    """
    return _SIMPLE[activations.resolve(_entrywise(activation)).start]


def _entrywise(activation: ActivationLike) -> ActivationLike:
    """A readout that mixes entries, softmax, starts as "identity" does."""
    return "identity" if mixing(activation) else activation


# ---- on the critical line ----


class CriticalVariances(NamedTuple):
    """Weight variance times n_in, and bias variance, where χ₁ = 1."""

    sigma_w2: float
    sigma_b2: float


def critical_variances(
    activation: ActivationLike, sigma_b2: Real | None = None
) -> CriticalVariances:
    """A point of an activation's critical line, where signals and gradients reach any depth.

    Args:
      activation: a name or a function.
      sigma_b2: the bias variance; None takes 2.01e-5, 0 where the line has no other point (relu),
        or the one critical point of the activation (gelu, silu).
    Raises:
      TypeError: sigma_b2 is not a number.
      ValueError: the activation has no such point (softplus has none).
    Source: Poole et al. 2016; Schoenholz et al. 2017; Roberts, Yaida and Hanin 2022.

    >>> critical_variances("relu")
    CriticalVariances(sigma_w2=2.0, sigma_b2=0.0)
    >>> round(critical_variances("tanh", 0.05).sigma_w2, 6)
    1.760955
    """
    if sigma_b2 is not None:
        sigma_b2 = checks.number("sigma_b2", sigma_b2, least=0)
    return _critical_variances(activation, sigma_b2)


@lru_cache(maxsize=64)
def _critical_variances(activation: ActivationLike, sigma_b2: float | None) -> CriticalVariances:
    from jnn.theory.mean_field import criticality  # imports much of SciPy

    if sigma_b2 is None:
        point = criticality.any_critical(activation)
    else:
        point = criticality.critical(sigma_b2, activation)
    return CriticalVariances(point.sigma_w2, point.sigma_b2)


def critical(
    activation: ActivationLike, *, sigma_b2: Real | None = None, orthogonal: bool = False
) -> Initializer:
    """Weights and biases on the critical line.

        W ~ N(0, σ_w²/n_in), or σ_w times orthogonal,  b ~ N(0, σ_b²)

    An orthogonal W is scaled by √max(1, n_out/n_in): |Wx|²/n_out = σ_w² |x|²/n_in for every shape.

    Args:
      activation: that of the layers.
      sigma_b2: as in `critical_variances`.
      orthogonal: rather than Gaussian.
    Raises:
      TypeError, ValueError: as in `critical_variances`.

    >>> start = critical("tanh", sigma_b2=0.05)
    >>> params = jnn.init_network_params([4] * 99, jax.random.key(0), init=start)
    >>> round(float(jnp.mean(params[0].w ** 2)) * 4, 1)  # σ_w² = 1.76
    1.7
    """
    draw = _orthogonal if checks.flag("orthogonal", orthogonal) else _gaussian
    return draw(*critical_variances(activation, sigma_b2))


@lru_cache(maxsize=64)
def _gaussian(sigma_w2: float, sigma_b2: float = 0.0) -> Initializer:
    def weights(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        return (sigma_w2 / shape[0]) ** 0.5 * jax.random.normal(key, shape, dtype)

    return _apart(weights, _biases(sigma_b2))


@lru_cache(maxsize=64)
def _orthogonal(sigma_w2: float, sigma_b2: float) -> Initializer:
    def weights(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        n_in, n_out = shape
        scale = (sigma_w2 * max(1, n_out / n_in)) ** 0.5
        return schemes.orthogonal(scale)(key, shape, dtype)

    return _apart(weights, _biases(sigma_b2))


def _biases(sigma_b2: float) -> Scheme:
    return schemes.normal(sigma_b2**0.5) if sigma_b2 else schemes.zeros


@Initializer
def _asymmetric(key: Array, shape: tuple[int, int], dtype: DTypeLike) -> tuple[Array, Array]:
    """Gaussian rows of [W, b], but one entry of each is from Beta(2, 1) (Lu et al. 2019)."""
    n_in, n_out = shape
    key, of_place, of_beta = jax.random.split(key, 3)
    rows = 0.6007 / n_in**0.5 * jax.random.normal(key, (n_out, n_in + 1), dtype)
    place = jax.random.randint(of_place, (n_out,), 0, n_in + 1, jnp.int32)
    # whose distribution function is x²
    beta = jnp.sqrt(jax.random.uniform(of_beta, (n_out,), dtype))
    rows = rows.at[jnp.arange(n_out), place].set(beta)
    return rows[:, :-1].T, rows[:, -1]


def fixup_variance(activation: ActivationLike, depth: int) -> float:
    """σ_w² of residual layers, x + h(Wx + b), such that the sum of all stays of order 1.

    1/depth, as Zhang, Dauphin and Ma 2019 scale branches, where h is odd. Else h has a mean, all
    branches push the same way, and it takes 2/depth².

    Args:
      activation: h, a name or a function.
      depth: how many residual layers there are.
    Raises:
      TypeError: depth is not an integer.
      ValueError: depth is not positive, or h(0) is not 0, so that no small weights make a small
        branch.

    >>> fixup_variance("tanh", 100), fixup_variance("relu", 100)
    (0.01, 0.0002)
    """
    depth = checks.integer("depth", depth, 1, meaning="how many residual layers there are")
    h = activations.resolve(activation).value
    with jax.ensure_compile_time_eval():
        values = np.asarray(h(jnp.linspace(-3.0, 3.0, 7)), np.float64)
    if abs(values[3]) > 1e-6:
        raise ValueError(
            f"residual layers of {activation!r} add h(0) = {values[3]:.3g} each: use one with "
            "h(0) = 0"
        )
    odd = np.allclose(values, -values[::-1], atol=1e-5)
    return 1 / depth if odd else 2 / depth**2


def _fixup(place: Place) -> Initializer:
    if not place.residual:
        return default(place.activation)
    return _gaussian(fixup_variance(place.activation, place.depth))


def _rezero(place: Place) -> Initializer:
    """W = 0: residual layers with h(0) = 0 start as the identity (Bachlechner et al. 2021)."""
    if not place.residual:
        return default(place.activation)
    fixup_variance(place.activation, place.depth)
    with jax.ensure_compile_time_eval():
        slope = float(activations.resolve(place.activation).slope(jnp.zeros(())))
    if slope == 0:
        raise ValueError(
            f'zero weights would leave {place.activation!r} dead, h\'(0) = 0: use init="fixup"'
        )
    return _ZERO


_ZERO = _apart(schemes.zeros)


@lru_cache(maxsize=4)
def _mirrored(first: bool, last: bool) -> Initializer:
    """Neurons in pairs relu(z) and relu(−z), whose difference is z.

    [V; −V], [[V, −V], [−V, V]], [V, −V], V orthogonal: an isometry (Balduzzi et al. 2017).
    """

    def weights(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        n_in, n_out = shape
        if (n_in % 2 and not first) or (n_out % 2 and not last):
            raise ValueError(
                f'init="looks_linear" pairs neurons: widths must be even, not {n_in} → {n_out}'
            )
        pairs = (n_in if first else n_in // 2, n_out if last else n_out // 2)
        V = schemes.orthogonal()(key, pairs, dtype)
        if not first:
            V = jnp.concatenate([V, -V], 0)
        return V if last else jnp.concatenate([V, -V], 1)

    return _apart(weights)


def _looks_linear(place: Place) -> Initializer:
    if place.residual or not (place.last or place.activation == "relu"):
        raise ValueError(
            f'init="looks_linear" is for relu without residual layers, got {place.activation!r}'
        )
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
      init: one of `jnn.INITIALIZERS`, an `Initializer` such as `critical("tanh")`, a scheme (zero
        biases), or None, which chooses by activation (see `default`).
      layers: of the network; a readout of `outputs.OUTPUTS` starts as one of "identity".
    Raises:
      TypeError: init is of the wrong kind.
      ValueError: the name is unknown, or does not fit the layers; the message says why.

    >>> chosen = resolve(None, [("relu", False), ("softmax", False)])
    >>> chosen == [default("relu"), default("identity")]
    True
    """
    if init is None:
        return [default(activation) for activation, _ in layers]
    if isinstance(init, Initializer):
        return [init] * len(layers)
    if not isinstance(init, str):
        allowed = "a name, a function (key, (n_in, n_out), dtype) -> weights, or None"
        return [_custom(checks.function("init", init, allowed))] * len(layers)
    choose = INITIALIZERS[checks.known("init", init, INITIALIZERS, otherwise="a function")]
    depth = sum(residual for _, residual in layers)
    if init in ("fixup", "rezero") and depth == 0:
        raise ValueError(
            f"init={init!r} is for residual layers: give residual=True and equal hidden widths"
        )
    last = len(layers) - 1
    return [
        choose(Place(_entrywise(h), residual, l == 0, l == last, depth))
        for l, (h, residual) in enumerate(layers)
    ]


@lru_cache(maxsize=64)
def _custom(scheme: Scheme) -> Initializer:
    return _apart(scheme)
