"""The lower-triangular system (I − L) dx = D dp, and how it is solved.

A layer is zₗ = Wₗ xₗ₋₁ + bₗ, xₗ = h(zₗ) [+ xₗ₋₁], with slopes δₗ = h'(zₗ). Perturbing the parameters gives

    dzₗ = Wₗ dxₗ₋₁ + dWₗ xₗ₋₁ + dbₗ,        dxₗ = δₗ ∘ dzₗ [+ dxₗ₋₁],

which, written for all layers at once, is (I − L) dx = D dp: L holds the Jacobians Jₗ = diag(δₗ) Wₗ [+ I] one block
below the diagonal, D the local derivatives. Forward mode solves it by forward substitution, from the first layer to
the last; reverse mode solves the transpose, (I − L)ᵀ λ = ∂ℓ/∂x, by back substitution (arXiv:2303.15449).

Two ways to it stand here:

- `dense_states` assembles I − L and D and calls `solve_triangular`: to look at, and for small networks;
- `run` knows the structure of a stack's I − L, and has it solved block by block (`substitution`) or all blocks at once
  (`parallel`).

They are written for one example, x: (n,); `run` also takes a batch as columns, x: (n, batch).
"""

from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float

from jnn import activations, fused, newton, parallel, substitution
from jnn.params import Params, Stack, layers, sizes
from jnn.substitution import Run

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


@partial(jax.jit, inline=True)
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
    states, slopes, row, column = [x], [], 0, 0
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


# ---- by its structure: one rule, several solvers ----

Solver: TypeAlias = Literal["substitution", "parallel", "fused"]
Forward: TypeAlias = Literal["sequential", "newton"]


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def run(stack: Stack, x: Float[Array, " n_in *batch"], solver: Solver, forward: Forward = "sequential") -> Run:
    """One pass through a stack, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁], differentiated by solving its triangular system.

    The unknowns are (dx_0, dz_1, …, dz_N, dx_N) rather than dx: the adjoint of dzₗ is δₗ ∘ λₗ = ∂ℓ/∂bₗ, so the solve
    yields just what the weight gradients need, and these are one product over all layers.
    """
    if forward == "newton":
        return newton.run(stack, x)
    return fused.run(stack, x) if solver == "fused" and stack.depth > 1 else substitution.run(stack, x)


@run.defjvp
def _run_jvp(solver: Solver, forward: Forward, primals: Any, tangents: Any) -> Any:
    (stack, x), (dstack, dx0) = primals, tangents
    kept = run(stack, x, solver, forward)
    δ, residual = substitution.slopes(stack, kept), stack.residual
    # a single layer, which may change the width, has nothing to do in parallel
    forward_substitution, back_substitution = _SOLVERS["substitution" if stack.depth == 1 else solver]

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
        return dx_in, dz - products(stack.w, dx), dx_out - δ[-1] * dz[-1] - (dx[-1] if residual else 0)

    def solve(_: Any, rhs: Any) -> Any:
        dx_in, r, r_out = rhs
        dz, dx_out = forward_substitution(stack, kept, dx_in, r)
        return dx_in, dz, dx_out + r_out

    def transpose_solve(_: Any, cotangents: Any) -> Any:
        g_in, g, λ_out = cotangents
        μ, λ_in = back_substitution(stack, kept, g, λ_out)
        return λ_in + g_in, μ, λ_out

    r = products(dstack.w, kept.inputs) + substitution.column(dstack.b, x)
    coefficients = (stack.w, δ, kept.output)  # δ may be constant (identity), the output depends on all that varies
    rhs = (dx0, r, jnp.zeros_like(kept.output))
    dx_in, dz, dx_out = _solve_in_parts(system, rhs, solve, transpose_solve, coefficients)
    return kept, Run(perturbed_inputs(dx_in, dz), dx_out, None if kept.z is None else dz)


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


def _parallel_forward(stack: Stack, run: Run, dx: Array, r: Array) -> tuple[Array, Array]:
    """dz and dx_N from dxₗ = Jₗ dxₗ₋₁ + δₗ ∘ rₗ, all layers at once."""

    def solve(δ: Array, dx: Array, r: Array) -> tuple[Array, Array]:
        after = parallel.affine_scan(_jacobians(stack, δ), δ * r, dx)
        before = jnp.concatenate([dx[None], after[:-1]])
        return jnp.einsum("lij,lj->li", stack.w, before) + r, after[-1]

    return _by_columns(solve, dx)(substitution.slopes(stack, run), dx, r)


def _parallel_back(stack: Stack, run: Run, g: Array, λ: Array) -> tuple[Array, Array]:
    """μ and λ_0 from λₗ₋₁ = Jₗᵀ λₗ + Wₗᵀ gₗ, all layers at once."""

    def solve(δ: Array, g: Array, λ: Array) -> tuple[Array, Array]:
        J_T, Wᵀg = jnp.swapaxes(_jacobians(stack, δ), 1, 2), jnp.einsum("lij,li->lj", stack.w, g)
        before = parallel.affine_scan(J_T[::-1], Wᵀg[::-1], λ)[::-1]  # λ_0, …, λ_{N−1}
        return δ * jnp.concatenate([before[1:], λ[None]]) + g, before[0]

    return _by_columns(solve, λ)(substitution.slopes(stack, run), g, λ)


def _jacobians(stack: Stack, δ: Array) -> Array:
    """J = diag(δ) W [+ I] of all layers."""
    J = δ[:, :, None] * stack.w
    return J + jnp.eye(J.shape[1], dtype=J.dtype) if stack.residual else J


def _by_columns(solve: Any, x: Array) -> Any:
    return solve if x.ndim == 1 else jax.vmap(solve, in_axes=-1, out_axes=-1)


_SOLVERS: dict[str, Any] = {
    "substitution": (substitution.forward_substitution, substitution.back_substitution),
    "parallel": (_parallel_forward, _parallel_back),
    "fused": (fused.forward_substitution, fused.back_substitution),
}
