"""Residuals of a squared loss and their Jacobian, which Levenberg–Marquardt works with.

The Jacobian of one example's outputs is one back substitution for each output, (I − L)ᵀ λ = eⱼ, whatever the number of
parameters; `vmap` takes all examples at once. The Jacobian of all residuals together would cost n times as much by
reverse mode, and by forward mode one forward substitution for each parameter.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jnn import network
from jnn.choice import Method
from jnn.params import Params
from jnn.penalties import Penalty

SCALES = {"half_mse": 1.0, "mse": 2.0}  # objective = ½ ‖r‖², r = √(scale · share) (ŷ − y)


def check(loss: Any, penalty: Any, compute_dtype: Any) -> None:
    """Refuse what is no sum of squares.

    Raises:
      ValueError: another loss, a penalty other than l2, or another dtype to compute in than the parameters'.
    """
    if compute_dtype is not None:
        raise ValueError("levenberg_marquardt computes in the parameters' dtype: leave compute_dtype out")
    if loss not in SCALES:
        raise ValueError(f"levenberg_marquardt minimises sums of squares, {' or '.join(SCALES)}; got loss {loss!r}")
    if penalty is not None and not (isinstance(penalty, Penalty) and penalty.l1 == 0):
        raise ValueError(f"levenberg_marquardt minimises squares: of penalties it takes l2 alone, got {penalty!r}")


def residuals(
    params: Params, x: Array, y: Array, weights: Array | None, loss: str, penalty: Penalty | None, method: Method
) -> tuple[Float[Array, " m"], Float[Array, "m P"]]:
    """The residuals r and J = ∂r/∂p, where ½‖r‖² is the objective.

    There is one for every output of every example, √(scale wᵢ / Σw n_N) (ŷ − y), and where there is a penalty one for
    every weight, √l2 w.

    Args:
      params: P numbers, in the order of `jax.flatten_util.ravel_pytree`.
      x, y, weights: (n, n_0), (n, n_N), and (n,) or None for all ones.
      loss: a name in SCALES.
    """
    n, n_N = y.shape
    shares = jnp.full(n, 1 / n, y.dtype) if weights is None else weights / jnp.sum(weights)
    roots = jnp.sqrt(SCALES[loss] * shares / n_N)[:, None]
    r = roots * (network.batch_output(params, x, method) - y)
    each = jax.vmap(jax.jacrev(partial(network.output, method=method)), (None, 0))(params, x)
    J = jnp.concatenate([leaf.reshape(n * n_N, -1) for leaf in jax.tree.leaves(each)], axis=1)
    J = jnp.repeat(roots, n_N, axis=0) * J
    if penalty is None:
        return r.ravel(), J
    # the penalty's own rows: diagonal, and zero for the biases
    leaves = [(jnp.ones_like(stack.w), jnp.zeros_like(stack.b)) for stack in params]
    is_weight = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(leaves)])
    p = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])
    diagonal = jnp.sqrt(jnp.asarray(penalty.l2, p.dtype)) * is_weight
    return jnp.concatenate([r.ravel(), diagonal * p]), jnp.concatenate([J, jnp.diag(diagonal)])
