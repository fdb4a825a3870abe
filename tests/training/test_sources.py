"""What is trained on: weights, validation, precision, penalties and smoothing in `fit`."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest

import jnn
from jnn import data, losses, penalties

EXACT = 1e-12
N = 12
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
LABELS = np.arange(N) % 3
fit = partial(jnn.fit, optimizer="sgd", learning_rate=0.1, epochs=5, progress=False)


def together(result):
    return result.params, result.history


def test_whole_weights_are_rows_given_that_often(x64):
    counts = RNG.integers(1, 4, N)
    params = oracles.network([2, 3, 1])
    weighted = fit(params, (X, Y, counts), batch_size=N)
    repeated = fit(params, (X.repeat(counts, 0), Y.repeat(counts, 0)), batch_size=int(counts.sum()))
    assert oracles.apart(together(weighted), together(repeated)) < EXACT


def test_a_row_of_weight_zero_is_a_row_left_out(x64):
    params, weights = oracles.network([2, 3, 1]), np.where(np.arange(N) % 4, 1.0, 0.0)
    weighted = fit(params, (X, Y, weights), batch_size=4)
    left = fit(params, (X[weights > 0], Y[weights > 0]), batch_size=4)
    assert oracles.apart(together(weighted), together(left)) < EXACT


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, N)], ids=["unweighted", "weighted"])
def test_the_last_partial_batch_counts_rightly(weights, x64):
    """One epoch in which parameters stand still: its loss is that of all the rows."""
    params = oracles.network([2, 3, 1])
    rows = (X, Y) if weights is None else (X, Y, weights)
    loss = fit(params, rows, learning_rate=1e-300, batch_size=5, epochs=1).history["loss"][0]
    each = 0.5 * (jax.vmap(oracles.forward, (None, 0))(params, X) - Y)[:, 0] ** 2
    assert float(loss) == pytest.approx(np.average(each, weights=weights), rel=EXACT)


def test_validation_as_arrays_is_the_loss_after_the_epoch(x64):
    params = oracles.network([2, 3, 1])
    result = fit(
        params, (X, Y), validation=(X[:5], Y[:5], np.arange(1.0, 6)), batch_size=4, epochs=3
    )
    for epoch in range(3):
        after = fit(params, (X, Y), batch_size=4, epochs=epoch + 1).params
        each = 0.5 * (jax.vmap(oracles.forward, (None, 0))(after, X[:5]) - Y[:5])[:, 0] ** 2
        expected = np.average(each, weights=np.arange(1.0, 6))
        assert float(result.history["validation_loss"][epoch]) == pytest.approx(expected, rel=EXACT)


def test_validation_of_many_rows_is_taken_in_parts(x64):
    x = RNG.standard_normal((2500, 2))
    y = np.cos(x.sum(axis=1, keepdims=True))
    params = oracles.network([2, 3, 3, 1])
    result = fit(params, (X, Y), validation=(x, y), batch_size=4, epochs=1, metrics="r2")
    residual = np.asarray(jnn.predict(result.params, x)) - y
    assert float(result.history["validation_loss"][0]) == pytest.approx(
        np.mean(residual**2) / 2, rel=EXACT
    )
    r2 = 1 - np.mean(residual**2) / np.var(y)
    assert float(result.history["validation_r2"][0]) == pytest.approx(r2, rel=1e-10)


def test_a_fraction_is_split_off_stratified_and_by_the_key():
    params = oracles.network([2, 4, 3])
    key = jax.random.key(5)
    result = fit(params, (X, LABELS), loss="cross_entropy", validation=0.5, batch_size=3, key=key)
    train, held = data.split((X, LABELS), (0.5, 0.5), jax.random.fold_in(key, 1), stratify=LABELS)
    assert np.bincount(held[1]).tolist() == [2, 2, 2]
    by_hand = fit(params, train, loss="cross_entropy", validation=held, batch_size=3, key=key)
    for name, column in result.history.items():
        np.testing.assert_array_equal(column, by_hand.history[name])


def test_a_metric_is_recorded_for_training_and_validation():
    params = oracles.network([2, 4, 3])
    result = fit(
        params,
        (X, LABELS),
        loss="cross_entropy",
        validation=(X[:6], LABELS[:6]),
        metrics=["accuracy"],
    )
    right = np.asarray(jnn.predict(result.params, X)).argmax(axis=1) == LABELS
    assert float(result.history["accuracy"][-1]) == pytest.approx(right.mean())
    assert float(result.history["validation_accuracy"][-1]) == pytest.approx(right[:6].mean())


@pytest.mark.parametrize(
    "penalty",
    [
        penalties.l1(0.1),
        penalties.l2(0.1),
        penalties.elastic_net(0.1, 0.3),
        lambda p: jnp.sum(p[0].b ** 2),
    ],
)
def test_a_penalty_is_added_to_the_loss(penalty, x64):
    params, rate = oracles.network([2, 3, 1]), 0.1

    def objective(p):
        fitted = jnp.mean(0.5 * (jax.vmap(oracles.forward, (None, 0))(p, jnp.asarray(X)) - Y) ** 2)
        if isinstance(penalty, penalties.Penalty):
            weights = [s.w for s in p]
            return fitted + sum(
                jnp.sum(penalty.l1 * jnp.abs(w) + penalty.l2 * w**2 / 2) for w in weights
            )
        return fitted + penalty(p)

    value, gradient = jax.value_and_grad(objective)(params)
    expected = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
    result = fit(params, (X, Y), penalty=penalty, learning_rate=rate, batch_size=N, epochs=1)
    assert oracles.apart(expected, result.params) < EXACT
    assert float(result.history["loss"][0]) == pytest.approx(float(value), rel=EXACT)


def test_label_smoothing_is_training_on_softened_rows(x64):
    params = oracles.network([2, 4, 3])
    soft = np.asarray(optax.smooth_labels(jnp.asarray(data.one_hot(LABELS, dtype=float)), 0.2))
    smoothed = fit(params, (X, LABELS), loss=losses.smoothed("cross_entropy", 0.2), batch_size=5)
    by_hand = fit(params, (X, soft), loss="cross_entropy", batch_size=5)
    assert oracles.apart(together(smoothed), together(by_hand)) < EXACT


@pytest.mark.slow
def test_clipping_bounds_the_step():
    params = oracles.network([2, 3, 1])
    result = fit(params, (X, 100 * Y), clip_norm=0.5, learning_rate=0.1, batch_size=N, epochs=1)
    step = jax.tree.map(jnp.subtract, result.params, params)
    assert float(optax.tree.norm(step)) == pytest.approx(0.05, rel=1e-3)
    assert result.history["gradient_norm"][0] > 0.5  # as it was before it was clipped


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 6, 12])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_gradient_norm_is_that_of_the_last_minibatch(size, streamed, x64):
    params = oracles.network([2, 3, 1])

    def norm(p, rows):
        def objective(p):
            return jnp.mean(
                0.5 * (jax.vmap(oracles.forward, (None, 0))(p, jnp.asarray(X[rows])) - Y[rows]) ** 2
            )

        return float(optax.tree.norm(jax.grad(objective)(p)))

    rows = [slice(i, min(i + size, 12)) for i in range(0, 12, size)]
    if streamed:
        data, options = lambda epoch: [(X[r], Y[r]) for r in rows], {}
    else:
        data, options = (X, Y), {"batch_size": size, "shuffle": False}
    result = fit(params, data, learning_rate=1e-300, epochs=1, **options)
    found = float(result.history["gradient_norm"][0])
    assert found == pytest.approx(norm(params, rows[-1]), rel=1e-10)


def test_dropout_is_reproducible_from_the_key_and_regularises_only_training():
    params = oracles.network([2, 16, 16, 1])
    run = partial(fit, params, (X, Y), dropout_rate=0.5, validation=(X, Y), epochs=3)
    a, b, c = run(key=jax.random.key(1)), run(key=jax.random.key(1)), run(key=jax.random.key(2))
    np.testing.assert_array_equal(a.history["loss"], b.history["loss"])
    assert not np.array_equal(a.history["loss"], c.history["loss"])
    residual = np.asarray(jnn.predict(a.params, X)) - Y
    assert float(a.history["validation_loss"][-1]) == pytest.approx(
        np.mean(residual**2) / 2, rel=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("compute", [None, jnp.bfloat16])
def test_precisions(dtype, compute):
    params = jnn.init_network_params([2, 16, 1], jax.random.key(0), dtype=dtype)
    run = partial(
        fit,
        params,
        (X, Y),
        validation=(X, Y),
        metrics="r2",
        epochs=200,
        backprop=jnn.Method(dtype=compute),
    )
    result = run()
    assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {jnp.dtype(dtype)}
    assert {column.dtype for column in result.history.values()} == {np.dtype(np.float32)}
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]


@pytest.mark.slow
def test_computing_in_bfloat16_is_rounding_parameters_and_rows():
    params = oracles.network([2, 8, 1])
    result = fit(params, (X, Y), backprop=jnn.Method(dtype="bfloat16"), batch_size=N, epochs=1)
    rounded = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    predictions = jnn.predict(rounded, X.astype(jnp.bfloat16)).astype(jnp.float32)
    expected = losses.mean_loss(
        losses.resolve("half_mse"), predictions, jnp.asarray(Y, jnp.float32)
    )
    # XLA may keep more digits between two operations than bfloat16 has (8 bits: 4e-3)
    assert float(result.history["loss"][0]) == pytest.approx(float(expected), rel=1e-2)
    full = fit(params, (X, Y), batch_size=N, epochs=1).history["loss"][0]
    assert float(result.history["loss"][0]) != float(full)
    assert result.params[0].w.dtype == jnp.float32


def test_several_outputs_are_fitted_at_once(x64):
    params = oracles.network([2, 4, 3])
    y = np.column_stack([Y, Y**2, -Y])
    result = fit(params, (X, y), optimizer="adam", epochs=500, batch_size=N, metrics=("r2", "mae"))
    assert result.history["loss"][-1] < 0.2 * result.history["loss"][0]


WRONG = [
    (
        {"data": (X, Y, np.ones(3))},
        ValueError,
        r"weights of data has shape \(3,\); expected one for each row, \(12,\)",
    ),
    (
        {"data": (X, Y, -np.ones(N))},
        ValueError,
        "weights of data must be finite, not negative and not all zero",
    ),
    ({"data": (X, Y, np.zeros(N))}, ValueError, "not all zero"),
    ({"data": (X, Y, np.full(N, np.nan))}, ValueError, "weights of data must be finite"),
    ({"data": (X, Y, np.array(["a"] * N))}, TypeError, "weights of data must hold numbers"),
    (
        {"validation": 1.5},
        ValueError,
        "validation is 1.5; it must be above 0 and below 1: a fraction of the data",
    ),
    ({"validation": (X, Y[:3])}, ValueError, "x and y of validation differ in length"),
    ({"validation": (X[:, :1], Y)}, ValueError, r"x of validation has shape \(12, 1\)"),
    ({"dropout_rate": 1.0}, ValueError, "1.0"),
    ({"penalty": 0.1}, TypeError, "penalty is 0.1; it must be None"),
    ({"metrics": "accurracy"}, ValueError, "unknown metric 'accurracy'"),
    ({"backprop": jnn.Method(dtype=int)}, TypeError, "dtype is .*; it must be float16, bfloat16"),
    ({"metrics": {"r2": 1}}, TypeError, "metrics is .*; it must be a name, a loss, a function"),
    ({"metrics": 3}, TypeError, "metrics is 3; it must be a name, a loss, a function, or a list"),
    (
        {"metrics": ["r2", "r2"]},
        ValueError,
        "metrics are recorded by their names, which must differ",
    ),
    ({"validation": "all"}, ValueError, "or a fraction such as 0.2, got str"),
    ({"clip_norm": 0}, ValueError, "clip_norm is 0; it must be finite and above 0"),
    (
        {"optimizer": "bfgs", "batch_size": 4, "learning_rate": None},
        ValueError,
        "bfgs takes all 12 examples",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG, ids=range(len(WRONG)))
def test_wrong_examples_and_options_are_refused(options, error, message, as_a_user, monkeypatch):
    from jnn.training import compiled as program

    monkeypatch.setattr(program, "run", None)
    options = {"data": (X, Y), **options}
    with pytest.raises(error, match=message):
        fit(oracles.network([2, 1]), options.pop("data"), **options)


def test_fit_within_jit_is_refused(as_a_user):
    with pytest.raises(TypeError, match="call it outside of jit, grad and vmap"):
        jax.jit(lambda p: fit(p, (X, Y)).params)(oracles.network([2, 1]))


def test_a_label_too_rare_to_be_split_is_refused(as_a_user):
    with pytest.raises(
        ValueError,
        match=r"validation=0.5 cannot be split off: label 2 has only 1 .* validation arrays",
    ):
        fit(
            oracles.network([2, 3]),
            (X, np.array([0] * 6 + [1] * 5 + [2])),
            loss="cross_entropy",
            validation=0.5,
        )
