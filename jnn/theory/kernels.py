"""Kernels of wide networks: NNGP and NTK of infinite width, and the NTK of a network that is there.

In the NTK parametrisation zₗ = σ_w/√n_{l−1} Wₗ h(zₗ₋₁) + σ_b bₗ, all entries of W and b from N(0, 1). With H hidden
layers of infinite width the output is a Gaussian process of covariance K_H (NNGP), and gradient descent moves it along
the kernel T_H (NTK):

    K_0 = σ_w² x·x'/n_0 + σ_b²,    K_{l+1} = σ_w² E[h(u) h(v)] + σ_b²,              (u, v) ~ N(0, K_l at x and x')
    T_0 = K_0,                     T_{l+1} = K_{l+1} + σ_w² E[h'(u) h'(v)] T_l      (Lee et al. 2018; Jacot et al. 2018)
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from jnn import activations, choice, network
from jnn.activations import ActivationLike
from jnn.params import Params, check_params
from jnn.theory import gaussian

# ---- infinite width ----


class Kernels(NamedTuple):
    """Of a network of infinite width, for each pair of examples."""

    nngp: Float[np.ndarray, "n m"]
    ntk: Float[np.ndarray, "n m"]


def infinite_width(
    x: Any,
    x2: Any = None,
    *,
    hidden: int,
    activation: ActivationLike = "relu",
    sigma_w2: float | int = 2.0,
    sigma_b2: float | int = 0.0,
) -> Kernels:
    """NNGP K_H and NTK T_H of a network with H hidden layers of infinite width, a linear readout behind them.

    In closed form for identity, relu and leaky_relu (arc-cosine kernels, Cho and Saul 2009), erf (Williams 1997) and
    sin, as one integral for hard_tanh, else by quadrature in polar coordinates: exact to 1e-9 where K is below 5, to
    1e-5 below 100, for activations smooth on either side of 0; other kinks cost up to 1e-2.

    Args:
      x, x2: (n, n_0) and (m, n_0); None for x itself.
      hidden: H, at least 0.
      activation: of the hidden layers.
      sigma_w2, sigma_b2: weight variance times fan_in, positive, and bias variance, at least 0.
    Raises:
      ValueError: the inputs are not two-dimensional, of one width and finite, or a number lies outside of its limits.
    Source: Lee et al. 2018; Jacot, Gabriel, Hongler 2018.

    >>> K, T = infinite_width([[1, 0], [0.6, 0.8]], hidden=10)
    >>> K.round(6).tolist()
    [[1.0, 0.906611], [0.906611, 1.0]]
    >>> T.round(6).tolist()
    [[11.0, 4.358241], [4.358241, 11.0]]
    """
    x, x2 = _inputs(x, x2)
    if isinstance(hidden, bool) or not isinstance(hidden, (int, np.integer)) or hidden < 0:
        raise ValueError(f"hidden must be an integer of at least 0, how many hidden layers there are; got {hidden!r}")
    _check_variances(sigma_w2, sigma_b2)
    activations.check(activation)
    expectations = gaussian.products(activation)
    scale = sigma_w2 / x.shape[1]
    p, q, K = (scale * k + sigma_b2 for k in (np.sum(x * x, 1), np.sum(x2 * x2, 1), x @ x2.T))
    T = K
    for _ in range(hidden):
        values, slopes = expectations(p[:, None], q[None, :], K)
        p, q = (sigma_w2 * expectations(v, v, v)[0] + sigma_b2 for v in (p, q))
        K = sigma_w2 * values + sigma_b2
        T = K + sigma_w2 * slopes * T
    return Kernels(K, T)


# ---- a network that is there ----


class _Factors(NamedTuple):
    """Of one stack: ∂f/∂Wₗ = μₗ xₗ₋₁ᵀ and ∂f/∂bₗ = μₗ."""

    inputs: Array  # (depth, n, n_in)
    adjoints: Array  # (depth, n, n_N, n_out)


def empirical_ntk(
    params: Params,
    x: Any,
    x2: Any = None,
    *,
    sigma_w2: float | int | None = None,
    sigma_b2: float | int | None = None,
) -> Float[Array, "n m n_N n_N"]:
    """The tangent kernel of a network, Θ(x, x') = Σ_p ∂f(x)/∂p ∂f(x')/∂pᵀ, over all weights and biases p.

    No Jacobian is formed: back substitution gives the adjoints μₗ = ∂f/∂bₗ, and ∂f/∂Wₗ = μₗ ⊗ xₗ₋₁, so that

        Θ(x, x') = Σₗ (xₗ₋₁·x'ₗ₋₁ + 1) μₗ μ'ₗᵀ.

    So an example costs n_{l−1} + n_N n_l numbers a layer, not n_N n_l n_{l−1}, and examples go in blocks that fit.
    For one output Θ[..., 0, 0] is the usual matrix.

    With sigma_w2 and sigma_b2 it is the kernel in the NTK parametrisation, which `infinite_width` predicts: there the
    weights of variance σ_w²/n_{l−1} are σ_w/√n_{l−1} times those that are trained, so that the bracket becomes
    σ_w² xₗ₋₁·x'ₗ₋₁/n_{l−1} + σ_b².

    Args:
      params: from `init_network_params` or `from_layers`.
      x, x2: (n, n_0) and (m, n_0); None for x itself.
      sigma_w2, sigma_b2: both or neither.
    Raises:
      ValueError: shapes do not match, or one variance is given without the other.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> empirical_ntk(params, [[3.0]]).ravel().tolist()  # (3·3 + 1)(−1)² + (7·7 + 1)
    [60.0]
    """
    n_0 = check_params(params)[0]
    if (sigma_w2 is None) != (sigma_b2 is None):
        raise ValueError("give sigma_w2 and sigma_b2 together (the NTK parametrisation), or neither (jnn's own)")
    if sigma_w2 is not None:
        _check_variances(sigma_w2, sigma_b2)
    x, x2 = _inputs(x, x2)
    if x.shape[1] != n_0:
        raise ValueError(f"x has shape {x.shape}; a batch for this network is (n, {n_0})")
    dtype = params[0].w.dtype
    scales = tuple((1.0, 1.0) if sigma_w2 is None else (sigma_w2 / s.w.shape[2], sigma_b2) for s in params)
    blocks = partial(_blocks, params, dtype)
    rows = ([_ntk(params, a, b, scales) for b in blocks(x2)] for a in blocks(x))
    return jnp.concatenate([jnp.concatenate(row, 1) for row in rows])


_NUMBERS = 2**26  # of a block's factors: 256 MiB in float32


def _blocks(params: Params, dtype: Any, x: np.ndarray) -> Iterator[Array]:
    """The examples in blocks whose factors fit."""
    n_N = params[-1].w.shape[1]
    each = sum(s.depth * (s.w.shape[2] + n_N * s.w.shape[1]) for s in params)
    size = max(1, _NUMBERS // each)
    return (jnp.asarray(x[i : i + size], dtype) for i in range(0, len(x), size))


@jax.jit
def _ntk(params: Params, x: Array, x2: Array, scales: Any) -> Array:
    def layer(total: Array, factors: tuple[_Factors, _Factors], scale: Any) -> tuple[Array, None]:
        (x, μ), (x2, μ2) = factors
        gram = (scale[0] * (x @ x2.T) + scale[1]).astype(total.dtype)
        return total + gram[:, :, None, None] * jnp.einsum("nai,mbi->nmab", μ, μ2), None

    left, right = _factors(params, x), _factors(params, x2)
    total = jnp.zeros((len(x), len(x2), *2 * (params[-1].w.shape[1],)), x.dtype)
    for scale, of_x, of_x2 in zip(scales, left, right, strict=True):
        total = lax.scan(partial(layer, scale=scale), total, (of_x, of_x2))[0]
    return total


def _factors(params: Params, x: Array) -> list[_Factors]:
    """Inputs and adjoints of every layer, stack by stack."""

    def output(biases: list[Array], x: Array) -> Array:
        moved = tuple(dataclasses.replace(s, b=b) for s, b in zip(params, biases, strict=True))
        return network.output(moved, x, choice.Method())

    def one(x: Array) -> list[_Factors]:
        states = network.hidden_states(params, x)
        firsts = [x, *(s[-1] for s in states[:-1])]
        runs = zip(firsts, states, strict=True)
        inputs = [jnp.vstack([first, s[:-1]]) if len(s) > 1 else first[None] for first, s in runs]
        adjoints = jax.jacrev(output)([s.b for s in params], x)
        return [_Factors(i, jnp.moveaxis(μ, 1, 0)) for i, μ in zip(inputs, adjoints, strict=True)]

    return jax.vmap(one, out_axes=1)(x)


# ---- what is refused ----


def _check_variances(sigma_w2: Any, sigma_b2: Any) -> None:
    """Refuse variances that are none."""
    if not (np.ndim(sigma_w2) == 0 and 0 < sigma_w2 < np.inf):
        raise ValueError(f"sigma_w2 must be positive and finite (weight variance times fan_in), got {sigma_w2}")
    if not (np.ndim(sigma_b2) == 0 and 0 <= sigma_b2 < np.inf):
        raise ValueError(f"sigma_b2 must be finite and at least 0 (bias variance), got {sigma_b2}")


def _inputs(x: Any, x2: Any) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
    x = np.asarray(x, np.float64)
    x2 = x if x2 is None else np.asarray(x2, np.float64)
    if x.ndim != 2 or x2.ndim != 2 or x.shape[1] != x2.shape[1] or 0 in x.shape + x2.shape:
        raise ValueError(
            f"x and x2 have shapes {x.shape} and {x2.shape}; expected (n, n_0) and (m, n_0), one example a row"
        )
    if not (np.isfinite(x).all() and np.isfinite(x2).all()):
        raise ValueError("x and x2 must be finite")
    return x, x2
