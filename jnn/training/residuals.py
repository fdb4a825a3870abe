"""Residuals of a squared loss and their Jacobian, which Levenberg–Marquardt works with.

The Jacobian of one example's outputs is one back substitution for each output, (I − L)ᵀ λ = eⱼ,
whatever the number of parameters; `vmap` takes all examples at once. The Jacobian of all residuals
together would cost n times as much by reverse mode, and by forward mode one forward substitution
for each parameter.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jnn import losses, memory
from jnn.checks import Thing
from jnn.data.rows import Rows
from jnn.losses import LossLike
from jnn.params import Params
from jnn.penalties import Penalty
from jnn.shapes import Float
from jnn.triangular import network
from jnn.triangular.method import Method


def check_squares(loss: LossLike, penalty: Thing, method: Method) -> None:
    """Raise unless the objective is a sum of squares, ½ ‖r‖², r = √(scale · share) (ŷ − y).

    Raises:
      ValueError: another loss, a penalty other than l2, or another dtype to compute in than the
        parameters'.

    >>> check_squares("mse", None, Method())
    """
    if method.dtype is not None:
        raise ValueError("levenberg_marquardt computes in the parameters' dtype: leave dtype out")
    if losses.resolve(loss).scale is None:
        squares = [name for name, known in losses.LOSSES.items() if known.scale]
        raise ValueError(
            f"levenberg_marquardt minimises sums of squares, {' or '.join(squares)}; "
            f"got loss {loss!r}"
        )
    if penalty is not None and not (isinstance(penalty, Penalty) and penalty.l1 == 0):
        raise ValueError(
            "levenberg_marquardt minimises squares: of penalties it takes l2 alone, got "
            f"{penalty!r}"
        )


def of_squares(
    params: Params, rows: Rows, loss: LossLike, penalty: Penalty | None, method: Method
) -> tuple[Float[Array, " m"], Float[Array, "m P"]]:
    """The residuals r and J = ∂r/∂p, where ½‖r‖² is the objective.

    There is one for every output of every example, √(scale wᵢ / Σw n_N) (ŷ − y), and where there is
    a penalty one for every weight, √l2 w.

    Args:
      params: P numbers, in the order of `jax.flatten_util.ravel_pytree`.
      rows: all examples.
      loss, penalty, method: such as `check_squares` lets pass.
    """
    x, y, weights = rows
    n, n_N = y.shape
    P = sum(leaf.size for leaf in jax.tree.leaves(params))
    m = n * n_N + (0 if penalty is None else P)
    what = f"the Jacobian of {m:,} residuals by {P:,} parameters"
    memory.check(what, m * P * y.dtype.itemsize, 'take optimizer="lbfgs"')
    scale = losses.resolve(loss).scale
    assert scale is not None  # else `check_squares` has refused it
    shares = jnp.full(n, 1 / n, y.dtype) if weights is None else weights / jnp.sum(weights)
    roots = jnp.sqrt(scale * shares / n_N)[:, None]
    r = roots * (network.batch_output(params, x, method).astype(y.dtype) - y)
    of_one = jax.jacrev(partial(network.output, method=method))
    each = jax.vmap(of_one, (None, 0))(params, x)
    J = jnp.concatenate([leaf.reshape(n * n_N, -1) for leaf in jax.tree.leaves(each)], axis=1)
    J = jnp.repeat(roots, n_N, axis=0) * J.astype(y.dtype)
    if penalty is None:
        return r.ravel(), J
    # the penalty's own rows: diagonal, and zero for the biases
    leaves = [(jnp.ones_like(stack.w), jnp.zeros_like(stack.b)) for stack in params]
    is_weight = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(leaves)])
    p = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)]).astype(y.dtype)
    diagonal = jnp.sqrt(jnp.asarray(penalty.l2, p.dtype)) * is_weight.astype(p.dtype)
    return jnp.concatenate([r.ravel(), diagonal * p]), jnp.concatenate([J, jnp.diag(diagonal)])
