"""Jacobians of single layers, of their products, and of all pairs of layers; products only ever rescaled or in logs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import network, substitution
from jnn.diagnostics.adjoints import passes
from jnn.params import Params


def layer_singular_values(params: Params, x: Any) -> list[np.ndarray]:
    """Singular values of J_l = diag(δ_l) W_l [+ I] at one example, largest first: (depth, min(n_out, n_in)) a stack.

    Args:
      params: the network.
      x: (n_0,).
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.init_network_params([4] * 9, jax.random.key(0), activation="identity", init="orthogonal")
    >>> (s,) = layer_singular_values(params, jnp.ones(4))
    >>> s.shape, s.max().round(3).item(), s.min().round(3).item()
    ((8, 4), 1.0, 1.0)
    """
    return [np.asarray(s) for s in _layer_singular_values(params, network.check_example(params, x))]


def mean_squared_singular_values(params: Params, x: Any) -> np.ndarray:
    """‖J_l‖²/n_{l−1} of every layer, the mean over examples: what mean-field theory calls χ₁, measured.

    Args:
      params: the network.
      x: (n, n_0) examples.
    Returns:
      (N,).
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.from_layers([(jnp.diag(jnp.array([1.0, 3.0])), jnp.zeros(2))])
    >>> mean_squared_singular_values(params, jnp.ones((1, 2))).tolist()
    [5.0]
    """
    return np.asarray(_mean_squares(params, network.check_batch(params, x)))


def log_singular_values(params: Params, x: Any, *, tolerance: float = 1e-5, sweeps: int = 40) -> np.ndarray:
    """ln of all singular values of the input–output Jacobian J = J_N ⋯ J_1 at one example, largest first.

    A sweep of QR factorisations, J_l Q_{l−1} = Q_l R_l, turns the product into triangular factors, whose transposes are
    swept again, to and fro; what stands on their diagonals tends to the singular values, so that the smallest has as
    many digits as the largest (Stewart 1997). Values that are apart by a factor r take their places like r⁻² a sweep:
    close ones are exact to their distance sooner than to `tolerance`. Where all are within a factor of a thousand, the
    product is formed and factorised at once.

    Args:
      params: the network.
      x: (n_0,).
      tolerance: of the logarithms, at which the sweeps end.
      sweeps: how many at most.
    Returns:
      (min of all sizes,), −∞ for exact zeros.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.from_layers([(jnp.diag(jnp.array([2.0, 0.25])), jnp.zeros(2))] * 400, activation="identity")
    >>> (log_singular_values(params, jnp.ones(2)) / np.log(2)).round(3).tolist()
    [400.0, -800.0]
    """
    factors = _jacobians(params, network.check_example(params, x))
    factors, logs = _sweep(factors)
    if np.ptp(logs) < np.log(1e3) / 2:  # the diagonal of R may hide as much again
        s, exponent = _product(factors)
        if s[-1] > 1e-3 * s[0]:
            return np.log(np.asarray(s, np.float64)) + int(exponent) * np.log(2)
    for _ in range(sweeps):
        factors, following = _sweep([jnp.swapaxes(R, 1, 2)[::-1] for R in factors[::-1]])
        least = min(len(logs), len(following))
        moved = np.where(logs[:least] == following[:least], 0.0, logs[:least] - following[:least])
        logs = following
        if np.max(np.abs(moved), initial=0) < tolerance:
            break
    return np.sort(logs)[::-1]


def lyapunov_exponents(params: Params, x: Any) -> np.ndarray:
    """Growth rates a layer, mean ln |R_ii| of J_l Q_{l−1} = Q_l R_l over the hidden layers: positive is chaotic.

    Args:
      params: the network.
      x: (n_0,).
    Returns:
      (min of the sizes of the hidden layers,), largest first.
    Raises:
      ValueError: x has the wrong shape, or there is no hidden layer.
    Source: Benettin, Galgani, Giorgilli and Strelcyn 1980.

    >>> params = jnn.from_layers([(jnp.diag(jnp.array([2.0, 0.5])), jnp.zeros(2))] * 9, activation="identity")
    >>> lyapunov_exponents(params, jnp.ones(2)).round(6).tolist()
    [0.693147, -0.693147]
    """
    x = network.check_example(params, x)
    *factors, last = _jacobians(params, x)
    factors += [last[:-1]] if len(last) > 1 else []  # without the readout, which may stand in a stack with others
    if not factors:
        raise ValueError("the network has no hidden layer")
    return np.sort(_sweep(factors)[1] / sum(map(len, factors)))[::-1]


class SensitivityMap(NamedTuple):
    """The blocks of (I − L)⁻¹ by their size."""

    log_norms: np.ndarray  # (k, k): ln ‖∂x_i/∂x_j‖, Frobenius, of the layers chosen; −∞ above the diagonal
    layers: np.ndarray  # (k,), from 1


def sensitivity_map(params: Params, x: Any, *, points: int = 100) -> SensitivityMap:
    """How much each layer depends on each earlier one: ln of the norms of the blocks (i, j) of (I − L)⁻¹.

    The block is J_i ⋯ J_{j+1}, on the diagonal the identity, whose norm is √n.

    Args:
      params: the network.
      x: (n_0,).
      points: how many layers, evenly spaced, where there are more.
    Raises:
      ValueError: x has the wrong shape, or points is not positive.

    >>> params = jnn.from_layers([(0.5, 0.0)] * 3, activation="identity")
    >>> np.exp(sensitivity_map(params, jnp.ones(1)).log_norms).tolist()
    [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]]
    """
    x = network.check_example(params, x)
    if points < 1:
        raise ValueError(f"points must be at least 1, got {points}")
    N = sum(stack.depth for stack in params)
    chosen = np.unique(np.linspace(1, N, min(points, N)).round().astype(int))
    sizes, exponents = _blocks(params, x, jnp.asarray(chosen))
    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(sizes, np.float64)) + np.asarray(exponents, np.float64) * np.log(2)
    return SensitivityMap(logs[chosen - 1], chosen)


# ---- compiled ----


@jax.jit
def _jacobians(params: Params, x: Array) -> list[Array]:
    """J of all layers, (depth, n_out, n_in) a stack."""
    found = []
    for stack, run in zip(params, passes(params, x[None]), strict=True):
        J = substitution.slopes(stack, run)[:, :, 0, None] * stack.w
        found.append(J + jnp.eye(J.shape[1], dtype=J.dtype) if stack.residual else J)
    return found


@jax.jit
def _layer_singular_values(params: Params, x: Array) -> list[Array]:
    return [jnp.linalg.svd(J, compute_uv=False) for J in _jacobians(params, x)]


@jax.jit
def _mean_squares(params: Params, x: Array) -> Array:
    found = []
    for stack, run in zip(params, passes(params, x), strict=True):
        δ, n_in = substitution.slopes(stack, run), stack.w.shape[2]
        squares = jnp.einsum("lib,li->l", δ**2, jnp.sum(stack.w**2, 2)) / len(x)
        if stack.residual:
            squares += 2 * jnp.einsum("lib,lii->l", δ, stack.w) / len(x) + n_in
        found.append(squares / n_in)
    return jnp.concatenate(found)


def _sweep(factors: list[Array]) -> tuple[list[Array], np.ndarray]:
    """The factors R of J Q = Q' R, from the first on, and the sums of ln |R_ii|."""
    triangular = _triangular(factors)
    least = triangular[-1].shape[1]
    with np.errstate(divide="ignore"):
        diagonals = (np.abs(np.asarray(jnp.diagonal(R, axis1=1, axis2=2), np.float64)) for R in triangular)
        return triangular, sum((np.sum(np.log(d[:, :least]), 0) for d in diagonals), np.zeros(least))


@jax.jit
def _triangular(factors: list[Array]) -> list[Array]:
    def step(Q: Array, block: tuple[Array]) -> tuple[Array, Array]:
        Q, R = jnp.linalg.qr(block[0] @ Q)
        return Q, R

    Q, found = jnp.eye(factors[0].shape[2], dtype=factors[0].dtype), []
    for J in factors:
        Q, R = substitution.walk(step, Q, (J,))
        found.append(R)
    return found


@jax.jit
def _product(factors: list[Array]) -> tuple[Array, Array]:
    """Singular values of the product, to be multiplied by 2^exponent."""

    def step(carry: Any, block: tuple[Array]) -> Any:
        P, exponent = carry
        P = block[0] @ P
        shift = jnp.frexp(jnp.max(jnp.abs(P)))[1].astype(jnp.int32)
        return (P * jnp.exp2(-shift).astype(P.dtype), exponent + shift), None

    carry = jnp.eye(factors[0].shape[2], dtype=factors[0].dtype), jnp.zeros((), jnp.int32)
    for J in factors:
        carry, _ = substitution.walk(step, carry, (J,))
    return jnp.linalg.svd(carry[0], compute_uv=False), carry[1]


@jax.jit
def _blocks(params: Params, x: Array, chosen: Array) -> tuple[Array, Array]:
    """Norms (N, k) of ∂x_l/∂x_j for the layers j chosen, to be multiplied by 2^exponents."""
    dtype, width = x.dtype, max(stack.w.shape[1] for stack in params)

    def step(carry: Any, block: Any) -> Any:
        P, exponents, l = carry  # P: (k, n, width), zero until the layer j is reached
        P = jnp.einsum("ij,kjm->kim", block[0], P)
        shift = jnp.frexp(jnp.max(jnp.abs(P), (1, 2)))[1].astype(jnp.int32)
        P = P * jnp.exp2(-shift)[:, None, None].astype(dtype)
        here = chosen == l
        P = jnp.where(here[:, None, None], jnp.eye(P.shape[1], width, dtype=dtype), P)
        exponents = jnp.where(here, 0, exponents + shift)
        return (P, exponents, l + 1), (jnp.sqrt(jnp.sum(P * P, (1, 2))), exponents)

    carry = jnp.zeros((len(chosen), len(x), width), dtype), jnp.zeros(len(chosen), jnp.int32), 1
    found = []
    for J in _jacobians(params, x):
        carry, out = substitution.walk(step, carry, (J,))
        found.append(out)
    norms, exponents = (jnp.concatenate(column) for column in zip(*found, strict=True))
    return norms, exponents
