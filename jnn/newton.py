"""The forward pass in parallel: Newton on all layers at once.

The states X = (x_1, …, x_N) of a stack solve Φ(X) = X, where Φ maps each layer's input to its output. A Newton step is
one solve of the triangular system, by its parallel solver,

    (I − L(X)) ΔX = Φ(X) − X,

so that the depth of the computation is the number of steps times O(log N) (Danieli et al. 2023, DeepPCR; Lim et al.
2024, DEER). Where layers contract on average the steps are few at any depth; where they expand, perturbations grow
like e^{γl} with the largest Lyapunov exponent γ > 0, and no parallel method is fast. So the first layers are walked,
together with one tangent, to estimate γ; a network that is clearly chaotic, and one on which Newton does not converge,
is walked to its end. The answer is right in either case.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from jnn import activations, parallel, substitution
from jnn.params import Stack
from jnn.substitution import Run

STEPS = 24  # at most
PROBE = 128  # layers walked at most, and at most a twentieth of all


class Solution(NamedTuple):
    """The states, and what Newton did; one number for the whole batch, but of the exponent, one for each example."""

    run: Run  # as of `substitution.run`
    iterations: Array  # Newton steps; 0 where none was tried
    residual: Array  # of Φ(X) = X, relative, where Newton ended; 0 after a walk
    exponent: Array  # (batch,): the largest Lyapunov exponent, per layer, estimated on the first layers
    sequential: Array  # whether the pass was walked to its end


def run(stack: Stack, x: Float[Array, " n_in *batch"]) -> Run:
    """One pass through a stack, as `substitution.run`."""
    if not worthwhile(stack):
        return substitution.run(stack, x)
    if x.ndim == 1:
        return jax.tree.map(lambda a: a[..., 0], solve(stack, x[:, None]).run)
    return solve(stack, x).run


def worthwhile(stack: Stack) -> bool:
    """Whether a stack is deep enough to be probed and solved."""
    return stack.depth > 2 * parallel.SHORT


def solve(stack: Stack, x: Float[Array, "n batch"]) -> Solution:
    """The states of a deep stack: probe, Newton, and where that does not do it, the rest of the walk."""
    probed = max(4, min(PROBE, stack.depth // 20))
    states, zs, exponent, error = _probe(stack, x, probed)
    chaotic = jnp.mean(exponent) > 2 * error  # for certain: in doubt Newton will find out

    def begun() -> tuple[Array, Array | None]:
        """Room for all layers, the probed ones filled in."""
        inputs, every_z = substitution.empty(stack, x)
        inputs = lax.dynamic_update_slice_in_dim(inputs, states, 0, 0)
        return inputs, None if every_z is None else lax.dynamic_update_slice_in_dim(every_z, zs, 0, 0)

    def walked() -> Run:
        return substitution.run_from(probed, stack, *begun())

    def solved() -> tuple[Run, Array, Array]:
        found, residual, iterations = _iterated(stack, begun()[0])

        def run() -> Run:
            _, output = substitution.layer(stack, stack.depth - 1, found[-1])
            return Run(found, output, _layers(stack, found)[0] if substitution.keeps_z(stack) else None)

        return lax.cond(residual <= _limit(x), run, walked), residual, iterations

    untried = jnp.full((), jnp.inf, x.dtype), jnp.zeros((), int)
    run, residual, iterations = lax.cond(chaotic, lambda: (walked(), *untried), solved)
    sequential = ~(residual <= _limit(x))
    return Solution(run, iterations, jnp.where(sequential, 0, residual), exponent, sequential)


def _limit(x: Array) -> float:
    """The residual that rounding leaves of a sequential pass, too."""
    return 16 * float(jnp.finfo(x.dtype).eps)


def _probe(stack: Stack, x: Array, layers: int) -> tuple[Array, Array, Array, Array]:
    """x_0, …, x_k and z_1, …, z_k of the first layers; the mean growth of a tangent there, and its standard error."""
    tiny = jnp.finfo(x.dtype).tiny

    def step(l: Any, carry: Any) -> Any:
        states, zs, u, growth = carry
        z, y = substitution.layer(stack, l, substitution.get(states, l))
        du = activations.resolve(stack.activation).slope(z) * substitution.times(substitution.get(stack.w, l), u)
        du = du + u if stack.residual else du
        norm = jnp.maximum(jnp.sqrt(jnp.sum(du**2, axis=0)), tiny)
        return (
            substitution.put(states, y, l + 1),
            substitution.put(zs, z, l),
            du / norm,
            substitution.put(growth, jnp.log(norm), l),
        )

    states, zs, growth = (
        jnp.zeros((k, *shape), x.dtype)
        for k, shape in ((layers + 1, x.shape), (layers, x.shape), (layers, x.shape[1:]))
    )
    carry = (substitution.put(states, x, 0), zs, jnp.full_like(x, x.shape[0] ** -0.5), growth)
    states, zs, _, growth = lax.fori_loop(0, layers, step, carry)
    return states, zs, jnp.mean(growth, axis=0), jnp.std(growth) / growth.size**0.5


def _iterated(stack: Stack, inputs: Array) -> tuple[Array, Array, Array]:
    """States, residual and number of steps of a damped Newton iteration."""

    def unfinished(state: Any) -> Array:
        inputs, residual, iterations, step = state
        return (residual > _limit(inputs)) & (iterations < STEPS) & (step > 1 / 64)

    def iterate(state: Any) -> Any:
        inputs, residual, iterations, step = state
        tried = inputs.at[1:].add(step * _newton_step(stack, inputs))
        tried_residual = _residual(stack, tried)
        good = tried_residual < 4 * residual  # it need not fall at once
        return (
            jnp.where(good, tried, inputs),
            jnp.where(good, tried_residual, residual),
            iterations + 1,
            jnp.where(good, jnp.minimum(2 * step, 1), step / 4),
        )

    start = (inputs, _residual(stack, inputs), jnp.zeros((), int), jnp.ones((), inputs.dtype))
    return lax.while_loop(unfinished, iterate, start)[:3]


def _layers(stack: Stack, inputs: Array) -> tuple[Array, Array]:
    """z and Φ of every layer, all at once."""
    z = jnp.einsum("lij,lj...->li...", stack.w, inputs) + substitution.column(stack.b, inputs[0])
    y = activations.resolve(stack.activation).value(z)
    return z, y + inputs if stack.residual else y


def _residual(stack: Stack, inputs: Array) -> Array:
    """max |Φ(X) − X|, of each layer relative to the states beside it, unless these are as good as zero."""
    _, y = _layers(stack, inputs)
    size = jnp.max(jnp.abs(inputs), axis=1)
    zero = 2**10 * jnp.finfo(inputs.dtype).tiny / jnp.finfo(inputs.dtype).eps  # what is lost below `tiny` shows above
    beside = jnp.maximum(jnp.maximum(size[:-1], size[1:]), zero)
    residual = jnp.max(jnp.max(jnp.abs(y[:-1] - inputs[1:]), axis=1) / beside)
    return jnp.where(jnp.all(jnp.isfinite(y)), residual, jnp.inf)  # a CPU's maximum may overlook NaN


def _newton_step(stack: Stack, inputs: Array) -> Array:
    """ΔX of x_1, …, x_{N−1}."""
    z, y = _layers(stack, inputs)
    δ = activations.resolve(stack.activation).slope(z)

    def one(δ: Array, r: Array) -> Array:
        J = δ[:, :, None] * stack.w + (jnp.eye(r.shape[1], dtype=r.dtype) if stack.residual else 0)
        return parallel.affine_scan(J[:-1], r, jnp.zeros_like(r[0]))

    return jax.vmap(one, in_axes=-1, out_axes=-1)(δ, y[:-1] - inputs[1:])
