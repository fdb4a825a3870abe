"""The Hessian of the loss without forming it: its largest eigenvalues and its trace.

Both by Hessian-vector products, of the loss of the whole network, whatever it ends in, in float32
at least.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

from jnn import callers, checks, losses, memory
from jnn.checks import Data
from jnn.data import rows
from jnn.losses import LossLike
from jnn.optimizers.vectors import dot
from jnn.params import Params
from jnn.precision import full_precision, widened
from jnn.transfers import meant
from jnn.triangular import network
from jnn.triangular.method import Method


class Trace(NamedTuple):
    """An estimate, and how far off it may be."""

    mean: float
    standard_error: float


@meant
@full_precision
def top_eigenvalues(
    params: Params,
    x: Data,
    y: Data,
    *,
    loss: LossLike = "half_mse",
    k: int = 1,
    key: Array | None = None,
    iterations: int = 50,
) -> np.ndarray:
    """The k eigenvalues of the Hessian of the mean loss that are largest in size, signs kept.

    An eigenvalue that is there several times is given as often. Block Lanczos with full
    reorthogonalisation: with k vectors at a time, H Vⱼ = Vⱼ₋₁ Bⱼ₋₁ᵀ + Vⱼ Aⱼ + Vⱼ₊₁ Bⱼ, the
    eigenvalues of the block tridiagonal matrix of A and B tend to those of H, the outer ones first,
    each up to k times. Where so many products give all of H, it is formed, and nothing is left to
    converge. (ARPACK, which takes one vector at a time, silently left out copies of an eigenvalue
    in 28 of 300 matrices that had some.)

    Args:
      params: the network.
      x, y, loss: as for `fit`.
      k: how many.
      key: of the first vectors; None is `jax.random.key(0)`.
      iterations: how often H is multiplied with k vectors, at most.
    Returns:
      (k,), largest size first.
    Raises:
      ValueError: shapes do not match, or k is not between 1 and the number of iterations.
      TypeError: k or iterations are not integers, or the key is not a JAX key.
      FloatingPointError: a second derivative is out of range.
    Warns:
      RuntimeWarning: an eigenvalue λ has not converged: the residual ‖H v − λ v‖, which bounds how
        far it is from one of H, is above a thousandth of it.
    Source: Golub and Underwood 1977; Ghorbani, Krishnan and Xiao 2019.

    >>> params = jnn.from_layers([(1.0, 0.0)])  # ℓ = (w x + b)²/2 at x = 2
    >>> abs(top_eigenvalues(params, [[2.0]], [[0.0]], k=2)).round(4).tolist()
    [5.0, 0.0]
    """
    checked = rows.check_rows(params, (x, y), loss)
    key = jax.random.key(0) if key is None else checks.key(key)
    iterations = checks.integer("iterations", iterations, 1)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    meaning = "no more than iterations, or parameters"
    k = checks.integer("k", k, 1, min(iterations, size), meaning=meaning)
    what = f"the basis of {min(iterations * k, size):,} vectors of {size:,} parameters"
    n_bytes = min(iterations * k, size) * size * params[0].w.dtype.itemsize
    memory.check(what, n_bytes, "ask for fewer iterations")
    x, y = checked.x, checked.y
    if size <= iterations * k:
        (H,) = _in_range(_hessian(params, x, y, loss))
        values = np.linalg.eigvalsh((H + H.T) / 2)
        return values[np.argsort(-np.abs(values), kind="stable")][:k]
    T, R = _in_range(*_lanczos(params, x, y, loss, key, k, iterations))
    values, vectors = np.linalg.eigh(T, UPLO="U")
    largest = np.argsort(-np.abs(values), kind="stable")[:k]
    residuals = np.linalg.norm(R @ vectors[-k:, largest], axis=0)
    _warn_of(values[largest], residuals, iterations, float(jnp.finfo(widened(x).dtype).eps))
    return values[largest]


def _warn_of(values: np.ndarray, residuals: np.ndarray, iterations: int, eps: float) -> None:
    """Say which eigenvalues have not converged; those that are 0 are known to rounding only."""
    allowed = 1e-3 * np.abs(values) + 100 * eps * np.abs(values[0])
    if (loose := np.flatnonzero(residuals > allowed)).size:
        first = loose[0]
        callers.warn(
            f"{loose.size} of {len(values)} eigenvalues have not converged after {iterations} "
            f"iterations: number {first + 1}, {values[first]:.4g}, has a residual of "
            f"{residuals[first]:.1g}; give more iterations"
        )


@meant
@full_precision
def trace(
    params: Params,
    x: Data,
    y: Data,
    *,
    loss: LossLike = "half_mse",
    key: Array | None = None,
    samples: int = 64,
) -> Trace:
    """The trace of the Hessian of the mean loss, E vᵀHv over v of random signs.

    Args:
      params: the network.
      x, y, loss: as for `fit`.
      key: of the signs; None is `jax.random.key(0)`.
      samples: Hessian-vector products, at least 2.
    Raises:
      ValueError: shapes do not match, or there are fewer than two samples, or over a million.
      TypeError: samples is not an integer, or the key is not a JAX key.
      FloatingPointError: a second derivative is out of range.
    Source: Hutchinson 1990.

    >>> params = jnn.from_layers([(1.0, 0.0)])  # whose Hessian is diagonal here
    >>> trace(params, [[2.0], [-2.0]], [[0.0], [0.0]], samples=8)
    Trace(mean=5.0, standard_error=0.0)
    """
    checked = rows.check_rows(params, (x, y), loss)
    key = jax.random.key(0) if key is None else checks.key(key)
    samples = checks.integer("samples", samples, 2, 10**6)
    (products,) = _in_range(_samples(params, checked.x, checked.y, loss, key, samples))
    return Trace(float(products.mean()), float(products.std(ddof=1) / samples**0.5))


def _in_range(*computed: Array) -> list[np.ndarray]:
    """On the host in float64; second derivatives are not rescaled as gradients are."""
    if not all(np.isfinite(a).all() for a in computed):
        raise FloatingPointError(
            f"the second derivatives of the loss leave the range of {computed[0].dtype}: they "
            "explode with depth, or the states do; diagnostics.gradient_norms says where, and "
            "jax.enable_x64 widens the range"
        )
    return [np.asarray(a, np.float64) for a in computed]


# ---- compiled ----

_Krylov: TypeAlias = tuple[Array, Array, Array, Array]  # V_1, V_2, … so far; the next; T; R


def _product(
    params: Params, x: Array, y: Array, loss: LossLike
) -> tuple[Callable[[Array], Array], Array]:
    """v ↦ Hv on flat vectors, and the parameters as such a one."""
    flat, restore = ravel_pytree(widened(params))
    x = widened(x)
    known = losses.resolve(loss)

    def objective(p: Array) -> Array:
        return losses.mean_loss(known, network.batch_output(restore(p), x, Method()), y)

    def product(v: Array) -> Array:
        return jax.jvp(jax.grad(objective), (flat,), (v,))[1]

    return product, flat


@partial(jax.jit, static_argnames="loss")
def _hessian(params: Params, x: Array, y: Array, loss: LossLike) -> Array:
    """H, (P, P)."""
    product, flat = _product(params, x, y, loss)
    return lax.map(product, jnp.eye(flat.size, dtype=flat.dtype))


@partial(jax.jit, static_argnames=("loss", "k", "iterations"))
def _lanczos(
    params: Params, x: Array, y: Array, loss: LossLike, key: Array, k: int, iterations: int
) -> tuple[Array, Array]:
    """The upper triangle of T = V H Vᵀ, (iterations k)², and R, (k, k): what goes on from there.

    V has orthonormal rows. An eigenvector s of T leaves the residual ‖R s'‖, s' its last k entries.
    """
    product, flat = _product(params, x, y, loss)

    def step(j: Array, carry: _Krylov) -> _Krylov:
        basis, V, T, _ = carry
        basis = lax.dynamic_update_slice(basis, V, (j * k, 0))
        HV = lax.map(product, V)
        T = lax.dynamic_update_slice(T, dot(basis, HV.T), (0, j * k))
        V, R = _orthonormal(HV, basis)
        # where HV had nothing new, V is rounding, which lies along the basis as well as across it
        V, _ = _orthonormal(V, basis)
        return basis, V, T, R

    m = iterations * k
    V, R = jnp.linalg.qr(jax.random.normal(key, (flat.size, k), flat.dtype))
    basis = jnp.zeros((m, flat.size), flat.dtype)
    start = (basis, V.T, jnp.zeros((m, m), flat.dtype), R)
    _, _, T, R = lax.fori_loop(0, iterations, step, start)
    return T, R


def _orthonormal(rows: Array, basis: Array) -> tuple[Array, Array]:
    """Q and R: orthonormal rows across those of the basis, rows = Rᵀ Q less what lies along it."""
    for _ in range(2):  # twice is enough
        rows = rows - dot(dot(rows, basis.T), basis)
    Q, R = jnp.linalg.qr(rows.T)
    return Q.T, R


@partial(jax.jit, static_argnames=("loss", "samples"))
def _samples(params: Params, x: Array, y: Array, loss: LossLike, key: Array, samples: int) -> Array:
    """vᵀHv, (samples,)."""
    product, flat = _product(params, x, y, loss)

    def one(key: Array) -> Array:
        # `jax.random.rademacher` draws other signs where x64 is on
        positive = jax.random.bernoulli(key, np.float32(0.5), flat.shape)
        v = jnp.where(positive, 1, -1).astype(flat.dtype)
        return jnp.vdot(v, product(v))

    return lax.map(one, jax.random.split(key, samples))
