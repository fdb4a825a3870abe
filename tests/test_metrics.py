"""Metrics: each against scikit-learn, the laws of weights and of compilation, what does not fit refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference

import jnn
from jnn import losses, metrics

N = 40
WEIGHTINGS = ("none", "floats", "integers", "some zero")
COMPILED = {name: jax.jit(metrics.METRICS[name]) for name in metrics.METRICS}


def data(name, n_out, n=N, seed=0):
    """Predictions (n, n_out) and targets such as the metric is of."""
    rng = np.random.default_rng([seed, n_out])
    p = rng.normal(size=(n, n_out))
    if name in CLASSES or (name == "cross_entropy" and n_out > 1):
        y = rng.integers(0, max(n_out, 2), n)
    elif name in ("cross_entropy", "binary_cross_entropy"):
        y = rng.integers(0, 2, (n, n_out)).astype(float) if name != "cross_entropy" else np.ones((n, 1))
    elif name == "poisson":
        y = rng.poisson(2.0, (n, n_out)).astype(float)
    else:
        y = 3 + p + rng.normal(size=(n, n_out))
    return p, y


def weighting(kind, n=N):
    rng = np.random.default_rng(7)
    return {
        "none": None,
        "floats": rng.uniform(0.1, 3.0, n),
        "integers": rng.integers(1, 4, n).astype(float),
        "some zero": rng.integers(0, 3, n).astype(float),
    }[kind]


def as_jax(*arrays):
    return tuple(None if a is None else jnp.asarray(a) for a in arrays)


def labels_of(p):
    return p.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] > 0).astype(int)


# (p, y, w) by scikit-learn, which takes targets first
REGRESSION = {
    "r2": lambda p, y, w: reference.r2_score(y, p, sample_weight=w),
    "explained_variance": lambda p, y, w: reference.explained_variance_score(y, p, sample_weight=w),
    "mse": lambda p, y, w: reference.mean_squared_error(y, p, sample_weight=w),
    "rmse": lambda p, y, w: np.sqrt(reference.mean_squared_error(y, p, sample_weight=w)),
    "mae": lambda p, y, w: reference.mean_absolute_error(y, p, sample_weight=w),
    "max_error": lambda p, y, w: max(
        reference.max_error(*pair) for pair in zip(kept(y, w).T, kept(p, w).T, strict=True)
    ),
}
CLASSES = {
    "accuracy": lambda p, y, w: reference.accuracy_score(y, labels_of(p), sample_weight=w),
    "balanced_accuracy": lambda p, y, w: reference.balanced_accuracy_score(y, labels_of(p), sample_weight=w),
    "top_5_accuracy": lambda p, y, w: reference.top_k_accuracy_score(
        y, p, k=5, labels=range(p.shape[1]), sample_weight=w
    ),
}
CASES = [(name, n_out) for name in REGRESSION for n_out in (1, 4)] + [
    (name, n_out) for name in CLASSES for n_out in (1, 2, 7) if name != "top_5_accuracy" or n_out > 5
]


def kept(a, w):
    return a if w is None else a[w > 0]


def test_the_tables_cover_every_metric():
    assert {*REGRESSION, *CLASSES, *losses.LOSSES} == set(metrics.METRICS)


@pytest.mark.parametrize("kind", WEIGHTINGS)
@pytest.mark.parametrize(("name", "n_out"), CASES)
def test_value_is_scikit_learns(name, n_out, kind, x64):
    p, y = data(name, n_out)
    w = weighting(kind)
    value = COMPILED[name](*as_jax(p, y, w))
    assert value.dtype == jnp.float64
    assert float(value) == pytest.approx((REGRESSION | CLASSES)[name](p, y, w), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("name", "n_out"), CASES)
def test_low_precision_is_summed_in_float32(name, n_out, dtype):
    p, y = data(name, n_out)
    p = jnp.asarray(p, dtype)
    y = jnp.asarray(y if y.ndim == 1 else y.astype(np.float32))
    w = jnp.asarray(weighting("floats"), dtype)
    value = COMPILED[name](p, y, w)
    assert value.dtype == jnp.float32
    exact = (REGRESSION | CLASSES)[name](*(np.asarray(a.astype(jnp.float32), float) for a in (p, y, w)))
    assert float(value) == pytest.approx(exact, rel=1e-5)


def test_accuracy_of_many_bfloat16_rows_is_not_lost():
    p = jnp.ones((4099, 1), jnp.bfloat16)  # 4099 needs more than bfloat16's 8 digits
    y = jnp.ones(4099, int).at[0].set(0)
    for name in ("accuracy", "balanced_accuracy"):
        assert float(metrics.METRICS[name](p, y, None)) == pytest.approx(CLASSES[name](*map(np.asarray, (p, y)), None))


@pytest.mark.parametrize("name", metrics.METRICS)
def test_integer_weights_are_repeated_rows(name, x64):
    p, y = data(name, 7)
    w = weighting("some zero")
    repeated = COMPILED[name](*as_jax(*(np.repeat(a, w.astype(int), axis=0) for a in (p, y)), None))
    assert float(COMPILED[name](*as_jax(p, y, w))) == pytest.approx(float(repeated), rel=1e-12)
    assert float(COMPILED[name](*as_jax(p, y, w.astype(int)))) == pytest.approx(float(repeated), rel=1e-12)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_rows_of_weight_zero_count_for_nothing(name, x64):
    p, y = data(name, 7)
    w = weighting("some zero")
    other_p = np.where(w[:, None] == 0, 5 * p[::-1], p)
    other_y = np.where(w.reshape(-1, *[1] * (y.ndim - 1)) == 0, y[::-1], y)
    assert float(COMPILED[name](*as_jax(p, y, w))) == float(COMPILED[name](*as_jax(other_p, other_y, w)))


@pytest.mark.parametrize("name", metrics.METRICS)
def test_compiled_is_eager_and_the_scale_of_the_weights_cancels(name, x64):
    p, y, w = as_jax(*data(name, 7), weighting("floats"))
    eager = float(metrics.METRICS[name](p, y, w))
    assert float(COMPILED[name](p, y, w)) == pytest.approx(eager, rel=1e-13)
    assert float(COMPILED[name](p, y, 1e6 * w)) == pytest.approx(eager, rel=1e-12)
    assert float(COMPILED[name](p, y, jnp.ones(N))) == pytest.approx(float(COMPILED[name](p, y, None)), rel=1e-13)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_vmapped_over_networks_is_a_loop(name, x64):
    _, y = data(name, 7)
    p = jnp.stack([data(name, 7, seed=seed)[0] for seed in range(3)])
    many = jax.jit(jax.vmap(metrics.METRICS[name], (0, None, None)))(p, jnp.asarray(y), None)
    np.testing.assert_allclose(many, [COMPILED[name](each, jnp.asarray(y), None) for each in p], rtol=1e-13)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_without_any_weight_nothing_is_nan(name):
    p, y, w = as_jax(*data(name, 7), np.zeros(N))
    assert np.isfinite(COMPILED[name](p, y, w))


# ---- kinds of targets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_labels_one_hot_and_soft_rows_are_the_same_targets(name):
    p, y = data(name, 7)
    one_hot = np.eye(7, dtype=np.float32)[y]
    values = [float(metrics.METRICS[name](*as_jax(p, t))) for t in (y, one_hot, 0.9 * one_hot + 0.1 / 7)]
    assert values == [values[0]] * 3


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy"])
def test_a_binary_target_is_a_column_or_labels(name):
    p, y = data(name, 1)
    values = [float(metrics.METRICS[name](*as_jax(p, t))) for t in (y, y[:, None], y[:, None].astype(np.float32))]
    assert values == [values[0]] * 3


def test_a_logit_of_zero_is_class_zero():
    p = jnp.array([[0.0], [-0.0], [1e-30], [-1e-30]])
    assert float(metrics.METRICS["accuracy"](p, jnp.array([0, 0, 1, 0]), None)) == 1


def test_balanced_accuracy_is_over_the_classes_that_occur():
    p = jnp.array(
        [[9.0, 0, 0, 0], [9.0, 0, 0, 0], [0, 9.0, 0, 0], [0, 0, 0, 9.0]]
    )  # 3 is predicted, 2 is not even that
    assert float(metrics.METRICS["balanced_accuracy"](p, jnp.array([0, 0, 1, 1]), None)) == 0.75


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("n_out", [1, 7])
def test_nan_is_never_the_right_class(name, n_out):
    if name == "top_5_accuracy" and n_out == 1:
        return
    p = np.full((3, n_out), 1.0, np.float32)
    p[:, 0] = np.nan
    assert float(metrics.METRICS[name](*as_jax(p, np.zeros(3, int)))) == 0


@pytest.mark.parametrize(
    "name",
    sorted({*REGRESSION, *losses.LOSSES} - {"cross_entropy"}),
)
def test_nan_in_a_prediction_shows(name):
    p, y = data(name, 4)
    p[3, 2] = np.nan
    assert np.isnan(COMPILED[name](*as_jax(p, y, None)))
    assert np.isnan(COMPILED[name](*as_jax(p, np.ones_like(y), None)))


def test_top_5_of_ties_are_the_first_five():
    p, y = jnp.zeros((8, 8)), jnp.arange(8)
    assert float(metrics.METRICS["top_5_accuracy"](p, y, None)) == 5 / 8


@pytest.mark.parametrize("w", [None, np.array([1.0, 2.0, 0.5])])
@pytest.mark.parametrize(
    ("p", "y"),
    [
        ([[0.1], [0.1], [0.1]], [[0.1], [0.1], [0.1]]),
        ([[0.1], [0.1], [0.2]], [[0.1], [0.1], [0.1]]),
        ([[0.4], [0.4], [0.4]], [[0.1], [0.1], [0.1]]),
        ([[0.1, 1.0], [0.1, 2.5], [0.1, 3.0]], [[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]]),
    ],
    ids=["met", "missed", "shifted", "one of two outputs"],
)
@pytest.mark.parametrize("name", ["r2", "explained_variance"])
def test_a_constant_target_is_worth_one_if_met_and_else_zero(name, p, y, w, x64):
    p, y = np.array(p), np.array(y)
    value = float(metrics.METRICS[name](*as_jax(p, y, w)))
    shift = name == "explained_variance"
    each = []
    for a, b in zip(p.T, y.T, strict=True):
        met = np.ptp(a - b) == 0 if shift else (a == b).all()
        each.append(float(met) if np.ptp(b) == 0 else REGRESSION[name](a, b, w))
    assert value == pytest.approx(np.mean(each), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("p", [[1.0, 1.0, 1.0], [1.0, 1.0, 3.0]])
def test_a_constant_target_of_whole_numbers_is_scikit_learns(p, x64):
    p, y = np.array(p)[:, None], np.ones((3, 1))
    for name in ("r2", "explained_variance"):
        assert float(metrics.METRICS[name](*as_jax(p, y))) == REGRESSION[name](p, y, None)


def test_r2_far_from_zero_keeps_its_digits_in_float32():
    p, y = (a.astype(np.float32) for a in (data("r2", 1)[0] + 1e4, data("r2", 1)[1] + 1e4))
    exact = REGRESSION["r2"](p.astype(float), y.astype(float), None)
    assert float(metrics.METRICS["r2"](*as_jax(p, y))) == pytest.approx(exact, rel=1e-5)


def test_targets_never_broadcast():
    for name in ("r2", "explained_variance", "max_error"):
        with pytest.raises(ValueError, match=r"targets have shape \(5,\); the predictions \(5, 1\)"):
            metrics.METRICS[name](jnp.zeros((5, 1)), jnp.zeros(5), None)


# ---- functions of the user's ---------------------------------------------------------------------------------------


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
    assert float(jax.jit(function)(P, Y, jnp.array([0.5, 0.5, 0.0]))) == pytest.approx(weighted, rel=1e-6)
    assert float(function(P, Y, None)) == pytest.approx({1.5: 3.0}.get(weighted, weighted), rel=1e-6)


@pytest.mark.parametrize("metric", ["mse", "r2", "accuracy", "cross_entropy"])
def test_a_name_is_resolved_by_the_table(metric):
    assert metrics.resolve(metric) is metrics.METRICS[metric]
    assert metrics.name_of(metric) == metric


def test_the_name_of_a_function():
    assert metrics.name_of(two) == "two"
    assert metrics.name_of(jax.jit(three)) == "three"


@pytest.mark.parametrize("metric", [lambda p, y: p, functools.partial(two)], ids=["lambda", "partial"])
def test_a_function_without_a_name_is_refused(metric):
    with pytest.raises(ValueError, match="has no name to be recorded under: write it with def"):
        metrics.name_of(metric)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown metric 'R2'; known: accuracy, .*r2, .*poisson, or a function"):
        metrics.resolve("R2")


@pytest.mark.parametrize("metric", [3, None, ("mse",)])
def test_neither_name_nor_function(metric, as_a_user):
    for use in (metrics.resolve, metrics.name_of):
        with pytest.raises(TypeError, match="metric must be a name or a function of"):
            use(metric)


@pytest.mark.parametrize("metric", [lambda p: p, lambda p, y, w, z: p, lambda p, y, *, w: p])
def test_a_function_of_other_arguments(metric):
    with pytest.raises(TypeError, match=r"takes \(predictions, targets\) or \(predictions, targets, weights\), not \("):
        metrics.resolve(metric)


def test_a_function_that_does_not_say_what_it_takes():
    with pytest.raises(TypeError, match="does not say what it takes"):
        metrics.resolve(type)


# ---- check_metric --------------------------------------------------------------------------------------------------


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
        ("r2", 1, np.array([0, 1]), r"'r2': targets of shape \(2,\) do not match .* reshape them, y\[:, None\]"),
        ("r2", 3, np.array([0, 1]), r"'r2': targets have shape \(2,\); the network predicts \(2, 3\)"),
        ("max_error", 2, ROWS, r"'max_error': targets have shape \(3, 3\); the network predicts \(3, 2\)"),
        ("mse", 2, ROWS, r"'mse': targets have shape \(3, 3\)"),
        ("poisson", 1, -COLUMN, "'poisson': targets of poisson must be counts"),
        ("cross_entropy", 3, np.array([0, 3]), "'cross_entropy': labels run from 0 to 3"),
        ("accuracy", 1, COLUMN, "'accuracy': the targets of one output must be 0 or 1 to be classes, got 0.3 to 17.0"),
        ("accuracy", 1, np.array([0, 2]), "labels run from 0 to 2; 2 classes are 0 … 1"),
        ("accuracy", 1, np.array([0.0, 1.0]), r"labels must be integers, got float64: use y.astype\(int\), or y\["),
        ("accuracy", 3, np.array([0.0, 1.0]), r"labels must be integers, got float64: use y.astype\(int\)$"),
        ("balanced_accuracy", 3, np.array([-1, 1]), "labels run from -1 to 1; 3 classes are 0 … 2"),
        (
            "accuracy",
            3,
            COLUMN,
            r"targets have shape \(2, 1\); classes are labels, shape \(n,\), or rows, shape \(2, 3",
        ),
        ("accuracy", 3, np.zeros(()), r"targets have shape \(\)"),
        ("accuracy", 3, 2 * ROWS, "rows of targets must be one-hot, or probabilities that sum to 1"),
        ("top_5_accuracy", 5, np.array([0, 4]), "5 of 5 outputs always hold the target"),
        ("mse2", 1, COLUMN, "unknown metric 'mse2'"),
        (lambda p, y: 0.0, 1, COLUMN, "has no name"),
        (fails, 1, COLUMN, "metric 'fails': could not be traced on arrays: TypeError"),
        (not_traceable, 1, COLUMN, "metric 'not_traceable': could not be traced on arrays: TracerArrayConversion"),
        (not_one_number, 1, COLUMN, r"'not_one_number' must return one floating-point number, got float32\(2,\)"),
        (an_integer, 1, COLUMN, r"'an_integer' must return one floating-point number, got int32\(\)"),
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


def test_a_type_error_stays_one(as_a_user):
    with pytest.raises(TypeError, match="metric must be a name"):
        metrics.check_metric(3, 1, COLUMN)


# ---- evaluate ------------------------------------------------------------------------------------------------------

X = np.linspace(-1, 1, 12).reshape(6, 2)


@pytest.mark.parametrize("backprop", ["auto", "autodiff"])
@pytest.mark.parametrize("w", [None, np.array([1.0, 0, 2, 0.5, 0, 1])])
def test_evaluate_is_the_metrics_of_the_prediction(w, backprop, x64):
    params = jnn.init_network_params([2, 5, 2], jax.random.key(1))
    y = np.cos(3 * X)
    names = ("r2", "explained_variance", "mse", "rmse", "mae", "max_error")
    values = metrics.evaluate(params, (X, y), (*names, two), weights=w, backprop=backprop)
    p = np.asarray(jnn.predict(params, X))
    assert list(values) == [*names, "two"]
    for name in names:
        assert values[name] == pytest.approx(REGRESSION[name](p, y, w), rel=1e-12)
        assert isinstance(values[name], float)
    assert metrics.evaluate(params, (X, y) if w is None else (X, y, w), "mse") == {"mse": values["mse"]}


@pytest.mark.parametrize("n_out", [1, 3])
def test_evaluate_a_classifier(n_out):
    params = jnn.init_network_params([2, 5, n_out], jax.random.key(1))
    y = np.array([0, 1, 1, 0, 1, 0])
    targets = y if n_out > 1 else y[:, None]
    values = metrics.evaluate(params, (X, targets), ("accuracy", "balanced_accuracy"))
    p = np.asarray(jnn.predict(params, X))
    assert values == pytest.approx({name: CLASSES[name](p, y, None) for name in values}, rel=1e-6)


def test_evaluate_in_bfloat16_is_in_float32():
    params = jnn.init_network_params([2, 1], jax.random.key(1), dtype=jnp.bfloat16)
    p = np.asarray(jnn.predict(params, X), float)
    value = metrics.evaluate(params, (X, np.full((6, 1), 1 / 3)), "mse")["mse"]
    assert value == pytest.approx(np.mean((p - 1 / 3) ** 2), rel=1e-6)


@pytest.mark.parametrize(
    ("arrays", "names", "weights", "message"),
    [
        ((X, np.zeros(6)), "mse", None, r"reshape them, y\[:, None\]"),
        ((X, np.zeros((5, 1))), "mse", None, "differ in length"),
        ((X[:, :1], np.zeros((6, 1))), "mse", None, r"this network takes \(n, 2\)"),
        ((X, np.full((6, 1), np.nan)), "mse", None, "holds NaN or infinity"),
        ((X, np.zeros((6, 1))), "mse", -np.ones(6), "not negative"),
        ((X, np.zeros((6, 1)), np.ones(6)), "mse", np.ones(6), "of length 4"),
        ((X, np.zeros((6, 1))), ("mse", "R2"), None, "unknown metric 'R2'"),
        ((X, np.full((6, 1), 0.3)), "accuracy", None, "must be 0 or 1"),
        ((X, np.zeros((6, 1))), ("mse", "mse"), None, r"metrics \['mse', 'mse'\] share a name"),
    ],
)
def test_evaluate_refuses(arrays, names, weights, message):
    params = jnn.init_network_params([2, 1], jax.random.key(1))
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(params, arrays, names, weights=weights)


def test_evaluate_refuses_another_way_of_taking_derivatives():
    with pytest.raises(ValueError, match="unknown backprop"):
        metrics.evaluate(jnn.from_layers([(1.0, 0.0)]), ([[0.0]], [[0.0]]), "mse", backprop="magic")
