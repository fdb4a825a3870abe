"""A trained network as an ONNX model, by jax2onnx, checked with onnxruntime."""

import numpy as np
import onnxruntime
from jax2onnx import to_onnx
from task import RATE, X, Y, start

import jnn

params = jnn.fit(
    jnn.from_layers(start()),
    (X, Y),
    learning_rate=RATE,
    progress=False,
).params

# any number of rows; for a fixed one, such as [(200, 1)], predict(params, x, backprop="autodiff"),
# which is made of JAX's own operations alone
model = to_onnx(lambda x: jnn.predict(params, x), [("n", 1)])
session = onnxruntime.InferenceSession(model.SerializeToString())
(given,) = session.get_inputs()
for rows in (1, 7, 200):
    (theirs,) = session.run(None, {given.name: X[:rows]})
    np.testing.assert_allclose(theirs, jnn.predict(params, X[:rows]), rtol=0, atol=1e-6)
print("onnxruntime agrees for 1, 7 and 200 rows")
