"""Jacobians of single layers, of their products, and of all pairs of layers.

Products are only ever formed with an exponent (`jnn.triangular.scaled`), or in logarithms.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks
from jnn.checks import Data, Real
from jnn.diagnostics.logits import passes
from jnn.equality import by_value
from jnn.params import Params, hidden_and_readout, sizes
from jnn.precision import full_precision, widened
from jnn.transfers import meant
from jnn.triangular import loops, scaled, substitution
from jnn.triangular.inputs import check_batch, check_example
from jnn.triangular.scaled import Scaled


@meant
@full_precision
def layer_singular_values(params: Params, x: Data) -> list[np.ndarray]:
    """Singular values of Jₗ = diag(δₗ) Wₗ [+ I] at one example, largest first.

    Args:
      params: the network.
      x: (n_0,).
    Returns:
      (depth, min(n_out, n_in)) for each stack.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.init_network_params(
    ...     [4] * 9, jax.random.key(0), activation="identity", init="orthogonal"
    ... )
    >>> (s,) = layer_singular_values(params, jnp.ones(4))
    >>> s.shape, s.max().round(3).item(), s.min().round(3).item()
    ((8, 4), 1.0, 1.0)
    """
    return [np.asarray(s) for s in _layer_singular_values(*check_example(params, x))]


@meant
@full_precision
def mean_squared_singular_values(params: Params, x: Data) -> np.ndarray:
    """‖Jₗ‖²/n_{l−1} of every layer, the mean over examples: χ₁ of mean-field theory, measured.

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
    return np.asarray(_mean_squares(*check_batch(params, x)))


@meant
@full_precision
def log_singular_values(
    params: Params, x: Data, *, tolerance: Real = 1e-5, sweeps: int = 40
) -> np.ndarray:
    """ln of all singular values of the Jacobian J = J_N ⋯ J_1 at one example, largest first.

    A sweep of QR factorisations, Jₗ Qₗ₋₁ = Qₗ Rₗ, turns the product into triangular factors, whose
    transposes are swept again, to and fro; what stands on their diagonals tends to the singular
    values, so that the smallest has as many digits as the largest (Stewart 1997). Values that are
    apart by a factor r take their places like r⁻² a sweep: close ones are exact to their distance
    sooner than to `tolerance`. Where all are within a factor of a thousand, the product is formed
    and factorised at once.

    Args:
      params: the network; where it ends in a softmax, J is that of its logits.
      x: (n_0,).
      tolerance: of the logarithms, at which the sweeps end; at least 0.
      sweeps: how many at most.
    Returns:
      (min of all sizes,), −∞ for exact zeros.
    Raises:
      ValueError: x has the wrong shape, or tolerance or sweeps are negative.
      TypeError: tolerance is not a number, or sweeps not an integer.

    >>> stretch = (jnp.diag(jnp.array([2.0, 0.25])), jnp.zeros(2))
    >>> params = jnn.from_layers([stretch] * 400, activation="identity")
    >>> (log_singular_values(params, jnp.ones(2)) / np.log(2)).round(3).tolist()
    [400.0, -800.0]
    """
    params, x = check_example(params, x)
    tolerance = checks.number("tolerance", tolerance, least=0)
    sweeps = checks.integer("sweeps", sweeps, 0)
    factors, logs = _sweep(_jacobians(params, x))
    if np.ptp(logs) < np.log(1e3) / 2:  # the diagonal of R may hide as much again
        product, exponent = _product(factors)
        if product[-1] > 1e-3 * product[0]:
            return scaled.log(product, exponent)
    for _ in range(sweeps):
        transposed = [jnp.swapaxes(R, 1, 2)[::-1] for R in factors[::-1]]
        factors, following = _sweep(transposed)
        least = min(len(logs), len(following))
        with np.errstate(invalid="ignore"):  # −∞ less −∞, which are the same
            moved = logs[:least] - following[:least]
        moved = np.where(logs[:least] == following[:least], 0.0, moved)
        logs = following
        if np.max(np.abs(moved), initial=0) <= tolerance:
            break
    return np.sort(logs)[::-1]


@meant
@full_precision
def lyapunov_exponents(params: Params, x: Data) -> np.ndarray:
    """Growth rates a layer, the mean ln |R_ii| of Jₗ Qₗ₋₁ = Qₗ Rₗ; positive ones mean chaos.

    Args:
      params: the network; the readout is left out.
      x: (n_0,).
    Returns:
      (min of the sizes of the hidden layers,), largest first.
    Raises:
      ValueError: x has the wrong shape, or there is no hidden layer.
    Source: Benettin, Galgani, Giorgilli and Strelcyn 1980.

    >>> stretch = (jnp.diag(jnp.array([2.0, 0.5])), jnp.zeros(2))
    >>> params = jnn.from_layers([stretch] * 9, activation="identity")
    >>> lyapunov_exponents(params, jnp.ones(2)).round(6).tolist()
    [0.693147, -0.693147]
    """
    params, x = check_example(params, x)
    hidden, _ = hidden_and_readout(params)
    if not hidden:
        raise ValueError(
            f"the network has sizes {sizes(params)} and no hidden layer: it takes at least one"
        )
    factors = _jacobians(hidden, x)
    _, logs = _sweep(factors)
    return np.sort(logs / sum(map(len, factors)))[::-1]


@by_value
class SensitivityMap(NamedTuple):
    """The blocks of (I − L)⁻¹ by their size."""

    # (k, k): ln ‖∂x_i/∂x_j‖, Frobenius, of the layers chosen; −∞ above the diagonal
    log_norms: np.ndarray
    layers: np.ndarray  # (k,), from 1


@meant
@full_precision
def sensitivity_map(params: Params, x: Data, *, points: int = 100) -> SensitivityMap:
    """How much each layer depends on each earlier one: ln of the norms of the blocks of (I − L)⁻¹.

    Block (i, j) is J_i ⋯ J_{j+1}, on the diagonal the identity, whose norm is √n.

    Args:
      params: the network; where it ends in a softmax, the last state are its logits.
      x: (n_0,).
      points: how many layers, evenly spaced, where there are more.
    Raises:
      ValueError: x has the wrong shape, or points is not positive.
      TypeError: points is not an integer.

    >>> params = jnn.from_layers([(0.5, 0.0)] * 3, activation="identity")
    >>> np.exp(sensitivity_map(params, jnp.ones(1)).log_norms).tolist()
    [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]]
    """
    params, x = check_example(params, x)
    points = checks.integer("points", points, 1, meaning="how many layers are shown at most")
    N = sum(stack.depth for stack in params)
    chosen = np.unique(np.linspace(1, N, min(points, N)).round().astype(int))
    norms, exponents = _blocks(params, x, jnp.asarray(chosen))
    return SensitivityMap(scaled.log(norms, exponents)[chosen - 1], chosen)


# ---- compiled ----


@jax.jit
def _jacobians(params: Params, x: Array) -> list[Array]:
    """J of all layers, (depth, n_out, n_in) a stack."""
    return [
        loops.jacobians(stack, substitution.slopes(stack, its_pass)[:, :, 0])
        for stack, its_pass in passes(params, x[None])
    ]


@jax.jit
def _layer_singular_values(params: Params, x: Array) -> list[Array]:
    return [jnp.linalg.svd(J, compute_uv=False) for J in _jacobians(params, x)]


@jax.jit
def _mean_squares(params: Params, x: Array) -> Array:
    by_stack = []
    for stack, its_pass in passes(params, x):
        δ = substitution.slopes(stack, its_pass)
        n_in = stack.w.shape[2]
        squares = jnp.einsum("lib,li->l", δ**2, jnp.sum(stack.w**2, 2)) / len(x)
        if stack.residual:
            squares += 2 * jnp.einsum("lib,lii->l", δ, stack.w) / len(x) + n_in
        by_stack.append(squares / n_in)
    return jnp.concatenate(by_stack)


def _sweep(factors: list[Array]) -> tuple[list[Array], np.ndarray]:
    """The factors R of J Q = Q' R, from the first on, and the sums of ln |R_ii|."""
    triangular = _triangular(factors)
    least = triangular[-1].shape[1]
    logs = np.zeros(least)
    for R in triangular:
        diagonals = np.asarray(jnp.diagonal(R, axis1=1, axis2=2), np.float64)[:, :least]
        with np.errstate(divide="ignore"):
            logs += np.sum(np.log(np.abs(diagonals)), axis=0)
    return triangular, logs


@jax.jit
def _triangular(factors: list[Array]) -> list[Array]:
    def step(Q: Array, block: tuple[Array]) -> tuple[Array, Array]:
        (J,) = block
        Q, R = jnp.linalg.qr(J @ Q)
        return Q, R

    Q = jnp.eye(factors[0].shape[2], dtype=factors[0].dtype)
    factored = []
    for J in factors:
        Q, R = loops.scan(step, Q, (J,))
        factored.append(R)
    return factored


@jax.jit
def _product(factors: list[Array]) -> tuple[Array, Array]:
    """Singular values of the product, to be multiplied by 2^exponent."""

    def step(P: Scaled, block: tuple[Array]) -> tuple[Scaled, None]:
        (J,) = block
        return scaled.product(scaled.unscaled(J, 2), P), None

    P = scaled.rescaled(jnp.eye(factors[0].shape[2], dtype=factors[0].dtype), 2)
    for J in factors:
        P, _ = loops.scan(step, P, (J,))
    return jnp.linalg.svd(P.m, compute_uv=False), P.e


@jax.jit
def _blocks(params: Params, x: Array, chosen: Array) -> tuple[Array, Array]:
    """Norms (N, k) of ∂xₗ/∂xⱼ for the layers j chosen, to be multiplied by 2^exponents."""
    width = max(stack.w.shape[1] for stack in params)
    dtype = widened(x).dtype

    def step(
        carry: tuple[Scaled, int | Array], block: tuple[Array]
    ) -> tuple[tuple[Scaled, int | Array], tuple[Array, Array]]:
        P, l = carry  # P.m: (k, n, width), zero until the layer j is reached
        (J,) = block
        P = scaled.product(scaled.unscaled(J, 2), P)
        here = chosen == l
        identity = jnp.eye(P.m.shape[1], width, dtype=dtype)
        P = Scaled(
            jnp.where(here[:, None, None], identity, P.m),
            jnp.where(here, 0, P.e),
        )
        return (P, l + 1), (jnp.sqrt(jnp.sum(P.m**2, (1, 2))), P.e)

    carry = scaled.rescaled(jnp.zeros((len(chosen), len(x), width), dtype), 2), 1
    by_stack = []
    for J in _jacobians(params, x):
        carry, norms_and_exponents = loops.scan(step, carry, (J,))
        by_stack.append(norms_and_exponents)
    norms, exponents = (jnp.concatenate(column) for column in zip(*by_stack, strict=True))
    return norms, exponents
