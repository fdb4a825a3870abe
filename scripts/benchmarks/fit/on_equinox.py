"""Equinox: its own MLP, a module of one's own, and a run that is compiled whole.

The last is written by hand: what somebody who knows JAX well can have.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

from benchmarks.fit.case import Trainer, Training
from benchmarks.fit.on_jax import (
    Unpack,
    activation,
    flat,
    objective,
    pairs,
    stacked,
    unstacked,
)
from benchmarks.stacks import equinox_stack


def loop(training: Training) -> Trainer:
    """Its own MLP."""
    return _train(training, _mlp(training), pairs)


def layers_scanned(training: Training) -> Trainer:
    """A module of one's own, its hidden layers stacked and scanned."""
    return _train(training, _deep(training), unstacked)


def whole_run(training: Training) -> Trainer:
    """All epochs and steps as one compiled program, written by hand.

    Deep networks have their layers scanned.
    """
    import equinox as eqx
    import jax

    deep = training.shape[2] > 10
    model = _deep(training) if deep else _mlp(training)
    unpack = unstacked if deep else pairs
    optimizer, step = _step(training)
    arrays, rest = eqx.partition(model, eqx.is_array)
    full = len(training.x) // training.batch * training.batch
    x = jax.numpy.asarray(training.x)
    y = jax.numpy.asarray(training.y)

    def update(carry: Any, batch: Any) -> Any:
        model, state = step(eqx.combine(carry[0], rest), carry[1], *batch)
        return (eqx.filter(model, eqx.is_array), state), None

    def epoch(carry: Any, x: Any, y: Any) -> Any:
        batches = tuple(a[:full].reshape(-1, training.batch, *a.shape[1:]) for a in (x, y))
        carry, _ = jax.lax.scan(update, carry, batches)
        if full < len(x):
            carry, _ = update(carry, (x[full:], y[full:]))
        return carry

    @jax.jit
    def whole(arrays: Any, x: Any, y: Any) -> Any:
        carry = (arrays, optimizer.init(arrays))

        def body(_: Any, carry: Any) -> Any:
            return epoch(carry, x, y)

        return jax.lax.fori_loop(0, training.epochs, body, carry)[0]

    def run() -> Any:
        return jax.block_until_ready(whole(arrays, x, y))

    return Trainer(run, lambda model: unpack(jax.tree.leaves(model)))


def _mlp(training: Training) -> Any:
    """The library's own MLP with the given parameters; its leaves are W_1, b_1, W_2, …"""
    import equinox as eqx
    import jax

    n_in, width, depth, n_out = training.shape
    h = activation(training)
    model = eqx.nn.MLP(n_in, n_out, width, depth, h, key=jax.random.key(0))
    given = [jax.numpy.asarray(a) for a in flat(training.layers)]

    def leaves(model: Any) -> list[Any]:
        return [a for layer in model.layers for a in (layer.weight, layer.bias)]

    return eqx.tree_at(leaves, model, given)


def _deep(training: Training) -> Any:
    """A module of one's own whose hidden layers are stacked."""
    import equinox as eqx
    import jax

    h = activation(training)

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

    def leaves(model: Any) -> list[Any]:
        layers = (model.first, model.hidden.linear, model.last)
        return [a for layer in layers for a in (layer.weight, layer.bias)]

    model = Deep(*training.shape, jax.random.key(0))
    given = [jax.numpy.asarray(a) for a in stacked(training.layers)]
    return eqx.tree_at(leaves, model, given)


def _step(training: Training) -> tuple[Any, Callable[..., Any]]:
    """The optimizer, and one update of (model, state) by a batch, not compiled yet."""
    import equinox as eqx
    import jax
    import optax

    loss = objective(training)
    optimizer = optax.adam(training.rate, eps=training.epsilon)

    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        gradient = eqx.filter_grad(lambda model: loss(jax.vmap(model)(x), y))(model)
        weights = eqx.filter(model, eqx.is_inexact_array)
        updates, state = optimizer.update(gradient, state, weights)
        return eqx.apply_updates(model, updates), state

    return optimizer, step


def _train(training: Training, start: Any, unpack: Unpack) -> Trainer:
    import equinox as eqx
    import jax

    optimizer, step = _step(training)
    step = eqx.filter_jit(step)

    def run() -> Any:
        model = start
        state = optimizer.init(eqx.filter(start, eqx.is_inexact_array))
        for _ in range(training.epochs):
            for x, y in training.batches():
                model, state = step(model, state, x, y)
        return jax.block_until_ready(eqx.filter(model, eqx.is_array))

    return Trainer(run, lambda model: unpack(jax.tree.leaves(model)))
