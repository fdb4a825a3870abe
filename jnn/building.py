"""Building a network: parameters drawn at random, or taken from a list of layers."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jnn import activations, checks, draws, initializers, interrupts, memory, outputs
from jnn.activations import ActivationLike
from jnn.checks import Data, Thing
from jnn.params import Params, Stack
from jnn.precision import common, wide
from jnn.transfers import meant

Activations: TypeAlias = ActivationLike | Sequence[ActivationLike]


@meant
def init_network_params(
    sizes: Sequence[int],
    key: Array,
    *,
    activation: Activations = "tanh",
    output: ActivationLike = "identity",
    init: str | initializers.Scheme | initializers.Initializer | None = None,
    residual: bool = False,
    dtype: Thing = None,
) -> Params:
    """Random parameters of a network with layer sizes (n_0, …, n_N).

        xₗ = h(Wₗ xₗ₋₁ + bₗ) [+ xₗ₋₁],  l = 1 … N − 1,        x_N = h_N(W_N x_{N−1} + b_N)

    Args:
      sizes: (n_0, …, n_N), at least two positive integers; equal neighbours become one stack.
      key: from `jax.random.key`; each layer draws from a key of its own.
      activation: of the hidden layers, a name of `jnn.ACTIVATIONS` or an elementwise function; or a
        list of N − 1 of them, one a layer. Write a function once and pass that one object: every
        new lambda is a new network to the compiler.
      output: of the last layer, the readout: the identity as a rule, whose outputs are logits to
        "cross_entropy"; "softmax" and "sigmoid" give probabilities; or any other activation.
      init: a name of `jnn.INITIALIZERS`, a function `(key, (n_in, n_out), dtype) -> weights`, or
        None, which chooses by each layer's activation: He (relu family), LeCun (selu), Glorot
        (else). "normal" is the lecture's N(0, 1); "critical" is for depth.
      residual: add xₗ₋₁ to every hidden layer that keeps its width.
      dtype: of all parameters; None is JAX's default (float32 unless x64 is enabled).
    Raises:
      ValueError: sizes are empty or not positive integers, a name is unknown, activations are not
        one a hidden layer, float64 without x64.
      TypeError: the key is not a JAX key, or activation, init or dtype are of the wrong kind.

    >>> params = init_network_params([1, 1, 1, 1], jax.random.key(0), activation="sigmoid")
    >>> [(stack.depth, stack.activation) for stack in params]
    [(2, 'sigmoid'), (1, 'identity')]
    """
    n = checks.sizes(sizes)
    dtype = checks.floating_dtype("dtype", jnp.result_type(float) if dtype is None else dtype)
    plan = _plan(n, activation, output, residual)
    starts = initializers.resolve(init, [(layer.activation, layer.residual) for layer in plan])
    runs = tuple(
        _Run(layer, start, len([*run]))
        for (layer, start), run in groupby(zip(plan, starts, strict=True))
    )
    key = checks.key(key)
    if not isinstance(key, Tracer):  # of which nothing need be drawn: jax.eval_shape
        numbers = sum((layer.n_in + 1) * layer.n_out for layer in plan)
        remedy = "give smaller sizes"
        memory.check(f"a network of {numbers:,} parameters", numbers * dtype.itemsize, remedy)
    stacks = []
    with interrupts.kept():
        drawn = _drawn(key, runs, dtype)
        # layers of one stack may have been drawn in several runs, by different initializers
        for layer, parts in groupby(zip(runs, drawn, strict=True), key=lambda part: part[0].layer):
            ws, bs = zip(*(wb for _, wb in parts), strict=True)
            w, b = (a[0] if len(a) == 1 else jnp.concatenate(a) for a in (ws, bs))
            stacks.append(Stack(w, b, layer.activation, layer.residual))
    return tuple(stacks)


@meant
def from_layers(
    layers: Iterable[Data],
    *,
    activation: Activations = "tanh",
    output: ActivationLike = "identity",
    residual: bool = False,
) -> Params:
    """Parameters from a list [(W_1, b_1), …, (W_N, b_N)]; the last layer is the readout.

    Args:
      layers: Wₗ: (n_l, n_{l−1}) and bₗ: (n_l,), arrays or nested lists; plain numbers stand for
        width one.
      activation, output, residual: as in `init_network_params`.
    Raises:
      ValueError: there is no layer, the shapes do not chain, or activations are not one a hidden
        layer; the message names the layer.
      TypeError: an entry is not a pair of floating-point arrays.

    >>> params = from_layers([(0.5, 1.0), (-2.0, 0.0)], activation="sigmoid")
    >>> jnn.sizes(params)
    (1, 1, 1)
    """
    if not hasattr(layers, "__iter__"):
        raise TypeError(f"layers is {layers!r}; it must be a list of pairs (W, b)")
    arrays = [_layer_arrays(l, pair) for l, pair in enumerate(layers, start=1)]
    if not arrays:
        raise ValueError("no layers given: a network needs at least one pair (W, b)")
    for l, ((w, _), (w_next, _)) in enumerate(pairwise(arrays), start=1):
        if w_next.shape[1] != w.shape[0]:
            raise ValueError(
                f"layer {l} gives {w.shape[0]} values, but layer {l + 1} takes "
                f"{w_next.shape[1]} (W is (n_out, n_in))"
            )
    n = (arrays[0][0].shape[1], *(w.shape[0] for w, _ in arrays))
    plan = _plan(n, activation, output, residual)
    traced = any(isinstance(a, Tracer) for pair in arrays for a in pair)
    stacks = []
    for layer, run in groupby(zip(plan, arrays, strict=True), key=lambda pair: pair[0]):
        parts = [list(part) for part in zip(*(pair for _, pair in run), strict=True)]
        w, b = map(jnp.stack if traced else _stacked_on_the_host, parts)
        stacks.append(Stack(w, b, layer.activation, layer.residual))
    return tuple(stacks)


# ---- pieces ----


class _Layer(NamedTuple):
    """What two layers must share to stand in one stack."""

    n_in: int
    n_out: int
    activation: ActivationLike
    residual: bool


class _Run(NamedTuple):
    """Layers, one after the other, of the same kind and start."""

    layer: _Layer
    start: initializers.Initializer
    depth: int


def _plan(
    n: tuple[int, ...], activation: Activations, output: ActivationLike, residual: bool
) -> list[_Layer]:
    """One entry a layer."""
    hidden = len(n) - 2
    if isinstance(activation, (list, tuple)):
        each: list[ActivationLike] = list(activation)
        if len(each) != hidden:
            raise ValueError(
                f"activation has {len(each)} entries; expected one for each hidden layer, {hidden}"
            )
    else:
        single: Any = activation
        activations.check(single)
        each = [single] * hidden
    for different in {id(h): h for h in each}.values():
        activations.check(different)
    outputs.check_output(output)
    residual = checks.flag("residual", residual)
    layers = [
        _Layer(n_in, n_out, h, residual and n_in == n_out)
        for (n_in, n_out), h in zip(pairwise(n[:-1]), each, strict=True)
    ]
    return [*layers, _Layer(n[-2], n[-1], output, False)]


def _drawn(key: Array, runs: tuple["_Run", ...], dtype: np.dtype) -> list[tuple[Array, Array]]:
    """Weights (depth, n_out, n_in) and biases (depth, n_out) of every run, a key a layer."""
    host = draws.on_host(key, sum(run.depth for run in runs))
    if host is None or any(run.start.takes_keys for run in runs):
        return _compiled(key, runs, dtype)
    drawn, first = [], 0
    for run in runs:
        of_run = draws.OnHost(host.keys[first : first + run.depth])
        w, b = run.start.draw(of_run, (run.layer.n_in, run.layer.n_out), wide(dtype))
        w = np.ascontiguousarray(w.swapaxes(-1, -2), dtype)
        drawn.append(jax.device_put((w, b.astype(dtype))))
        first += run.depth
    return drawn


@partial(jax.jit, static_argnames=("runs", "dtype"))  # else every operation is a program
def _compiled(key: Array, runs: tuple["_Run", ...], dtype: np.dtype) -> list[tuple[Array, Array]]:
    keys = jax.random.split(key, sum(run.depth for run in runs))
    drawn, first = [], 0
    for run in runs:

        def one(key: Array, run: _Run = run) -> tuple[Array, Array]:
            own = dtype if run.start.takes_keys else wide(dtype)
            of_layer = draws.Traced(key)
            w, b = run.start.draw(of_layer, (run.layer.n_in, run.layer.n_out), own)
            return w.T.astype(dtype), b.astype(dtype)

        of_run = keys[first : first + run.depth]
        # on a CPU a loop compiles in half the time; an accelerator would wait at each of its steps
        loop, at_once = partial(jax.lax.map, one), jax.vmap(one)
        drawn.append(jax.lax.platform_dependent(of_run, cpu=loop, default=at_once))
        first += run.depth
    return drawn


def _stacked_on_the_host(arrays: list[Array]) -> Array:
    """`jnp.stack`; thousands of arrays XLA would compile for a minute."""
    return jax.device_put(np.stack(arrays, dtype=common(*(a.dtype for a in arrays))))


def _layer_arrays(l: int, pair: Data) -> tuple[Array, Array]:
    """W: (n_out, n_in) and b: (n_out,) of layer l, of one floating-point type."""
    try:
        w, b = (jnp.asarray(a, None if hasattr(a, "dtype") else float) for a in pair)
    except (TypeError, ValueError) as error:
        raise TypeError(f"layer {l} must be a pair of arrays (W, b), got {pair!r}") from error
    w = w.reshape(1, 1) if w.ndim == 0 else w
    b = b.reshape(1) if b.ndim == 0 else b
    if w.ndim != 2 or b.shape != w.shape[:1] or 0 in w.shape:
        raise ValueError(
            f"layer {l} has W {w.shape} and b {b.shape}; expected W (n_out, n_in) and b (n_out,)"
        )
    dtype = common(w.dtype, b.dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"layer {l} holds {dtype}; parameters must be floating-point")
    return w.astype(dtype), b.astype(dtype)
