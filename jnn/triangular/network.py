"""The network as a function: forward for one example, predict for a batch."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
from jax import Array, lax
from jax.typing import ArrayLike

from jnn.checks import renamed
from jnn.meshes import compiled, rows_of
from jnn.outputs import mixing
from jnn.params import Params, Stack, up_to_logits
from jnn.shapes import Float
from jnn.triangular import dense, loops, rule
from jnn.triangular.inputs import check_example, check_rows
from jnn.triangular.lengths import of_any_length
from jnn.triangular.method import AUTO, Method, check_method, chosen, filled
from jnn.triangular.platforms import by_platform

# inline: within a user's jit nothing is left of it
of_method = partial(compiled, static="method", inline=True)
OLD_NAMES = {"forward": "states=", "checkpoint_every": "recompute_every="}


@renamed(**OLD_NAMES)
def forward(
    params: Params,
    x: ArrayLike,
    *,
    backprop: str | Method = "auto",
    states: str = "sequential",
    recompute_every: int | None = None,
) -> Float[Array, " n_N"]:
    """The output x_N of a network for one example, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁].

    Pure and compiled; `jax.vmap`, `jax.grad` and the like apply. For a batch `predict` is faster.

    Args:
      params: from `init_network_params` or `from_layers`.
      x: (n_0,).
      backprop: how derivatives are taken. "autodiff" (JAX differentiates the scan), "dense"
        (assemble I − L and solve; small networks), "substitution" (block by block), "parallel" (all
        blocks at once, in O(log depth) steps), or "auto", the fastest of them for each stack.
      states: how the states are found: "sequential", layer after layer, or "newton", all layers at
        once (`solve_states`).
      recompute_every: keep every k-th state only and compute the others again for the gradient:
        with k near √depth the memory grows like √depth, for the time of one more forward pass.
    Raises:
      ValueError: x has the wrong shape, a method is unknown, methods do not go together, or the
        dense system is too large.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> forward(params, jnp.array([3.0])).tolist()
    [-6.5]
    """
    params, x = check_example(params, x)
    return output(params, x, check_method(backprop, states, recompute_every))


@renamed(**OLD_NAMES)
def predict(
    params: Params,
    x: ArrayLike,
    *,
    backprop: str | Method = "auto",
    states: str = "sequential",
    recompute_every: int | None = None,
) -> Float[Array, "batch n_N"]:
    """The outputs for a batch of examples, `jax.vmap(forward, (None, 0))(params, x)`, jitted.

    Deep stacks take the batch as columns instead, so that the innermost loops run along it: faster
    than `vmap`, for the same numbers. NumPy's 201 and 212 rows share a program, JAX's do not.

    Args:
      x: (batch, n_0), one example a row.
      backprop, states, recompute_every: as in `forward`.
    Raises:
      ValueError: as in `forward`.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)], activation="relu")
    >>> predict(params, jnp.array([[3.0], [-3.0]])).tolist()
    [[-6.5], [0.5]]
    """
    params, x = check_rows(params, x)
    method = check_method(backprop, states, recompute_every)
    return of_any_length(partial(batch_output, method=method), params, x)


# ---- unchecked, for those who have checked before ----


@of_method
def output(params: Params, x: Float[Array, " n_0"], method: Method) -> Float[Array, " n_N"]:
    """`forward`."""
    params, x = in_dtype(method, params, x)
    if method.backprop == "dense":
        return dense.dense_states(params, x)[-1]
    for stack in up_to_logits(params):
        x = by_platform(_stack_output, partial(chosen, stack, method, 1), stack, x)
    return read_out(params)(x)


@partial(of_method, spread=lambda _, X, *__: rows_of(X))
def batch_output(
    params: Params, X: Float[Array, "batch n_0"], method: Method
) -> Float[Array, "batch n_N"]:
    """`predict`."""
    params, X = in_dtype(method, params, X)
    if not _countable(X) and method[:2] == AUTO[:2]:
        method = method._replace(backprop="autodiff")
    if method.backprop == "dense" or not _countable(X):
        return jax.vmap(partial(output, method=method), (None, 0))(params, X)
    for stack in up_to_logits(params):
        X = by_platform(_stack_outputs, partial(chosen, stack, method, len(X)), stack, X)
    return jax.vmap(read_out(params))(X)


def _countable(X: Array) -> bool:
    """Whether a batch has a length; `jax.export` may give none: each example goes by itself."""
    return isinstance(X.shape[0], int)


def in_dtype(method: Method, params: Params, x: Array) -> tuple[Params, Array]:
    """Parameters and input in the dtype to compute in."""
    if method.dtype is None:
        return params, x
    return jax.tree.map(lambda a: a.astype(method.dtype), (params, x))


def read_out(params: Params) -> Callable[[Array], Array]:
    """What is done to the logits of one example: nothing, or an output that mixes entries."""
    known = mixing(params[-1].activation)
    return (lambda x: x) if known is None else known.value


# ---- one stack ----


def _stack_outputs(method: Method, stack: Stack, X: Array) -> Array:
    """X_N: (batch, n_out) of a stack."""
    if method.backprop == "autodiff":
        return jax.vmap(partial(_stack_output, method), (None, 0))(stack, X)
    walked = method.backprop in ("substitution", "auto") and method.states == "sequential"
    x = filled(X.T) if walked and stack.depth > 1 else X.T
    return _stack_output(method, stack, x).T[: len(X)]


def _stack_output(method: Method, stack: Stack, x: Array) -> Array:
    """x_N of a stack, for one example or a batch as columns."""
    k = method.recompute_every
    if k is not None and stack.depth > k:
        return _recomputed(method._replace(recompute_every=None), stack, x, k)
    if method.backprop == "autodiff":
        return loops.scan(loops.plain_layer(stack), x, (stack.w, stack.b))[0]
    return rule.solved_pass(stack, x, method.backprop, method.states).output


def _recomputed(method: Method, stack: Stack, x: Array, k: int) -> Array:
    """x_N of a stack of which every k-th state is kept, the others found again for the gradient."""
    whole = stack.depth // k * k
    part = jax.checkpoint(partial(_stack_output, method))

    def cut(leaf: Array) -> Array:
        return leaf[:whole].reshape(whole // k, k, *leaf.shape[1:])

    x, _ = lax.scan(lambda x, chunk: (part(chunk, x), None), x, jax.tree.map(cut, stack))
    rest = replace(stack, w=stack.w[whole:], b=stack.b[whole:])
    return x if whole == stack.depth else part(rest, x)
