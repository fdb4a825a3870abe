"""A trained network as one serialised program of JAX, for batches of any size."""

import jax
import numpy as np
from jax import export
from task import RATE, X, Y, start

import jnn

params = jnn.fit(
    jnn.from_layers(start()),
    (X, Y),
    learning_rate=RATE,
    progress=False,
).params

(n,) = export.symbolic_shape("n")
x = jax.ShapeDtypeStruct((n, 1), np.float32)
data = export.export(jax.jit(lambda x: jnn.predict(params, x)))(x).serialize()

again = export.deserialize(data)  # elsewhere: needs jax, not jnn
for rows in (1, 7, 200):
    ours = jnn.predict(params, X[:rows])
    np.testing.assert_allclose(again.call(X[:rows]), ours, rtol=0, atol=1e-6)
print("the program read again agrees for 1, 7 and 200 rows")
