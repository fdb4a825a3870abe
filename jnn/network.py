"""The network as a function: forward for one example, predict for a batch, and every state in between."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jnn import activations, triangular
from jnn.params import Params, Stack, sizes

METHODS = ("auto", "autodiff", "dense", "substitution")


def forward(params: Params, x: Float[Array, " n_0"], *, backprop: str = "auto") -> Float[Array, " n_N"]:
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
    return output(params, check_example(params, x)[:, None], backprop)[:, 0]


def predict(params: Params, x: Float[Array, "batch n_0"], *, backprop: str = "auto") -> Float[Array, "batch n_N"]:
    """The outputs for a batch of examples, jitted: `jax.vmap(forward, (None, 0))(params, x)`, with the batch innermost.

    Args:
      x: (batch, n_0), one example a row.
      backprop: as in `forward`.
    Raises:
      ValueError: x has the wrong shape, the method is unknown, or the dense system is too large.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> predict(params, jnp.array([[3.0], [-3.0]])).tolist()
    [[-6.5], [0.5]]
    """
    n_0 = sizes(params)[0]
    if jnp.ndim(x) != 2 or jnp.shape(x)[1] != n_0:
        hint = "; for one example use forward, or x[None, :]" if jnp.shape(x) == (n_0,) else ""
        raise ValueError(f"x has shape {jnp.shape(x)}; a batch for this network is (batch, {n_0}){hint}")
    check_method(backprop)
    return _predict(params, jnp.asarray(x, params[0].w.dtype), backprop)


@partial(jax.jit, static_argnames="backprop")
def _predict(params: Params, x: Array, backprop: str) -> Array:
    return output(params, x.T, backprop).T


def hidden_states(params: Params, x: Float[Array, " n_0"], *, backprop: str = "auto") -> tuple[Array, ...]:
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
    x = check_example(params, x)
    if backprop == "dense":
        states = iter(triangular.dense_states(params, x)[1:])
        return tuple(jnp.stack([next(states) for _ in range(stack.depth)]) for stack in params)
    X, runs = x[:, None], []
    for stack in params:
        runs.append(_stack_states(stack, X, _chosen(stack, backprop)))
        X = runs[-1][-1]
    return tuple(states[:, :, 0] for states in runs)


def linear_system(params: Params, x: Float[Array, " n_0"]) -> triangular.LinearSystem:
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


def output(params: Params, X: Float[Array, "n_0 batch"], backprop: str) -> Float[Array, "n_N batch"]:
    """The outputs for a batch whose examples are the columns of X, unchecked: what `forward` and `predict` share."""
    if backprop == "dense":
        return jax.vmap(triangular.dense_states, (None, 1), 1)(params, X)[-1]
    for stack in params:
        if _chosen(stack, backprop) == "substitution":
            X = triangular.substituted_run(stack, X).output
        else:
            X = triangular.walk(_layer(stack), X, (stack.w, stack.b))[0]
    return X


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
        y = h(w @ x + b[:, None])
        y = y + x if stack.residual else y
        return y, y if emit else None

    return layer


def _stack_states(stack: Stack, X: Array, backprop: str) -> Array:
    """(depth, n_out, batch): the states after every layer of a stack."""
    if backprop == "autodiff":
        return triangular.walk(_layer(stack, emit=True), X, (stack.w, stack.b))[1]
    inputs, _, last = triangular.substituted_run(stack, X)
    return jnp.concatenate([inputs[1:], last[None]]) if stack.depth > 1 else last[None]


def check_example(params: Params, x: Any) -> Array:
    n_0 = sizes(params)[0]
    if jnp.shape(x) != (n_0,):
        hint = "; for a batch use predict, or jax.vmap" if jnp.ndim(x) == 2 else ""
        raise ValueError(f"x has shape {jnp.shape(x)}; one example for this network is ({n_0},){hint}")
    return jnp.asarray(x, params[0].w.dtype)
