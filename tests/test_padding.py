"""Rows filled up: numbers of rows share a program, and results are those of the rows alone."""

import jax
import numpy as np
import pytest

import jnn
from jnn import padding
from jnn.metrics.by_name import METRICS
from jnn.training import compiled
from jnn.triangular import network as network_file

RNG = np.random.default_rng(0)


def rows(n, labels=False):
    x = RNG.normal(size=(n, 3)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int) if labels else np.sin(x[:, :2])


def network(n_out=2, output="identity"):
    return jnn.init_network_params([3, 5, 5, n_out], jax.random.key(0), output=output)


def results(**options):
    """What a run leaves: parameters and history."""
    fit = jnn.fit(network(), **{"epochs": 4, "learning_rate": 0.01, **options})
    return jax.tree.leaves(fit.params), fit.history


@pytest.mark.parametrize("n", [5, 33, 41])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 5},
        {"batch_size": None, "optimizer": "bfgs", "learning_rate": None},
        {"optimizer": "levenberg_marquardt", "loss": "mse", "learning_rate": None},
        {"metrics": ("mse", "max_error", "r2"), "patience": 2},
        {"loss": "rmse", "batch_size": 3},
        {"weighted": True, "shuffle": False},
        {"watch": tuple(jnn.diagnostics.WATCHES)},
        {"validation": 7, "metrics": ("mae",)},
    ],
    ids=str,
)
def test_results_are_those_of_the_rows_alone(n, options, monkeypatch, x64):
    options = dict(options)
    data = rows(n)
    if options.pop("weighted", False):
        data = (*data, RNG.uniform(0.5, 2, n))
    if "validation" in options:
        options["validation"] = rows(options["validation"])
    found, history = results(data=data, **options)
    monkeypatch.setattr(padding, "longer", lambda n: n)
    expected, expected_history = results(data=data, **options)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
    for name, column in expected_history.items():
        np.testing.assert_allclose(history[name], column, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_no_metric_looks_at_what_was_filled_up(metric, monkeypatch):
    for n_out, output, data in (
        (2, "identity", rows(37)), (1, "sigmoid", rows(37, labels=True)),
        (2, "softmax", rows(37, labels=True)),
    ):  # fmt: skip
        params = network(n_out, output)
        try:
            found = jnn.evaluate(params, data, metric)
        except (ValueError, TypeError):  # of other targets
            continue
        with monkeypatch.context() as alone:
            alone.setattr(padding, "longer", lambda n: n)
            assert found == pytest.approx(jnn.evaluate(params, data, metric), rel=1e-5)


def test_a_metric_without_weights_sees_the_rows_alone():
    def count(predictions, targets):
        return float(len(targets))

    assert jnn.evaluate(network(), rows(37), [count, "mse"])["count"] == 37
    fit = jnn.fit(network(), rows(37), metrics=count, epochs=1)
    assert fit.history["count"] == [37]


@pytest.mark.parametrize("options", [{}, {"batch_size": "all"}], ids=str)
def test_other_numbers_of_rows_share_a_program(options):
    def run(n, held):
        given = {"batch_size": n} if options else {}
        jnn.fit(network(), rows(n), validation=rows(held), epochs=1, **given)

    run(201, 51)
    before = compiled.run._cache_size()
    for n, held in ((202, 52), (211, 60), (212, 55)):
        run(n, held)
    assert compiled.run._cache_size() == before


# ---- predict ----


@pytest.mark.parametrize("n", [1, 2, 5, 32, 201, 212])
@pytest.mark.parametrize("hidden", [[5], [4] * 9])
def test_predictions_are_those_of_the_rows_alone(n, hidden, x64):
    params = jnn.init_network_params([3, *hidden, 2], jax.random.key(0))
    x = RNG.normal(size=(n, 3))
    found = jnn.predict(params, x)
    assert isinstance(found, jax.Array)
    assert not found.committed
    expected = jax.vmap(jnn.forward, (None, 0))(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jnn.predict(params, jax.numpy.asarray(x)), expected, rtol=1e-12)


def test_batches_of_other_lengths_share_a_program():
    params = network()
    jnn.predict(params, rows(201)[0])
    before = network_file.batch_output._cache_size()
    for n in (202, 211, 212, 224):
        assert jnn.predict(params, rows(n)[0]).shape == (n, 2)
    assert network_file.batch_output._cache_size() == before


def test_under_transformations_a_batch_keeps_its_length():
    params, (x, _) = network(), rows(37)
    expected = jnn.predict(params, x)
    for found in (
        jax.jit(jnn.predict)(params, x),
        jax.jit(lambda: jnn.predict(params, x))(),
        jax.vmap(lambda b: jnn.predict(jax.tree.map(lambda a: a + b, params), x))(np.zeros(1))[0],
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    gradient = jax.grad(lambda p: jnn.predict(p, x).sum())(params)
    assert float(gradient[-1].b.sum()) == pytest.approx(2 * 37)  # each row counted once


def test_predictions_stay_on_the_device_of_committed_parameters():
    params = jax.device_put(network(), jax.devices()[-1])
    found = jnn.predict(params, rows(37)[0])
    assert found.committed
    assert found.devices() == {jax.devices()[-1]}
