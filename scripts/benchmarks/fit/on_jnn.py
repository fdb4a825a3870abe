"""jnn: its own `fit`, and the run that its user can write by hand instead."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.fit.case import Layers, Trainer, Training
from benchmarks.fit.on_jax import objective


def fit(training: Training) -> Trainer:
    """`jnn.fit`."""
    import optax

    import jnn

    # by name, as its users would, unless ε is another: the comparison's
    adam: dict[str, Any] = {"optimizer": "adam", "learning_rate": training.rate}
    if training.epsilon != Training._field_defaults["epsilon"]:
        adam = {"optimizer": optax.adam(training.rate, eps=training.epsilon)}
    start = _params(training)

    def run() -> Any:
        return jnn.fit(
            start,
            (training.x, training.y),
            loss=training.loss,
            epochs=training.epochs,
            batch_size=training.batch,
            shuffle=False,
            progress=False,
            **adam,
        )

    return Trainer(run, lambda fit: _layers(fit.params))


def by_hand(training: Training) -> Trainer:
    """The whole run as one `lax.scan` over `jnn.predict` and optax: what `fit` is to cost."""
    import jax
    import optax

    import jnn

    loss = objective(training)
    optimizer = optax.adam(training.rate, eps=training.epsilon)
    start = _params(training)
    full = len(training.x) // training.batch * training.batch

    def step(carry: Any, batch: Any) -> Any:
        params, state = carry
        x, y = batch
        value, gradient = jax.value_and_grad(lambda p: loss(jnn.predict(p, x), y))(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    @jax.jit
    def whole(params: Any, x: Any, y: Any) -> Any:
        batches = tuple(a[:full].reshape(-1, training.batch, *a.shape[1:]) for a in (x, y))

        def epoch(carry: Any, _: Any) -> Any:
            carry, values = jax.lax.scan(step, carry, batches)
            if full < len(x):
                carry, _ = step(carry, (x[full:], y[full:]))
            return carry, values.mean()

        start = (params, optimizer.init(params))
        (params, _), history = jax.lax.scan(epoch, start, length=training.epochs)
        return params, history

    def run() -> Any:
        return jax.block_until_ready(whole(start, training.x, training.y))[0]

    return Trainer(run, _layers)


def _params(training: Training) -> Any:
    """A network of jnn's with the given parameters."""
    import jax

    import jnn

    drawn = jnn.init_network_params(
        training.sizes, jax.random.key(0), activation=training.activation
    )
    start = []
    rest = training.layers
    for stack in drawn:
        w, b = map(np.stack, zip(*rest[: stack.depth], strict=True))
        start.append(replace(stack, w=jax.numpy.asarray(w), b=jax.numpy.asarray(b)))
        rest = rest[stack.depth :]
    return tuple(start)


def _layers(params: Any) -> Layers:
    layers: Layers = []
    for stack in params:
        layers += zip(np.asarray(stack.w), np.asarray(stack.b), strict=True)
    return layers
