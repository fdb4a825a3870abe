"""A network that ends in a softmax is to every diagnostic the one that ends in its logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.networks import classifiers

import jnn
from jnn import diagnostics

X = np.random.default_rng(0).standard_normal((7, 3))
LABELS = np.array([0, 1, 2, 3, 0, 1, 1])
SOFT = np.random.default_rng(1).dirichlet(np.ones(4), 7)

OF_STATES = {
    "statistics": lambda p: diagnostics.statistics(p, X),
    "effective_rank": lambda p: diagnostics.effective_rank(p, X),
    "correlations": lambda p: diagnostics.correlations(p, X[0], X[1]),
    "output_norms": lambda p: diagnostics.output_norms(p, X),
    "layer_singular_values": lambda p: diagnostics.layer_singular_values(p, X[0]),
    "mean_squared": lambda p: diagnostics.mean_squared_singular_values(p, X),
    "log_singular_values": lambda p: diagnostics.log_singular_values(p, X[0]),
    "lyapunov_exponents": lambda p: diagnostics.lyapunov_exponents(p, X[0]),
    "sensitivity_map": lambda p: diagnostics.sensitivity_map(p, X[0]),
    "variances": diagnostics.variances,
}

OF_GRADIENTS = {
    "gradient_norms": diagnostics.gradient_norms,
    "noise_scale": diagnostics.noise_scale,
    "top_eigenvalues": lambda *data, loss: diagnostics.top_eigenvalues(*data, loss=loss, k=3),
    "trace": lambda *data, loss: diagnostics.trace(*data, loss=loss, samples=8),
}


def agree(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, **tolerance)


@pytest.mark.parametrize("name", OF_STATES)
def test_states_and_jacobians_are_those_of_the_logits(name, x64):
    softmax, logits = classifiers()
    agree(OF_STATES[name](softmax), OF_STATES[name](logits), rtol=1e-12)


@pytest.mark.parametrize("name", OF_GRADIENTS)
@pytest.mark.parametrize(
    "y",
    [pytest.param(LABELS, id="labels"), pytest.param(SOFT, id="rows", marks=pytest.mark.slow)],
)
def test_log_loss_of_a_softmax_is_cross_entropy_of_its_logits(name, y, x64):
    softmax, logits = classifiers()
    found = OF_GRADIENTS[name](softmax, X, y, loss="log_loss")
    agree(found, OF_GRADIENTS[name](logits, X, y, loss="cross_entropy"), rtol=1e-10, atol=1e-10)


def test_gradients_of_a_softmax_are_those_of_jax(x64):
    softmax, _ = classifiers()
    weights = jnp.arange(1.0, 8.0)

    def mean_loss(p):
        loss = jnn.losses.resolve("log_loss")
        return jnn.losses.mean_loss(loss, jnn.predict(p, X), jnp.asarray(LABELS), weights)

    found = diagnostics.gradient_norms(softmax, X, LABELS, loss="log_loss", weights=weights)
    gradient = jax.jit(jax.grad(mean_loss))(softmax)
    by_layer = [(np.linalg.norm(w), np.linalg.norm(b)) for w, b in jnn.layers(gradient)]
    np.testing.assert_allclose(np.exp(found.log_weights), [w for w, _ in by_layer], rtol=1e-11)
    np.testing.assert_allclose(np.exp(found.log_biases), [b for _, b in by_layer], rtol=1e-11)


def test_the_verdict_on_a_softmax_is_that_on_its_logits(x64):
    softmax, logits = classifiers()
    found = jnn.diagnose(softmax, X, LABELS, loss="log_loss")
    assert str(found) == str(jnn.diagnose(logits, X, LABELS, loss="cross_entropy"))


@pytest.mark.parametrize("call", [*OF_GRADIENTS.values(), diagnostics.diagnose])
def test_a_loss_of_logits_is_refused_by_a_softmax(call):
    softmax, logits = classifiers()
    with pytest.raises(ValueError, match="takes logits, but the network's output, softmax"):
        call(softmax, X, LABELS, loss="cross_entropy")
    with pytest.raises(ValueError, match=r"loss log_loss takes .* output, identity, gives"):
        call(logits, X, LABELS, loss="log_loss")


ANYWHERE = {
    **OF_STATES,
    **{n: lambda p, f=f: f(p, X, SOFT, loss="half_mse") for n, f in OF_GRADIENTS.items()},
    "empirical_ntk": lambda p: diagnostics.empirical_ntk(p, 100 * X[:2]),  # beyond 65504
    "diagnose": lambda p: jnn.diagnose(p, X, SOFT).log_gradients,
}


@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ANYWHERE)
def test_half_precision_is_measured_in_float32(name, dtype):
    """The parameters are numbers of each dtype; the states are rounded, to 11 or 8 bits."""
    start = jnn.init_network_params([3, 6, 6, 6, 4], jax.random.key(0))
    start = jax.tree.map(lambda a: a.astype("bfloat16").astype("float32"), start)
    half = ANYWHERE[name](jax.tree.map(lambda a: a.astype(dtype), start))
    assert all(leaf.dtype.itemsize > 2 for leaf in map(np.asarray, jax.tree.leaves(half)))
    error = {"float16": 0.01, "bfloat16": 0.05}[dtype]
    agree(ANYWHERE[name](start), half, rtol=error, atol=error)


def test_squares_of_halves_do_not_overflow_and_small_ones_do_not_vanish():
    x = 300 * X
    params = jnn.from_layers([(np.eye(3), np.zeros(3))] * 3, activation="identity")
    tiny = jax.tree.map(lambda a: (2.0**-10 * a).astype("float16"), params)
    half = jax.tree.map(lambda a: a.astype("float16"), params)
    assert diagnostics.noise_scale(half, x, x + 300).total == pytest.approx(
        diagnostics.noise_scale(params, x, x + 300).total, rel=0.01
    )
    np.testing.assert_allclose(
        diagnostics.mean_squared_singular_values(tiny, x), 2.0**-20, rtol=1e-6
    )
    np.testing.assert_allclose(diagnostics.statistics(half, x).x_std, np.std(x), rtol=1e-3)
    scaled = jnn.lsuv(tiny, X)
    np.testing.assert_allclose(scaled[0].w[0], np.eye(3) / np.std(X), atol=1e-3)


def test_the_rank_of_states_that_overflow_is_no_number():
    params = jnn.from_layers([(1e20 * np.eye(3), np.zeros(3))] * 3, activation="identity")
    rank = diagnostics.effective_rank(params, X)
    assert rank[0] > 2
    assert np.isnan(rank[1:]).all()
