"""The contestants of `bench_peers.py` that are written on JAX with optax: Equinox and Flax NNX.

Both train as their documentation does, a Python loop over a compiled step. Deep networks also stand here with their
equal layers stacked and scanned, as both documentations advise for them; and one run is compiled whole by hand, which
is what somebody who knows JAX well can have.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bench_peers import Case, Layers, Prepared


def _objective(case: "Case") -> Callable[[Any, Any], Any]:
    import optax

    if case.loss == "mse":
        return lambda prediction, y: ((prediction - y) ** 2).mean()
    return lambda logits, y: optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def _activation(case: "Case") -> Callable[[Any], Any]:
    import jax

    return jax.numpy.tanh if case.activation == "tanh" else jax.nn.relu


def _stacked(layers: "Layers") -> list[np.ndarray]:
    """W_1, b_1, the hidden layers' as one array each, W_N, b_N."""
    w, b = map(np.stack, zip(*layers[1:-1], strict=True))
    return [*layers[0], w, b, *layers[-1]]


def _unstacked(arrays: list[Any]) -> "Layers":
    w_1, b_1, w, b, w_N, b_N = map(np.asarray, arrays)
    return [(w_1, b_1), *zip(w, b, strict=True), (w_N, b_N)]


def _pairs(arrays: list[Any]) -> "Layers":
    return list(zip(map(np.asarray, arrays[::2]), map(np.asarray, arrays[1::2]), strict=True))


# ---- Equinox ----


def _equinox_mlp(case: "Case") -> Any:
    """The library's own MLP with the given parameters; its leaves are W_1, b_1, W_2, …"""
    import equinox as eqx
    import jax

    n_in, width, depth, n_out = case.shape
    model = eqx.nn.MLP(n_in, n_out, width, depth, _activation(case), key=jax.random.key(0))
    given = [jax.numpy.asarray(a) for pair in case.layers for a in pair]
    return eqx.tree_at(lambda m: [a for layer in m.layers for a in (layer.weight, layer.bias)], model, given)


def equinox_stack(h: Callable[[Any], Any], width: int, keys: Any) -> Any:
    """A module of one's own: a stacked Linear for each of the keys, walked by lax.scan."""
    import equinox as eqx
    import jax

    class Layers(eqx.Module):
        linear: Any

        def __call__(self, x: Any) -> Any:
            arrays, rest = eqx.partition(self.linear, eqx.is_array)

            def layer(x: Any, arrays: Any) -> Any:
                return h(eqx.combine(arrays, rest)(x)), None

            return jax.lax.scan(layer, x, arrays)[0]

    return Layers(eqx.filter_vmap(lambda key: eqx.nn.Linear(width, width, key=key))(keys))


def _equinox_deep(case: "Case") -> Any:
    """A module of one's own whose hidden layers are stacked."""
    import equinox as eqx
    import jax

    h = _activation(case)

    class Deep(eqx.Module):
        first: Any
        hidden: Any
        last: Any

        def __init__(self, n_in: int, width: int, depth: int, n_out: int, key: Any) -> None:
            keys = jax.random.split(key, depth + 1)
            self.first = eqx.nn.Linear(n_in, width, key=keys[0])
            self.hidden = equinox_stack(h, width, keys[1:-1])
            self.last = eqx.nn.Linear(width, n_out, key=keys[-1])

        def __call__(self, x: Any) -> Any:
            return self.last(self.hidden(h(self.first(x))))

    model = Deep(*case.shape, jax.random.key(0))
    given = [jax.numpy.asarray(a) for a in _stacked(case.layers)]
    return eqx.tree_at(
        lambda m: [a for l in (m.first, m.hidden.linear, m.last) for a in (l.weight, l.bias)], model, given
    )


def _equinox_step(case: "Case") -> tuple[Any, Callable[..., Any]]:
    """The optimizer, and one update of (model, state) by a batch, not compiled yet."""
    import equinox as eqx
    import jax
    import optax

    objective, optimizer = _objective(case), optax.adam(case.rate, eps=case.epsilon)

    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        gradient = eqx.filter_grad(lambda model: objective(jax.vmap(model)(x), y))(model)
        updates, state = optimizer.update(gradient, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    return optimizer, step


def _equinox_train(case: "Case", start: Any, unpack: Callable[[list[Any]], "Layers"]) -> "Prepared":
    import equinox as eqx
    import jax

    optimizer, step = _equinox_step(case)
    step = eqx.filter_jit(step)

    def run() -> Any:
        model, state = start, optimizer.init(eqx.filter(start, eqx.is_inexact_array))
        for _ in range(case.epochs):
            for x, y in case.batches():
                model, state = step(model, state, x, y)
        return jax.block_until_ready(eqx.filter(model, eqx.is_array))

    return run, lambda model: unpack(jax.tree.leaves(model))


def equinox_loop(case: "Case") -> "Prepared":
    return _equinox_train(case, _equinox_mlp(case), _pairs)


def equinox_layers_scanned(case: "Case") -> "Prepared":
    return _equinox_train(case, _equinox_deep(case), _unstacked)


def equinox_whole_run(case: "Case") -> "Prepared":
    """All epochs and steps as one compiled program, written by hand; deep networks with their layers scanned."""
    import equinox as eqx
    import jax

    deep = case.shape[2] > 10
    model = _equinox_deep(case) if deep else _equinox_mlp(case)
    optimizer, step = _equinox_step(case)
    arrays, rest = eqx.partition(model, eqx.is_array)
    full = len(case.x) // case.batch * case.batch
    x, y = jax.numpy.asarray(case.x), jax.numpy.asarray(case.y)

    def update(carry: Any, batch: Any) -> Any:
        model, state = step(eqx.combine(carry[0], rest), carry[1], *batch)
        return (eqx.filter(model, eqx.is_array), state), None

    def epoch(carry: Any, x: Any, y: Any) -> Any:
        batches = (a[:full].reshape(-1, case.batch, *a.shape[1:]) for a in (x, y))
        carry, _ = jax.lax.scan(update, carry, tuple(batches))
        return carry if full == len(x) else update(carry, (x[full:], y[full:]))[0]

    @jax.jit
    def whole(arrays: Any, x: Any, y: Any) -> Any:
        carry = (arrays, optimizer.init(arrays))
        return jax.lax.fori_loop(0, case.epochs, lambda _, carry: epoch(carry, x, y), carry)[0]

    unpack = _unstacked if deep else _pairs
    return lambda: jax.block_until_ready(whole(arrays, x, y)), lambda model: unpack(jax.tree.leaves(model))


# ---- Flax NNX ----


def _flax_train(case: "Case", model: Any, linear: list[Any], given: list[np.ndarray]) -> "Prepared":
    """Its Linear keeps the kernel as (n_in, n_out); `linear` are the model's layers, `given` their W and b in turn."""
    import jax
    import optax
    from flax import nnx

    for l, layer in enumerate(linear):
        layer.kernel[...] = jax.numpy.asarray(np.swapaxes(given[2 * l], -1, -2))
        layer.bias[...] = jax.numpy.asarray(given[2 * l + 1])
    start, objective = nnx.clone(model), _objective(case)
    adam = optax.adam(case.rate, eps=case.epsilon)  # one for all runs: another would be compiled anew

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> None:
        gradient = nnx.grad(lambda model: objective(model(x), y))(model)
        optimizer.update(model, gradient)

    def run() -> None:
        nnx.update(model, nnx.state(start))
        cached = nnx.cached_partial(step, model, nnx.Optimizer(model, adam, wrt=nnx.Param))
        for _ in range(case.epochs):
            for x, y in case.batches():
                cached(x, y)
        jax.block_until_ready(nnx.state(model))

    def read(_: Any) -> list[Any]:
        return [a for m in linear for a in (np.swapaxes(m.kernel[...], -1, -2), m.bias[...])]

    return run, lambda _: (_unstacked if len(given) == 6 != 2 * len(case.layers) else _pairs)(read(_))


def flax_loop(case: "Case") -> "Prepared":
    from flax import nnx

    h = _activation(case)

    class MLP(nnx.Module):
        def __init__(self, sizes: list[int], rngs: Any) -> None:
            self.layers = nnx.List([nnx.Linear(n, m, rngs=rngs) for n, m in pairwise(sizes)])

        def __call__(self, x: Any) -> Any:
            *hidden, last = self.layers
            for layer in hidden:
                x = h(layer(x))
            return last(x)

    model = MLP(case.sizes, nnx.Rngs(0))
    return _flax_train(case, model, list(model.layers), [a for pair in case.layers for a in pair])


def flax_stack(h: Callable[[Any], Any], width: int, depth: int, rngs: Any) -> Any:
    """A module whose `linear` are so many stacked Linears, walked by nnx.scan."""
    from flax import nnx

    class Layers(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            @nnx.split_rngs(splits=depth)
            @nnx.vmap(in_axes=0, out_axes=0)
            def stacked(rngs: Any) -> Any:
                return nnx.Linear(width, width, rngs=rngs)

            self.linear = stacked(rngs)

        def __call__(self, x: Any) -> Any:
            @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
            def layers(x: Any, layer: Any) -> Any:
                return h(layer(x))

            return layers(x, self.linear)

    return Layers(rngs)


def flax_layers_scanned(case: "Case") -> "Prepared":
    from flax import nnx

    h = _activation(case)

    class Deep(nnx.Module):
        def __init__(self, n_in: int, width: int, depth: int, n_out: int, rngs: Any) -> None:
            self.first = nnx.Linear(n_in, width, rngs=rngs)
            self.hidden = flax_stack(h, width, depth - 1, rngs)
            self.last = nnx.Linear(width, n_out, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.last(self.hidden(h(self.first(x))))

    model = Deep(*case.shape, nnx.Rngs(0))
    return _flax_train(case, model, [model.first, model.hidden.linear, model.last], _stacked(case.layers))
