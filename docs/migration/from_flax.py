"""Flax NNX beside jnn. A kernel is (n_(l-1), n_l), the transpose of W."""

import jax.numpy as jnp
import optax
from flax import nnx
from task import BATCH, EPOCHS, RATE, X, Y, agree, start

import jnn

# ---- Flax ----

rngs = nnx.Rngs(0)
linear = [nnx.Linear(n, m, rngs=rngs) for n, m in ((1, 16), (16, 16), (16, 1))]
for layer, (w, b) in zip(linear, start(), strict=True):
    layer.kernel.set_value(jnp.asarray(w.T))
    layer.bias.set_value(jnp.asarray(b))
model = nnx.Sequential(linear[0], jnp.tanh, linear[1], jnp.tanh, linear[2])
optimizer = nnx.Optimizer(model, optax.adam(RATE), wrt=nnx.Param)


@nnx.jit
def step(model, optimizer, x, y):
    """One step of Adam; model and optimizer are changed in place."""
    gradient = nnx.grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
    optimizer.update(model, gradient)


for _ in range(EPOCHS):
    for i in range(0, len(X), BATCH):
        step(model, optimizer, X[i : i + BATCH], Y[i : i + BATCH])

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

agree(model(X), jnn.predict(result.params, X))
