"""Losses: each against its NumPy formula, gradients against finite differences, wrong targets refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import expit, log_softmax, logsumexp, softmax

from jnn import losses

RNG = np.random.default_rng(0)
P = RNG.normal(scale=2, size=(7, 3))
TARGETS = {
    "binary_cross_entropy": RNG.integers(0, 2, (7, 3)).astype(float),
    "poisson": RNG.poisson(2.0, (7, 3)).astype(float),
    "cross_entropy": np.eye(3)[[0, 2, 1, 1, 0, 2, 2]],
}
Y = RNG.normal(scale=2, size=(7, 3))

# (p, y) -> one number for each entry, or for each row
FORMULAS = {
    "half_mse": lambda p, y: (p - y) ** 2 / 2,
    "mse": lambda p, y: (p - y) ** 2,
    "mae": lambda p, y: np.abs(p - y),
    "rmse": lambda p, y: (p - y) ** 2,
    "huber": lambda p, y: np.where(np.abs(p - y) <= 1, (p - y) ** 2 / 2, np.abs(p - y) - 0.5),
    "log_cosh": lambda p, y: np.log(np.cosh(p - y)),
    "cross_entropy": lambda p, y: -np.sum(y * log_softmax(p, axis=1), axis=1),
    "binary_cross_entropy": lambda p, y: np.logaddexp(0, p) - y * p,
    "poisson": lambda p, y: np.exp(p) - y * p,
}


def expected(name, p, y):
    """The mean over rows of the mean over outputs, and the root for rmse."""
    mean = np.mean(FORMULAS[name](p, y))
    return np.sqrt(mean) if name == "rmse" else mean


def test_the_table_covers_every_name():
    assert set(FORMULAS) == set(losses.LOSSES)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_formula(name, x64):
    y = TARGETS.get(name, Y)
    value = losses.mean_loss(losses.resolve(name), jnp.asarray(P), jnp.asarray(y))
    assert float(value) == pytest.approx(expected(name, P, y), rel=1e-13)


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_is_the_finite_difference(name, x64):
    y, step = TARGETS.get(name, Y), 1e-6
    gradient = jax.grad(lambda p: losses.mean_loss(losses.resolve(name), p, jnp.asarray(y)))(jnp.asarray(P))
    for i, j in np.ndindex(P.shape):
        e = np.zeros_like(P)
        e[i, j] = step
        difference = (expected(name, P + e, y) - expected(name, P - e, y)) / (2 * step)
        assert float(gradient[i, j]) == pytest.approx(difference, abs=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_examples_of_weight_zero_count_for_nothing(name, x64):
    y, loss = TARGETS.get(name, Y), losses.resolve(name)
    some = losses.mean_loss(loss, jnp.asarray(P[:4]), jnp.asarray(y[:4]))
    weighted = losses.mean_loss(loss, jnp.asarray(P), jnp.asarray(y), jnp.asarray([1.0] * 4 + [0.0] * 3))
    assert float(weighted) == pytest.approx(float(some), rel=1e-14)


def test_labels_and_one_hot_rows_give_the_same_cross_entropy(x64):
    loss, labels = losses.resolve("cross_entropy"), np.array([0, 2, 1, 1, 0, 2, 2])
    by_label = losses.mean_loss(loss, jnp.asarray(P), jnp.asarray(labels))
    assert float(by_label) == pytest.approx(np.mean(logsumexp(P, axis=1) - P[np.arange(7), labels]), rel=1e-13)
    assert float(by_label) == pytest.approx(expected("cross_entropy", P, np.eye(3)[labels]), rel=1e-13)


@pytest.mark.parametrize("name", ["huber", "log_cosh", "mae", "cross_entropy", "binary_cross_entropy"])
def test_large_errors_stay_finite_with_their_gradients(name):
    p, y = jnp.array([[1e4, -1e4, 0.0]]), jnp.array([[0.0, 1.0, 0.0]])
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(losses.resolve(name), p, y))(p)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_rmse_of_a_perfect_fit_has_gradient_zero():
    gradient = jax.grad(lambda p: losses.mean_loss(losses.resolve("rmse"), p, jnp.ones((3, 1))))(jnp.ones((3, 1)))
    np.testing.assert_array_equal(gradient, np.zeros((3, 1)))


def test_bfloat16_is_summed_in_float32():
    p = jnp.full((4096, 1), 1.0, jnp.bfloat16)
    value = losses.mean_loss(losses.resolve("mse"), p, jnp.zeros_like(p))
    assert value.dtype == jnp.float32
    assert float(value) == 1.0


def test_a_function_of_the_users(x64):
    loss = losses.resolve(lambda p, y: jnp.max(jnp.abs(p - y)))
    value = losses.mean_loss(loss, jnp.asarray(P), jnp.asarray(Y))
    assert float(value) == pytest.approx(np.mean(np.max(np.abs(P - Y), axis=1)), rel=1e-14)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown loss 'mse2'; known: half_mse, mse.*poisson, or a function"):
        losses.resolve("mse2")


def test_neither_name_nor_function(as_a_user):
    with pytest.raises(TypeError, match="loss must be a name or a function"):
        losses.resolve(3)


@pytest.mark.parametrize(
    ("loss", "targets", "n_out", "message"),
    [
        ("mse", np.zeros(5), 1, r"\(5,\) do not match predictions of shape \(5, 1\): reshape them, y\[:, None\]"),
        ("mse", np.zeros(5), 5, r"targets have shape \(5,\); the network predicts \(5, 5\)"),
        ("huber", np.zeros((5, 1)), 2, r"targets have shape \(5, 1\); the network predicts \(5, 2\)"),
        ("mse", np.zeros((5, 1, 1)), 1, r"targets have shape \(5, 1, 1\)"),
        ("mse", np.zeros(()), 1, r"targets have shape \(\); the network predicts \(n, 1\)"),
        ("cross_entropy", np.array([0.0, 1.0]), 2, r"labels must be integers, got float64: use y.astype\(int\)"),
        ("cross_entropy", np.array([0, 3]), 3, r"labels run from 0 to 3; 3 outputs need 0 … 2"),
        ("cross_entropy", np.array([-1, 1]), 3, r"labels run from -1 to 1"),
        ("cross_entropy", -np.ones((2, 3)), 3, "targets of cross_entropy must be labels, or rows of probabilities"),
        ("binary_cross_entropy", np.array([[0.0], [5.0]]), 1, "must be between 0 and 1; got values from 0.0 to 5.0"),
        ("poisson", np.array([[-1.0]]), 1, "targets of poisson must be counts of at least 0"),
    ],
)
def test_targets_that_do_not_match_are_refused(loss, targets, n_out, message):
    with pytest.raises(ValueError, match=message):
        losses.check_targets(loss, targets, n_out)


@pytest.mark.parametrize(
    ("loss", "targets", "n_out"),
    [
        ("mse", np.zeros((5, 1)), 1),
        ("cross_entropy", np.full((5, 3), 1 / 3), 3),
        ("cross_entropy", np.array([0, 2]), 3),
    ],
)
def test_targets_that_match_are_let_through(loss, targets, n_out):
    losses.check_targets(loss, targets, n_out)


# ---- batches of weight zero ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMULAS)
def test_a_batch_without_weight_has_loss_and_gradient_zero(name):
    y = jnp.asarray(TARGETS.get(name, Y))
    f = jax.value_and_grad(lambda p, w: losses.mean_loss(losses.resolve(name), p, y, w))
    value, gradient = f(jnp.asarray(P), jnp.zeros(len(P)))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(P))


@pytest.mark.parametrize("scale", [1e-6, 0.5, 1.0, 1e6])
def test_the_scale_of_the_weights_cancels(scale, x64):
    loss, w = losses.resolve("mse"), np.arange(1.0, 8.0)
    value = losses.mean_loss(loss, jnp.asarray(P), jnp.asarray(Y), jnp.asarray(scale * w))
    assert float(value) == pytest.approx(np.sum(w * np.mean((P - Y) ** 2, axis=1)) / np.sum(w), rel=1e-13)


# ---- label smoothing -----------------------------------------------------------------------------------------------

LABELS = np.array([0, 2, 1, 1, 0, 2, 2])
SOFT = RNG.dirichlet(np.ones(3), 7)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("targets", [LABELS, np.eye(3)[LABELS], SOFT], ids=["labels", "one-hot", "soft"])
def test_smoothed_cross_entropy_is_that_of_smoothed_rows(targets, amount, x64):
    rows = np.eye(3)[targets] if targets.ndim == 1 else targets
    smooth = np.asarray(optax.smooth_labels(jnp.asarray(rows), amount))
    np.testing.assert_allclose(smooth, (1 - amount) * rows + amount / 3, rtol=1e-14)
    loss = losses.smoothed("cross_entropy", amount)
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(loss, p, jnp.asarray(targets)))(jnp.asarray(P))
    assert float(value) == pytest.approx(expected("cross_entropy", P, smooth), rel=1e-13)
    np.testing.assert_allclose(gradient, (softmax(P, axis=1) - smooth) / len(P), rtol=1e-12, atol=1e-16)


def test_smoothed_cross_entropy_is_sklearns_log_loss(x64):
    """It knows labels alone: every class once for each row, weighted by its probability."""
    metrics = pytest.importorskip("sklearn.metrics")
    smooth = 0.8 * SOFT + 0.2 / 3
    probabilities, labels = np.repeat(softmax(P, axis=1), 3, axis=0), np.tile(np.arange(3), len(P))
    reference = metrics.log_loss(labels, probabilities, sample_weight=smooth.ravel())
    value = losses.mean_loss(losses.smoothed("cross_entropy", 0.2), jnp.asarray(P), jnp.asarray(SOFT))
    assert float(value) == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
def test_smoothed_binary_cross_entropy_is_that_of_smoothed_targets(amount, x64):
    y = TARGETS["binary_cross_entropy"]
    smooth = (1 - amount) * y + amount / 2
    loss = losses.smoothed("binary_cross_entropy", amount)
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(loss, p, jnp.asarray(y)))(jnp.asarray(P))
    assert float(value) == pytest.approx(expected("binary_cross_entropy", P, smooth), rel=1e-13)
    np.testing.assert_allclose(gradient, (expit(P) - smooth) / P.size, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_smoothing_by_the_same_amount_is_the_same_object(name):
    loss = losses.smoothed(name, 0.1)
    assert losses.smoothed(losses.resolve(name), np.float64(0.1)) is loss
    assert losses.smoothed(name, 0.2) != loss
    assert losses.smoothed(name, 0) is losses.resolve(name)
    assert losses.resolve(loss) is loss
    assert isinstance(hash(loss), int)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_smoothing_keeps_the_dtype_and_stays_finite(name):
    p, y = jnp.array([[300.0, -300.0, 0.0]], jnp.bfloat16), jnp.array([[0.0, 1.0, 0.0]], jnp.bfloat16)
    f = jax.value_and_grad(lambda p: losses.mean_loss(losses.smoothed(name, 0.1), p, y))
    value, gradient = f(p)
    assert (value.dtype, gradient.dtype) == (jnp.float32, jnp.bfloat16)
    assert np.isfinite(value)
    assert np.all(np.isfinite(np.asarray(gradient, float)))


@pytest.mark.parametrize("loss", [*sorted(set(FORMULAS) - {"cross_entropy", "binary_cross_entropy"}), "mse2", max, 3])
def test_smoothing_of_another_loss_names_those_that_take_it(loss, as_a_user):
    with pytest.raises(ValueError, match="label smoothing is for cross_entropy and binary_cross_entropy"):
        losses.smoothed(loss, 0.1)


@pytest.mark.parametrize("amount", [-0.1, 1, 1.5, np.nan, np.inf])
def test_an_amount_of_smoothing_outside_of_0_and_1_is_refused(amount):
    with pytest.raises(ValueError, match=r"label smoothing is .*; it must be at least 0 and less than 1"):
        losses.smoothed("cross_entropy", amount)


@pytest.mark.parametrize("amount", ["0.1", None, True, np.array([0.1]), 1j], ids=str)
def test_an_amount_of_smoothing_that_is_no_number_is_refused(amount, as_a_user):
    with pytest.raises(TypeError, match="label smoothing must be a number, got"):
        losses.smoothed("cross_entropy", amount)
