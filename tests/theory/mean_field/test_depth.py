"""Signals layer by layer, against the length map and against a wide network."""

import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.theory import gaussian, mean_field


@pytest.mark.table
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "sigmoid"])
def test_signals_are_the_length_map_again_and_again(activation):
    found = mean_field.signals(30, activation, sigma_w2=1.7, sigma_b2=0.1, start=(0.8, 0.0))
    q = 1.7 * 0.8 + 0.1
    for l in range(30):
        at = gaussian.moments(activation, q)
        assert found.q[l] == pytest.approx(q, rel=1e-6)
        assert found.log_gradient[l] == pytest.approx(0.5 * np.log(1.7 * at.slope2), abs=1e-6)
        q = float(mean_field.length_map(q, activation, sigma_w2=1.7, sigma_b2=0.1))


@pytest.mark.table
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_residual_signals_are_those_of_a_wide_network(activation):
    rng, n, depth = np.random.default_rng(0), 1500, 10
    predicted = mean_field.signals(depth, activation, sigma_w2=0.5, sigma_b2=0.01, residual=True)
    h = jnn.ACTIVATIONS[activation]
    x, λ, blocks, lengths = rng.standard_normal(n), rng.standard_normal(n), [], []
    for _ in range(depth):
        W = rng.standard_normal((n, n)) * np.sqrt(0.5 / n)
        z = W @ x + 0.1 * rng.standard_normal(n)
        blocks.append((W, np.asarray(h.slope(jnp.asarray(z)))))
        lengths.append(np.mean(z * z))
        x = x + np.asarray(h.value(jnp.asarray(z)))
    np.testing.assert_allclose(lengths, predicted.q, rtol=0.2)
    total = np.log(np.linalg.norm(λ))
    for W, δ in blocks[::-1]:
        λ = λ + W.T @ (δ * λ)
    growth = np.log(np.linalg.norm(λ)) - total
    assert growth == pytest.approx(np.sum(predicted.log_gradient), abs=0.15)  # three deviations


def test_integers_of_numpy_are_integers(as_a_user):
    signals = mean_field.signals(np.int64(3), sigma_w2=1.5, sigma_b2=0.1)
    np.testing.assert_array_equal(signals, mean_field.signals(3, sigma_w2=1.5, sigma_b2=0.1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: mean_field.signals(2.5, sigma_w2=1, sigma_b2=0),
            TypeError,
            "depth is 2.5; it must be an integer from 1 to 10000000",
        ),
        (lambda: mean_field.signals(True, sigma_w2=1, sigma_b2=0), TypeError, "depth is True"),
        (lambda: mean_field.signals(0, sigma_w2=1, sigma_b2=0), ValueError, "depth is 0"),
        (
            lambda: mean_field.signals(2, sigma_w2=0, sigma_b2=0),
            ValueError,
            "sigma_w2 is 0; it must be finite and above 0",
        ),
        (lambda: mean_field.signals(2, sigma_w2=[1, 2], sigma_b2=0), TypeError, "sigma_w2 is"),
        (
            lambda: mean_field.signals(2, sigma_w2=1, sigma_b2=0, start=(-1.0, 0.0)),
            ValueError,
            r"start\[0\] is -1.0; it must be finite and at least 0",
        ),
        (
            lambda: mean_field.signals(2, sigma_w2=1, sigma_b2=0, start=(np.nan, 0.0)),
            ValueError,
            r"start\[0\] is nan",
        ),
        (
            lambda: mean_field.signals(2, sigma_w2=1, sigma_b2=0, start=(1.0, np.nan)),
            ValueError,
            r"start\[1\] is nan",
        ),
        (
            lambda: mean_field.signals(2, sigma_w2=1, sigma_b2=0, start=("a", 0.0)),
            TypeError,
            r"start\[0\] is \'a\'; it must be a number",
        ),
        (
            lambda: mean_field.signals(2, sigma_w2=1, sigma_b2=0, start=1.0),
            ValueError,
            r"start is .*; it must be a pair",
        ),
        (
            lambda: mean_field.signals(2, sigma_w2=1, sigma_b2=0, residual=1),
            TypeError,
            "residual is 1; it must be True or False",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
