"""Metrics by name: functions of the user's, the network's output, and what does not fit refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

from jnn import metrics

CLASSES = ("accuracy", "balanced_accuracy", "top_5_accuracy")


# ---- functions of the user's ----


def two(predictions, targets):
    return jnp.mean(predictions - targets)


def three(predictions, targets, w):
    return jnp.average((predictions - targets)[:, 0], weights=w)


def optional(predictions, targets, scale=1.0, weights=None):
    return scale * jnp.average((predictions - targets)[:, 0], weights=weights)


def by_keyword(predictions, targets, *, weights):
    return three(predictions, targets, weights)


def with_default(predictions, targets, power=1.0):
    return jnp.mean(predictions - targets) ** power


def plain_number(predictions, targets):
    return 0.5


P, Y = jnp.array([[1.0], [2.0], [6.0]]), jnp.zeros((3, 1))


@pytest.mark.parametrize(
    ("metric", "weighted"),
    [
        (two, 3.0),
        (three, 1.5),
        (optional, 1.5),
        (by_keyword, 1.5),
        (with_default, 3.0),
        (plain_number, 0.5),
        (functools.partial(with_default, power=2.0), 9.0),
        (jax.jit(three), 1.5),
    ],
    ids=range(8),  # not by their addresses, which differ between the processes of a parallel run
)
def test_a_function_gets_weights_if_it_takes_them(metric, weighted):
    function = metrics.resolve(metric)
    assert float(jax.jit(function)(P, Y, jnp.array([0.5, 0.5, 0.0]))) == pytest.approx(
        weighted, rel=1e-6
    )
    assert float(function(P, Y, None)) == pytest.approx(
        {1.5: 3.0}.get(weighted, weighted), rel=1e-6
    )


@pytest.mark.parametrize("metric", ["mse", "r2", "accuracy", "cross_entropy"])
def test_a_name_is_resolved_by_the_table(metric):
    assert metrics.resolve(metric) is metrics.METRICS[metric]
    assert metrics.name_of(metric) == metric


def test_the_name_of_a_function():
    assert metrics.name_of(two) == "two"
    assert metrics.name_of(jax.jit(three)) == "three"


@pytest.mark.parametrize(
    "metric", [lambda p, y: p, functools.partial(two)], ids=["lambda", "partial"]
)
def test_a_function_without_a_name_is_refused(metric):
    with pytest.raises(ValueError, match="has no name to be recorded under: write it with def"):
        metrics.name_of(metric)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown metric 'R2'; known: accuracy, .*r2, .*poisson, or a function"
    ):
        metrics.resolve("R2")


@pytest.mark.parametrize("metric", [3, None, ("mse",)])
def test_neither_name_nor_function(metric, as_a_user):
    for use in (metrics.resolve, metrics.name_of):
        with pytest.raises(TypeError, match=r"metric is .*; it must be a name or a function of"):
            use(metric)


@pytest.mark.parametrize("metric", [lambda p: p, lambda p, y, w, z: p, lambda p, y, *, w: p])
def test_a_function_of_other_arguments(metric):
    with pytest.raises(
        TypeError,
        match=r"takes \(predictions, targets\) or \(predictions, targets, weights\), not \(",
    ):
        metrics.resolve(metric)


def test_a_function_that_does_not_say_what_it_takes():
    with pytest.raises(TypeError, match="does not say what it takes"):
        metrics.resolve(type)


# ---- what the network gives ----


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(("output", "n_out"), [("sigmoid", 1), ("sigmoid", 7), ("softmax", 7)])
def test_probabilities_are_of_the_classes_of_their_logits(name, output, n_out):
    if name == "top_5_accuracy" and n_out == 1:
        return
    rng = np.random.default_rng(n_out)
    logits = rng.normal(size=(40, n_out))
    p = softmax(logits, axis=1) if output == "softmax" else expit(logits)
    y, w = jnp.asarray(rng.integers(0, max(n_out, 2), 40)), jnp.asarray(rng.uniform(0.1, 3.0, 40))
    metric = metrics.resolve(name, output)
    expected = float(metrics.METRICS[name](jnp.asarray(logits), y, w))
    assert float(jax.jit(metric)(jnp.asarray(p), y, w)) == expected
    assert metrics.resolve(name, output=output) is metric


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("identity", 0.5),
        ("tanh", 0.5),
        (jax.nn.sigmoid, 0.5),  # a function of which nothing is known
        ("sigmoid", 1.0),
        ("softmax", 1.0),
    ],
)
def test_one_column_is_cut_where_its_output_is_undecided(output, value):
    p, y = jnp.array([[0.4], [0.5], [0.6], [0.7]]), jnp.array([0, 0, 1, 1])
    assert float(metrics.resolve("accuracy", output)(p, y, None)) == value
    assert float(metrics.resolve("balanced_accuracy", output)(p, y, None)) == value


def test_what_is_not_of_classes_is_the_same_for_every_output():
    for name in metrics.METRICS.keys() - set(CLASSES[:2]):
        assert metrics.resolve(name, "sigmoid") is metrics.METRICS[name]
    assert float(metrics.resolve(two, "sigmoid")(P, Y, None)) == 3


def test_an_unknown_output_is_refused(as_a_user):
    with pytest.raises(ValueError, match="unknown output 'sofmax'"):
        metrics.resolve("accuracy", "sofmax")
    with pytest.raises(TypeError, match="output is 3; it must be a name or an elementwise"):
        metrics.resolve("accuracy", 3)


# ---- check_metric ----


def fails(predictions, targets):
    return predictions @ targets.T @ jnp.ones(1000)


def not_traceable(predictions, targets):
    return float(np.mean(np.asarray(predictions)))


def not_one_number(predictions, targets):
    return predictions[:, 0]


def an_integer(predictions, targets):
    return jnp.sum(predictions > 0)


COLUMN = np.array([[0.3], [17.0]])
ROWS = np.eye(3)


@pytest.mark.parametrize(
    ("metric", "n_out", "targets", "message"),
    [
        (
            "r2",
            1,
            np.array([0, 1]),
            r"'r2': targets of shape \(2,\) do not match .* reshape them, y\[:, None\]",
        ),
        (
            "r2",
            3,
            np.array([0, 1]),
            r"'r2': targets have shape \(2,\); the network predicts \(2, 3\)",
        ),
        (
            "max_error",
            2,
            ROWS,
            r"'max_error': targets have shape \(3, 3\); the network predicts \(3, 2\)",
        ),
        ("mse", 2, ROWS, r"'mse': targets have shape \(3, 3\)"),
        ("poisson", 1, -COLUMN, "'poisson': targets of poisson must be counts"),
        ("cross_entropy", 3, np.array([0, 3]), "'cross_entropy': labels run from 0 to 3"),
        (
            "accuracy",
            1,
            COLUMN,
            "'accuracy': the targets of one output must be 0 or 1 to be classes, got 0.3 to 17.0",
        ),
        ("accuracy", 1, np.array([0, 2]), "labels run from 0 to 2; 2 classes are 0 … 1"),
        (
            "accuracy",
            1,
            np.array([0.0, 1.0]),
            r"labels must be integers, got float64: use y.astype\(int\), .*, or y\[",
        ),
        (
            "accuracy",
            3,
            np.array([0.0, 1.0]),
            r"labels must be integers, got float64: use y.astype\(int\), .* frame$",
        ),
        ("balanced_accuracy", 3, np.array([-1, 1]), "labels run from -1 to 1; 3 classes are 0 … 2"),
        (
            "accuracy",
            3,
            COLUMN,
            r"targets have shape \(2, 1\); classes are labels, shape \(n,\), or rows, shape \(2, 3",
        ),
        ("accuracy", 3, np.zeros(()), r"targets have shape \(\)"),
        (
            "accuracy",
            3,
            2 * ROWS,
            "rows of targets must be one-hot, or probabilities that sum to 1",
        ),
        ("top_5_accuracy", 5, np.array([0, 4]), "5 of 5 outputs always hold the target"),
        ("mse2", 1, COLUMN, "unknown metric 'mse2'"),
        (lambda p, y: 0.0, 1, COLUMN, "has no name"),
        (fails, 1, COLUMN, "metric 'fails': could not be traced on arrays: TypeError"),
        (
            not_traceable,
            1,
            COLUMN,
            "metric 'not_traceable': could not be traced on arrays: TracerArrayConversion",
        ),
        (
            not_one_number,
            1,
            COLUMN,
            r"'not_one_number' must return one floating-point number, got float32\(2,\)",
        ),
        (
            an_integer,
            1,
            COLUMN,
            r"'an_integer' must return one floating-point number, got int32\(\)",
        ),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(metric, n_out, targets, message):
    with pytest.raises(ValueError, match=message):
        metrics.check_metric(metric, n_out, targets)


@pytest.mark.parametrize(
    ("metric", "n_out", "targets"),
    [
        ("r2", 1, COLUMN),
        ("r2", 1, np.array([[0], [3]])),
        ("accuracy", 1, np.array([[0.0], [1.0]])),
        ("accuracy", 1, np.array([0, 1])),
        ("accuracy", 1, np.array([False, True])),
        ("accuracy", 3, np.array([0, 2])),
        ("balanced_accuracy", 3, ROWS),
        ("accuracy", 3, np.full((4, 3), 1 / 3, jnp.bfloat16)),
        ("top_5_accuracy", 6, np.array([0, 5])),
        ("cross_entropy", 3, np.array([0, 2])),
        (two, 1, COLUMN),
        (three, 1, COLUMN),
        (optional, 1, COLUMN),
        (plain_number, 3, np.array([0, 1])),
    ],
)
def test_a_metric_that_fits_is_let_through(metric, n_out, targets):
    metrics.check_metric(metric, n_out, targets)


@pytest.mark.parametrize(
    ("metric", "output", "message"),
    [
        ("cross_entropy", "softmax", "'cross_entropy': loss cross_entropy takes logits, but"),
        ("binary_cross_entropy", "sigmoid", "loss binary_cross_entropy takes logits, but"),
        ("log_loss", "identity", "'log_loss': loss log_loss takes a distribution, but"),
        ("binary_log_loss", "tanh", "loss binary_log_loss takes probabilities, but"),
        ("poisson", "sigmoid", "loss poisson takes log rates, but"),
    ],
)
def test_a_loss_that_does_not_go_with_the_output_is_refused(metric, output, message):
    with pytest.raises(ValueError, match=message):
        metrics.check_metric(metric, 3, np.eye(3), output)


@pytest.mark.parametrize(
    ("metric", "output"),
    [
        ("log_loss", "softmax"),
        ("binary_log_loss", "sigmoid"),
        ("cross_entropy", "identity"),
        ("log_loss", jax.nn.softmax),
        ("accuracy", "softmax"),
        ("mse", "sigmoid"),
        ("r2", "softmax"),
        (two, "softmax"),
    ],
)
def test_a_metric_that_goes_with_the_output_is_let_through(metric, output):
    metrics.check_metric(metric, 3, np.eye(3), output)
    metrics.check_metric(metric, 3, np.eye(3), output=output)


def test_a_type_error_stays_one(as_a_user):
    with pytest.raises(TypeError, match="metric is 3; it must be a name"):
        metrics.check_metric(3, 1, COLUMN)
