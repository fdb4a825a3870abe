"""Equinox beside jnn: W has the same shape, (n_l, n_(l-1))."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from task import BATCH, EPOCHS, RATE, X, Y, agree, start

import jnn

# ---- Equinox ----

model = eqx.nn.MLP(1, 1, 16, depth=2, activation=jnp.tanh, key=jax.random.key(0))
arrays = [jnp.asarray(a) for pair in start() for a in pair]
model = eqx.tree_at(lambda m: [a for l in m.layers for a in (l.weight, l.bias)], model, arrays)
optimizer = optax.adam(RATE)
state = optimizer.init(eqx.filter(model, eqx.is_array))


@eqx.filter_jit
def step(model, state, x, y):
    """One step of Adam."""
    gradient = eqx.filter_grad(lambda m: jnp.mean((jax.vmap(m)(x) - y) ** 2))(model)
    updates, state = optimizer.update(gradient, state)
    return eqx.apply_updates(model, updates), state


for _ in range(EPOCHS):
    for i in range(0, len(X), BATCH):
        model, state = step(model, state, X[i : i + BATCH], Y[i : i + BATCH])

# ---- jnn ----

params = jnn.from_layers(start())
result = jnn.fit(
    params,
    (X, Y),
    loss="mse",
    optimizer="adam",
    learning_rate=RATE,
    epochs=EPOCHS,
    batch_size=BATCH,
    shuffle=False,
    progress=False,
)

agree(jax.vmap(model)(X), jnn.predict(result.params, X))
