"""Dropout: the network in training, some of its hidden units silent for each example.

With a mask mₗ, which is 0 with probability `rate` and 1 / (1 − rate) else, a hidden layer is

    xₗ = mₗ ∘ h(zₗ) [+ xₗ₋₁],        zₗ = Wₗ xₗ₋₁ + bₗ,        E mₗ = 1,

so that the network without masks, `jnn.predict`, needs no correction ("inverted" dropout). The
masks multiply states and slopes alike: the derivatives solve the same triangular system
(I − L) dx = D dp, with mₗ ∘ δₗ in place of δₗ.

Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014; residual branches as in Huang et al.
2016.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jnn import activations, checks
from jnn.checks import Thing
from jnn.params import Params, Stack, hidden_and_readout
from jnn.shapes import Bool, Float
from jnn.triangular import loops, network
from jnn.triangular.method import Method
from jnn.triangular.products import times

_COLUMNS = 32  # the width up to which columns are faster than vmap, measured on CPUs


def batch_output(
    params: Params,
    X: Float[Array, "batch n_0"],
    key: Array,
    rate: ArrayLike,
    method: Method | None = None,
) -> Float[Array, "batch n_N"]:
    """The outputs of a batch with every hidden unit dropped with probability `rate`.

    Each example has masks of its own. Neither the input nor the output is dropped; in residual
    layers the branch h(z) is, not the skip.

    Args:
      params: from `init_network_params` or `from_layers`.
      X: (batch, n_0).
      key: from `jax.random.key`; the same key draws the same masks.
      rate: 0 ≤ rate < 1, see `check_rate`; it is taken to a multiple of 2⁻¹⁶. It may be traced: a
        new rate then recompiles nothing.
      method: see `check_dropout`; any where the rate is the number 0, which leaves the plain
        network.
    Raises:
      ValueError: a method that does not know masks.

    >>> layers = [(np.ones((4, 1)), np.zeros(4)), (np.eye(4), np.zeros(4))]
    >>> params = jnn.from_layers(layers, activation="identity")
    >>> batch_output(params, jnp.ones((2, 1)), jax.random.key(0), 0.5).tolist()
    [[2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]
    """
    method = method or Method()
    if isinstance(rate, (int, float)) and rate == 0:
        # the very same numbers; a traced 0 gives them up to rounding
        return network.batch_output(params, X, method)
    check_dropout(method)
    params, X = network.in_dtype(method, params, X)
    hidden, readout = hidden_and_readout(params)
    gain = (1 / (1 - jnp.asarray(rate, float))).astype(X.dtype)
    for i, stack in enumerate(hidden):
        keep = _keep(jax.random.fold_in(key, i), rate, _mask_shape(stack, len(X)))
        if _by_columns(stack):
            X = _stack_output(stack, X.T, keep, gain).T
        else:
            X = jax.vmap(_stack_output, (None, 0, 1, None))(stack, X, keep, gain)
    return network.batch_output((readout,), X, method)


def check_rate(rate: Thing) -> float:
    """The rate as a number, 0 ≤ rate < 1.

    Raises:
      ValueError: the rate lies outside.
      TypeError: the rate is not a number.

    >>> check_rate(1)
    Traceback (most recent call last):
      ...
    ValueError: dropout_rate is 1; it must be at least 0 and below 1: the probability that a unit \
is dropped
    """
    meaning = "the probability that a unit is dropped"
    return checks.number("dropout_rate", rate, least=0, below=1, meaning=meaning)


def check_dropout(method: Method) -> None:
    """Raise on a way of computing that does not know masks.

    JAX differentiates the scan: the triangular rule would gain 13% at best (width 8, depth 1000).

    Raises:
      ValueError: another way.

    >>> check_dropout(Method())
    """
    if method.backprop not in ("auto", "autodiff"):
        raise ValueError(
            f"backprop {method.backprop!r} takes no dropout; use one of: auto, autodiff"
        )
    if method != Method(method.backprop, dtype=method.dtype):
        raise ValueError(
            "dropout walks the layers and keeps every state: leave states and recompute_every out"
        )


def _by_columns(stack: Stack) -> bool:
    """Whether the batch stands in columns, x: (n, batch), as in deep and narrow stacks."""
    return stack.depth > 1 and max(stack.w.shape[1:]) <= _COLUMNS


def _mask_shape(stack: Stack, batch: int) -> tuple[int, int, int]:
    """(depth, n, batch) for columns, (depth, batch, n) else."""
    depth, n = stack.b.shape
    return (depth, n, batch) if _by_columns(stack) else (depth, batch, n)


def _keep(key: Array, rate: ArrayLike, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    """Which units stay: one draw for a stack, an eighth of the size of its states and slopes.

    A random word of 32 bits serves two units, by 16 bits each: 0.41 instead of the 0.71 ms of
    `jax.random.bernoulli` at depth 1000, width 8, batch 32, where all else takes 1.3 ms, and half
    its compile time. JAX draws a whole word for every entry of its own narrower types, so asking it
    for uint16 saves nothing. Drawing layer by layer within the scan takes as long as one draw.
    """
    size = math.prod(shape)
    words = jax.random.bits(key, (-(-size // 2),), jnp.uint32)
    bits = lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[:size].reshape(shape)
    below = jnp.round(jnp.asarray(rate, float) * 2**16)
    below = jnp.minimum(below, 2**16 - 1)  # a rate just under 1 must not wrap
    return bits >= below.astype(jnp.uint16)


def _stack_output(stack: Stack, x: Array, keep: Array, gain: Array) -> Array:
    """x_N of a stack for one example (n,), or for a batch as columns (n, batch)."""
    h = activations.resolve(stack.activation).value

    def layer(x: Array, block: tuple[Array, Array, Array]) -> tuple[Array, None]:
        w, b, keep = block
        y = jnp.where(keep, gain * h(times(w, x) + b), 0)
        return y + x if stack.residual else y, None

    return loops.scan(layer, x, (stack.w, loops.column(stack.b, x), keep))[0]
