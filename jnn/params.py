"""Parameters: a network is a tuple of stacks, a stack is a run of equally shaped layers along a depth axis.

Storing equal layers along one axis lets `lax.scan` walk them, so that neither compile time nor code grows with depth.
What is not a number (activation, residual) is static: part of the tree's structure, and of what `jit` keys on.
"""

import dataclasses
import operator
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jnn import activations, initializers
from jnn.activations import ActivationLike


@partial(jax.tree_util.register_dataclass, data_fields=["w", "b"], meta_fields=["activation", "residual"])
@dataclasses.dataclass(frozen=True)
class Stack:
    """A run of equally shaped layers, xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁], stored along a leading depth axis.

    The leaves are typed `Any` because JAX rebuilds trees with leaves that are no arrays.

    >>> Stack(w=jnp.zeros((5, 2, 2)), b=jnp.zeros((5, 2)), activation="tanh").depth
    5
    """

    w: Any  # (depth, n_out, n_in)
    b: Any  # (depth, n_out)
    activation: ActivationLike = "identity"
    residual: bool = False

    @property
    def depth(self) -> int:
        """How many layers the stack holds."""
        return self.w.shape[0]


Params: TypeAlias = tuple[Stack, ...]


class _Layer(NamedTuple):
    """What two layers must share to stand in one stack."""

    n_in: int
    n_out: int
    activation: ActivationLike
    residual: bool


def init_network_params(
    sizes: Sequence[int],
    key: Array,
    *,
    activation: ActivationLike = "tanh",
    init: str | initializers.Scheme | initializers.Initializer | None = None,
    residual: bool = False,
    dtype: Any = None,
) -> Params:
    """Random parameters of a network with layer sizes (n_0, …, n_N); the last layer is linear (the readout).

        xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁],  l = 1 … N − 1,        x_N = W_N x_{N−1} + b_N

    Args:
      sizes: (n_0, …, n_N), at least two positive integers; equal neighbours become one stack by themselves.
      key: from `jax.random.key`; each layer draws from a key of its own.
      activation: a name of `jnn.activations.ACTIVATIONS` or an elementwise function. Write a function once and pass
        that one object: every new lambda is a new network to the compiler.
      init: a name of `jnn.initializers.INITIALIZERS`, a function `(key, (n_in, n_out), dtype) -> weights`, or None for
        He (relu family), LeCun (selu), Glorot (else). "normal" is the lecture's N(0, 1); "critical" is for depth.
      residual: add xₗ₋₁ to every hidden layer that keeps its width.
      dtype: of all parameters; None is JAX's default (float32 unless x64 is enabled).
    Raises:
      ValueError: sizes are empty or not positive integers, a name is unknown, float64 without x64.
      TypeError: the key is no JAX key, or activation, init or dtype are of the wrong kind.

    >>> params = init_network_params([1, 1, 1, 1], jax.random.key(0), activation="sigmoid", init="normal")
    >>> [(stack.depth, stack.activation) for stack in params]
    [(2, 'sigmoid'), (1, 'identity')]
    """
    n = check_sizes(sizes)
    dtype = _check_dtype(dtype)
    plan = _plan(n, activation, residual)
    starts = initializers.resolve(init, [(layer.activation, layer.residual) for layer in plan])
    runs = [(*pair, len([*run])) for pair, run in groupby(zip(plan, starts, strict=True))]
    drawn = _draw(check_key(key), tuple((depth, start, layer.n_in, layer.n_out) for layer, start, depth in runs), dtype)
    stacks = []
    for layer, parts in groupby(zip(runs, drawn, strict=True), key=lambda part: part[0][0]):
        ws, bs = zip(*(wb for _, wb in parts), strict=True)
        w, b = (a[0] if len(a) == 1 else jnp.concatenate(a) for a in (ws, bs))
        stacks.append(Stack(w, b, layer.activation, layer.residual))
    return tuple(stacks)


def layers(params: Params) -> list[tuple[Array, Array]]:
    """The parameters layer by layer, [(W_1, b_1), …, (W_N, b_N)], as a lecture writes them.

    >>> params = init_network_params([2, 3, 1], jax.random.key(0))
    >>> [w.shape for w, _ in layers(params)]
    [(3, 2), (1, 3)]
    """
    return [(w, b) for stack in params for w, b in zip(stack.w, stack.b, strict=True)]


def from_layers(layers: Iterable[Any], *, activation: ActivationLike = "tanh", residual: bool = False) -> Params:
    """Parameters from a list [(W_1, b_1), …, (W_N, b_N)]; the last layer is the linear readout.

    Args:
      layers: Wₗ: (n_l, n_{l−1}) and bₗ: (n_l,), arrays or nested lists; plain numbers stand for width one.
      activation: of the hidden layers.
      residual: whether hidden layers that keep their width add their input.
    Raises:
      ValueError: there is no layer, or the shapes do not chain; the message names the layer.
      TypeError: an entry is not a pair of floating-point arrays.

    >>> params = from_layers([(0.5, 1.0), (-2.0, 0.0)], activation="sigmoid")
    >>> sizes(params)
    (1, 1, 1)
    """
    if not hasattr(layers, "__iter__"):
        raise TypeError(f"layers must be a list of pairs (W, b), got {layers!r}")
    arrays = [_check_layer(l, pair) for l, pair in enumerate(layers, start=1)]
    if not arrays:
        raise ValueError("no layers given: a network needs at least one pair (W, b)")
    for l, ((w, _), (w_next, _)) in enumerate(pairwise(arrays), start=1):
        if w_next.shape[1] != w.shape[0]:
            raise ValueError(
                f"layer {l} gives {w.shape[0]} values, but layer {l + 1} takes {w_next.shape[1]} (W is (n_out, n_in))"
            )
    plan = _plan((arrays[0][0].shape[1], *(w.shape[0] for w, _ in arrays)), activation, residual)
    traced = any(isinstance(a, Tracer) for pair in arrays for a in pair)
    stacks = []
    for layer, run in groupby(zip(plan, arrays, strict=True), key=lambda pair: pair[0]):
        parts = zip(*(pair for _, pair in run), strict=True)  # thousands of them XLA would compile for a minute
        w, b = (jnp.stack(a) if traced else jnp.asarray(np.stack(a, dtype=jnp.result_type(*a))) for a in parts)
        stacks.append(Stack(w, b, layer.activation, layer.residual))
    return tuple(stacks)


def sizes(params: Params) -> tuple[int, ...]:
    """The layer sizes (n_0, …, n_N).

    >>> sizes(init_network_params([2, 8, 8, 1], jax.random.key(0)))
    (2, 8, 8, 1)
    """
    return (params[0].w.shape[2], *(stack.w.shape[1] for stack in params for _ in range(stack.depth)))


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The layer sizes as a tuple of ints, or a ValueError that says what is wrong with them.

    >>> check_sizes([2, 0, 1])
    Traceback (most recent call last):
      ...
    ValueError: layer size n_1 is 0 in sizes [2, 0, 1]; every size must be a positive integer
    """
    if isinstance(sizes, (str, bytes, dict)) or not hasattr(sizes, "__iter__"):
        raise ValueError(f"sizes must be a sequence of layer sizes such as [2, 8, 1], got {sizes!r}")
    sizes = list(sizes)
    if len(sizes) < 2:
        raise ValueError(f"sizes {sizes} have {len(sizes)} entries; a network needs at least n_0 and n_1, as in [1, 1]")
    shown = sizes if len(sizes) <= 12 else f"of {len(sizes)} layers"
    for l, n in enumerate(sizes):
        whole = hasattr(n, "__index__") and np.ndim(n) == 0 and not isinstance(n, (bool, np.bool_))
        if not whole or operator.index(n) < 1:
            raise ValueError(f"layer size n_{l} is {n!r} in sizes {shown}; every size must be a positive integer")
    return tuple(operator.index(n) for n in sizes)


def check_params(params: Any) -> tuple[int, ...]:
    """The layer sizes, or an error where `params` are not those of one network.

    >>> check_params(from_layers([(1.0, 2.0), (3.0, 4.0)]))
    (1, 1, 1)
    """
    if not isinstance(params, tuple) or not params or not all(isinstance(stack, Stack) for stack in params):
        got = "an empty tuple" if params == () else f"a {type(params).__name__}"
        raise TypeError(
            f"params must be a tuple of stacks, as from init_network_params; got {got}: "
            "use from_layers for a list of (W, b)"
        )
    shapes = [np.shape(stack.w) for stack in params]
    if any(len(shape) != 3 for shape in shapes):
        raise ValueError(f"weights have shapes {shapes}; expected (depth, n_out, n_in): for an ensemble use jax.vmap")
    if any(left[1] != right[2] for left, right in pairwise(shapes)):
        raise ValueError(f"the stacks do not chain: weights (depth, n_out, n_in) have shapes {shapes}")
    return sizes(params)


def _plan(n: tuple[int, ...], activation: ActivationLike, residual: bool) -> list[_Layer]:
    """One entry a layer; the hidden layers share the activation, the readout is the identity."""
    activations.check(activation)
    if not isinstance(residual, (bool, np.bool_)):
        raise TypeError(f"residual must be True or False, got {residual!r}")
    hidden = [_Layer(i, o, activation, bool(residual) and i == o) for i, o in pairwise(n[:-1])]
    return [*hidden, _Layer(n[-2], n[-1], "identity", False)]


@partial(jax.jit, static_argnames=("shapes", "dtype"))  # in one program, or every operation is compiled by itself
def _draw(key: Array, shapes: tuple[tuple[int, initializers.Initializer, int, int], ...], dtype: Any) -> list[Any]:
    """Weights (depth, n_out, n_in) and biases (depth, n_out) of stacks (depth, init, n_in, n_out), a key a layer."""
    keys = jax.random.split(key, sum(depth for depth, *_ in shapes))
    drawn, first = [], 0
    for depth, start, n_in, n_out in shapes:

        def one(key: Array, start: Any = start, shape: tuple[int, int] = (n_in, n_out)) -> tuple[Array, Array]:
            w, b = start.draw(key, shape, dtype)
            return w.T.astype(dtype), b.astype(dtype)

        of_stack = keys[first : first + depth]
        # on a CPU a loop compiles in half the time; an accelerator would wait at each of its steps
        drawn.append(jax.lax.map(one, of_stack) if jax.default_backend() == "cpu" else jax.vmap(one)(of_stack))
        first += depth
    return drawn


def check_key(key: Any) -> Array:
    """The key itself, or a TypeError: an integer, or a batch of keys, is none."""
    is_key = isinstance(key, Array) and (
        (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0)
        or (key.dtype == jnp.uint32 and key.shape == jax.random.PRNGKey(0).shape)  # a raw key
    )
    if not is_key:
        raise TypeError(f"key must be one JAX key, jax.random.key(seed); got {key!r}")
    return key


def _check_dtype(dtype: Any) -> np.dtype:
    try:
        wanted = jnp.zeros(()).dtype if dtype is None else jnp.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted is None or not jnp.issubdtype(wanted, jnp.floating) or wanted.itemsize < 2:
        raise TypeError(f"dtype must be float16, bfloat16, float32 or float64, got {dtype!r}")
    if wanted.itemsize == 8 and not jax.config.read("jax_enable_x64"):
        raise ValueError("float64 needs x64: call jax.config.update('jax_enable_x64', True) first, or use float32")
    return wanted


def _check_layer(l: int, pair: Any) -> tuple[Array, Array]:
    try:
        w, b = (jnp.asarray(a, None if hasattr(a, "dtype") else float) for a in pair)
    except (TypeError, ValueError) as error:
        raise TypeError(f"layer {l} must be a pair of arrays (W, b), got {pair!r}") from error
    w, b = (w.reshape(1, 1) if w.ndim == 0 else w), (b.reshape(1) if b.ndim == 0 else b)
    if w.ndim != 2 or b.shape != w.shape[:1] or 0 in w.shape:
        raise ValueError(f"layer {l} has W {w.shape} and b {b.shape}; expected W (n_out, n_in) and b (n_out,)")
    dtype = jnp.promote_types(w.dtype, b.dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"layer {l} holds {dtype}; parameters must be floating-point, W.astype(float)")
    return w.astype(dtype), b.astype(dtype)
