"""Flax NNX: a module as its documentation writes it, and one with stacked layers."""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.fit.case import Layers, Trainer, Training
from benchmarks.fit.on_jax import Unpack, activation, flat, objective, pairs, stacked, unstacked
from benchmarks.stacks import flax_stack


def loop(training: Training) -> Trainer:
    """A module as its documentation writes it."""
    from flax import nnx

    h = activation(training)

    class MLP(nnx.Module):
        def __init__(self, sizes: list[int], rngs: Any) -> None:
            self.layers = nnx.List([nnx.Linear(n, m, rngs=rngs) for n, m in pairwise(sizes)])

        def __call__(self, x: Any) -> Any:
            *hidden, last = self.layers
            for layer in hidden:
                x = h(layer(x))
            return last(x)

    model = MLP(training.sizes, nnx.Rngs(0))
    return _train(training, model, list(model.layers), flat(training.layers), pairs)


def layers_scanned(training: Training) -> Trainer:
    """A module whose hidden layers are stacked and scanned."""
    from flax import nnx

    h = activation(training)

    class Deep(nnx.Module):
        def __init__(self, n_in: int, width: int, depth: int, n_out: int, rngs: Any) -> None:
            self.first = nnx.Linear(n_in, width, rngs=rngs)
            self.hidden = flax_stack(h, width, depth - 1, rngs)
            self.last = nnx.Linear(width, n_out, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.last(self.hidden(h(self.first(x))))

    model = Deep(*training.shape, nnx.Rngs(0))
    linear = [model.first, model.hidden.linear, model.last]
    return _train(training, model, linear, stacked(training.layers), unstacked)


def _train(
    training: Training,
    model: Any,
    linear: list[Any],
    given: list[np.ndarray],
    unpack: Unpack,
) -> Trainer:
    """Its Linear keeps the kernel as (n_in, n_out).

    `linear` are the model's layers, `given` their W and b in turn.
    """
    import jax
    import optax
    from flax import nnx

    for l, layer in enumerate(linear):
        layer.kernel[...] = jax.numpy.asarray(np.swapaxes(given[2 * l], -1, -2))
        layer.bias[...] = jax.numpy.asarray(given[2 * l + 1])
    start = nnx.clone(model)
    loss = objective(training)
    # one for all runs: another would be compiled anew
    adam = optax.adam(training.rate, eps=training.epsilon)

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> None:
        gradient = nnx.grad(lambda model: loss(model(x), y))(model)
        optimizer.update(model, gradient)

    def run() -> None:
        nnx.update(model, nnx.state(start))
        cached = nnx.cached_partial(step, model, nnx.Optimizer(model, adam, wrt=nnx.Param))
        for _ in range(training.epochs):
            for x, y in training.batches():
                cached(x, y)
        jax.block_until_ready(nnx.state(model))

    def read(_: Any) -> Layers:
        arrays = [a for m in linear for a in (np.swapaxes(m.kernel[...], -1, -2), m.bias[...])]
        return unpack(arrays)

    return Trainer(run, read)
