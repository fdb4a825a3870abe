"""Deep maps of any layer function, differentiated by the same rule as a stack.

Of a layer xₗ = f(pₗ, xₗ₋₁, s) the rule needs the Jacobians Jₗ = ∂xₗ/∂xₗ₋₁ and the perturbations

    rₗ = ∂f/∂p dpₗ + ∂f/∂s ds,

where s is what all layers share. Neither depends on another layer once the states are known, so
both are computed for all layers at once; what is left for the loop is the state's linear map,

    dxₗ = Jₗ dxₗ₋₁ + rₗ,        λₗ₋₁ = Jₗᵀ λₗ + gₗ₋₁,

and that loop may be solved in parallel, too.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

from jnn import arrays, checks
from jnn.checks import Tree
from jnn.triangular import parallel
from jnn.triangular.method import fastest, solver
from jnn.triangular.platforms import by_platform, either
from jnn.triangular.products import times

Layer: TypeAlias = Callable[..., Any]  # (p, x, *shared) -> x


@checks.renamed(states="all_states=")
def deep(layer: Layer, *, backprop: str = "auto", all_states: bool = False) -> Callable[..., Any]:
    """The map x_0 ↦ x_N of layers xₗ = layer(pₗ, xₗ₋₁, *shared), as a function (p, x, *shared).

    Args:
      layer: a function of one layer's parameters, one example's state and whatever all layers
        share, that returns the next state. Pure, and not closed over what is differentiated: that
        must come in through `p` or `shared`.
      backprop: "substitution", "parallel", "autodiff" (JAX differentiates the scan), or "auto".
      all_states: return every state x_1, …, x_N, along a leading axis, not the last alone.
    Returns:
      A function of p, a tree of arrays (depth, …); x, an array or a tree of arrays of one dtype;
      and *shared. Weights that all layers share, as in a recurrent cell, go there, and the inputs
      of every step into `p`. Use `jax.vmap` for a batch and `jax.jit` around all.
    Raises:
      ValueError: an unknown way of differentiating; leaves of p of different depth; a layer that
        changes the state's shape or dtype.
      TypeError: the layer is not a function.

    >>> def gated(p, x):
    ...     return x + jax.nn.sigmoid(p["gate"]) * jnp.tanh(p["w"] @ x)
    >>> p = {"gate": jnp.zeros((100, 2)), "w": jnp.full((100, 2, 2), 0.01)}
    >>> jnn.deep(gated)(p, jnp.ones(2)).shape
    (2,)
    """
    checks.function("layer", layer, "a function (p, x, *shared) -> x")
    checks.known("backprop", backprop, ("auto", "autodiff", "substitution", "parallel"))
    checks.flag("all_states", all_states)

    def network(p: Tree, x: Tree, *shared: Tree) -> Any:
        depth = _depth(p)
        leaves, structure = jax.tree.flatten(
            jax.tree.map(lambda leaf: arrays.traceable("x", leaf), x)
        )
        f = _OnVectors(layer, structure, tuple(np.shape(leaf) for leaf in leaves))
        x, _ = ravel_pytree(leaves)
        _check_layer(f, p, x, shared)

        def every_state(method: str, p: Tree, x: Array, shared: Tree) -> Array:
            if method == "autodiff":
                return _scan(f, p, x, shared)
            return _states(f, method, p, x, shared)

        def method(platform: str) -> str:
            if backprop == "auto":
                return solver(depth, x.size) or fastest(depth, x.size, backend=platform)
            return backprop

        every = by_platform(every_state, method, p, x, shared)
        return jax.vmap(f.state)(every) if all_states else f.state(every[-1])

    return network


@dataclasses.dataclass(frozen=True)
class _OnVectors:
    """A layer on states as vectors; equal ones are one to JAX, which then compiles nothing anew."""

    layer: Layer
    structure: Any  # of the state, a tree
    shapes: tuple[tuple[int, ...], ...]

    def __call__(self, p: Tree, x: Array, shared: Tree) -> Array:
        return ravel_pytree(self.layer(p, self.state(x), *shared))[0]

    def state(self, x: Array) -> Any:
        """The state as the layer knows it."""
        parts = jnp.split(x, list(accumulate(math.prod(shape) for shape in self.shapes))[:-1])
        leaves = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return jax.tree.unflatten(self.structure, leaves)


def _scan(layer: Layer, p: Tree, x: Array, shared: Tree) -> Array:
    def step(x: Array, p: Tree) -> tuple[Array, Array]:
        x = layer(p, x, shared)
        return x, x

    return lax.scan(step, x, p)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _states(layer: Layer, solver: str, p: Tree, x: Array, shared: Tree) -> Array:  # noqa: ARG001
    """x_1, …, x_N: (depth, n); the solver is the rule's."""
    return _scan(layer, p, x, shared)


@_states.defjvp
def _states_jvp(layer: Layer, solver: str, primals: Tree, tangents: Tree) -> tuple[Array, Array]:
    (p, x, shared), (dp, dx, dshared) = primals, tangents
    states = _states(layer, solver, p, x, shared)
    before = jnp.concatenate([x[None], states[:-1]])
    J = jax.vmap(jax.jacfwd(layer, argnums=1), (0, 0, None))(p, before, shared)

    def perturbation(p: Tree, x: Array, dp: Tree) -> Array:
        return jax.jvp(lambda p, shared: layer(p, x, shared), (p, shared), (dp, dshared))[1]

    r = jax.vmap(perturbation)(p, before, dp)
    r = r.at[0].add(J[0] @ dx)

    def system(dx: Array) -> Array:
        below = jnp.einsum("lij,lj->li", J[1:], dx[:-1])
        return dx - jnp.concatenate([jnp.zeros_like(dx[:1]), below])

    J_T = jnp.swapaxes(J, 1, 2)
    forward, back = _SOLVERS[solver]
    dx = lax.custom_linear_solve(system, r, lambda _, r: forward(J, r), lambda _, g: back(J_T, g))
    return states, dx


def _substituted(J: Array, r: Array) -> Array:
    """dxₗ = Jₗ dxₗ₋₁ + rₗ."""

    def row(dx: Array, block: tuple[Array, Array]) -> tuple[Array, Array]:
        J, r = block
        dx = times(J, dx) + r
        return dx, dx

    return lax.scan(row, jnp.zeros_like(r[0]), (J, r))[1]


def _substituted_back(J_T: Array, g: Array) -> Array:
    """λₗ = Jₗ₊₁ᵀ λₗ₊₁ + gₗ."""

    def row(λ: Array, block: tuple[Array, Array]) -> tuple[Array, Array]:
        J_T, g = block
        λ = λ + g
        return times(J_T, λ), λ

    return lax.scan(row, jnp.zeros_like(g[0]), (J_T, g), reverse=True)[1]


def _parallel(J: Array, r: Array) -> Array:
    return parallel.affine_scan(J, r, jnp.zeros_like(r[0]))


def _parallel_back(J_T: Array, g: Array) -> Array:
    # nothing follows the last layer
    after = jnp.concatenate([J_T[1:], jnp.zeros_like(J_T[:1])])
    return parallel.affine_scan(after[::-1], g[::-1], jnp.zeros_like(g[0]))[::-1]


_SOLVERS = {
    "substitution": (_substituted, _substituted_back),
    "parallel": (_parallel, _parallel_back),
    "auto": (  # as of `rule.SOLVERS`
        either(_substituted, _parallel),
        either(_substituted_back, _parallel_back),
    ),
}


def _depth(p: Tree) -> int:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(p)]
    depths = {shape[:1] for shape in shapes}
    if len(depths) != 1 or () in depths:
        raise ValueError(
            f"p has leaves of shapes {shapes}; expected a tree of arrays (depth, …) of one depth"
        )
    if shapes[0][0] == 0:
        raise ValueError("p has depth 0: a deep map needs at least one layer")
    return shapes[0][0]


def _check_layer(layer: _OnVectors, p: Tree, x: Array, shared: Tree) -> None:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x must hold floating-point numbers, got {x.dtype}: x.astype(float)")
    first = jax.tree.map(lambda leaf: leaf[0], p)
    after = jax.eval_shape(layer, first, x, shared)
    if (after.shape, after.dtype) != (x.shape, x.dtype):
        raise ValueError(
            f"the layer makes a state of {after.size} numbers, {after.dtype}, from one of "
            f"{x.size}, {x.dtype}; all states must be alike: put what changes the width before or "
            "behind the deep map"
        )
