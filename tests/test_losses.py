"""Losses: against NumPy formulas, gradients against finite differences, wrong targets refused."""

import pickle

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
TARGETS["log_loss"] = TARGETS["cross_entropy"]
TARGETS["binary_log_loss"] = TARGETS["binary_cross_entropy"]
PREDICTIONS = {"log_loss": softmax(P, axis=1), "binary_log_loss": expit(P)}  # of the others P
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
    "log_loss": lambda p, y: -np.sum(y * np.log(p), axis=1),
    "binary_log_loss": lambda p, y: -y * np.log(p) - (1 - y) * np.log(1 - p),
    "poisson": lambda p, y: np.exp(p) - y * p,
}


# of probabilities, and the loss of their logits
OF_PROBABILITIES = {
    "log_loss": ("cross_entropy", lambda z: jax.nn.softmax(z, axis=1)),
    "binary_log_loss": ("binary_cross_entropy", jax.nn.sigmoid),
}
SMOOTHABLE = ["cross_entropy", "binary_cross_entropy", "log_loss", "binary_log_loss"]


def expected(name, p, y):
    """The mean over rows of the mean over outputs, and the root for rmse."""
    mean = np.mean(FORMULAS[name](p, y))
    return np.sqrt(mean) if name == "rmse" else mean


def test_the_table_covers_every_name():
    assert set(FORMULAS) == set(losses.LOSSES)


def test_nothing_is_assumed_of_a_new_loss():
    assert losses.Loss._field_defaults == {}


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_formula(name, x64):
    p, y = PREDICTIONS.get(name, P), TARGETS.get(name, Y)
    value = losses.mean_loss(losses.resolve(name), jnp.asarray(p), jnp.asarray(y))
    assert float(value) == pytest.approx(expected(name, p, y), rel=1e-13)


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_is_the_finite_difference(name, x64):
    p, y, step = PREDICTIONS.get(name, P), TARGETS.get(name, Y), 1e-6
    loss = losses.resolve(name)
    gradient = jax.grad(lambda p: losses.mean_loss(loss, p, jnp.asarray(y)))(jnp.asarray(p))
    for i, j in np.ndindex(P.shape):
        e = np.zeros_like(P)
        e[i, j] = step
        difference = (expected(name, p + e, y) - expected(name, p - e, y)) / (2 * step)
        # the third derivative of a logarithm grows near 0
        assert float(gradient[i, j]) == pytest.approx(difference, abs=1e-8, rel=1e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_examples_of_weight_zero_count_for_nothing(name, x64):
    p, y = PREDICTIONS.get(name, P), TARGETS.get(name, Y)
    loss, w = losses.resolve(name), jnp.asarray([1.0] * 4 + [0.0] * 3)
    some = losses.mean_loss(loss, jnp.asarray(p[:4]), jnp.asarray(y[:4]))
    weighted = losses.mean_loss(loss, jnp.asarray(p), jnp.asarray(y), w)
    assert float(weighted) == pytest.approx(float(some), rel=1e-14)


def test_labels_and_one_hot_rows_give_the_same_cross_entropy(x64):
    loss, labels = losses.resolve("cross_entropy"), np.array([0, 2, 1, 1, 0, 2, 2])
    by_label = losses.mean_loss(loss, jnp.asarray(P), jnp.asarray(labels))
    assert float(by_label) == pytest.approx(
        np.mean(logsumexp(P, axis=1) - P[np.arange(7), labels]), rel=1e-13
    )
    assert float(by_label) == pytest.approx(
        expected("cross_entropy", P, np.eye(3)[labels]), rel=1e-13
    )


@pytest.mark.parametrize("name", ["cross_entropy", "log_loss"])
def test_labels_are_read_without_gather_and_scatter(name, x64):
    """Abreast, gradients by 0 / 1 rows are the oracle."""
    loss, labels = losses.resolve(name), np.array([0, 2, 1, 1, 0, 2, 2])
    p = np.stack([PREDICTIONS.get(name, P)] * 2)

    def gradients(targets):
        def mean_loss(p):
            return losses.mean_loss(loss, p, targets)

        return jax.jit(jax.vmap(jax.grad(mean_loss)))

    by_label, by_row = gradients(jnp.asarray(labels)), gradients(jnp.eye(3)[labels])
    np.testing.assert_allclose(by_label(p), by_row(p), rtol=1e-12, atol=1e-15)
    program = by_label.lower(p).as_text()
    assert "gather" not in program
    assert "scatter" not in program


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_a_loss_of_probabilities_is_that_of_their_logits(name, x64):
    of_logits, probabilities = OF_PROBABILITIES[name]
    y, z = jnp.asarray(TARGETS[name]), jnp.asarray(P)

    def mean_loss(z):
        return losses.mean_loss(losses.resolve(name), probabilities(z), y)

    value, gradient = jax.value_and_grad(mean_loss)(z)
    expected_value, expected_gradient = jax.value_and_grad(
        lambda z: losses.mean_loss(losses.resolve(of_logits), z, y)
    )(z)
    assert float(value) == pytest.approx(float(expected_value), rel=1e-12)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-12)


def test_losses_of_probabilities_are_sklearns_log_loss(x64):
    metrics = pytest.importorskip("sklearn.metrics")
    p, labels = softmax(P, axis=1), np.array([0, 2, 1, 1, 0, 2, 2])
    w = np.linspace(0.5, 2, 7)
    loss = losses.resolve("log_loss")
    reference = metrics.log_loss(labels, p, sample_weight=w)
    for target in (labels, np.eye(3)[labels]):
        value = losses.mean_loss(loss, jnp.asarray(p), jnp.asarray(target), jnp.asarray(w))
        assert float(value) == pytest.approx(reference, rel=1e-12)
    p, y = expit(P[:, :1]), TARGETS["binary_log_loss"][:, :1]
    reference = metrics.log_loss(y[:, 0], p[:, 0], labels=[0, 1])
    value = losses.mean_loss(losses.resolve("binary_log_loss"), jnp.asarray(p), jnp.asarray(y))
    assert float(value) == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_probabilities_of_0_and_1_stay_finite_with_their_gradients(name, dtype, x64):
    p, y = jnp.array([[1.0, 0.0, 0.0]], dtype), jnp.array([[0.0, 1.0, 0.0]], dtype)
    loss = losses.resolve(name)
    right = losses.mean_loss(loss, p, p)
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(loss, p, y))(p)
    assert float(right) == 0
    assert float(value) > 5  # −ln of the smallest float16 is 9.7, shared among 3 outputs
    assert np.isfinite(value)
    assert np.all(np.isfinite(np.asarray(gradient, float)))


@pytest.mark.parametrize(
    "name", ["huber", "log_cosh", "mae", "cross_entropy", "binary_cross_entropy"]
)
def test_large_errors_stay_finite_with_their_gradients(name):
    p, y = jnp.array([[1e4, -1e4, 0.0]]), jnp.array([[0.0, 1.0, 0.0]])
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(losses.resolve(name), p, y))(p)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_rmse_of_a_perfect_fit_has_gradient_zero():
    gradient = jax.grad(lambda p: losses.mean_loss(losses.resolve("rmse"), p, jnp.ones((3, 1))))(
        jnp.ones((3, 1))
    )
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
    with pytest.raises(
        ValueError, match=r"unknown loss 'mse2'; known: half_mse, mse.*poisson, or a function"
    ):
        losses.resolve("mse2")


def test_neither_name_nor_function(as_a_user):
    with pytest.raises(TypeError, match="loss is 3; it must be a name or a function"):
        losses.resolve(3)


# ---- what is known of them ----


@pytest.mark.parametrize("name", FORMULAS)
def test_the_scale_is_that_of_a_square(name, x64):
    scale = losses.resolve(name).scale
    assert scale == {"half_mse": 1.0, "mse": 2.0}.get(name)
    if scale is not None:
        each = losses.resolve(name).each(jnp.asarray(P), jnp.asarray(Y))
        np.testing.assert_allclose(each, scale / 2 * (P - Y) ** 2, rtol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_with_a_chance_level_is_linear_in_targets(name, x64):
    loss = losses.resolve(name)
    assert (loss.chance is not None) == (name in SMOOTHABLE)
    if loss.chance is None:
        return
    p, one, other = jnp.asarray(PREDICTIONS.get(name, P)[0]), jnp.eye(3)[0], jnp.eye(3)[2]
    between = loss.each(p, 0.3 * one + 0.7 * other)
    mixed = 0.3 * loss.each(p, one) + 0.7 * loss.each(p, other)
    np.testing.assert_allclose(between, mixed, rtol=1e-13)
    assert loss.chance(4) == (0.5 if name.startswith("binary") else 0.25)


@pytest.mark.parametrize("name", FORMULAS)
def test_labels_are_taken_by_the_losses_of_classes(name):
    assert losses.resolve(name).labels == (name in ("cross_entropy", "log_loss"))


# ---- batches of weight zero ----


@pytest.mark.parametrize("name", FORMULAS)
def test_a_batch_without_weight_has_loss_and_gradient_zero(name):
    p, y = jnp.asarray(PREDICTIONS.get(name, P)), jnp.asarray(TARGETS.get(name, Y))
    f = jax.value_and_grad(lambda p, w: losses.mean_loss(losses.resolve(name), p, y, w))
    value, gradient = f(p, jnp.zeros(len(P)))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(P))


@pytest.mark.parametrize("scale", [1e-6, 0.5, 1.0, 1e6])
def test_the_scale_of_the_weights_cancels(scale, x64):
    loss, w = losses.resolve("mse"), np.arange(1.0, 8.0)
    value = losses.mean_loss(loss, jnp.asarray(P), jnp.asarray(Y), jnp.asarray(scale * w))
    assert float(value) == pytest.approx(
        np.sum(w * np.mean((P - Y) ** 2, axis=1)) / np.sum(w), rel=1e-13
    )


# ---- label smoothing ----

LABELS = np.array([0, 2, 1, 1, 0, 2, 2])
SOFT = RNG.dirichlet(np.ones(3), 7)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
@pytest.mark.parametrize(
    "targets", [LABELS, np.eye(3)[LABELS], SOFT], ids=["labels", "one-hot", "soft"]
)
def test_smoothed_cross_entropy_is_that_of_smoothed_rows(targets, amount, x64):
    rows = np.eye(3)[targets] if targets.ndim == 1 else targets
    smooth = np.asarray(optax.smooth_labels(jnp.asarray(rows), amount))
    np.testing.assert_allclose(smooth, (1 - amount) * rows + amount / 3, rtol=1e-14)
    loss = losses.smoothed("cross_entropy", amount)
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(loss, p, jnp.asarray(targets)))(
        jnp.asarray(P)
    )
    assert float(value) == pytest.approx(expected("cross_entropy", P, smooth), rel=1e-13)
    np.testing.assert_allclose(
        gradient, (softmax(P, axis=1) - smooth) / len(P), rtol=1e-12, atol=1e-16
    )


def test_smoothed_cross_entropy_is_sklearns_log_loss(x64):
    """It knows labels alone: every class once for each row, weighted by its probability."""
    metrics = pytest.importorskip("sklearn.metrics")
    smooth = 0.8 * SOFT + 0.2 / 3
    probabilities, labels = np.repeat(softmax(P, axis=1), 3, axis=0), np.tile(np.arange(3), len(P))
    reference = metrics.log_loss(labels, probabilities, sample_weight=smooth.ravel())
    value = losses.mean_loss(
        losses.smoothed("cross_entropy", 0.2), jnp.asarray(P), jnp.asarray(SOFT)
    )
    assert float(value) == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
def test_smoothed_binary_cross_entropy_is_that_of_smoothed_targets(amount, x64):
    y = TARGETS["binary_cross_entropy"]
    smooth = (1 - amount) * y + amount / 2
    loss = losses.smoothed("binary_cross_entropy", amount)
    value, gradient = jax.value_and_grad(lambda p: losses.mean_loss(loss, p, jnp.asarray(y)))(
        jnp.asarray(P)
    )
    assert float(value) == pytest.approx(expected("binary_cross_entropy", P, smooth), rel=1e-13)
    np.testing.assert_allclose(gradient, (expit(P) - smooth) / P.size, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_smoothed_losses_of_probabilities_are_those_of_their_smoothed_logits(name, amount, x64):
    of_logits, probabilities = OF_PROBABILITIES[name]
    y, z = jnp.asarray(TARGETS[name]), jnp.asarray(P)
    loss, reference = losses.smoothed(name, amount), losses.smoothed(of_logits, amount)
    value = losses.mean_loss(loss, probabilities(z), y)
    assert float(value) == pytest.approx(float(losses.mean_loss(reference, z, y)), rel=1e-12)


@pytest.mark.parametrize("name", SMOOTHABLE)
def test_a_smoothed_loss_is_measured_by_the_plain_one(name):
    plain = losses.resolve(name)
    loss = losses.smoothed(name, 0.1)
    assert loss.measured is plain
    assert plain.measured is None
    assert loss._replace(each=plain.each, measured=None, smoothing=None) == plain


@pytest.mark.parametrize("name", SMOOTHABLE)
def test_smoothing_by_the_same_amount_is_the_same_object(name):
    loss = losses.smoothed(name, 0.1)
    assert losses.smoothed(losses.resolve(name), np.float64(0.1)) is loss
    assert losses.smoothed(name, 0.2) != loss
    assert losses.smoothed(name, 0) is losses.resolve(name)
    assert losses.resolve(loss) is loss
    assert isinstance(hash(loss), int)


@pytest.mark.parametrize("name", SMOOTHABLE)
def test_smoothing_keeps_the_dtype_and_stays_finite(name):
    p = [1.0, 0.0, 0.5] if name in PREDICTIONS else [300.0, -300.0, 0.0]
    p, y = jnp.array([p], jnp.bfloat16), jnp.array([[0.0, 1.0, 0.0]], jnp.bfloat16)
    f = jax.value_and_grad(lambda p: losses.mean_loss(losses.smoothed(name, 0.1), p, y))
    value, gradient = f(p)
    assert (value.dtype, gradient.dtype) == (jnp.float32, jnp.bfloat16)
    assert np.isfinite(value)
    assert np.all(np.isfinite(np.asarray(gradient, float)))


@pytest.mark.parametrize("loss", [*sorted(set(FORMULAS) - set(SMOOTHABLE)), "mse2", max, 3])
def test_smoothing_of_another_loss_names_those_that_take_it(loss, as_a_user):
    with pytest.raises(
        ValueError,
        match="label smoothing is for cross_entropy, binary_cross_entropy, log_loss, binary_log",
    ):
        losses.smoothed(loss, 0.1)


@pytest.mark.parametrize("amount", [-0.1, 1, 1.5, np.nan, np.inf])
def test_an_amount_of_smoothing_outside_of_0_and_1_is_refused(amount):
    with pytest.raises(
        ValueError, match=r"label smoothing is .*; it must be at least 0 and below 1"
    ):
        losses.smoothed("cross_entropy", amount)


@pytest.mark.parametrize("amount", ["0.1", None, True, [0.1], 1j], ids=str)
def test_an_amount_of_smoothing_that_is_not_a_number_is_refused(amount, as_a_user):
    with pytest.raises(TypeError, match=r"label smoothing is .*; it must be a number"):
        losses.smoothed("cross_entropy", amount)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_the_quantile_loss_is_its_formula_and_least_at_the_quantile(q, x64):
    loss, y = losses.quantile(q), np.random.default_rng(1).normal(size=101)
    d = y - y[:, None]  # each of them as the prediction of all
    each = loss.each(jnp.asarray(y)[:, None], jnp.asarray(y))
    np.testing.assert_allclose(each, np.maximum(q * d, (q - 1) * d), rtol=1e-13)
    assert y[np.argmin(np.mean(each, axis=1))] == np.quantile(y, q)
    assert losses.quantile(np.float64(q)) is loss


@pytest.mark.parametrize("q", [0, 1, np.nan, True, "0.5", [0.5]], ids=str)
def test_a_quantile_that_is_no_number_between_0_and_1_is_refused(q, as_a_user):
    with pytest.raises(ValueError if type(q) in (int, float) else TypeError, match=r"q is .*; it"):
        losses.quantile(q)


def test_a_loss_is_pickled_by_how_it_is_made():
    made = [losses.smoothed("cross_entropy", 0.1), losses.quantile(0.3), *losses.LOSSES.values()]
    for loss in made:
        assert pickle.loads(pickle.dumps(loss)) is loss
