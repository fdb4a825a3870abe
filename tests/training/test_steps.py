"""Weights, and what is promised of a result, against closed forms and `jnn.evaluate`."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
from scipy.optimize import minimize

import jnn

pytestmark = pytest.mark.table

RNG = np.random.default_rng(0)
N = 48
X = RNG.standard_normal((N, 2))
Y = X @ [[1.0], [-2.0]] + 0.5 + 0.3 * np.sin(3 * X[:, :1])
LABELS = (X[:, 0] + 2 * RNG.standard_normal(N) > 1).astype(int)
W = RNG.uniform(0, 1, N) ** 3 * 20  # some hundred times as heavy as others
ZERO = {n: jnn.from_layers([(np.zeros((n, 2)), np.zeros(n))]) for n in (1, 2)}
SIZES = [1, 8, 32, N, 7]
# a stream of batches of 1 is read row by row, in Python
SOURCES = ["arrays", pytest.param("stream", marks=pytest.mark.slow)]
fit = partial(jnn.fit, progress=False)


def batches(size, *arrays):
    """A stream of them, in a new order in every epoch."""

    def epoch(number):
        order = np.random.default_rng(number).permutation(len(arrays[0]))
        rows = [order[i : i + size] for i in range(0, len(order), size)]
        return (tuple(a[r] for a in arrays) for r in rows)

    return epoch


def slowing(size, first, epochs):
    """Falls as 1/t in the end, so that the noise of small batches dies out."""
    steps = epochs * -(-N // size)
    return optax.polynomial_schedule(first, 0.0, 2, steps)


def least_squares(w):
    root = np.sqrt(w)[:, None]
    A = np.c_[X, np.ones(N)]
    return np.linalg.lstsq(root * A, root * Y, rcond=None)[0].ravel()


def logistic_regression(w):
    A, sign = np.c_[X, np.ones(N)], 2 * LABELS - 1
    return minimize(lambda p: w @ np.logaddexp(0, -sign * (A @ p)), np.zeros(3), tol=1e-12).x


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_weighted_fits_are_weighted_least_squares(size, scale, source):
    data, epochs = (X, Y, scale * W), 300 if size > 1 else 100
    options = {"batch_size": size} if source == "arrays" else {}
    data = data if source == "arrays" else batches(size, *data)
    rate = slowing(size, 0.02 if size == 1 else 0.1, epochs)
    result = fit(
        ZERO[1],
        data,
        loss="half_mse",
        optimizer="sgd",
        learning_rate=rate,
        epochs=epochs,
        **options,
    )
    w, b = jnn.layers(result.params)[0]
    right = least_squares(W)
    np.testing.assert_allclose(np.r_[np.ravel(w), b], right, atol=0.02 * abs(right).max())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weights", [1 + W, "balanced"], ids=["weights", "balanced"])
def test_weighted_fits_are_weighted_logistic_regression(size, weights, source):
    w = jnn.data.class_weights(LABELS, "balanced") if isinstance(weights, str) else weights
    data, epochs = (X, LABELS, w), 1000 if size > 7 else 400
    options = {"batch_size": size} if source == "arrays" else {}
    data = data if source == "arrays" else batches(size, *data)
    rate = slowing(size, {N: 0.3, 32: 0.1, 8: 0.1}.get(size, 0.03), epochs)
    result = fit(
        ZERO[2],
        data,
        loss="cross_entropy",
        optimizer="momentum",
        learning_rate=rate,
        epochs=epochs,
        **options,
    )
    right = np.c_[X, np.ones(N)] @ logistic_regression(w)
    found = np.diff(jnn.predict(result.params, X), axis=1).ravel()
    np.testing.assert_allclose(found, right, atol=0.02 * abs(right).max())


@pytest.mark.parametrize("size", [1, 7, N])
def test_the_mean_of_the_gradients_of_the_minibatches_is_that_of_all(size, x64):
    """With weights, at one and the same parameters: by steps of rate 0 but for a sum of them."""
    seen = optax.GradientTransformation(
        lambda p: jax.tree.map(jnp.zeros_like, p),
        lambda g, total, _: (
            jax.tree.map(jnp.zeros_like, g),
            jax.tree.map(jnp.add, total, g),
        ),
    )
    params = oracles.network([2, 3, 1])
    run = partial(fit, params, (X, Y, W), epochs=1, optimizer=seen, shuffle=False)
    parts, whole = run(batch_size=size), run(batch_size=N)
    if N % size == 0:
        mean = jax.tree.map(lambda g: g / (N // size), parts.optimizer_state)
        assert oracles.apart(mean, whole.optimizer_state) < 1e-12
    recorded, right = parts.history["loss"][0], jnn.evaluate(params, (X, Y, W), "half_mse")
    assert recorded == pytest.approx(right["half_mse"], rel=1e-12)


def test_a_stream_that_knows_its_mean_weight_is_the_run_over_arrays(x64):
    order = {"shuffle": False, "epochs": 3, "loss": "mse"}
    arrays = fit(oracles.network([2, 3, 1]), (X, Y, W), batch_size=8, **order)
    rows = [slice(i, i + 8) for i in range(0, N, 8)]
    stream = jnn.Stream(lambda _: ((X[r], Y[r], W[r]) for r in rows), mean_weight=W.mean())
    found = fit(oracles.network([2, 3, 1]), stream, epochs=3, loss="mse")
    assert oracles.apart(found.params, arrays.params) < 1e-12
    np.testing.assert_allclose(found.history["loss"], arrays.history["loss"], rtol=1e-12)


# ---- what is no mean of the examples ----


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [1, 8, N])
def test_rmse_of_small_batches_is_that_of_all(size, source):
    """The root of a small batch's mean would lead to the least |ŷ − y| at batch 1: the median."""
    y = RNG.exponential(size=(N, 1))
    epochs = 100 if size == 1 else 300
    data, options = (np.zeros((N, 2)), y), {"batch_size": size}
    if source == "stream":
        data, options = batches(size, *data), {}
    first = 0.05 if size == 1 else 0.2
    rate = optax.polynomial_schedule(first, 0.0, 2, epochs * -(-N // size))
    result = fit(
        ZERO[1], data, loss="rmse", optimizer="sgd", learning_rate=rate, epochs=epochs, **options
    )
    assert float(jnn.predict(result.params, np.zeros((1, 2)))[0, 0]) == pytest.approx(
        y.mean(), rel=0.02
    )
    assert result.history["loss"][-1] == pytest.approx(y.std(), rel=1e-3)


# ---- what is promised ----

RULES = {
    "patience": {"patience": 3},
    "target": {"stop": jnn.Stop(target=0.3)},
    "tolerance": {"stop": jnn.Stop(tolerance=1e-2)},
    "least improvement": {"patience": 3, "stop": jnn.Stop(min_improvement=1e-3)},
    "plateau": {"plateau": jnn.Plateau(patience=2), "patience": 9},
}


@pytest.mark.parametrize("held", [True, False], ids=["validation", "training"])
@pytest.mark.parametrize("source", ["arrays", "stream"])
@pytest.mark.parametrize("size", [1, 10, N])
@pytest.mark.parametrize("loss", ["mse", "rmse"])
@pytest.mark.parametrize("rule", RULES)
def test_the_promised_loss_is_that_of_the_result(rule, loss, size, source, held):
    start, all_rows = oracles.network([2, 4, 1]), (X, Y, W)
    judged = (X[::2] + 0.1, Y[::2]) if held else all_rows
    data, options = (all_rows, {"batch_size": size})
    if source == "stream":
        data, options = (batches(size, *all_rows), {})
    validation = {"validation": judged} if held else {}
    result = fit(
        start,
        data,
        loss=loss,
        optimizer="nesterov",
        learning_rate=0.02,
        epochs=60,
        **validation,
        **options,
        **RULES[rule],
    )
    name = "validation_loss" if held and rule != "tolerance" else "loss"
    epoch = result.best_epoch if "patience" in RULES[rule] else result.epochs
    promised = result.history[name][epoch - 1]
    of = all_rows if rule == "tolerance" else judged
    assert jnn.evaluate(result.params, of, loss)[loss] == pytest.approx(promised, rel=1e-5)
    if rule == "target" and result.stopped == "target":
        assert promised <= 0.3
    best = jnn.evaluate(result.best_params, judged, loss)[loss]
    monitored = result.history["validation_loss" if held else "loss"]
    assert best == pytest.approx(monitored[result.best_epoch - 1], rel=1e-5)


def test_a_penalty_belongs_to_the_promise():
    penalty = jnn.penalties.l2(0.1)
    result = fit(ZERO[1], (X, Y), penalty=penalty, patience=3, epochs=30, batch_size=8)
    loss = jnn.evaluate(result.params, (X, Y), "half_mse")["half_mse"]
    promised = result.history["loss"][result.best_epoch - 1]
    assert loss + float(jnn.penalties.value(penalty, result.params)) == pytest.approx(promised)


def test_where_nothing_looks_the_last_epoch_is_the_best():
    result = fit(ZERO[1], (X, Y), epochs=5, optimizer="sgd", learning_rate=1.5, batch_size=N)
    assert result.best_epoch == 5
    assert oracles.apart(result.best_params, result.params) == 0


def test_rules_on_an_iterator_need_validation_data():
    once = iter([(X, Y)] * 9)
    stream = jnn.Stream(once, steps_per_epoch=3)
    with pytest.raises(ValueError, match=r"batches come once: rules .* give validation=\(x, y\)"):
        fit(ZERO[1], stream, epochs=3, patience=1)
    result = fit(ZERO[1], stream, epochs=3, patience=3, validation=(X, Y))
    assert result.epochs == 3
    with pytest.raises(ValueError, match=r"tolerance cannot look at .* leave it out"):
        fit(ZERO[1], stream, epochs=3, stop=jnn.Stop(tolerance=0.1), validation=(X, Y))


def test_a_stream_that_comes_but_once_is_told_when_it_is_read_again():
    generator = ((X, Y) for _ in range(3))
    with pytest.raises(ValueError, match="gave no batch when epoch 1 was read once more"):
        fit(ZERO[1], lambda _: generator, epochs=3, patience=1)
