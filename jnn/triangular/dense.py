"""The triangular system (I − L) dx = D dp as dense arrays: to look at, and for small networks.

A layer is zₗ = Wₗ xₗ₋₁ + bₗ, xₗ = h(zₗ) [+ xₗ₋₁], with slopes δₗ = h'(zₗ). A perturbation of the
parameters spreads as

    dxₗ = Jₗ dxₗ₋₁ + δₗ ∘ (dWₗ xₗ₋₁ + dbₗ),        Jₗ = diag(δₗ) Wₗ [+ I],

which, written for all layers at once, is (I − L) dx = D dp: L holds the Jacobians Jₗ one block
below the diagonal, D the local derivatives. Forward mode solves it by forward substitution, from
the first layer to the last; reverse mode its transpose, (I − L)ᵀ λ = ∂ℓ/∂x, by back substitution
(Edelman, Akyürek and Wang 2023, arXiv:2303.15449).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike

from jnn import activations
from jnn.equality import by_value
from jnn.meshes import compiled
from jnn.outputs import mixing
from jnn.params import Params, Stack, layers, sizes
from jnn.shapes import Float
from jnn.triangular.inputs import check_example

LIMIT = 2**24  # entries of I − L and D together: 64 MiB in float32


@by_value
class LinearSystem(NamedTuple):
    """The system (I − L) dx = D dp of one example, as dense arrays to look at.

    Rows are the states x_1, …, x_N one below the other. The columns of D are the parameters layer
    by layer: Wₗ row by row, then bₗ; `solve_triangular(I − L, D, lower=True)` is the Jacobian of
    all states by all parameters.
    """

    states: tuple[Array, ...]  # (x_0, …, x_N)
    slopes: tuple[Array, ...]  # (δ_1, …, δ_N); of a softmax the matrix diag(x_N) − x_N x_Nᵀ
    L: Array  # (Σ n_l, Σ n_l): Jₗ one block below the diagonal
    D: Array  # (Σ n_l, number of parameters): block diagonal, δₗ ∘ (dWₗ xₗ₋₁ + dbₗ)


def linear_system(params: Params, x: ArrayLike) -> LinearSystem:
    """The system (I − L) dx = D dp at one example: states, slopes, L and D (see `LinearSystem`).

    Args:
      params: of a small network.
      x: (n_0,).
    Raises:
      ValueError: x has the wrong shape, or the system is too large to assemble.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> system = linear_system(params, jnp.array([3.0]))
    >>> system.L.tolist()
    [[0.0, 0.0], [-1.0, 0.0]]
    >>> system.D.tolist()
    [[3.0, 1.0, 0.0, 0.0], [0.0, 0.0, 7.0, 1.0]]
    """
    return assemble(*check_example(params, x))


def entries(params: Params) -> int:
    """How many numbers I − L and D hold together."""
    rows = sum(sizes(params)[1:])
    return rows * (rows + sum(stack.w.size + stack.b.size for stack in params))


@partial(compiled, inline=True)
def assemble(params: Params, x: Float[Array, " n_0"]) -> LinearSystem:
    """`linear_system`, its input not checked; a ValueError where the system is too large."""
    if (count := entries(params)) > LIMIT:
        raise ValueError(
            f"the dense system has {count:,} entries, more than the limit of {LIMIT:,}: "
            'use backprop="substitution", which never assembles it'
        )
    rows = sum(sizes(params)[1:])
    columns = sum(stack.w.size + stack.b.size for stack in params)
    L = jnp.zeros((rows, rows), params[0].w.dtype)
    D = jnp.zeros((rows, columns), params[0].w.dtype)
    states, slopes = [x], []
    row = column = 0
    stack_of_layer = (stack for stack in params for _ in range(stack.depth))
    for (w, b), stack in zip(layers(params), stack_of_layer, strict=True):
        n, n_in = w.shape
        z = w @ states[-1] + b
        h, δ = _value_and_slope(stack, z)
        if slopes:
            J = _times(δ, w) + (jnp.eye(n, dtype=w.dtype) if stack.residual else 0)
            L = L.at[row : row + n, row - n_in : row].set(J)
        # δ ∘ (dW x): row i holds δ_i x at the place of row i of W
        S = δ if δ.ndim == 2 else jnp.diag(δ)
        D_l = jnp.hstack([jnp.kron(S, states[-1][None, :]), S])
        D = D.at[row : row + n, column : column + w.size + n].set(D_l)
        states.append(h + states[-1] if stack.residual else h)
        slopes.append(δ)
        row += n
        column += w.size + n
    return LinearSystem(tuple(states), tuple(slopes), L, D)


def _value_and_slope(stack: Stack, z: Array) -> tuple[Array, Array]:
    """h(z), and its derivative: the vector δ, or the matrix of an output that mixes entries."""
    if (output := mixing(stack.activation)) is not None:
        return output.value(z), output.derivative(z)
    h = activations.resolve(stack.activation)
    return h.value(z), h.slope(z)


def _times(slope: Array, a: Array) -> Array:
    """diag(δ) A, or the matrix times A."""
    if slope.ndim == 2:
        return slope @ a
    return slope.reshape(-1, *(a.ndim - 1) * [1]) * a


@jax.custom_jvp
def dense_states(params: Params, x: Float[Array, " n_0"]) -> tuple[Array, ...]:
    """All states (x_0, …, x_N); differentiated by assembling and solving the dense system."""
    return assemble(params, x).states


@dense_states.defjvp
def _dense_states_jvp(
    primals: tuple[Params, Array], tangents: tuple[Params, Array]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    (params, x), (dparams, dx0) = primals, tangents
    states, slopes, L, D = assemble(params, x)
    dp = jnp.concatenate([leaf.ravel() for layer in layers(dparams) for leaf in layer])
    first = _times(slopes[0], params[0].w[0] @ dx0) + (dx0 if params[0].residual else 0)  # J_1 dx_0
    rhs = D @ dp + jnp.zeros_like(D[:, 0]).at[: first.size].set(first)
    dx = solve_triangular(jnp.eye(len(L), dtype=L.dtype) - L, rhs, lower=True, unit_diagonal=True)
    edges = [sum(s.size for s in states[1 : l + 1]) for l in range(1, len(slopes))]
    return states, (dx0, *jnp.split(dx, edges))
