"""Levenberg–Marquardt as an optax transformation, for all examples at once.

It compares the objectives of successive steps, so each step must see the same objective: one batch
that holds all data, no dropout. One update is one iteration, whatever number of trial points it
looks at. In place of the gradient it takes the residuals, by name:

    update(g, state, params, residuals=r)

where r(params) is (r, J): f = ½‖r‖² with r: (m,), and J = ∂r/∂p: (m, P) by the parameters in the
order of `jax.flatten_util.ravel_pytree`. Trial points use r alone; under `jit` the J of a trial is
never computed. Other named arguments are passed over. The state is a tuple of one array.

It is jnn's own and not optimistix's solver in a wrapper, which keeps functions and jaxprs in its
state: a checkpoint cannot hold those, and they are not known before the data are. On the network
1-10-1 and nine draws of `jnn.data.ripple` that solver also reaches a mean square of 0.0025 less
often (within 50 iterations, float32: 72 % of 180 starts against 99 %). The settings here were
chosen on the same nine draws. The tests compare with optimistix's optima.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jax import Array, lax
from jax.scipy.linalg import cho_factor, cho_solve

from jnn import checks
from jnn.checks import Real, Tree
from jnn.optimizers.vectors import dot, flatten, needed


class LevenbergMarquardtState(NamedTuple):
    """The damping λ to try first; it has no unit."""

    damping: Tree  # ()


class _Factors(NamedTuple):
    """What λ is multiplied and divided by, and how often."""

    increase: float
    decrease: float
    trials: int


def optimizer(
    *, damping: Real = 1e-3, increase: Real = 1.5, decrease: Real = 3.0, trials: int = 30
) -> optax.GradientTransformationExtraArgs:
    """Gauss–Newton steps, damped as far as the objective wants it.

        (JᵀJ + λ D²) δ = −Jᵀ r,    D² = diag(JᵀJ) + mean diag(JᵀJ)

    λ is raised until the step lowers ½‖r‖², then lowered for the next iteration, both by small
    factors ("delayed gratification"). Where no trial lowers it, the step is zero and λ stays
    raised.

    Args:
      damping: λ to begin with; D makes it a pure number.
      increase: by what λ is multiplied after a trial that fails.
      decrease: by what it is divided after one that succeeds.
      trials: how many values of λ one iteration may try.
    Raises:
      ValueError: damping or trials are not positive, a factor is not above 1.
      TypeError: one of them is not a number.
    Source: Levenberg 1944, Marquardt 1963; Transtrum & Sethna 2012.

    >>> def residuals(p):
    ...     r = lambda p: jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])
    ...     return r(p), jax.jacfwd(r)(p)
    >>> p, method = jnp.array([-1.2, 1.0]), optimizer()
    >>> update = jax.jit(lambda *a: method.update(None, *a, residuals=residuals))
    >>> state = method.init(p)
    >>> for _ in range(30):
    ...     step, state = update(state, p)
    ...     p = p + step
    >>> bool(jnp.allclose(p, 1.0, atol=1e-4))
    True
    """
    damping = checks.number("damping", damping, above=0)
    factors = _Factors(
        checks.number("increase", increase, above=1),
        checks.number("decrease", decrease, above=1),
        checks.integer("trials", trials, 1),
    )

    def init(params: Tree) -> LevenbergMarquardtState:
        p, _ = flatten(params)
        return LevenbergMarquardtState(jnp.asarray(damping, p.dtype))

    def update(
        updates: Tree, state: Tree, params: Tree = None, **extra: Any
    ) -> tuple[Tree, LevenbergMarquardtState]:
        del updates  # the gradient is Jᵀ r
        (residuals,) = needed("levenberg_marquardt", extra, "residuals")
        return _step(residuals, state, params, factors)

    return optax.GradientTransformationExtraArgs(init, update)


def _step(
    residuals: Callable[[Tree], tuple[Array, Array]],
    state: LevenbergMarquardtState,
    params: Tree,
    factors: _Factors,
) -> tuple[Tree, LevenbergMarquardtState]:
    """The first step δ that lowers the objective, as λ rises, and the λ to try next."""
    p, restore = flatten(params)
    r, J = (jnp.asarray(a, p.dtype) for a in residuals(params))
    ε = jnp.finfo(p.dtype).eps
    D = _weights(J)
    solve = _damped_solve(J / D[None], r)

    def trial(carry: tuple[Any, Array, Array, Array]) -> tuple[Any, Array, Array, Array]:
        i, λ, _, _ = carry
        # NaN where rounding leaves the matrix indefinite: that trial fails, and λ rises
        δ = solve(λ) / D
        new, _ = residuals(restore(p + δ))
        lower = dot(new, new).astype(p.dtype) < dot(r, r)
        # beyond: Gauss–Newton, and no step
        λ = jnp.clip(jnp.where(lower, λ / factors.decrease, λ * factors.increase), ε, 1 / ε)
        return i + 1, λ, jnp.where(lower, δ, 0), lower

    def goes_on(carry: tuple[Any, Array, Array, Array]) -> Array:
        i, _, _, lower = carry
        return (i < factors.trials) & ~lower

    start = (0, state.damping, jnp.zeros_like(p), jnp.array(False))
    _, λ, δ, _ = lax.while_loop(goes_on, trial, start)
    return restore(δ), LevenbergMarquardtState(λ)


def _weights(J: Array) -> Array:
    """D: each parameter weighs what it moves, but none less than half the average.

    The first is Marquardt's, the second Levenberg's. Parameters that hardly move anything, such as
    those of a saturated unit, would otherwise run away. Of 180 starts on the ripple 99 % are done
    within 50 iterations; 93 % with D = I, 85 % with D² = diag(JᵀJ) alone, and 92 % with this D but
    Nielsen's rule for λ.
    """
    squares = jnp.sum(J * J, axis=0)
    D = jnp.sqrt(squares + jnp.mean(squares))
    return jnp.where(D > 0, D, 1)


def _damped_solve(J: Array, r: Array) -> Callable[[Array], Array]:
    """λ ↦ −(JᵀJ + λI)⁻¹ Jᵀ r, by Cholesky of JᵀJ or, where that is the smaller one, of JJᵀ.

    QR of J and the singular values square no condition number, and yet need as many iterations, in
    float32 as well: λ is never below its ε. They take 2 and 4 times as long.
    """
    m, P = J.shape
    wide = m < P
    A = dot(J, J.T) if wide else dot(J.T, J)
    b = r if wide else dot(J.T, r)
    I = jnp.eye(len(A), dtype=A.dtype)

    def solve(damping: Array) -> Array:
        c = cho_solve(cho_factor(A + damping * I), b)
        return -dot(J.T, c) if wide else -c

    return solve
