"""The Hessian of the loss without forming it: its largest eigenvalues and its trace, by Hessian-vector products."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

from jnn import examples, losses, network
from jnn.choice import Method
from jnn.params import Params, check_key


class Trace(NamedTuple):
    """An estimate, and how far off it may be."""

    mean: float
    standard_error: float


def top_eigenvalues(
    params: Params,
    x: Any,
    y: Any,
    *,
    loss: Any = "half_mse",
    k: int = 1,
    key: Array | None = None,
    iterations: int = 50,
) -> np.ndarray:
    """The k eigenvalues of the Hessian of the mean loss that are largest in size, signs kept, largest size first.

    Lanczos with full reorthogonalisation: H v_j = β_{j−1} v_{j−1} + α_j v_j + β_j v_{j+1}, the eigenvalues of the
    tridiagonal matrix of α and β tend to those of H, the outer ones first.

    Args:
      params: the network.
      x, y, loss: as for `fit`.
      k: how many.
      key: of the first vector; None is `jax.random.key(0)`.
      iterations: Hessian-vector products; as many as there are parameters at most.
    Raises:
      ValueError: shapes do not match, or k is not between 1 and the number of iterations.
      FloatingPointError: a second derivative is out of range.
    Source: Lanczos 1950; Ghorbani, Krishnan and Xiao 2019.

    >>> params = jnn.from_layers([(1.0, 0.0)])  # ℓ = (w x + b)²/2 at x = 2
    >>> top_eigenvalues(params, [[2.0]], [[0.0]], k=2).round(4).tolist()
    [5.0, 0.0]
    """
    checked, key = examples.check(params, (x, y), loss), jax.random.key(0) if key is None else check_key(key)
    iterations = min(iterations, sum(leaf.size for leaf in jax.tree.leaves(params)))
    if not 1 <= k <= iterations:
        raise ValueError(f"k must be from 1 to {iterations}, the number of iterations (or of parameters); got {k}")
    α, β = _in_range(*_lanczos(params, checked.x, checked.y, loss, key, iterations))
    whole = np.flatnonzero(β <= 1e-6 * np.max(np.abs(α), initial=0))  # an invariant subspace: the rest is noise
    m = whole[0] + 1 if whole.size else iterations
    values = np.linalg.eigvalsh(np.diag(α[:m]) + np.diag(β[: m - 1], 1) + np.diag(β[: m - 1], -1))
    values = np.append(values, np.zeros(max(0, k - m)))
    return values[np.argsort(-np.abs(values), kind="stable")][:k]


def trace(
    params: Params, x: Any, y: Any, *, loss: Any = "half_mse", key: Array | None = None, samples: int = 64
) -> Trace:
    """The trace of the Hessian of the mean loss, E vᵀHv over v of random signs.

    Args:
      params: the network.
      x, y, loss: as for `fit`.
      key: of the signs; None is `jax.random.key(0)`.
      samples: Hessian-vector products.
    Raises:
      ValueError: shapes do not match, or there are fewer than two samples.
      FloatingPointError: a second derivative is out of range.
    Source: Hutchinson 1990.

    >>> trace(jnn.from_layers([(1.0, 0.0)]), [[2.0], [-2.0]], [[0.0], [0.0]], samples=8)  # a diagonal Hessian
    Trace(mean=5.0, standard_error=0.0)
    """
    checked, key = examples.check(params, (x, y), loss), jax.random.key(0) if key is None else check_key(key)
    if samples < 2:
        raise ValueError(f"samples must be at least 2, got {samples}")
    (found,) = _in_range(_samples(params, checked.x, checked.y, loss, key, samples))
    return Trace(float(found.mean()), float(found.std(ddof=1) / samples**0.5))


def _in_range(*found: Array) -> list[np.ndarray]:
    """On the host in float64; unlike gradients, second derivatives are not rescaled from layer to layer."""
    if not all(np.isfinite(a).all() for a in found):
        raise FloatingPointError(
            f"the second derivatives of the loss leave the range of {found[0].dtype}: they explode with depth, or the "
            "states do; diagnostics.gradient_norms says where, and jax.enable_x64 widens the range"
        )
    return [np.asarray(a, np.float64) for a in found]


def _product(params: Params, x: Array, y: Any, loss: Any) -> tuple[Any, int]:
    """v ↦ Hv on flat vectors, and their length."""
    flat, restore = ravel_pytree(params)

    def objective(p: Array) -> Array:
        return losses.mean_loss(losses.resolve(loss), network.batch_output(restore(p), x, Method()), y)

    return lambda v: jax.jvp(jax.grad(objective), (flat,), (v,))[1], flat.size


@partial(jax.jit, static_argnames=("loss", "iterations"))
def _lanczos(params: Params, x: Array, y: Any, loss: Any, key: Array, iterations: int) -> tuple[Array, Array]:
    product, size = _product(params, x, y, loss)
    v = jax.random.normal(key, (size,), x.dtype)

    def step(j: Array, carry: Any) -> Any:
        basis, v, α, β = carry
        basis = basis.at[j].set(v)
        w = product(v)
        α = α.at[j].set(jnp.vdot(v, w))
        for _ in range(2):  # twice is enough
            w = w - basis.T @ (basis @ w)
        norm = jnp.linalg.norm(w)
        return basis, w / jnp.where(norm > 0, norm, 1), α, β.at[j].set(norm)

    zeros = jnp.zeros(iterations, x.dtype)
    start = jnp.zeros((iterations, size), x.dtype), v / jnp.linalg.norm(v), zeros, zeros
    _, _, α, β = lax.fori_loop(0, iterations, step, start)
    return α, β


@partial(jax.jit, static_argnames=("loss", "samples"))
def _samples(params: Params, x: Array, y: Any, loss: Any, key: Array, samples: int) -> Array:
    product, size = _product(params, x, y, loss)

    def one(key: Array) -> Array:
        v = jax.random.rademacher(key, (size,), x.dtype)
        return jnp.vdot(v, product(v))

    return lax.map(one, jax.random.split(key, samples))
