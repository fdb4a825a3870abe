"""What `fit` records of every layer: what the diagnostics say of the parameters of that epoch."""

import jax
import numpy as np
import pytest
from diagnostics.networks import classifiers

import jnn
from jnn import diagnostics

X = np.linspace(-1, 1, 300, dtype=np.float32)[:, None]
Y = np.sin(3 * X)
OPTIONS = {
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "batch_size": 100,
    "progress": False,
    "shuffle": False,
}


def start(sizes=(1, 5, 5, 5, 1), activation="tanh"):
    return jnn.init_network_params(sizes, jax.random.key(0), activation=activation)


@pytest.mark.slow
def test_columns_are_those_of_the_diagnostics_at_the_end():
    fit = jnn.fit(start(), (X, Y), epochs=3, watch=tuple(diagnostics.WATCHES), **OPTIONS)
    few = X[:256], Y[:256]
    found, statistics = (
        diagnostics.gradient_norms(fit.params, *few),
        diagnostics.statistics(fit.params, few[0]),
    )
    expected = {
        "log_gradients": found.log_weights,
        "state_std": statistics.x_std,
        "saturated": statistics.saturated,
        "dead": statistics.dead,
        "constant": statistics.constant,
        "effective_rank": diagnostics.effective_rank(fit.params, few[0]),
    }
    assert set(expected) == set(diagnostics.WATCHES)
    for name, value in expected.items():
        assert fit.history[name].shape == (3, 4), name
        np.testing.assert_allclose(fit.history[name][-1], value, rtol=2e-4, atol=1e-6, err_msg=name)
    assert "effective_rank" not in fit.table()
    assert "effective_rank" not in str(fit)


@pytest.mark.slow
def test_watching_changes_nothing():
    plain = jnn.fit(start(), (X, Y), epochs=4, **OPTIONS)
    watched = jnn.fit(start(), (X, Y), epochs=4, watch="dead", **OPTIONS)
    assert list(plain.history) == [name for name in watched.history if name != "dead"]
    np.testing.assert_array_equal(plain.history["loss"], watched.history["loss"])


def test_a_single_layer_is_a_column_too():
    assert jnn.fit(start((1, 1)), (X, Y), epochs=2, watch="state_std", **OPTIONS).history[
        "state_std"
    ].shape == (2, 1)


@pytest.mark.slow
def test_a_softmax_is_watched_up_to_its_logits():
    x = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    y = np.arange(60) % 4
    columns = ("log_gradients", "state_std", "dead", "effective_rank")
    softmax, logits = classifiers()
    options = {**OPTIONS, "batch_size": 20}
    found = jnn.fit(softmax, (x, y), loss="log_loss", epochs=2, watch=columns, **options)
    same = jnn.fit(logits, (x, y), loss="cross_entropy", epochs=2, watch=columns, **options)
    for name in columns:
        assert found.history[name].shape == (2, 4)
        np.testing.assert_allclose(
            found.history[name], same.history[name], rtol=1e-4, atol=1e-5, err_msg=name
        )


@pytest.mark.slow
def test_with_a_checkpoint(tmp_path):
    whole = jnn.fit(start(), (X, Y), epochs=5, watch=["log_gradients", "dead"], **OPTIONS)
    for epochs in (2, 5):
        parts = jnn.fit(
            start(),
            (X, Y),
            epochs=epochs,
            watch=["log_gradients", "dead"],
            checkpoint=tmp_path,
            **OPTIONS,
        )
    assert parts.resumed == 2
    for name, column in whole.history.items():
        np.testing.assert_array_equal(column, parts.history[name])
    with pytest.raises(ValueError, match="watch was"):
        jnn.fit(start(), (X, Y), epochs=6, watch="dead", checkpoint=tmp_path, **OPTIONS)


@pytest.mark.slow
def test_a_stream_is_watched_on_its_validation_data():
    options = {**OPTIONS, "batch_size": None, "shuffle": True}
    stream = lambda epoch: [(X[:50], Y[:50])]  # noqa: E731
    with pytest.raises(ValueError, match="give validation"):
        jnn.fit(start(), stream, epochs=2, watch="dead", **options)
    fit = jnn.fit(start(), stream, epochs=2, watch="state_std", validation=(X, Y), **options)
    expected = diagnostics.statistics(fit.params, X[:256]).x_std
    np.testing.assert_allclose(fit.history["state_std"][-1], expected, rtol=1e-5)


@pytest.mark.slow
def test_vanishing_gradients_are_seen_where_plain_norms_are_zero():
    fit = jnn.fit(
        start([1] + 80 * [1] + [1], "sigmoid"), (X, Y), epochs=1, watch="log_gradients", **OPTIONS
    )
    assert np.isfinite(fit.history["log_gradients"]).all()
    assert fit.history["log_gradients"][0, 0] < -100


@pytest.mark.parametrize(
    ("watch", "error", "message"),
    [
        ("deaf", ValueError, "unknown watch 'deaf'; known: log_gradients"),
        ((1,), ValueError, "unknown watch 1"),
        (("dead", "dead"), ValueError, "twice"),
        (3, TypeError, "watch is 3; it must be a name"),
    ],
)
def test_unknown_names_are_refused(watch, error, message):
    with pytest.raises(error, match=message):
        jnn.fit(start(), (X, Y), watch=watch, **OPTIONS)
