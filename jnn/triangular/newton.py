"""The forward pass in parallel: Newton on all layers at once.

The states X = (x_1, …, x_N) of a stack solve Φ(X) = X, where Φ maps each layer's input to its
output. A Newton step is one solve of the triangular system, by its parallel solver,

    (I − L(X)) ΔX = Φ(X) − X,

so that the depth of the computation is the number of steps times O(log N) (Danieli et al. 2023,
DeepPCR; Lim et al. 2024, DEER). Where layers contract on average the steps are few at any depth;
where they expand, perturbations grow like e^{γl} with the largest Lyapunov exponent γ > 0, and no
parallel method is fast. So the first layers are walked, together with one tangent, to estimate γ; a
network that is clearly chaotic, and one on which Newton does not converge, is walked to its end.
The answer is right in either case.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jnn import activations
from jnn.equality import by_value
from jnn.meshes import compiled
from jnn.params import Params, Stack, up_to_logits
from jnn.shapes import Float
from jnn.triangular import loops, parallel, substitution
from jnn.triangular.inputs import check_batch
from jnn.triangular.products import times
from jnn.triangular.slices import Index, get, put
from jnn.triangular.substitution import Pass

STEPS = 24  # at most
PROBE = 128  # layers walked at most, and at most a twentieth of all

Carry = tuple[Array, Array, Array, Array]


@by_value
class Solution(NamedTuple):
    """The states, and what Newton did: one number for the whole batch, but for the exponent."""

    result: Pass  # as of `substitution.walk`
    iterations: Array  # Newton steps; 0 where none was tried
    residual: Array  # of Φ(X) = X, relative, where Newton ended; 0 after a walk
    exponent: Array  # (batch,): largest Lyapunov exponent a layer, estimated on the first layers
    sequential: Array  # whether the pass was walked to its end


def solve_states(params: Params, x: ArrayLike) -> tuple[Solution | None, ...]:
    """What `states="newton"` does on a batch: iterations, residual, Lyapunov exponent, fallback.

    Args:
      params: the network.
      x: (batch, n_0), one example a row.
    Returns:
      For each stack a `Solution`, with states as columns (depth, n, batch), or None for one too
      shallow for it.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.init_network_params([8] * 101, jax.random.key(0), init="orthogonal")
    >>> hidden, readout = solve_states(params, jnp.ones((2, 8)))
    >>> bool(hidden.iterations <= 10), bool(hidden.sequential), readout
    (True, False, None)
    """
    return _solve_states(*check_batch(params, x))


@compiled
def _solve_states(params: Params, X: Array) -> tuple[Solution | None, ...]:
    solutions, x = [], X.T
    for stack in up_to_logits(params):
        solution = solve(stack, x) if worthwhile(stack) else None
        done = substitution.walk(stack, x) if solution is None else solution.result
        x = done.output
        solutions.append(solution)
    return tuple(solutions)


def walk(stack: Stack, x: Float[Array, " n_in *batch"]) -> Pass:
    """One pass through a stack, as `substitution.walk`."""
    if not worthwhile(stack):
        return substitution.walk(stack, x)
    if x.ndim == 1:
        return jax.tree.map(lambda a: a[..., 0], solve(stack, x[:, None]).result)
    return solve(stack, x).result


def worthwhile(stack: Stack) -> bool:
    """Whether a stack is deep enough to be probed and solved."""
    return stack.depth > 2 * parallel.SHORT


def solve(stack: Stack, x: Float[Array, "n batch"]) -> Solution:
    """The states of a deep stack: probe, Newton, and where that fails, the rest of the walk."""
    probed = max(4, min(PROBE, stack.depth // 20))
    states, zs, exponent, error = _probe(stack, x, probed)
    chaotic = jnp.mean(exponent) > 2 * error  # for certain: in doubt Newton will find out

    def start() -> tuple[Array, Array | None]:
        """Room for all layers, the probed ones filled in."""
        inputs, every_z = substitution.room(stack, x)
        inputs = lax.dynamic_update_slice_in_dim(inputs, states, 0, 0)
        if every_z is not None:
            every_z = lax.dynamic_update_slice_in_dim(every_z, zs, 0, 0)
        return inputs, every_z

    def walked() -> Pass:
        return substitution.walk_from(probed, stack, *start())

    def solved() -> tuple[Pass, Array, Array]:
        inputs, residual, iterations = _iterated(stack, start()[0])

        def result() -> Pass:
            _, output = loops.layer(stack, stack.depth - 1, inputs[-1])
            z = _layers(stack, inputs)[0] if substitution.keeps_z(stack) else None
            return Pass(inputs, output, z)

        return lax.cond(residual <= _limit(x), result, walked), residual, iterations

    def untried() -> tuple[Pass, Array, Array]:
        return walked(), jnp.full((), jnp.inf, x.dtype), jnp.zeros((), int)

    result, residual, iterations = lax.cond(chaotic, untried, solved)
    sequential = ~(residual <= _limit(x))
    residual = jnp.where(sequential, 0, residual)
    return Solution(result, iterations, residual, exponent, sequential)


def _limit(x: Array) -> float:
    """The residual that rounding leaves of a sequential pass, too."""
    return 16 * float(jnp.finfo(x.dtype).eps)


def _probe(stack: Stack, x: Array, layers: int) -> Carry:
    """Walk the first k layers with one tangent beside the states.

    Returns:
      x_0, …, x_k; z_1, …, z_k; the mean growth of the tangent, (batch,), and its standard error.
    """
    tiny = jnp.finfo(x.dtype).tiny

    def step(l: Index, carry: Carry) -> Carry:
        states, zs, u, growth = carry
        z, y = loops.layer(stack, l, get(states, l))
        δ = activations.resolve(stack.activation).slope(z)
        du = δ * times(get(stack.w, l), u)
        du = du + u if stack.residual else du
        norm = jnp.maximum(jnp.sqrt(jnp.sum(du**2, axis=0, keepdims=True)), tiny)
        growth = put(growth, jnp.log(norm[0]), l)
        return put(states, y, l + 1), put(zs, z, l), du / norm, growth

    states = put(jnp.zeros((layers + 1, *x.shape), x.dtype), x, 0)
    zs = jnp.zeros((layers, *x.shape), x.dtype)
    growth = jnp.zeros((layers, *x.shape[1:]), x.dtype)
    u = jnp.full_like(x, x.shape[0] ** -0.5)
    states, zs, _, growth = lax.fori_loop(0, layers, step, (states, zs, u, growth))
    return states, zs, jnp.mean(growth, axis=0), jnp.std(growth) / growth.size**0.5


def _iterated(stack: Stack, inputs: Array) -> tuple[Array, Array, Array]:
    """States, residual and number of steps of a damped Newton iteration."""

    def unfinished(state: Carry) -> Array:
        inputs, residual, iterations, step = state
        return (residual > _limit(inputs)) & (iterations < STEPS) & (step > 1 / 64)

    def iterate(state: Carry) -> Carry:
        inputs, residual, iterations, step = state
        candidate = inputs.at[1:].add(step * _newton_step(stack, inputs))
        candidate_residual = _residual(stack, candidate)
        good = candidate_residual < 4 * residual  # it need not fall at once
        return (
            jnp.where(good, candidate, inputs),
            jnp.where(good, candidate_residual, residual),
            iterations + 1,
            jnp.where(good, jnp.minimum(2 * step, 1), step / 4),
        )

    start = (inputs, _residual(stack, inputs), jnp.zeros((), int), jnp.ones((), inputs.dtype))
    return lax.while_loop(unfinished, iterate, start)[:3]


def _layers(stack: Stack, inputs: Array) -> tuple[Array, Array]:
    """z and Φ of every layer, all at once."""
    z = jnp.einsum("lij,lj...->li...", stack.w, inputs) + loops.column(stack.b, inputs[0])
    y = activations.resolve(stack.activation).value(z)
    return z, y + inputs if stack.residual else y


def _residual(stack: Stack, inputs: Array) -> Array:
    """max |Φ(X) − X|, of each layer relative to the states beside it, unless these are tiny."""
    _, y = _layers(stack, inputs)
    size = jnp.max(jnp.abs(inputs), axis=1)
    # what is lost below `tiny` shows above
    zero = 2**10 * jnp.finfo(inputs.dtype).tiny / jnp.finfo(inputs.dtype).eps
    beside = jnp.maximum(jnp.maximum(size[:-1], size[1:]), zero)
    residual = jnp.max(jnp.max(jnp.abs(y[:-1] - inputs[1:]), axis=1) / beside)
    # a CPU's maximum may overlook NaN
    return jnp.where(jnp.all(jnp.isfinite(y)), residual, jnp.inf)


def _newton_step(stack: Stack, inputs: Array) -> Array:
    """ΔX of x_1, …, x_{N−1}."""
    z, y = _layers(stack, inputs)
    δ = activations.resolve(stack.activation).slope(z)

    def one(δ: Array, r: Array) -> Array:
        return parallel.affine_scan(loops.jacobians(stack, δ)[:-1], r, jnp.zeros_like(r[0]))

    return jax.vmap(one, in_axes=-1, out_axes=-1)(δ, y[:-1] - inputs[1:])
