"""The network as a function: forward for one example, predict for a batch, and every state in between."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from jnn import activations, triangular
from jnn.params import Params, Stack, check_params

METHODS = ("auto", "autodiff", "dense", "substitution")


def forward(params: Params, x: ArrayLike, *, backprop: str = "auto") -> Float[Array, " n_N"]:
    """The output x_N of a network for one example, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁].

    Pure: `jax.jit`, `jax.vmap`, `jax.grad` and the other transformations apply. For a batch, `predict` is faster.

    Args:
      params: from `init_network_params` or `from_layers`.
      x: (n_0,).
      backprop: how derivatives are taken. "autodiff" (JAX differentiates the scan), "dense" (assemble I − L and solve;
        small networks), "substitution" (block by block), or "auto", the fastest of them for each stack.
    Raises:
      ValueError: x has the wrong shape, the method is unknown, or the dense system is too large.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> forward(params, jnp.array([3.0])).tolist()
    [-6.5]
    """
    check_method(backprop)
    return output(params, check_example(params, x), backprop)


def predict(params: Params, x: ArrayLike, *, backprop: str = "auto") -> Float[Array, "batch n_N"]:
    """The outputs for a batch of examples, `jax.vmap(forward, (None, 0))(params, x)`, jitted.

    Deep and narrow stacks take the batch as columns instead, so that the innermost loops run along it: at width 8,
    batch 32 that is up to 1.5 times as fast as `vmap`, for the same numbers.

    Args:
      x: (batch, n_0), one example a row.
      backprop: as in `forward`.
    Raises:
      ValueError: x has the wrong shape, the method is unknown, or the dense system is too large.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> predict(params, jnp.array([[3.0], [-3.0]])).tolist()
    [[-6.5], [0.5]]
    """
    n_0 = check_params(params)[0]
    shape = np.shape(x)
    if len(shape) != 2 or shape[1] != n_0:
        hint = "; for one example use forward, or x[None, :]" if shape == (n_0,) else ""
        raise ValueError(f"x has shape {shape}; a batch for this network is (batch, {n_0}){hint}")
    check_method(backprop)
    return _predict(params, _numbers(x, params[0].w.dtype), backprop)


@partial(jax.jit, static_argnames="backprop")
def _predict(params: Params, x: Array, backprop: str) -> Array:
    return batch_output(params, x, backprop)


def hidden_states(params: Params, x: ArrayLike, *, backprop: str = "auto") -> tuple[Array, ...]:
    """Every state x_1, …, x_N for one example, stack by stack: one array (depth, n_out) for each stack of the network.

    Args:
      x: (n_0,).
      backprop: as in `forward`.
    Raises:
      ValueError: as in `forward`.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> [states.tolist() for states in hidden_states(params, jnp.array([3.0]))]
    [[[7.0]], [[-6.5]]]
    """
    check_method(backprop)
    state = check_example(params, x)
    if backprop == "dense":
        every = iter(triangular.dense_states(params, state)[1:])
        return tuple(jnp.stack([next(every) for _ in range(stack.depth)]) for stack in params)
    states = []
    for stack in params:
        states.append(_stack_states(stack, state, _chosen(stack, backprop)))
        state = states[-1][-1]
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


def output(params: Params, x: Float[Array, " n_0"], backprop: str) -> Float[Array, " n_N"]:
    """`forward`, unchecked."""
    if backprop == "dense":
        return triangular.dense_states(params, x)[-1]
    for stack in params:
        x = _stack_output(stack, x, _chosen(stack, backprop))
    return x


def batch_output(params: Params, X: Float[Array, "batch n_0"], backprop: str) -> Float[Array, "batch n_N"]:
    """`predict`, unchecked and not jitted."""
    if backprop == "dense":
        return jax.vmap(partial(output, backprop=backprop), (None, 0))(params, X)
    for stack in params:
        chosen = _chosen(stack, backprop)
        if chosen == "substitution" and max(stack.w.shape[1:]) <= COLUMNS:
            X = _stack_output(stack, X.T, chosen).T
        else:
            X = jax.vmap(partial(_stack_output, method=chosen), (None, 0))(stack, X)
    return X


COLUMNS = 32  # the width up to which columns are faster than vmap, measured on CPUs


def check_method(backprop: str) -> None:
    """Refuse a way of taking derivatives that does not exist."""
    if backprop not in METHODS:
        raise ValueError(f"unknown backprop {backprop!r}; known: {', '.join(METHODS)}")


def _chosen(stack: Stack, backprop: str) -> str:
    """What "auto" means for a stack: width one, and a single layer, gain nothing from the rule."""
    if backprop != "auto":
        return backprop
    return "autodiff" if stack.depth == 1 or stack.w.shape[1] == 1 else "substitution"


def _layer(stack: Stack, emit: bool = False) -> Any:
    """One layer as `lax.scan` wants it, (x, (W, b)) -> (x', x' if emit else None), for JAX to differentiate."""
    h = activations.resolve(stack.activation).value

    def layer(x: Array, wb: tuple[Array, Array]) -> tuple[Array, Array | None]:
        w, b = wb
        y = h(w @ x + b)
        y = y + x if stack.residual else y
        return y, y if emit else None

    return layer


def _stack_output(stack: Stack, x: Array, method: str) -> Array:
    """x_N of a stack."""
    if method == "substitution":
        return triangular.substituted_run(stack, x).output
    return triangular.walk(_layer(stack), x, (stack.w, stack.b))[0]


def _stack_states(stack: Stack, x: Array, method: str) -> Array:
    """x_1, …, x_N of a stack: (depth, n_out)."""
    if method == "substitution":
        inputs, _, last = triangular.substituted_run(stack, x)
        return jnp.concatenate([inputs[1:], last[None]]) if stack.depth > 1 else last[None]
    return triangular.walk(_layer(stack, emit=True), x, (stack.w, stack.b))[1]


def check_example(params: Params, x: Any) -> Array:
    """One example as an array of the parameters' dtype, or a ValueError that names the shape it should have."""
    n_0 = check_params(params)[0]
    if np.shape(x) != (n_0,):
        hint = "; for a batch use predict, or jax.vmap" if np.ndim(x) == 2 and np.shape(x)[1] == n_0 else ""
        raise ValueError(f"x has shape {np.shape(x)}; one example for this network is ({n_0},){hint}")
    return _numbers(x, params[0].w.dtype)


def _numbers(x: Any, dtype: Any) -> Array:
    """x in the parameters' dtype; complex numbers would lose a part, and objects turn NaN, without a word."""
    x = x if isinstance(x, Array) else np.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.floating) or x.dtype.kind in "biu"):
        raise TypeError(f"x must hold real numbers, got dtype {x.dtype}")
    return jnp.asarray(x, dtype)
