"""Measured against predicted, on networks that jnn makes: what theory says of them, and what the diagnostics see."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import diagnostics
from jnn.theory import finite_width, isometry, mean_field

THEORY = json.loads((Path(__file__).parent / "reference" / "theory.json").read_text())
UNTRUNCATED = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def gaussian(width, depth, sigma_w2, sigma_b2, activation="tanh", seed=0):
    """Layers of these variances, and no readout."""
    k_w, k_b = jax.random.split(jax.random.key(seed))
    w = (sigma_w2 / width) ** 0.5 * jax.random.normal(k_w, (depth, width, width))
    return (jnn.Stack(w, sigma_b2**0.5 * jax.random.normal(k_b, (depth, width)), activation),)


# Slopes of one layer are 500 numbers: their mean square is 2 % off as a rule. So networks are averaged.


@pytest.mark.parametrize("sigma_w2", [1.5, 2.0, 4.0])
def test_lengths_and_chi_1_of_every_layer_at_width_500(sigma_w2):
    x = jax.random.normal(jax.random.key(1), (10, 500))
    networks = [gaussian(500, 14, sigma_w2, 0.05, seed=seed) for seed in range(12)]
    predicted = mean_field.signals(14, "tanh", sigma_w2=sigma_w2, sigma_b2=0.05)
    measured = np.mean([diagnostics.mean_squared_singular_values(params, x) for params in networks], 0)
    np.testing.assert_allclose(measured, np.exp(2 * predicted.log_gradient), rtol=0.02)
    limit = mean_field.limits("tanh", sigma_w2=sigma_w2, sigma_b2=0.05)
    np.testing.assert_allclose(np.mean(measured[8:]), limit.chi_1, rtol=0.01)
    statistics = [diagnostics.statistics(params, x) for params in networks]
    lengths = np.mean([s.z_std**2 + s.z_mean**2 for s in statistics], 0)
    np.testing.assert_allclose(lengths, predicted.q, rtol=0.05)
    np.testing.assert_allclose(np.mean(lengths[8:]), limit.q, rtol=0.02)


@pytest.mark.parametrize("activation", ["relu", "gelu", "erf"])
def test_chi_1_of_other_critical_networks(activation):
    """As `init="critical"` draws them."""
    variances = jnn.initializers.critical_variances(activation)._asdict()
    predicted = mean_field.signals(10, activation, **variances)
    x, measured = jax.random.normal(jax.random.key(1), (10, 500)), []
    for seed in range(12):
        params = jnn.init_network_params([500] * 12, jax.random.key(seed), activation=activation, init="critical")[:1]
        measured.append(diagnostics.mean_squared_singular_values(params, x))
    np.testing.assert_allclose(np.mean(measured), np.mean(np.exp(2 * predicted.log_gradient)), rtol=0.02)


@pytest.mark.parametrize("row", THEORY["mean_field"]["tanh_sigma_b2_0.05"][2:], ids=lambda row: str(row["sigma_w2"]))
def test_correlations_end_at_c_star(row):
    u, v = (jax.random.normal(jax.random.key(i), (500,)) for i in (1, 2))
    measured = [
        1 - diagnostics.correlations(gaussian(500, 60, row["sigma_w2"], 0.05, seed=seed), u, v)[40:]
        for seed in range(4)
    ]
    assert np.mean(measured) == pytest.approx(row["c"], abs=0.05)


@pytest.mark.slow
def test_relu_correlations_approach_one_like_the_square_of_depth():
    """l² (1 − c) → 9π²/2: the map by depth 1,000, and a network as far as its width goes."""
    limit = 9 * np.pi**2 / 2
    _, c = mean_field.through_depth(1000, "relu", sigma_w2=2, sigma_b2=0, c=0.6)
    assert abs(1000**2 * (1 - c[1000]) - limit) < 0.05 * limit
    assert abs(1000**2 * (1 - c[1000]) - limit) < 0.2 * abs(100**2 * (1 - c[100]) - limit)
    u, v = (jax.random.normal(jax.random.key(i), (500,)) for i in (1, 2))
    v = 0.6 * u + 0.8 * v
    measured = [diagnostics.correlations(gaussian(500, 20, 2.0, 0.0, "relu", seed), u, v) for seed in range(12)]
    np.testing.assert_allclose(np.mean(measured, 0)[[1, 5, 19]], 1 - c[[1, 5, 19]], rtol=0.25)


@pytest.mark.parametrize("width", [1, 2, 4, 10, 100])
def test_ln_R_of_relu_layers(width):
    """Of layers that jnn draws, alive at the input, against the closed form within three standard errors."""
    reference, samples = (
        THEORY["finite_width_relu"]["per_layer_given_alive"][str(width)],
        6_000 if width < 50 else 2_000,
    )

    def one(key):
        params = jnn.init_network_params([width] * 3, key, activation="relu", init=UNTRUNCATED)[:1]
        layer = (jnn.Stack(params[0].w[:1], params[0].b[:1], "relu"),)
        k_x, k_u = jax.random.split(jax.random.fold_in(key, 1))
        x, u = jax.random.normal(k_x, (width,)), jax.random.normal(k_u, (width,))
        Ju = jax.jvp(lambda x: jnn.forward(layer, x), (x,), (u / jnp.linalg.norm(u),))[1]
        return jnp.log(jnp.sum(Ju**2))

    logs = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(0), samples)))
    logs = logs[np.isfinite(logs)].astype(np.float64)
    assert abs(logs.mean() - reference["E_lnR"]) <= 3 * logs.std() / logs.size**0.5
    fourth = np.mean((logs - logs.mean()) ** 4)
    assert abs(logs.var() - reference["Var_lnR"]) <= 3 * ((fourth - logs.var() ** 2) / logs.size) ** 0.5
    law = finite_width.relu_law([width, width])
    assert (round(law.mean, 6), round(law.variance, 6)) == (reference["E_lnR"], reference["Var_lnR"])


@pytest.mark.parametrize(
    ("activation", "weights"), [("tanh", "gaussian"), ("tanh", "orthogonal"), ("relu", "gaussian")]
)
@pytest.mark.slow
def test_moments_of_the_jacobian_at_width_200(weights, activation):
    sigma_b2, L = 0.05 if activation == "tanh" else 0.0, 6
    point = mean_field.critical(sigma_b2, activation)
    start = jnn.initializers.critical(activation, sigma_b2=sigma_b2, orthogonal=weights == "orthogonal")
    squares = []
    for seed in range(6):
        params = jnn.init_network_params([200] * (L + 2), jax.random.key(seed), activation=activation, init=start)
        layers = (jnn.Stack(params[0].w[:L], params[0].b[:L], activation),)
        x = ((point.q - sigma_b2) / point.sigma_w2) ** 0.5 * jax.random.normal(jax.random.key(100 + seed), (200,))
        J = jax.jacobian(lambda x, layers=layers: jnn.forward(layers, x))(x)
        squares.append(np.linalg.svd(J, compute_uv=False) ** 2)
    found = np.array([np.mean(np.power(squares, k)) for k in (1, 2)])
    predicted = isometry.moments(2, L, activation, weights, sigma_w2=point.sigma_w2, sigma_b2=sigma_b2)
    np.testing.assert_allclose(found, predicted, rtol=0.15)
    largest = isometry.largest_singular_value(L, activation, weights, sigma_w2=point.sigma_w2, sigma_b2=sigma_b2)
    assert np.max(squares) ** 0.5 == pytest.approx(largest, rel=0.15)


def test_sigmoid_chains_of_random_weights_fall_as_foretold():
    """w, b ~ N(0, 1): ln |gradient| falls by 2.307585 a layer on average, at depth 20,000 and in float32."""
    k_w, k_b = jax.random.split(jax.random.key(0))
    depth = 20_000
    params = (jnn.Stack(jax.random.normal(k_w, (depth, 1, 1)), jax.random.normal(k_b, (depth, 1)), "sigmoid"),)
    log = diagnostics.output_norms(params, [[0.5]])
    fall = (log[-1] - log[0]) / (depth - 1)
    spread = np.std(np.diff(log)) / depth**0.5
    assert abs(fall - 2.307585) <= 3.5 * spread
