"""Every way of differentiating a network against every other, and against finite differences."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from jnn import arrays, losses, targets
from jnn.checks import Data
from jnn.losses import LossLike
from jnn.params import Params, sizes
from jnn.precision import full_precision
from jnn.structure import check_params
from jnn.transfers import meant
from jnn.triangular import dense, network
from jnn.triangular.inputs import check_example
from jnn.triangular.states import hidden_states

FINITE_DIFFERENCES = "finite differences"

# Central differences in float64 carry an error of h² from the curvature and of 1e-16/h from
# rounding; h = ∛ε balances them near 4e-11, times the third derivative.
_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
_TOLERANCE = {True: 1e-6, False: 1e-10}  # relative: pairs with finite differences, exact pairs
# up to so many parameters, differences along each one; beyond it, along random directions
_ALL_COORDINATES = 512
_DIRECTIONS = 64

_Function: TypeAlias = Callable[[Array], Array]


class Difference(NamedTuple):
    """How far two methods are apart in one quantity."""

    quantity: str
    first: str
    second: str
    absolute: float
    relative: float  # to the largest entry of the quantity

    @property
    def tolerance(self) -> float:
        """The relative difference that counts as agreement."""
        return _TOLERANCE[FINITE_DIFFERENCES in (self.first, self.second)]

    @property
    def ok(self) -> bool:
        """Whether the two agree; a NaN does not."""
        return self.relative <= self.tolerance

    def __str__(self) -> str:
        words = f"{self.quantity:<24}{self.first:<14}{self.second:<20}"
        numbers = f"{self.absolute:>10.1e}{self.relative:>10.1e}{self.tolerance:>10.0e}"
        return words + numbers + ("" if self.ok else "  ✗")


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
        words = f"{'quantity':<24}{'method':<14}{'against':<20}"
        head = words + f"{'absolute':>10}{'relative':>10}{'allowed':>10}"
        line = "─" * len(head)
        verdict = "all pairs agree" if self.ok else "NOT all pairs agree"
        far = self.furthest
        last = (
            f"{verdict}; furthest apart: {far.first} and {far.second} "
            f"({far.quantity}, relative {far.relative:.1e})"
        )
        return "\n".join([head, line, *map(str, self.errors), line, *self.notes, last])


@meant
@full_precision
def crosscheck(params: Params, x: Data, y: Data, *, loss: LossLike = "half_mse") -> Report:
    """Compare autodiff, dense solve, substitution, parallel solve and finite differences.

    Everything is computed in float64. Two quantities: the Jacobian of all states (x_1, …, x_N) by
    all parameters, for small networks, and the gradient of the loss, for any. Where a network has
    more than 512 parameters, central differences are taken along 64 random directions v and
    compared with ⟨∇ℓ, v⟩, so that a wrong entry anywhere shows.

    Args:
      params: the network; float32 parameters are compared as the float64 numbers they are.
      x: one example, (n_0,).
      y: its target, (n_N,), or an integer label for a loss that takes labels.
      loss: a name of `jnn.LOSSES` or a function of (prediction, target).
    Raises:
      ValueError: x or y have the wrong shape or are not finite, or the loss is unknown or does not
        go with the network's output.

    >>> params = jnn.init_network_params([1, 1, 1], jax.random.key(0), activation="sigmoid")
    >>> crosscheck(params, jnp.array([5.0]), jnp.array([3.0])).ok
    True
    """
    known = losses.resolve(loss)
    check_params(params)
    with jax.enable_x64(True):  # scoped to this block: nothing global is changed
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        x, y = _example(params, x, y, loss)
        matrices = [
            np.hstack([stack.w.reshape(stack.depth, -1), stack.b]).ravel() for stack in params
        ]
        flat = np.concatenate(matrices)

        def objective(p: Array, backprop: str = "autodiff") -> Array:
            prediction = network.forward(_unravel(params, p), x, backprop=backprop)
            return losses.mean_loss(known, prediction[None], y[None])

        def states(p: Array, backprop: str = "autodiff") -> Array:
            every = hidden_states(_unravel(params, p), x, backprop=backprop)
            return jnp.concatenate([s.ravel() for s in every])

        def solved(p: Array) -> Array:
            _, _, L, D = dense.linear_system(_unravel(params, p), x)
            return solve_triangular(jnp.eye(len(L)) - L, D, lower=True, unit_diagonal=True)

        errors, notes = [], []
        methods = ["autodiff", "dense", "substitution", "parallel"]
        if dense.entries(params) <= dense.LIMIT:
            forward_mode = jax.jacfwd(lambda p: states(p, "substitution"))
            jacobians = {
                "autodiff": jax.jacrev(states), "dense": solved, "substitution": forward_mode
            }  # fmt: skip
            errors += _compare("Jacobian of all states", jacobians, states, flat, notes)
        else:
            methods.remove("dense")
            notes.append(f"left out as too large (limit {dense.LIMIT:,} entries): dense, Jacobian")
        gradients = {m: jax.grad(lambda p, m=m: objective(p, m)) for m in methods}
        errors += _compare("gradient of the loss", gradients, objective, flat, notes)
    return Report(tuple(errors), tuple(notes))


def _example(params: Params, x: Data, y: Data, loss: LossLike) -> tuple[Array, Array]:
    """x and y in float64 (a label stays an integer), or an error."""
    x, y = arrays.numbers("x", x), arrays.numbers("y", y)
    check_example(params, x)
    n_N = sizes(params)[-1]
    label = y.ndim == 0 and y.dtype.kind in "iu"
    if y.shape != (n_N,) and not label:
        raise ValueError(
            f"y has shape {y.shape}; the target of one example is ({n_N},), or one integer label"
        )
    targets.check_output(loss, params[-1].activation)
    targets.check_targets(loss, y[None], n_N)
    for name, values in (("x", x), ("y", y)):
        if not np.all(np.isfinite(values)):
            raise ValueError(f"{name} holds NaN or infinity: {values}")
    integers = y.dtype.kind in "iu"
    return jnp.asarray(x, jnp.float64), jnp.asarray(y, None if integers else jnp.float64)


def _unravel(params: Params, p: Array) -> Params:
    """The network whose parameters are p, layer by layer, Wₗ row by row and then bₗ, as in D."""
    stacks, begin = [], 0
    for stack in params:
        depth, n, m = stack.w.shape
        end = begin + depth * n * (m + 1)
        block = p[begin:end].reshape(depth, n * (m + 1))
        begin = end
        w = block[:, : n * m].reshape(depth, n, m)
        stacks.append(replace(stack, w=w, b=block[:, n * m :]))
    return tuple(stacks)


def _compare(
    quantity: str, exact: dict[str, _Function], f: _Function, p: np.ndarray, notes: list[str]
) -> list[Difference]:
    """The derivatives of f at p by every method against each other, and finite differences."""
    if p.size <= _ALL_COORDINATES:
        directions = np.eye(p.size)
    else:
        directions = np.random.default_rng(0).standard_normal((_DIRECTIONS, p.size))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    @jax.jit
    def evaluate(p: Array) -> tuple[dict[str, Array], Array, Array, Array]:
        after, before = jax.lax.map(lambda v: (f(p + _STEP * v), f(p - _STEP * v)), directions)
        return {method: derivative(p) for method, derivative in exact.items()}, f(p), after, before

    derivatives, here, after, before = jax.tree.map(np.asarray, evaluate(p))
    with np.errstate(all="ignore"):  # an infinity less an infinity is not agreement
        finite = (after - before) / (2 * _STEP)
        differences = [
            _difference(quantity, (a, b), derivatives[a], derivatives[b])
            for a, b in combinations(exact, 2)
        ]
        differences += [
            _difference(quantity, (a, FINITE_DIFFERENCES), directions @ derivatives[a].T, finite)
            for a in exact
        ]
        jump = np.max(np.abs(after - 2 * here + before))
        kink = jump > 1e-3 * _STEP * np.max(np.abs(finite))
    if kink and not all(d.ok for d in differences[-len(exact) :]):
        notes.append(f"{quantity}: one-sided differences differ; at a kink there is no derivative")
    return differences


def _difference(
    quantity: str, methods: tuple[str, str], a: np.ndarray, b: np.ndarray
) -> Difference:
    absolute = float(np.max(np.abs(a - b)))
    size = float(np.max(np.abs(a)))
    # two zeros agree; where the reference is zero or below float range a relative error is void
    relative = absolute / size if size > 0 else absolute
    return Difference(quantity, *methods, absolute, relative)
