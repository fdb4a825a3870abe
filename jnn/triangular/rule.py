"""The differentiation rule of a stack: one linear solve, with the system written for dz.

The pass xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁] is given its derivative by hand (`jax.custom_jvp`), and JAX
derives all else by transposition. The unknowns are dz, because their adjoints are just what the
weight gradients need, μₗ = δₗ ∘ λₗ = ∂ℓ/∂bₗ; and dx_0 and dx_N beside them, where the stack meets
its neighbours. With Δₗ = diag(δₗ) the system that is solved reads (without residual)

    ⎡   I                               ⎤ ⎡ dx_0 ⎤   ⎡        dx_0          ⎤
    ⎢ −W_1    I                         ⎥ ⎢ dz_1 ⎥   ⎢  dW_1 x_0 + db_1     ⎥
    ⎢      −W_2 Δ_1    I                ⎥ ⎢ dz_2 ⎥ = ⎢  dW_2 x_1 + db_2     ⎥
    ⎢               ⋱       ⋱           ⎥ ⎢   ⋮  ⎥   ⎢         ⋮            ⎥
    ⎢              −W_N Δ_{N−1}    I    ⎥ ⎢ dz_N ⎥   ⎢  dW_N x_{N−1} + db_N ⎥
    ⎣                            −Δ_N  I⎦ ⎣ dx_N ⎦   ⎣         0            ⎦

and its rows, multiplied by Δₗ, are those of (I − L) dx = D dp, since dxₗ = Δₗ dzₗ. With a residual
dxₗ = Δₗ dzₗ + dxₗ₋₁. Forward substitution solves it from top to bottom, back substitution its
transpose from bottom to top; `SOLVERS` names the ways to do it, each a file of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jnn.params import Stack
from jnn.shapes import Float
from jnn.triangular import fused, newton, parallel, substitution
from jnn.triangular.linear_solve import Parts, solve_in_parts
from jnn.triangular.loops import column
from jnn.triangular.platforms import either
from jnn.triangular.substitution import Pass, slopes


class Solver(NamedTuple):
    """A way to solve the system, and the pass that goes with it."""

    walk: Callable[[Stack, Array], Pass]
    forward_substitution: Callable[[Stack, Pass, Array, Array], tuple[Array, Array]]
    back_substitution: Callable[[Stack, Pass, Array, Array], tuple[Array, Array]]


SOLVERS = {
    "substitution": Solver(
        substitution.walk, substitution.forward_substitution, substitution.back_substitution
    ),
    "parallel": Solver(
        substitution.walk, parallel.forward_substitution, parallel.back_substitution
    ),
    "fused": Solver(fused.walk, fused.forward_substitution, fused.back_substitution),
    "auto": Solver(  # each of the two where it is the faster
        substitution.walk,
        either(
            substitution.forward_substitution,
            partial(parallel.forward_substitution, chunk=parallel.CHUNK),
        ),
        either(
            substitution.back_substitution,
            partial(parallel.back_substitution, chunk=parallel.CHUNK),
        ),
    ),
}


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def solved_pass(
    stack: Stack, x: Float[Array, " n_in *batch"], solver: str, states: str = "sequential"
) -> Pass:
    """One pass through a stack, differentiated by solving its triangular system.

    Args:
      stack: of layers xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁].
      x: one example, or a batch as columns.
      solver: a name of SOLVERS.
      states: "sequential", or "newton", all layers at once.
    """
    if states == "newton":
        return newton.walk(stack, x)
    return _solver(stack, solver).walk(stack, x)


def _solver(stack: Stack, name: str) -> Solver:
    """A single layer, which may change the width, has nothing to do in parallel."""
    return SOLVERS["substitution" if stack.depth == 1 else name]


@solved_pass.defjvp
def _solved_pass_jvp(
    name: str, states: str, primals: tuple[Stack, Array], tangents: tuple[Stack, Array]
) -> tuple[Pass, Pass]:
    (stack, x), (dstack, dx0) = primals, tangents
    done = solved_pass(stack, x, name, states)
    δ = slopes(stack, done)
    solver = _solver(stack, name)

    def products(w: Array, x: Array) -> Array:
        return jnp.einsum("lij,lj...->li...", w, x)

    def perturbed_inputs(dx_in: Array, dz: Array) -> Array:
        """dx_0, …, dx_{N−1} from dz, by dxₗ = δₗ ∘ dzₗ [+ dxₗ₋₁]."""
        if stack.depth == 1:
            return dx_in[None]
        steps = jnp.concatenate([dx_in[None], (δ * dz)[:-1]])
        return jnp.cumsum(steps, axis=0) if stack.residual else steps

    def system(unknowns: Parts) -> Parts:
        """The rows of the matrix above: dx_0;  dzₗ − Wₗ dxₗ₋₁;  dx_N − δ_N ∘ dz_N [− dx_{N−1}]."""
        dx_in, dz, dx_out = unknowns
        dx = perturbed_inputs(dx_in, dz)
        last = δ[-1] * dz[-1] + (dx[-1] if stack.residual else 0)
        return dx_in, dz - products(stack.w, dx), dx_out - last

    def solve(_: Any, rhs: Parts) -> Parts:
        dx_in, r, r_out = rhs
        dz, dx_out = solver.forward_substitution(stack, done, dx_in, r)
        return dx_in, dz, dx_out + r_out

    def transpose_solve(_: Any, cotangents: Parts) -> Parts:
        g_in, g, λ_out = cotangents
        μ, λ_in = solver.back_substitution(stack, done, g, λ_out)
        return λ_in + g_in, μ, λ_out

    r = products(dstack.w, done.inputs) + column(dstack.b, x)
    coefficients = (stack.w, δ, done.output)  # δ may be constant; on what varies the output depends
    rhs = (dx0, r, jnp.zeros_like(done.output))
    dx_in, dz, dx_out = solve_in_parts(system, rhs, solve, transpose_solve, coefficients)
    return done, Pass(perturbed_inputs(dx_in, dz), dx_out, None if done.z is None else dz)
