"""Every way of differentiating a network against every other, and against finite differences."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular

from jnn import losses, network, triangular
from jnn.params import Params, layers, sizes

FINITE_DIFFERENCES = "finite differences"

# Central differences in float64 carry an error of h² from the curvature and of 1e-16/h from rounding; h = ∛ε balances
# them near 4e-11, times the third derivative.
_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
_TOLERANCE = {True: 1e-6, False: 1e-10}  # relative: pairs with finite differences, exact pairs
_ALL_COORDINATES = 512  # up to so many parameters, differences along each one; beyond it, along random directions
_DIRECTIONS = 64


class Difference(NamedTuple):
    """How far two methods are apart in one quantity; `relative` is to the largest entry of the quantity."""

    quantity: str
    first: str
    second: str
    absolute: float
    relative: float

    @property
    def tolerance(self) -> float:
        """The relative difference that counts as agreement."""
        return _TOLERANCE[FINITE_DIFFERENCES in (self.first, self.second)]

    @property
    def ok(self) -> bool:
        """Whether the two agree; a NaN does not."""
        return self.relative <= self.tolerance


@dataclass(frozen=True)
class Report:
    """All pairwise differences, and what was left out and why. `print` it."""

    errors: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every pair agrees to its tolerance."""
        return all(error.ok for error in self.errors)

    @property
    def furthest(self) -> Difference:
        """The pair with the largest relative difference (a NaN is the largest)."""
        return max(self.errors, key=lambda e: np.inf if np.isnan(e.relative) else e.relative)

    def __str__(self) -> str:
        head = f"{'quantity':<24}{'method':<14}{'against':<20}{'absolute':>10}{'relative':>10}{'allowed':>10}"
        rows = [
            f"{e.quantity:<24}{e.first:<14}{e.second:<20}{e.absolute:>10.1e}{e.relative:>10.1e}{e.tolerance:>10.0e}"
            + ("" if e.ok else "  ✗")
            for e in self.errors
        ]
        far = self.furthest
        verdict = "all pairs agree" if self.ok else "NOT all pairs agree"
        last = f"{verdict}; furthest apart: {far.first} and {far.second} ({far.quantity}, relative {far.relative:.1e})"
        return "\n".join([head, "─" * len(head), *rows, "─" * len(head), *self.notes, last])


def crosscheck(params: Params, x: Any, y: Any, *, loss: str | Callable[..., Any] = "half_mse") -> Report:
    """Compare autodiff, the dense solve, substitution, the parallel solve and central finite differences, in float64.

    Two quantities: the Jacobian of all states (x_1, …, x_N) by all parameters, for small networks, and the gradient of
    the loss, for any. Where a network has more than 512 parameters, finite differences are taken along 64 random
    directions v and compared with ⟨∇ℓ, v⟩, so that a wrong entry anywhere shows.

    Args:
      params: the network; float32 parameters are compared as the float64 numbers they are.
      x: one example, (n_0,).
      y: its target, (n_N,), or an integer label for "cross_entropy".
      loss: a name of `jnn.losses.LOSSES` or a function of (prediction, target).
    Raises:
      ValueError: x or y have the wrong shape or are not finite, or the loss is unknown.

    >>> params = jnn.init_network_params([1, 1, 1], jax.random.key(0), activation="sigmoid")
    >>> crosscheck(params, jnp.array([5.0]), jnp.array([3.0])).ok
    True
    """
    resolved = losses.resolve(loss)
    with jax.enable_x64(True):  # scoped to this block: nothing global is changed
        params = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), params)
        x, y = np.asarray(x), np.asarray(y)
        network.check_example(params, x)
        if y.shape != (n_N := sizes(params)[-1],) and not (y.ndim == 0 and y.dtype.kind in "iu"):
            raise ValueError(f"y has shape {y.shape}; the target of one example is ({n_N},), or one integer label")
        losses.check_targets(loss, y[None], n_N)
        for name, values in (("x", x), ("y", y)):
            if not np.all(np.isfinite(values)):
                raise ValueError(f"{name} holds NaN or infinity: {values}")
        x, y = jnp.asarray(x, jnp.float64), jnp.asarray(y, None if y.dtype.kind in "iu" else jnp.float64)
        flat, unravel = _layer_order(params)

        def objective(p: Array, backprop: str = "autodiff") -> Array:
            prediction = network.forward(unravel(p), x, backprop=backprop)
            return losses.mean_loss(resolved, prediction[None], y[None])

        def states(p: Array, backprop: str = "autodiff") -> Array:
            return jnp.concatenate([s.ravel() for s in network.hidden_states(unravel(p), x, backprop=backprop)])

        errors, notes = [], []
        fits = triangular.dense_entries(params) <= triangular.DENSE_LIMIT
        if fits:
            L, D = jax.jit(triangular.linear_system)(params, x)[2:]
            errors += _compare(
                "Jacobian of all states",
                {
                    "autodiff": jax.jit(jax.jacrev(states))(flat),
                    "dense": solve_triangular(jnp.eye(len(L)) - L, D, lower=True, unit_diagonal=True),
                    "substitution": jax.jit(jax.jacfwd(lambda p: states(p, "substitution")))(flat),
                },
                states,
                flat,
                notes,
            )
        else:
            notes.append(
                f"left out as too large to assemble (limit {triangular.DENSE_LIMIT:,} entries): dense, Jacobian"
            )
        methods = ["autodiff", *(["dense"] if fits else []), "substitution", "parallel"]
        gradients = {m: jax.jit(jax.grad(lambda p, m=m: objective(p, m)))(flat)[None] for m in methods}
        errors += _compare("gradient of the loss", gradients, lambda p: objective(p)[None], flat, notes)
    return Report(tuple(errors), tuple(notes))


def _layer_order(params: Params) -> tuple[Array, Callable[[Array], Params]]:
    """The parameters as one vector, layer by layer: the column order of D. And the way back."""
    flat, unravel = ravel_pytree(params)
    index = unravel(jnp.arange(flat.size, dtype=flat.dtype))
    order = jnp.concatenate([i.ravel() for layer in layers(index) for i in layer]).astype(int)
    back = jnp.argsort(order)
    return flat[order], lambda p: unravel(p[back])


def _compare(
    quantity: str, exact: dict[str, Array], f: Callable[[Array], Array], p: Array, notes: list[str]
) -> list[Difference]:
    """Every method against every other, and against the finite differences of f at p."""
    if p.size <= _ALL_COORDINATES:
        directions = jnp.eye(p.size, dtype=p.dtype)
    else:
        directions = jax.random.normal(jax.random.key(0), (_DIRECTIONS, p.size), p.dtype)
        directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
    pairs = [(a, b, exact[a], exact[b]) for a, b in combinations(exact, 2)]
    difference = jax.jit(lambda v: (f(p + _STEP * v) - f(p - _STEP * v)) / (2 * _STEP))
    finite = jax.lax.map(difference, directions)
    pairs += [(a, FINITE_DIFFERENCES, directions @ exact[a].T, finite) for a in exact]
    differences = []
    for first, second, a, b in pairs:
        absolute, size = float(jnp.max(jnp.abs(a - b))), float(jnp.max(jnp.abs(a)))
        # two zeros agree; where the reference is zero or below float range a relative error says nothing
        relative = absolute / size if size > 0 else absolute
        differences.append(Difference(quantity, first, second, absolute, relative))
    if not all(d.ok for d in differences[-len(exact) :]):
        right, left = jax.lax.map(lambda v: (f(p + _STEP * v) - f(p), f(p) - f(p - _STEP * v)), directions)
        if jnp.max(jnp.abs(right - left)) > 1e-3 * _STEP * jnp.max(jnp.abs(finite)):
            notes.append(f"{quantity}: one-sided differences differ; at a kink there is no derivative")
    return differences
