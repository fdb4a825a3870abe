"""The tangent kernel (NTK) of a network that is there; `jnn.theory.kernels` predicts wide ones'."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jnn import arrays, checks, memory
from jnn.arrays.limits import variances
from jnn.checks import Data, Real
from jnn.params import Params, sizes
from jnn.precision import full_precision, widened
from jnn.shapes import Float
from jnn.structure import as_arrays
from jnn.transfers import meant
from jnn.triangular import network
from jnn.triangular.method import AUTO
from jnn.triangular.states import every_state


class _Factors(NamedTuple):
    """Of one stack: ∂f/∂Wₗ = μₗ xₗ₋₁ᵀ and ∂f/∂bₗ = μₗ."""

    inputs: Array  # (depth, n, n_in)
    adjoints: Array  # (depth, n, n_N, n_out)


class _Scale(NamedTuple):
    """What the parametrisation multiplies a layer's part with."""

    weights: Real
    biases: Real


@meant
@full_precision
def empirical_ntk(
    params: Params,
    x: Data,
    x2: Data = None,
    *,
    sigma_w2: Real | None = None,
    sigma_b2: Real | None = None,
) -> Float[Array, "n m n_N n_N"]:
    """The tangent kernel of a network, Θ(x, x') = Σ_p ∂f(x)/∂p ∂f(x')/∂pᵀ, over all parameters p.

    No Jacobian is formed: back substitution gives the adjoints μₗ = ∂f/∂bₗ, and ∂f/∂Wₗ = μₗ ⊗ xₗ₋₁,
    so that

        Θ(x, x') = Σₗ (xₗ₋₁·x'ₗ₋₁ + 1) μₗ μ'ₗᵀ.

    So an example costs n_{l−1} + n_N n_l numbers a layer, not n_N n_l n_{l−1}, and examples go in
    blocks that fit. For one output Θ[..., 0, 0] is the usual matrix. It is computed in float32 at
    least.

    With sigma_w2 and sigma_b2 it is the kernel in the NTK parametrisation, which
    `jnn.theory.kernels.infinite_width` predicts: there the weights of variance σ_w²/n_{l−1} are
    σ_w/√n_{l−1} times those that are trained, so that the bracket becomes
    σ_w² xₗ₋₁·x'ₗ₋₁/n_{l−1} + σ_b².

    Args:
      params: from `init_network_params` or `from_layers`.
      x, x2: (n, n_0) and (m, n_0); None for x itself.
      sigma_w2, sigma_b2: both or neither.
    Raises:
      TypeError: params are not a network's, or a variance is not a number.
      ValueError: shapes do not match, a number is not finite, a variance is out of its limits, or
        one is given without the other.
    Source: Jacot, Gabriel, Hongler 2018.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> empirical_ntk(params, [[3.0]]).ravel().tolist()  # (3·3 + 1)(−1)² + (7·7 + 1)
    [60.0]
    """
    params = widened(as_arrays(params))
    n_0 = params[0].w.shape[2]
    scales = _scales(params, sigma_w2, sigma_b2)
    x = _batch("x", x, n_0)
    x2 = x if x2 is None else _batch("x2", x2, n_0)
    entries = len(x) * len(x2) * sizes(params)[-1] ** 2
    what = f"the kernel of {len(x):,} and {len(x2):,} examples"
    memory.check(what, entries * params[0].w.dtype.itemsize, "take fewer at a time")
    rows = [
        [_ntk(params, left, right, scales) for right in _blocks(params, x2)]
        for left in _blocks(params, x)
    ]
    return jnp.concatenate([jnp.concatenate(row, 1) for row in rows])


def _scales(params: Params, sigma_w2: Real | None, sigma_b2: Real | None) -> tuple[_Scale, ...]:
    if sigma_w2 is None and sigma_b2 is None:
        return tuple(_Scale(1.0, 1.0) for _ in params)
    if sigma_w2 is None or sigma_b2 is None:
        raise ValueError(
            "give sigma_w2 and sigma_b2 together (the NTK parametrisation), or neither (jnn's own)"
        )
    variances(sigma_w2, sigma_b2)
    w = checks.number("sigma_w2", sigma_w2)
    b = checks.number("sigma_b2", sigma_b2)
    return tuple(_Scale(w / stack.w.shape[2], b) for stack in params)


def _batch(name: str, x: Data, n_0: int) -> Float[np.ndarray, "n n_0"]:
    x = arrays.doubles(name, x)
    if x.ndim != 2 or x.shape[1] != n_0 or len(x) == 0:
        hint = arrays.to_rows(name, x.shape, n_0)
        raise ValueError(
            f"{name} has shape {x.shape}; expected (n, {n_0}) for this network, one example a row"
            f"{hint}"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite")
    return x


_NUMBERS = 2**26  # of a block's factors: 256 MiB in float32


def _blocks(params: Params, x: np.ndarray) -> Iterator[Array]:
    """The examples in blocks whose factors fit."""
    n_N = params[-1].w.shape[1]
    each = sum(s.depth * (s.w.shape[2] + n_N * s.w.shape[1]) for s in params)
    size = max(1, _NUMBERS // each)
    return (jnp.asarray(x[i : i + size], params[0].w.dtype) for i in range(0, len(x), size))


@jax.jit
def _ntk(params: Params, x: Array, x2: Array, scales: tuple[_Scale, ...]) -> Array:
    def layer(
        total: Array, factors: tuple[_Factors, _Factors], scale: _Scale
    ) -> tuple[Array, None]:
        (x, μ), (x2, μ2) = factors
        gram = (scale.weights * (x @ x2.T) + scale.biases).astype(total.dtype)
        return total + gram[:, :, None, None] * jnp.einsum("nai,mbi->nmab", μ, μ2), None

    left = _factors(params, x)
    right = _factors(params, x2)
    n_N = params[-1].w.shape[1]
    total = jnp.zeros((len(x), len(x2), n_N, n_N), x.dtype)
    for scale, of_x, of_x2 in zip(scales, left, right, strict=True):
        total, _ = lax.scan(partial(layer, scale=scale), total, (of_x, of_x2))
    return total


def _factors(params: Params, x: Array) -> list[_Factors]:
    """Inputs and adjoints of every layer, stack by stack."""

    def output(biases: list[Array], x: Array) -> Array:
        moved = tuple(dataclasses.replace(s, b=b) for s, b in zip(params, biases, strict=True))
        return network.output(moved, x, AUTO)

    def one(x: Array) -> list[_Factors]:
        states = every_state(params, x, AUTO)
        firsts = [x, *(run[-1] for run in states[:-1])]
        inputs = [_inputs(first, run) for first, run in zip(firsts, states, strict=True)]
        adjoints = jax.jacrev(output)([stack.b for stack in params], x)
        return [_Factors(i, jnp.moveaxis(μ, 1, 0)) for i, μ in zip(inputs, adjoints, strict=True)]

    return jax.vmap(one, out_axes=1)(x)


def _inputs(first: Array, states: Array) -> Array:
    """(depth, n_in): what a stack's layers take, which is its own states but for the last."""
    return jnp.vstack([first, states[:-1]]) if len(states) > 1 else first[None]
