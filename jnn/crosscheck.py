"""Every way of differentiating a network against every other, and against finite differences."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from jnn import losses, network, triangular
from jnn.params import Params, sizes

FINITE_DIFFERENCES = "finite differences"

# Central differences in float64 carry an error of h² from the curvature and of 1e-16/h from rounding; h = ∛ε balances
# them near 4e-11, times the third derivative.
_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
_TOLERANCE = {True: 1e-6, False: 1e-10}  # relative: pairs with finite differences, exact pairs
_ALL_COORDINATES = 512  # up to so many parameters, differences along each one; beyond it, along random directions
_DIRECTIONS = 64

_Function: TypeAlias = Callable[[Array], Array]


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
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        x, y = np.asarray(x), np.asarray(y)
        network.check_example(params, x)
        if y.shape != (n_N := sizes(params)[-1],) and not (y.ndim == 0 and y.dtype.kind in "iu"):
            raise ValueError(f"y has shape {y.shape}; the target of one example is ({n_N},), or one integer label")
        losses.check_targets(loss, y[None], n_N)
        for name, values in (("x", x), ("y", y)):
            if not np.all(np.isfinite(values)):
                raise ValueError(f"{name} holds NaN or infinity: {values}")
        x, y = jnp.asarray(x, jnp.float64), jnp.asarray(y, None if y.dtype.kind in "iu" else jnp.float64)
        flat = np.concatenate([np.hstack([s.w.reshape(s.depth, -1), s.b]).ravel() for s in params])

        def objective(p: Array, backprop: str = "autodiff") -> Array:
            prediction = network.forward(_unravel(params, p), x, backprop=backprop)
            return losses.mean_loss(resolved, prediction[None], y[None])

        def states(p: Array, backprop: str = "autodiff") -> Array:
            hidden = network.hidden_states(_unravel(params, p), x, backprop=backprop)
            return jnp.concatenate([s.ravel() for s in hidden])

        def solved(p: Array) -> Array:
            L, D = triangular.linear_system(_unravel(params, p), x)[2:]
            return solve_triangular(jnp.eye(len(L)) - L, D, lower=True, unit_diagonal=True)

        errors, notes, methods = [], [], ["autodiff", "dense", "substitution", "parallel"]
        if triangular.dense_entries(params) <= triangular.DENSE_LIMIT:
            forward_mode = jax.jacfwd(lambda p: states(p, "substitution"))
            jacobians = {"autodiff": jax.jacrev(states), "dense": solved, "substitution": forward_mode}
            errors += _compare("Jacobian of all states", jacobians, states, flat, notes)
        else:
            methods.remove("dense")
            notes.append(f"left out as too large (limit {triangular.DENSE_LIMIT:,} entries): dense, Jacobian")
        gradients = {m: jax.grad(lambda p, m=m: objective(p, m)) for m in methods}
        errors += _compare("gradient of the loss", gradients, objective, flat, notes)
    return Report(tuple(errors), tuple(notes))


def _unravel(params: Params, p: Array) -> Params:
    """The network whose parameters are p, layer by layer, Wₗ row by row and then bₗ: the column order of D."""
    stacks, begin = [], 0
    for stack in params:
        depth, n, m = stack.w.shape
        block = p[begin : (begin := begin + depth * n * (m + 1))].reshape(depth, n * (m + 1))
        stacks.append(replace(stack, w=block[:, : n * m].reshape(depth, n, m), b=block[:, n * m :]))
    return tuple(stacks)


def _compare(quantity: str, exact: dict[str, _Function], f: _Function, p: Any, notes: list[str]) -> list[Difference]:
    """The derivatives of f at p by every method against every other, and against finite differences."""
    if p.size <= _ALL_COORDINATES:
        directions = np.eye(p.size)
    else:
        directions = np.random.default_rng(0).standard_normal((_DIRECTIONS, p.size))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    @jax.jit
    def evaluate(p: Array) -> Any:
        both_sides = jax.lax.map(lambda v: (f(p + _STEP * v), f(p - _STEP * v)), directions)
        return {method: derivative(p) for method, derivative in exact.items()}, f(p), *both_sides

    derivatives, here, after, before = jax.tree.map(np.asarray, evaluate(p))
    with np.errstate(all="ignore"):  # an infinity less an infinity is no agreement
        finite = (after - before) / (2 * _STEP)
        pairs = [(a, b, derivatives[a], derivatives[b]) for a, b in combinations(exact, 2)]
        pairs += [(a, FINITE_DIFFERENCES, directions @ derivatives[a].T, finite) for a in exact]
        differences = []
        for first, second, a, b in pairs:
            absolute, size = float(np.max(np.abs(a - b))), float(np.max(np.abs(a)))
            # two zeros agree; where the reference is zero or below float range a relative error says nothing
            relative = absolute / size if size > 0 else absolute
            differences.append(Difference(quantity, first, second, absolute, relative))
        kink = np.max(np.abs(after - 2 * here + before)) > 1e-3 * _STEP * np.max(np.abs(finite))
    if kink and not all(d.ok for d in differences[-len(exact) :]):
        notes.append(f"{quantity}: one-sided differences differ; at a kink there is no derivative")
    return differences
