"""What is said of a run that stopped being finite, and that the remedies help."""

from functools import partial

import jax
import numpy as np
import optax
import oracles
import pytest

import jnn

N = 48
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
Y = np.sin(X[:, :1])
fit = partial(jnn.fit, progress=False)


@pytest.mark.parametrize(
    "optimizer",
    ["lbfgs", "bfgs", "adam", optax.adam(0.01)],
    ids=lambda given: given if isinstance(given, str) else "a transformation",
)
@pytest.mark.parametrize("source", ["arrays", "stream"])
def test_a_loss_that_is_infinite_at_the_start_is_said_to_be_and_the_remedies_help(
    optimizer, source
):
    x, y = 1000 * X, RNG.poisson(np.exp(0.3 * X[:, :1])).astype(float)
    if source == "stream" and optimizer in ("lbfgs", "bfgs"):
        optimizer = "adam"
    start = jnn.from_layers([(np.ones((1, 2)), np.zeros(1))])
    run = partial(fit, loss="poisson", optimizer=optimizer, epochs=3)

    def data(x):
        if source == "arrays":
            return x, y
        return lambda _: ((x[i : i + 16], y[i : i + 16]) for i in range(0, N, 16))

    with pytest.warns(RuntimeWarning, match="the loss is inf at the start") as said:
        result = run(start, data(x))
    assert (result.stopped, result.epochs) == ("diverged", 1)
    assert "standardise x (jnn.data.standardization), or start from smaller" in str(said[0].message)
    scale = jnn.data.standardization(x)
    assert run(start, data(jnn.data.standardize(scale, x))).stopped == "epochs"
    smaller = jax.tree.map(lambda a: 1e-3 * a, start)
    assert run(smaller, data(x)).diverged != 1


@pytest.mark.parametrize(
    ("optimizer", "remedies"),
    [
        (
            {"optimizer": "sgd", "learning_rate": 1e6},
            [{"learning_rate": 0.01}, {"clip_norm": 1e-6}],
        ),
        ({"optimizer": optax.sgd(1e6)}, [{"optimizer": optax.sgd(0.01)}, {"clip_norm": 1e-6}]),
    ],
    ids=["a name", "a transformation"],
)
def test_the_remedies_of_a_run_that_diverged_help(optimizer, remedies):
    run = partial(fit, oracles.network([2, 1]), (X, Y), epochs=9, batch_size=8)
    with pytest.warns(RuntimeWarning, match="learning rate, or clip the gradient"):
        assert run(**optimizer).stopped == "diverged"
    for remedy in remedies:
        assert run(**{**optimizer, **remedy}).stopped == "epochs"
