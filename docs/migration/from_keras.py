"""Keras beside jnn: a kernel is W transposed; ε is 1e-7 unless said."""

import keras
from task import BATCH, EPOCHS, RATE, X, Y, agree, start

import jnn

# ---- Keras ----

model = keras.Sequential(
    [
        keras.Input((1,)),
        keras.layers.Dense(16, "tanh"),
        keras.layers.Dense(16, "tanh"),
        keras.layers.Dense(1),
    ]
)
model.set_weights([a for w, b in start() for a in (w.T, b)])
model.compile(keras.optimizers.Adam(RATE, epsilon=1e-8), "mse")
model.fit(X, Y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)

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

agree(model.predict(X, verbose=0), jnn.predict(result.params, X))
