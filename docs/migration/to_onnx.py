"""A trained network as an ONNX file's bytes, by jax2onnx, checked with onnxruntime."""

import jax.numpy as jnp
import numpy as np
import onnxruntime
from jax2onnx import to_onnx
from task import RATE, X, Y, start

import jnn

result = jnn.fit(jnn.from_layers(start()), (X, Y), learning_rate=RATE, epochs=100, progress=False)


def predict(x):
    """The network by its layers, in plain jax.numpy: what every exporter knows."""
    *hidden, (w, b) = jnn.layers(result.params)
    for w_l, b_l in hidden:
        x = jnp.tanh(x @ w_l.T + b_l)
    return x @ w.T + b


model = to_onnx(predict, [("n", 1)])
session = onnxruntime.InferenceSession(model.SerializeToString())
for rows in (1, 7, 200):
    (theirs,) = session.run(None, {session.get_inputs()[0].name: X[:rows]})
    ours = jnn.predict(result.params, X[:rows])
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-6)
print("onnxruntime agrees for 1, 7 and 200 rows")
