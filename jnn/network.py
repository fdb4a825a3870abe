"""The network as a function: forward for one example, predict for a batch, and every state in between."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float

from jnn import activations, newton, substitution, triangular
from jnn.choice import Method, check_method, chosen
from jnn.params import Params, Stack, check_params

compiled = partial(jax.jit, static_argnames="method", inline=True)  # inline: within a user's jit nothing is left of it


def forward(
    params: Params,
    x: ArrayLike,
    *,
    backprop: str = "auto",
    forward: str = "sequential",
    checkpoint_every: int | None = None,
) -> Float[Array, " n_N"]:
    """The output x_N of a network for one example, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁].

    Pure and compiled; `jax.vmap`, `jax.grad` and the other transformations apply. For a batch, `predict` is faster.

    Args:
      params: from `init_network_params` or `from_layers`.
      x: (n_0,).
      backprop: how derivatives are taken. "autodiff" (JAX differentiates the scan), "dense" (assemble I − L and solve;
        small networks), "substitution" (block by block), "parallel" (all blocks at once, in O(log depth) steps), or
        "auto", the fastest of them for each stack.
      forward: how the states are found: "sequential", layer after layer, or "newton", all layers at once (`newton`).
      checkpoint_every: keep every k-th state only and compute the others again for the gradient: with k near √depth
        the memory grows like √depth, for the time of one more forward pass.
    Raises:
      ValueError: x has the wrong shape, a method is unknown, methods do not go together, or the dense system is too
        large.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> forward(params, jnp.array([3.0])).tolist()
    [-6.5]
    """
    return output(params, check_example(params, x), check_method(backprop, forward, checkpoint_every))


def predict(
    params: Params,
    x: ArrayLike,
    *,
    backprop: str = "auto",
    forward: str = "sequential",
    checkpoint_every: int | None = None,
) -> Float[Array, "batch n_N"]:
    """The outputs for a batch of examples, `jax.vmap(forward, (None, 0))(params, x)`, jitted.

    Deep stacks take the batch as columns instead, so that the innermost loops run along it: faster than `vmap`, for
    the same numbers.

    Args:
      x: (batch, n_0), one example a row.
      backprop, forward, checkpoint_every: as in `forward`.
    Raises:
      ValueError: as in `forward`.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> predict(params, jnp.array([[3.0], [-3.0]])).tolist()
    [[-6.5], [0.5]]
    """
    return batch_output(params, check_batch(params, x), check_method(backprop, forward, checkpoint_every))


def hidden_states(
    params: Params, x: ArrayLike, *, backprop: str = "auto", forward: str = "sequential"
) -> tuple[Array, ...]:
    """Every state x_1, …, x_N for one example, stack by stack: one array (depth, n_out) for each stack of the network.

    Args:
      x: (n_0,).
      backprop, forward: as in `forward`.
    Raises:
      ValueError: as in `forward`.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> [states.tolist() for states in hidden_states(params, jnp.array([3.0]))]
    [[[7.0]], [[-6.5]]]
    """
    return _hidden_states(params, check_example(params, x), check_method(backprop, forward))


@compiled
def _hidden_states(params: Params, x: Array, method: Method) -> tuple[Array, ...]:
    if method.backprop == "dense":
        every = iter(triangular.dense_states(params, x)[1:])
        return tuple(jnp.stack([next(every) for _ in range(stack.depth)]) for stack in params)
    states = []
    for stack in params:
        states.append(_stack_states(stack, x, chosen(stack, method, batch=1)))
        x = states[-1][-1]
    return tuple(states)


def linear_system(params: Params, x: ArrayLike) -> triangular.LinearSystem:
    """The system (I − L) dx = D dp at one example: states, slopes, L and D, dense, to look at.

    Rows are the states x_1, …, x_N one below the other; columns of D the parameters layer by layer, Wₗ row by row and
    then bₗ. `jax.scipy.linalg.solve_triangular(I − L, D, lower=True)` is the Jacobian of all states by all parameters.

    Raises:
      ValueError: x has the wrong shape, or the system is too large to assemble.

    >>> system = linear_system(jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu"), jnp.array([3.0]))
    >>> system.L.tolist()
    [[0.0, 0.0], [-1.0, 0.0]]
    >>> system.D.tolist()
    [[3.0, 1.0, 0.0, 0.0], [0.0, 0.0, 7.0, 1.0]]
    """
    return triangular.linear_system(params, check_example(params, x))


def solve_states(params: Params, x: ArrayLike) -> tuple[newton.Solution | None, ...]:
    """What `forward="newton"` does on a batch, stack by stack: iterations, residual, Lyapunov exponent, fallback.

    Args:
      x: (batch, n_0), one example a row.
    Returns:
      For each stack a `newton.Solution`, with states as columns (depth, n, batch), or None for one too shallow for it.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.init_network_params([8] * 101, jax.random.key(0), init="orthogonal")
    >>> hidden, readout = solve_states(params, jnp.ones((2, 8)))
    >>> bool(hidden.iterations <= 10), bool(hidden.sequential), readout
    (True, False, None)
    """
    return _solve_states(params, check_batch(params, x))


@jax.jit
def _solve_states(params: Params, X: Array) -> tuple[newton.Solution | None, ...]:
    solutions, x = [], X.T
    for stack in params:
        solution = newton.solve(stack, x) if newton.worthwhile(stack) else None
        x = substitution.run(stack, x).output if solution is None else solution.run.output
        solutions.append(solution)
    return tuple(solutions)


@compiled
def output(params: Params, x: Float[Array, " n_0"], method: Method) -> Float[Array, " n_N"]:
    """`forward`, unchecked."""
    if method.backprop == "dense":
        return triangular.dense_states(params, x)[-1]
    for stack in params:
        x = _stack_output(stack, x, chosen(stack, method, batch=1))
    return x


@compiled
def batch_output(params: Params, X: Float[Array, "batch n_0"], method: Method) -> Float[Array, "batch n_N"]:
    """`predict`, unchecked."""
    if method.backprop == "dense":
        return jax.vmap(partial(output, method=method), (None, 0))(params, X)
    for stack in params:
        of_stack = chosen(stack, method, batch=len(X))
        if of_stack.backprop == "autodiff":
            X = jax.vmap(partial(_stack_output, method=of_stack), (None, 0))(stack, X)
        else:
            by_substitution = of_stack.backprop == "substitution" and of_stack.forward == "sequential"
            x = substitution.filled(X.T) if by_substitution else X.T
            X = _stack_output(stack, x, of_stack).T[: len(X)]
    return X


def _stack_output(stack: Stack, x: Array, method: Method) -> Array:
    """x_N of a stack."""
    k = method.checkpoint_every
    if k is not None and stack.depth > k:
        return _checkpointed(stack, x, k, method._replace(checkpoint_every=None))
    if method.backprop == "autodiff":
        return substitution.walk(_layer(stack), x, (stack.w, stack.b))[0]
    return triangular.run(stack, x, method.backprop, method.forward).output


def _checkpointed(stack: Stack, x: Array, k: int, method: Method) -> Array:
    """x_N of a stack of which every k-th state is kept, and the states between are computed again for the gradient."""
    whole = stack.depth // k * k
    part = jax.checkpoint(partial(_stack_output, method=method))
    chunks = jax.tree.map(lambda leaf: leaf[:whole].reshape(whole // k, k, *leaf.shape[1:]), stack)
    x, _ = lax.scan(lambda x, chunk: (part(chunk, x), None), x, chunks)
    return x if whole == stack.depth else part(jax.tree.map(lambda leaf: leaf[whole:], stack), x)


def _stack_states(stack: Stack, x: Array, method: Method) -> Array:
    """x_1, …, x_N of a stack: (depth, n_out)."""
    if method.backprop == "autodiff":
        return substitution.walk(_layer(stack, emit=True), x, (stack.w, stack.b))[1]
    return substitution.states(triangular.run(stack, x, method.backprop, method.forward))


def _layer(stack: Stack, emit: bool = False) -> Any:
    """One layer as `lax.scan` wants it, (x, (W, b)) -> (x', x' if emit else None), for JAX to differentiate."""
    h = activations.resolve(stack.activation).value

    def layer(x: Array, wb: tuple[Array, Array]) -> tuple[Array, Array | None]:
        w, b = wb
        y = h(w @ x + b)
        y = y + x if stack.residual else y
        return y, y if emit else None

    return layer


def check_example(params: Params, x: Any) -> Array:
    """One example as an array of the parameters' dtype, or a ValueError that names the shape it should have."""
    n_0 = check_params(params)[0]
    if np.shape(x) != (n_0,):
        hint = "; for a batch use predict, or jax.vmap" if np.ndim(x) == 2 and np.shape(x)[1] == n_0 else ""
        raise ValueError(f"x has shape {np.shape(x)}; one example for this network is ({n_0},){hint}")
    return _numbers(x, params[0].w.dtype)


def check_batch(params: Params, x: Any) -> Array:
    """A batch as an array of the parameters' dtype, or a ValueError that names the shape it should have."""
    n_0 = check_params(params)[0]
    shape = np.shape(x)
    if len(shape) != 2 or shape[1] != n_0:
        hint = "; for one example use forward, or x[None, :]" if shape == (n_0,) else ""
        raise ValueError(f"x has shape {shape}; a batch for this network is (batch, {n_0}){hint}")
    return _numbers(x, params[0].w.dtype)


def _numbers(x: Any, dtype: Any) -> Array:
    """x in the parameters' dtype; complex numbers would lose a part, and objects turn NaN, without a word."""
    x = x if isinstance(x, Array) else np.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.floating) or x.dtype.kind in "biu"):
        raise TypeError(f"x must hold real numbers, got dtype {x.dtype}")
    return jnp.asarray(x, dtype)
