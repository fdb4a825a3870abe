"""Metrics of a network on data: those of its predictions, whether logits or probabilities."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference

import jnn
from jnn.training.evaluation import evaluate

X = np.linspace(-1, 1, 12).reshape(6, 2)
WEIGHTINGS = [None, np.array([1.0, 0, 2, 0.5, 0, 1])]

# (y, p, sample_weight=w)
REGRESSION = {
    "r2": reference.r2_score,
    "explained_variance": reference.explained_variance_score,
    "mse": reference.mean_squared_error,
    "rmse": lambda y, p, **weights: np.sqrt(reference.mean_squared_error(y, p, **weights)),
    "mae": reference.mean_absolute_error,
}
CLASSES = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
}


def mean_error(predictions, targets):
    return jnp.mean(predictions - targets)


def ending_in(params, output):
    """The same network with another readout."""
    return (*params[:-1], dataclasses.replace(params[-1], activation=output))


@pytest.mark.parametrize("backprop", ["auto", "autodiff"])
@pytest.mark.parametrize("w", WEIGHTINGS, ids=["unweighted", "weighted"])
def test_they_are_the_metrics_of_the_prediction(w, backprop, x64):
    params = jnn.init_network_params([2, 5, 2], jax.random.key(1))
    y = np.cos(3 * X)
    names = (*REGRESSION, "max_error")
    values = evaluate(params, (X, y), (*names, mean_error), weights=w, backprop=backprop)
    p = np.asarray(jnn.predict(params, X))
    assert list(values) == [*names, "mean_error"]
    for name, of_reference in REGRESSION.items():
        assert values[name] == pytest.approx(of_reference(y, p, sample_weight=w), rel=1e-12)
    counted = np.full(6, True) if w is None else w > 0
    assert values["max_error"] == pytest.approx(np.abs(y - p)[counted].max(), rel=1e-12)
    assert all(isinstance(value, float) for value in values.values())
    data = (X, y) if w is None else (X, y, w)
    assert evaluate(params, data, "mse") == {"mse": pytest.approx(values["mse"], rel=1e-12)}


@pytest.mark.parametrize("n_out", [1, 3])
def test_of_a_classifier(n_out):
    params = jnn.init_network_params([2, 5, n_out], jax.random.key(1))
    y = np.array([0, 1, 1, 0, 1, 0])
    targets = y if n_out > 1 else y[:, None]
    values = evaluate(params, (X, targets), tuple(CLASSES))
    logits = np.asarray(jnn.predict(params, X))
    p = logits.argmax(axis=1) if n_out > 1 else (logits[:, 0] > 0).astype(int)
    expected = {name: of_reference(y, p) for name, of_reference in CLASSES.items()}
    assert values == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("w", WEIGHTINGS, ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    ("output", "n_out", "of_logits", "of_probabilities"),
    [
        ("sigmoid", 1, "binary_cross_entropy", "binary_log_loss"),
        ("sigmoid", 3, "binary_cross_entropy", "binary_log_loss"),
        ("softmax", 3, "cross_entropy", "log_loss"),
    ],
)
def test_a_network_that_gives_probabilities_is_judged_as_by_its_logits(
    output, n_out, of_logits, of_probabilities, w, x64
):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2))
    logits = jnn.init_network_params([2, 5, n_out], jax.random.key(1))
    probabilities = ending_in(logits, output)
    label = rng.integers(0, max(n_out, 2), 100)
    y = label[:, None] if n_out == 1 else np.eye(n_out)[label]
    if w is not None:
        w = rng.uniform(0, 2, 100)
    expected = evaluate(logits, (x, y), (*CLASSES, of_logits), weights=w)
    values = evaluate(probabilities, (x, y), (*CLASSES, of_probabilities), weights=w)
    # which would be all of class 1, were probabilities cut at 0
    assert 0 < expected["accuracy"] < 1
    for name in CLASSES:
        assert values[name] == expected[name]
    assert values[of_probabilities] == pytest.approx(expected[of_logits], rel=1e-12)


def test_log_loss_is_scikit_learns(x64):
    params = jnn.init_network_params([2, 5, 3], jax.random.key(1))
    params = ending_in(params, "softmax")
    y = np.array([0, 1, 1, 2, 1, 0])
    p = np.asarray(jnn.predict(params, X))
    expected = reference.log_loss(y, p, labels=range(3))
    assert evaluate(params, (X, y), "log_loss") == pytest.approx({"log_loss": expected}, rel=1e-12)


def test_bfloat16_is_summed_in_float32():
    params = jnn.init_network_params([2, 1], jax.random.key(1), dtype=jnp.bfloat16)
    p = np.asarray(jnn.predict(params, X), float)
    value = evaluate(params, (X, np.full((6, 1), 1 / 3)), "mse")["mse"]
    assert value == pytest.approx(np.mean((p - 1 / 3) ** 2), rel=1e-6)


@pytest.mark.parametrize(
    ("arrays", "names", "weights", "message"),
    [
        ((X, np.zeros(6)), "mse", None, r"reshape them, y\[:, None\]"),
        ((X, np.zeros((5, 1))), "mse", None, "differ in length"),
        ((X[:, :1], np.zeros((6, 1))), "mse", None, r"this network takes \(n, 2\)"),
        ((X, np.full((6, 1), np.nan)), "mse", None, "holds NaN or infinity"),
        ((X, np.zeros((6, 1))), "mse", -np.ones(6), "not negative"),
        ((X, np.zeros((6, 1)), np.ones(6)), "mse", np.ones(6), "weights are given twice"),
        ((X, np.zeros((6, 1))), ("mse", "R2"), None, "unknown metric 'R2'"),
        ((X, np.full((6, 1), 0.3)), "accuracy", None, "must be 0 or 1"),
        ((X, np.zeros((6, 1))), ("mse", "mse"), None, r"metrics \['mse', 'mse'\] share a name"),
        ((X, np.zeros((6, 1))), "binary_log_loss", None, "binary_log_loss takes probabilities"),
    ],
)
def test_what_does_not_fit_is_refused(arrays, names, weights, message):
    params = jnn.init_network_params([2, 1], jax.random.key(1))
    with pytest.raises(ValueError, match=message):
        evaluate(params, arrays, names, weights=weights)


def test_logits_are_refused_of_a_network_that_gives_probabilities():
    params = ending_in(jnn.init_network_params([2, 3], jax.random.key(1)), "softmax")
    with pytest.raises(ValueError, match="'cross_entropy': loss cross_entropy takes logits, but"):
        evaluate(params, (X, np.zeros(6, int)), "cross_entropy")


def test_another_way_of_taking_derivatives_is_refused():
    with pytest.raises(ValueError, match="unknown backprop"):
        evaluate(jnn.from_layers([(1.0, 0.0)]), ([[0.0]], [[0.0]]), "mse", backprop="magic")


def test_what_is_not_a_network_is_refused(as_a_user):
    with pytest.raises(TypeError, match="params must be a tuple of stacks"):
        evaluate([(1.0, 0.0)], ([[0.0]], [[0.0]]), "mse")


def test_a_loss_with_a_parameter_is_a_metric_under_its_name():
    x, y = np.zeros((4, 1)), np.array([[0.0], [1.0], [2.0], [3.0]])
    params = jnn.from_layers([(0.0, 1.0)])  # ŷ = 1
    q = jnn.losses.quantile(0.75)
    mean = np.mean([0.25, 0, 0.75, 1.5])
    assert jnn.evaluate(params, (x, y), q) == {"quantile(0.75)": pytest.approx(mean)}
    both = jnn.evaluate(params, (x, y), [q, jnn.LOSSES["mae"]])
    assert both == {"quantile(0.75)": pytest.approx(mean), "mae": 1.0}
    history = jnn.fit(params, (x, y), loss=q, metrics=q, epochs=2, progress=False).history
    assert len(history["quantile(0.75)"]) == 2


def test_a_loss_as_a_metric_is_held_to_output_and_targets(as_a_user):
    params = jnn.init_network_params([1, 3, 2], jax.random.key(0), output="softmax")
    data = np.zeros((2, 1)), np.array([0, 1])
    smoothed = jnn.losses.smoothed("cross_entropy", 0.1)
    with pytest.raises(ValueError, match=r"metric 'smoothed\(cross_entropy, 0.1\)': .* softmax"):
        jnn.evaluate(params, data, smoothed)
    with pytest.raises(TypeError, match="metrics is 3; it must be a name, a loss, a function"):
        jnn.evaluate(params, data, 3)
