"""scikit-learn beside jnn: coefs_ are W transposed; errors are halved."""

import warnings

from sklearn.neural_network import MLPRegressor
from task import BATCH, EPOCHS, RATE, X, Y, agree, start

import jnn

# ---- scikit-learn ----


class FromStart(MLPRegressor):
    """The estimator from given weights, for which it has no argument."""

    def _init_coef(self, fan_in, fan_out, dtype):
        w, b = next(self.rest)
        assert w.shape == (fan_out, fan_in)
        return w.T.astype(dtype, order="C"), b.astype(dtype)


model = FromStart(
    hidden_layer_sizes=(16, 16),
    activation="tanh",
    alpha=0,
    batch_size=BATCH,
    shuffle=False,
    tol=0,
    learning_rate_init=RATE,
    max_iter=EPOCHS,
    n_iter_no_change=EPOCHS,
)
model.rest = iter(start())
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it was not asked to converge
    model.fit(X, Y.ravel())

# ---- jnn ----

params = jnn.from_layers(start())
result = jnn.fit(
    params,
    (X, Y),
    loss="half_mse",
    optimizer="adam",
    learning_rate=RATE,
    epochs=EPOCHS,
    batch_size=BATCH,
    shuffle=False,
    progress=False,
)

agree(model.predict(X)[:, None], jnn.predict(result.params, X))
