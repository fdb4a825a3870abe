"""The lower-triangular system (I − L) dx = D dp, and how it is solved.

A layer is zₗ = Wₗ xₗ₋₁ + bₗ, xₗ = h(zₗ) [+ xₗ₋₁], with slopes δₗ = h'(zₗ). Perturbing the parameters gives

    dzₗ = Wₗ dxₗ₋₁ + dWₗ xₗ₋₁ + dbₗ,        dxₗ = δₗ ∘ dzₗ [+ dxₗ₋₁],

which, written for all layers at once, is (I − L) dx = D dp: L holds the Jacobians Jₗ = diag(δₗ) Wₗ [+ I] one block
below the diagonal, D the local derivatives. Forward mode solves it by forward substitution, from the first layer to
the last; reverse mode solves the transpose, (I − L)ᵀ λ = ∂ℓ/∂x, by back substitution (arXiv:2303.15449).

Two ways to solve it stand here, neither using the other's code:

- `dense_states` assembles I − L and D and calls `solve_triangular`: to look at, and for small networks;
- `substituted_run` walks the blocks of a stack: O(depth) work, compiled once for any depth.

Both are written for one example, x: (n,). `substituted_run` also takes a batch as columns, x: (n, batch).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float

from jnn import activations
from jnn.params import Params, Stack, layers, sizes

# ---- dense: to look at ----

DENSE_LIMIT = 2**24  # entries of I − L and D together: 64 MiB in float32


class LinearSystem(NamedTuple):
    """The system (I − L) dx = D dp of one example, as dense arrays to look at.

    Rows are the states x_1, …, x_N one below the other. The columns of D are the parameters layer by layer: Wₗ row by
    row, then bₗ; `solve_triangular(I − L, D, lower=True)` is the Jacobian of all states by all parameters.
    """

    states: tuple[Array, ...]  # (x_0, …, x_N)
    slopes: tuple[Array, ...]  # (δ_1, …, δ_N)
    L: Array  # (Σ n_l, Σ n_l): Jₗ one block below the diagonal
    D: Array  # (Σ n_l, number of parameters): block diagonal, δₗ ∘ (dWₗ xₗ₋₁ + dbₗ)


def dense_entries(params: Params) -> int:
    """How many numbers I − L and D hold together."""
    rows = sum(sizes(params)[1:])
    return rows * (rows + sum(stack.w.size + stack.b.size for stack in params))


def linear_system(params: Params, x: Float[Array, " n_0"]) -> LinearSystem:
    """Assemble states, slopes, L and D for one example x (see `LinearSystem`).

    Raises:
      ValueError: the dense system is too large; the message names the limit and the other method.
    """
    if (entries := dense_entries(params)) > DENSE_LIMIT:
        raise ValueError(
            f"the dense system has {entries:,} entries, more than the limit of {DENSE_LIMIT:,}: "
            'use backprop="substitution", which never assembles it'
        )
    rows, columns = sum(sizes(params)[1:]), sum(stack.w.size + stack.b.size for stack in params)
    L = jnp.zeros((rows, rows), params[0].w.dtype)
    D = jnp.zeros((rows, columns), params[0].w.dtype)
    states, slopes = [x], []
    row, column = 0, 0
    kinds = (stack for stack in params for _ in range(stack.depth))
    for (w, b), stack in zip(layers(params), kinds, strict=True):
        h = activations.resolve(stack.activation)
        n, z = w.shape[0], w @ states[-1] + b
        δ = h.slope(z)
        if slopes:
            J = δ[:, None] * w + (jnp.eye(n, dtype=w.dtype) if stack.residual else 0)
            L = L.at[row : row + n, row - w.shape[1] : row].set(J)
        D_w = jnp.kron(jnp.diag(δ), states[-1][None, :])  # δ ∘ (dW x): row i holds δ_i x at the place of row i of W
        D = D.at[row : row + n, column : column + w.size].set(D_w)
        D = D.at[row : row + n, column + w.size : column + w.size + n].set(jnp.diag(δ))
        states.append(h.value(z) + states[-1] if stack.residual else h.value(z))
        slopes.append(δ)
        row, column = row + n, column + w.size + n
    return LinearSystem(tuple(states), tuple(slopes), L, D)


@jax.custom_jvp
def dense_states(params: Params, x: Float[Array, " n_0"]) -> tuple[Array, ...]:
    """All states (x_0, …, x_N) of one example; differentiated by assembling and solving the dense system."""
    return linear_system(params, x).states


@dense_states.defjvp
def _dense_states_jvp(primals: Any, tangents: Any) -> Any:
    (params, x), (dparams, dx0) = primals, tangents
    states, slopes, L, D = linear_system(params, x)
    dp = jnp.concatenate([leaf.ravel() for layer in layers(dparams) for leaf in layer])
    first = slopes[0] * (params[0].w[0] @ dx0) + (dx0 if params[0].residual else 0)  # J_1 dx_0
    rhs = D @ dp + jnp.zeros_like(D[:, 0]).at[: first.size].set(first)
    dx = solve_triangular(jnp.eye(len(L), dtype=L.dtype) - L, rhs, lower=True, unit_diagonal=True)
    edges = [sum(s.size for s in slopes[:l]) for l in range(1, len(slopes))]
    return states, (dx0, *jnp.split(dx, edges))


# ---- substitution: block by block ----


class Run(NamedTuple):
    """What one pass through a stack leaves behind; with a trailing batch axis where x has one."""

    inputs: Array  # (depth, n_in): xₗ₋₁ of every layer
    slopes: Array  # (depth, n_out): δₗ
    output: Array  # (n_out,): the last state


@jax.custom_jvp
def substituted_run(stack: Stack, x: Float[Array, " n_in *batch"]) -> Run:
    """One pass through a stack, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁], differentiated by forward and back substitution.

    The unknowns are (dx_0, dz_1, …, dz_N, dx_N) rather than dx: the adjoint of dzₗ is δₗ ∘ λₗ = ∂ℓ/∂bₗ, so the loop
    emits just what the weight gradients need, and these are one product over all layers, outside the loop.
    """
    h = activations.resolve(stack.activation)

    def layer(x: Array, wb: Any) -> Any:
        w, b = wb
        z = times(w, x) + b
        y = h.value(z) + x if stack.residual else h.value(z)
        return y, (x, h.slope(z))

    output, (inputs, slopes) = walk(layer, x, (stack.w, column(stack.b, x)))
    return Run(inputs, slopes, output)


@substituted_run.defjvp
def _substituted_run_jvp(primals: Any, tangents: Any) -> Any:
    (stack, x), (dstack, dx0) = primals, tangents
    inputs, slopes, output = primal = substituted_run(stack, x)
    w, δ, residual = stack.w, slopes, stack.residual

    def products(w: Array, x: Array) -> Array:
        return jnp.einsum("lij,lj...->li...", w, x)

    def perturbed_inputs(dx_in: Array, dz: Array) -> Array:
        """dx_0, …, dx_{N−1} from dz, by dxₗ = δₗ ∘ dzₗ [+ dxₗ₋₁]."""
        if stack.depth == 1:
            return dx_in[None]
        steps = jnp.concatenate([dx_in[None], (δ * dz)[:-1]])
        return jnp.cumsum(steps, axis=0) if residual else steps

    def system(unknowns: Any) -> Any:
        """The operator itself: dx_0;  dzₗ − Wₗ dxₗ₋₁;  dx_out − dx_N."""
        dx_in, dz, dx_out = unknowns
        dx = perturbed_inputs(dx_in, dz)
        return dx_in, dz - products(w, dx), dx_out - δ[-1] * dz[-1] - (dx[-1] if residual else 0)

    def forward_substitution(_: Any, rhs: Any) -> Any:
        dx_in, r, r_out = rhs

        def row(dx: Array, block: Any) -> Any:
            w, δ, r = block
            dz = times(w, dx) + r
            return δ * dz + dx if residual else δ * dz, dz

        dx_out, dz = walk(row, dx_in, (w, δ, r))
        return dx_in, dz, dx_out + r_out

    def back_substitution(_: Any, cotangents: Any) -> Any:
        g_in, g, λ_out = cotangents

        def row(λ: Array, block: Any) -> Any:
            w, δ, g = block
            μ = δ * λ + g  # the adjoint of z
            wTμ = _transpose_times(w, μ)
            return wTμ + λ if residual else wTμ, μ

        λ_in, μ = walk(row, λ_out, (w, δ, g), reverse=True)
        return λ_in + g_in, μ, λ_out

    r = products(dstack.w, inputs) + column(dstack.b, x)
    dx_in, dz, dx_out = _solve_in_parts(
        system, (dx0, r, jnp.zeros_like(output)), forward_substitution, back_substitution, coefficients=(w, δ)
    )
    z = products(w, inputs) + column(stack.b, x)
    dδ = jax.jvp(activations.resolve(stack.activation).slope, (z,), (dz,))[1]
    return primal, Run(perturbed_inputs(dx_in, dz), dδ, dx_out)


def _solve_in_parts(system: Any, rhs: Any, solve: Any, transpose_solve: Any, coefficients: Any) -> Any:
    """`lax.custom_linear_solve` for unknowns in several parts, differentiable to any order.

    JAX transposes such a solve only if every part of its right-hand side depends on what is differentiated, which a
    part that happens to be constant (a zero tangent) does not. So each part gets a zero that depends on all others, a
    sum over an empty slice: nothing is left of it once compiled. One part would do without, but keeping dx_0 and dx_N
    out of the large array of dz saves copying it: 15% on average of ten cells, half the time at depth 10,000, width 8.
    """

    def zero(parts: Any) -> Array:
        return jnp.sum(jnp.stack([jnp.sum(part[:0]) for part in parts]))

    def coupled(parts: Any, zero: Array) -> Any:
        return tuple(part + zero for part in parts)

    def coupled_system(unknowns: Any) -> Any:
        return coupled(system(unknowns), zero(coefficients) * zero(unknowns))

    solution = lax.custom_linear_solve(coupled_system, coupled(rhs, zero(rhs)), solve, transpose_solve)
    return coupled(solution, zero(solution))


def walk(layer: Callable[..., Any], x: Array, blocks: Any, reverse: bool = False) -> Any:
    """`lax.scan` over the layers, and a plain call for a single one, whose width may change."""
    if len(blocks[0]) > 1:
        return lax.scan(layer, x, blocks, reverse=reverse)
    x, out = layer(x, jax.tree.map(lambda block: block[0], blocks))
    return x, jax.tree.map(lambda leaf: leaf[None], out)


def column(b: Array, x: Array) -> Array:
    """The biases (depth, n), with an axis of length one where x has its batch."""
    return b.reshape(b.shape + (1,) * (x.ndim - 1))


# XLA's CPU calls a matrix-product routine for W x. Where W is small, plain loops are faster: forward + gradient at
# width 8, batch 32 (as columns) takes 0.9 instead of 1.7 µs a layer. Measured limits, for W and for its transpose.
_LOOP_TIMES = 16
_LOOP_TRANSPOSE_TIMES = 32


def times(w: Array, x: Array) -> Array:
    """W x for x: (n_in,) or (n_in, batch)."""
    if max(w.shape) > _LOOP_TIMES:
        return w @ x
    return jnp.sum(w.reshape(w.shape + (1,) * (x.ndim - 1)) * x, axis=1)


def _transpose_times(w: Array, x: Array) -> Array:
    """Wᵀ x for x: (n_out,) or (n_out, batch)."""
    if max(w.shape) > _LOOP_TRANSPOSE_TIMES:
        return w.T @ x
    return jnp.sum(w.reshape(w.shape + (1,) * (x.ndim - 1)) * x[:, None], axis=0)
