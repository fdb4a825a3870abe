"""jnn's two ways to train many networks, a textbook loop under `jax.vmap`, and Equinox."""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn
from benchmarks.many.case import EPSILON, RATE, Case, Layers, layers_of

Run = Callable[[], Layers]

# ---- jnn ----


def fit_many(case: Case) -> Run:
    """All of them in one call."""
    members, options = _members(case), _options(case)
    return lambda: layers_of(jnn.fit_many(members, (case.x, case.y), **options).params)


def loop_of_fit(case: Case) -> Run:
    """One after the other."""
    members, options = _members(case), _options(case)
    each = [jax.tree.map(lambda leaf, m=m: leaf[m], members) for m in range(case.members)]

    def run() -> Layers:
        found = [jnn.fit(params, (case.x, case.y), **options).params for params in each]
        return layers_of(jax.tree.map(lambda *leaves: jnp.stack(leaves), *found))

    return run


def _members(case: Case) -> jnn.Params:
    def one(layers: Any) -> jnn.Params:
        return jnn.from_layers(layers, activation="tanh")

    return jax.vmap(one)([(jnp.asarray(w), jnp.asarray(b)) for w, b in case.layers])


def _options(case: Case) -> dict[str, Any]:
    return {
        "epochs": case.epochs, "batch_size": case.batch, "shuffle": case.order is not None,
        "learning_rate": RATE, "progress": False,
    }  # fmt: skip


# ---- by hand ----


def textbook(case: Case) -> Run:
    """`jax.vmap` of a training loop as one writes it for a single network."""
    optimizer = optax.adam(RATE, eps=EPSILON)

    def loss(layers: Any, x: Any, y: Any) -> Any:
        for w, b in layers[:-1]:
            x = jnp.tanh(x @ w.T + b)
        w, b = layers[-1]
        return jnp.mean((x @ w.T + b - y) ** 2) / 2

    def step(carry: Any, rows: Any) -> Any:
        layers, state = carry
        gradient = jax.grad(loss)(layers, x[rows], y[rows])
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(layers, updates), state), None

    def epoch(carry: Any, visits: Any) -> Any:
        n, size = len(visits), case.batch
        carry, _ = jax.lax.scan(step, carry, visits[: n - n % size].reshape(-1, size))
        return step(carry, visits[n - n % size :]) if n % size else (carry, None)

    @jax.jit
    @jax.vmap
    def train(layers: Any) -> Any:
        return jax.lax.scan(epoch, (layers, optimizer.init(layers)), visits)[0][0]

    x, y, visits = jnp.asarray(case.x), jnp.asarray(case.y), jnp.asarray(case.visits)
    start = [(jnp.asarray(w), jnp.asarray(b)) for w, b in case.layers]
    return lambda: jax.block_until_ready(train(start))


def equinox(case: Case) -> Run:
    """`filter_vmap` of a step, in a loop of Python, as Equinox's documentation has it."""
    import equinox as eqx

    optimizer = optax.adam(RATE, eps=EPSILON)

    def loss(model: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jax.vmap(model)(x) - y) ** 2) / 2

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(eqx.if_array(0), eqx.if_array(0), None, None))
    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        gradient = eqx.filter_grad(loss)(model, x, y)
        updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(model, updates), state

    def weights(model: Any) -> list[Any]:
        return [a for layer in model.layers for a in (layer.weight, layer.bias)]

    keys = jax.random.split(jax.random.key(0), case.members)
    model = eqx.filter_vmap(
        lambda key: eqx.nn.MLP(1, 1, case.width, 2, activation=jnp.tanh, key=key)
    )(keys)
    given = [jnp.asarray(a) for pair in case.layers for a in pair]
    start = eqx.tree_at(weights, model, given)
    begin = eqx.filter_vmap(lambda model: optimizer.init(eqx.filter(model, eqx.is_array)))

    def run() -> Layers:
        model, state = start, begin(start)
        for visits in case.visits:
            for rows in np.split(visits, range(case.batch, len(visits), case.batch)):
                model, state = step(model, state, case.x[rows], case.y[rows])
        found = jax.block_until_ready(weights(model))
        return list(zip(found[::2], found[1::2], strict=True))

    return run
