"""Formulas of metrics: each against scikit-learn, the laws of weights and of compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import metrics as reference

from jnn import losses, metrics

N = 40
WEIGHTINGS = ("none", "floats", "integers", "some zero")
COMPILED = {name: jax.jit(metrics.METRICS[name]) for name in metrics.METRICS}


def data(name, n_out, n=N, seed=0):
    """Predictions (n, n_out) and targets such as the metric is of."""
    rng = np.random.default_rng([seed, n_out])
    p = rng.normal(size=(n, n_out))
    if name in CLASSES or (name in ("cross_entropy", "log_loss") and n_out > 1):
        y = rng.integers(0, max(n_out, 2), n)
    elif name in ("cross_entropy", "log_loss"):
        y = np.ones((n, 1))
    elif name in ("binary_cross_entropy", "binary_log_loss"):
        y = rng.integers(0, 2, (n, n_out)).astype(float)
    elif name == "poisson":
        y = rng.poisson(2.0, (n, n_out)).astype(float)
    else:
        y = 3 + p + rng.normal(size=(n, n_out))
    if name in PROBABILITIES:
        p = softmax(p, axis=1) if name == "log_loss" else expit(p)
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
    "balanced_accuracy": lambda p, y, w: reference.balanced_accuracy_score(
        y, labels_of(p), sample_weight=w
    ),
    "top_5_accuracy": lambda p, y, w: reference.top_k_accuracy_score(
        y, p, k=5, labels=range(p.shape[1]), sample_weight=w
    ),
}
# of labels, or of one binary choice a column
PROBABILITIES = {
    "log_loss": lambda p, y, w: reference.log_loss(y, p, labels=range(p.shape[1]), sample_weight=w),
    "binary_log_loss": lambda p, y, w: np.mean(
        [
            reference.log_loss(b, a, labels=[0, 1], sample_weight=w)
            for a, b in zip(p.T, y.T, strict=True)
        ]
    ),
}
CASES = [(name, n_out) for name in REGRESSION for n_out in (1, 4)] + [
    (name, n_out)
    for name in CLASSES
    for n_out in (1, 2, 7)
    if name != "top_5_accuracy" or n_out > 5
]


def kept(a, w):
    return a if w is None else a[w > 0]


@pytest.mark.parametrize("kind", WEIGHTINGS)
@pytest.mark.parametrize(
    ("name", "n_out"),
    [("log_loss", 2), ("log_loss", 7), ("binary_log_loss", 1), ("binary_log_loss", 4)],
)
def test_losses_of_probabilities_are_scikit_learns(name, n_out, kind, x64):
    p, y = data(name, n_out)
    w = weighting(kind)
    value = COMPILED[name](*as_jax(p, y, w))
    assert float(value) == pytest.approx(PROBABILITIES[name](p, y, w), rel=1e-12)


def test_the_tables_cover_every_metric():
    assert {*REGRESSION, *CLASSES, *losses.LOSSES} == set(metrics.METRICS)


@pytest.mark.parametrize("kind", WEIGHTINGS)
@pytest.mark.parametrize(("name", "n_out"), CASES)
def test_value_is_scikit_learns(name, n_out, kind, x64):
    p, y = data(name, n_out)
    w = weighting(kind)
    value = COMPILED[name](*as_jax(p, y, w))
    assert value.dtype == jnp.float64
    assert float(value) == pytest.approx(
        (REGRESSION | CLASSES)[name](p, y, w), rel=1e-12, abs=1e-14
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("name", "n_out"), CASES)
def test_low_precision_is_summed_in_float32(name, n_out, dtype):
    p, y = data(name, n_out)
    p = jnp.asarray(p, dtype)
    y = jnp.asarray(y if y.ndim == 1 else y.astype(np.float32))
    w = jnp.asarray(weighting("floats"), dtype)
    value = COMPILED[name](p, y, w)
    assert value.dtype == jnp.float32
    exact = (REGRESSION | CLASSES)[name](
        *(np.asarray(a.astype(jnp.float32), float) for a in (p, y, w))
    )
    assert float(value) == pytest.approx(exact, rel=1e-5)


def test_accuracy_of_many_bfloat16_rows_is_not_lost():
    p = jnp.ones((4099, 1), jnp.bfloat16)  # 4099 needs more than bfloat16's 8 digits
    y = jnp.ones(4099, int).at[0].set(0)
    for name in ("accuracy", "balanced_accuracy"):
        assert float(metrics.METRICS[name](p, y, None)) == pytest.approx(
            CLASSES[name](*map(np.asarray, (p, y)), None)
        )


@pytest.mark.parametrize("name", metrics.METRICS)
def test_integer_weights_are_repeated_rows(name, x64):
    p, y = data(name, 7)
    w = weighting("some zero")
    repeated = COMPILED[name](*as_jax(*(np.repeat(a, w.astype(int), axis=0) for a in (p, y)), None))
    assert float(COMPILED[name](*as_jax(p, y, w))) == pytest.approx(float(repeated), rel=1e-12)
    assert float(COMPILED[name](*as_jax(p, y, w.astype(int)))) == pytest.approx(
        float(repeated), rel=1e-12
    )


@pytest.mark.parametrize("name", metrics.METRICS)
def test_rows_of_weight_zero_count_for_nothing(name, x64):
    p, y = data(name, 7)
    w = weighting("some zero")
    other_p = np.where(w[:, None] == 0, 5 * p[::-1], p)
    other_y = np.where(w.reshape(-1, *[1] * (y.ndim - 1)) == 0, y[::-1], y)
    assert float(COMPILED[name](*as_jax(p, y, w))) == float(
        COMPILED[name](*as_jax(other_p, other_y, w))
    )


@pytest.mark.parametrize("name", metrics.METRICS)
def test_compiled_is_eager_and_the_scale_of_the_weights_cancels(name, x64):
    p, y, w = as_jax(*data(name, 7), weighting("floats"))
    eager = float(metrics.METRICS[name](p, y, w))
    assert float(COMPILED[name](p, y, w)) == pytest.approx(eager, rel=1e-13)
    assert float(COMPILED[name](p, y, 1e6 * w)) == pytest.approx(eager, rel=1e-12)
    assert float(COMPILED[name](p, y, jnp.ones(N))) == pytest.approx(
        float(COMPILED[name](p, y, None)), rel=1e-13
    )


@pytest.mark.parametrize("name", metrics.METRICS)
def test_vmapped_over_networks_is_a_loop(name, x64):
    _, y = data(name, 7)
    p = jnp.stack([data(name, 7, seed=seed)[0] for seed in range(3)])
    many = jax.jit(jax.vmap(metrics.METRICS[name], (0, None, None)))(p, jnp.asarray(y), None)
    np.testing.assert_allclose(
        many, [COMPILED[name](each, jnp.asarray(y), None) for each in p], rtol=1e-13
    )


@pytest.mark.parametrize("name", metrics.METRICS)
def test_without_any_weight_nothing_is_nan(name):
    p, y, w = as_jax(*data(name, 7), np.zeros(N))
    assert np.isfinite(COMPILED[name](p, y, w))


# ---- kinds of targets ----


@pytest.mark.parametrize("name", CLASSES)
def test_labels_one_hot_and_soft_rows_are_the_same_targets(name):
    p, y = data(name, 7)
    one_hot = np.eye(7, dtype=np.float32)[y]
    values = [
        float(metrics.METRICS[name](*as_jax(p, t))) for t in (y, one_hot, 0.9 * one_hot + 0.1 / 7)
    ]
    assert values == [values[0]] * 3


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy"])
def test_a_binary_target_is_a_column_or_labels(name):
    p, y = data(name, 1)
    values = [
        float(metrics.METRICS[name](*as_jax(p, t)))
        for t in (y, y[:, None], y[:, None].astype(np.float32))
    ]
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
    sorted({*REGRESSION, *losses.LOSSES} - {"cross_entropy", "log_loss"}),
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
        with pytest.raises(
            ValueError, match=r"targets have shape \(5,\); the predictions \(5, 1\)"
        ):
            metrics.METRICS[name](jnp.zeros((5, 1)), jnp.zeros(5), None)
