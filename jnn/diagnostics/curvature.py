"""The Hessian of the loss without forming it: its largest eigenvalues and its trace.

Both by Hessian-vector products, of the loss of the whole network, whatever it ends in.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

from jnn import checks, losses, memory
from jnn.checks import Data
from jnn.data import rows
from jnn.losses import LossLike
from jnn.params import Params
from jnn.triangular import network
from jnn.triangular.method import Method


class Trace(NamedTuple):
    """An estimate, and how far off it may be."""

    mean: float
    standard_error: float


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

    Lanczos with full reorthogonalisation: H vⱼ = βⱼ₋₁ vⱼ₋₁ + αⱼ vⱼ + βⱼ vⱼ₊₁, the eigenvalues of
    the tridiagonal matrix of α and β tend to those of H, the outer ones first.

    Args:
      params: the network.
      x, y, loss: as for `fit`.
      k: how many.
      key: of the first vector; None is `jax.random.key(0)`.
      iterations: Hessian-vector products; as many as there are parameters at most.
    Returns:
      (k,), largest size first.
    Raises:
      ValueError: shapes do not match, or k is not between 1 and the number of iterations.
      TypeError: k or iterations are not integers, or the key is not a JAX key.
      FloatingPointError: a second derivative is out of range.
    Source: Lanczos 1950; Ghorbani, Krishnan and Xiao 2019.

    >>> params = jnn.from_layers([(1.0, 0.0)])  # ℓ = (w x + b)²/2 at x = 2
    >>> abs(top_eigenvalues(params, [[2.0]], [[0.0]], k=2)).round(4).tolist()
    [5.0, 0.0]
    """
    checked = rows.check_rows(params, (x, y), loss)
    key = jax.random.key(0) if key is None else checks.key(key)
    iterations = checks.integer("iterations", iterations, 1)
    iterations = min(iterations, sum(leaf.size for leaf in jax.tree.leaves(params)))
    k = checks.integer("k", k, 1, iterations, meaning="no more than iterations, or parameters")
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    what = f"the basis of {iterations:,} vectors of {size:,} parameters"
    memory.check(what, iterations * size * params[0].w.dtype.itemsize, "ask for fewer iterations")
    α, β = _in_range(*_lanczos(params, checked.x, checked.y, loss, key, iterations))
    # an invariant subspace: the rest is noise
    whole = np.flatnonzero(β <= 1e-6 * np.max(np.abs(α), initial=0))
    m = whole[0] + 1 if whole.size else iterations
    off_diagonal = np.diag(β[: m - 1], 1)
    values = np.linalg.eigvalsh(np.diag(α[:m]) + off_diagonal + off_diagonal.T)
    values = np.append(values, np.zeros(max(0, k - m)))
    return values[np.argsort(-np.abs(values), kind="stable")][:k]


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

_Basis: TypeAlias = tuple[Array, Array, Array, Array]  # v_1, v_2, … so far; the next v; α; β


def _product(
    params: Params, x: Array, y: Array, loss: LossLike
) -> tuple[Callable[[Array], Array], int]:
    """v ↦ Hv on flat vectors, and their length."""
    flat, restore = ravel_pytree(params)
    known = losses.resolve(loss)

    def objective(p: Array) -> Array:
        return losses.mean_loss(known, network.batch_output(restore(p), x, Method()), y)

    def product(v: Array) -> Array:
        return jax.jvp(jax.grad(objective), (flat,), (v,))[1]

    return product, flat.size


@partial(jax.jit, static_argnames=("loss", "iterations"))
def _lanczos(
    params: Params, x: Array, y: Array, loss: LossLike, key: Array, iterations: int
) -> tuple[Array, Array]:
    """α and β, (iterations,) each."""
    product, size = _product(params, x, y, loss)
    v = jax.random.normal(key, (size,), x.dtype)

    def step(j: Array, carry: _Basis) -> _Basis:
        basis, v, α, β = carry
        basis = basis.at[j].set(v)
        w = product(v)
        α = α.at[j].set(jnp.vdot(v, w))
        for _ in range(2):  # twice is enough
            w = w - basis.T @ (basis @ w)
        norm = jnp.linalg.norm(w)
        return basis, w / jnp.where(norm > 0, norm, 1), α, β.at[j].set(norm)

    zeros = jnp.zeros(iterations, x.dtype)
    start = (jnp.zeros((iterations, size), x.dtype), v / jnp.linalg.norm(v), zeros, zeros)
    _, _, α, β = lax.fori_loop(0, iterations, step, start)
    return α, β


@partial(jax.jit, static_argnames=("loss", "samples"))
def _samples(params: Params, x: Array, y: Array, loss: LossLike, key: Array, samples: int) -> Array:
    """vᵀHv, (samples,)."""
    product, size = _product(params, x, y, loss)

    def one(key: Array) -> Array:
        v = jax.random.rademacher(key, (size,), x.dtype)
        return jnp.vdot(v, product(v))

    return lax.map(one, jax.random.split(key, samples))
