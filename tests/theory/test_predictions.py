"""Networks drawn by jnn obey the theory: what is measured, against what is predicted."""

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jnn
from jnn import diagnostics
from jnn.diagnostics.tangent_kernel import empirical_ntk
from jnn.theory import finite_width, isometry, kernels, mean_field

pytestmark = pytest.mark.table

THEORY = json.loads((Path(__file__).parents[1] / "reference" / "theory.json").read_text())
UNTRUNCATED = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def gaussian(width, depth, sigma_w2, sigma_b2, activation="tanh", seed=0):
    """Layers of these variances, and no readout."""
    k_w, k_b = jax.random.split(jax.random.key(seed))
    w = (sigma_w2 / width) ** 0.5 * jax.random.normal(k_w, (depth, width, width))
    return (jnn.Stack(w, sigma_b2**0.5 * jax.random.normal(k_b, (depth, width)), activation),)


# Slopes of one layer are 500 numbers: their mean square is 2 % off as a rule. So networks are
# averaged.


@pytest.mark.slow
@pytest.mark.parametrize("sigma_w2", [1.5, 2.0, 4.0])
def test_lengths_and_chi_1_of_every_layer_at_width_500(sigma_w2):
    x = jax.random.normal(jax.random.key(1), (10, 500))
    networks = [gaussian(500, 14, sigma_w2, 0.05, seed=seed) for seed in range(12)]
    predicted = mean_field.signals(14, "tanh", sigma_w2=sigma_w2, sigma_b2=0.05)
    measured = np.mean(
        [diagnostics.mean_squared_singular_values(params, x) for params in networks], 0
    )
    np.testing.assert_allclose(measured, np.exp(2 * predicted.log_gradient), rtol=0.02)
    limit = mean_field.limits("tanh", sigma_w2=sigma_w2, sigma_b2=0.05)
    np.testing.assert_allclose(np.mean(measured[8:]), limit.chi_1, rtol=0.01)
    statistics = [diagnostics.statistics(params, x) for params in networks]
    lengths = np.mean([s.z_std**2 + s.z_mean**2 for s in statistics], 0)
    np.testing.assert_allclose(lengths, predicted.q, rtol=0.05)
    np.testing.assert_allclose(np.mean(lengths[8:]), limit.q, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu", "erf"])
def test_chi_1_of_other_critical_networks(activation):
    """As `init="critical"` draws them."""
    variances = jnn.initializers.critical_variances(activation)._asdict()
    predicted = mean_field.signals(10, activation, **variances)
    x, measured = jax.random.normal(jax.random.key(1), (10, 500)), []
    for seed in range(12):
        params = jnn.init_network_params(
            [500] * 12, jax.random.key(seed), activation=activation, init="critical"
        )[:1]
        measured.append(diagnostics.mean_squared_singular_values(params, x))
    np.testing.assert_allclose(
        np.mean(measured), np.mean(np.exp(2 * predicted.log_gradient)), rtol=0.02
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", THEORY["mean_field"]["tanh_sigma_b2_0.05"][2:], ids=lambda row: str(row["sigma_w2"])
)
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
    measured = [
        diagnostics.correlations(gaussian(500, 20, 2.0, 0.0, "relu", seed), u, v)
        for seed in range(12)
    ]
    np.testing.assert_allclose(np.mean(measured, 0)[[1, 5, 19]], 1 - c[[1, 5, 19]], rtol=0.25)


@pytest.mark.parametrize("width", [1, 2, 4, 10, 100])
def test_ln_R_of_relu_layers(width):
    """Layers alive at the input, against the closed form within three standard errors."""
    reference = THEORY["finite_width_relu"]["per_layer_given_alive"][str(width)]
    samples = 6_000 if width < 50 else 2_000

    def one(key):
        params = jnn.init_network_params([width] * 3, key, activation="relu", init=UNTRUNCATED)[:1]
        layer = (jnn.Stack(params[0].w[:1], params[0].b[:1], "relu"),)
        k_x, k_u = jax.random.split(jax.random.fold_in(key, 1))
        x, u = jax.random.normal(k_x, (width,)), jax.random.normal(k_u, (width,))
        Ju = jax.jvp(lambda x: jnn.forward(layer, x), (x,), (u / jnp.linalg.norm(u),))[1]
        return jnp.log(jnp.sum(Ju**2))

    logs = np.asarray(
        jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(0), samples))
    )
    logs = logs[np.isfinite(logs)].astype(np.float64)
    assert abs(logs.mean() - reference["E_lnR"]) <= 3 * logs.std() / logs.size**0.5
    fourth = np.mean((logs - logs.mean()) ** 4)
    error = ((fourth - logs.var() ** 2) / logs.size) ** 0.5
    assert abs(logs.var() - reference["Var_lnR"]) <= 3 * error
    law = finite_width.relu_law([width, width])
    assert round(law.mean, 6) == reference["E_lnR"]
    assert round(law.variance, 6) == reference["Var_lnR"]


@pytest.mark.parametrize(
    ("activation", "weights"), [("tanh", "gaussian"), ("tanh", "orthogonal"), ("relu", "gaussian")]
)
@pytest.mark.slow
def test_moments_of_the_jacobian_at_width_200(weights, activation):
    sigma_b2, L = 0.05 if activation == "tanh" else 0.0, 6
    point = mean_field.critical(sigma_b2, activation)
    start = jnn.initializers.critical(
        activation, sigma_b2=sigma_b2, orthogonal=weights == "orthogonal"
    )
    squares = []
    for seed in range(6):
        params = jnn.init_network_params(
            [200] * (L + 2), jax.random.key(seed), activation=activation, init=start
        )
        layers = (jnn.Stack(params[0].w[:L], params[0].b[:L], activation),)
        size = ((point.q - sigma_b2) / point.sigma_w2) ** 0.5
        x = size * jax.random.normal(jax.random.key(100 + seed), (200,))
        J = jax.jacobian(lambda x, layers=layers: jnn.forward(layers, x))(x)
        squares.append(np.linalg.svd(J, compute_uv=False) ** 2)
    found = np.array([np.mean(np.power(squares, k)) for k in (1, 2)])
    predicted = isometry.moments(
        2, L, activation, weights, sigma_w2=point.sigma_w2, sigma_b2=sigma_b2
    )
    np.testing.assert_allclose(found, predicted, rtol=0.15)
    largest = isometry.largest_singular_value(
        L, activation, weights, sigma_w2=point.sigma_w2, sigma_b2=sigma_b2
    )
    assert np.max(squares) ** 0.5 == pytest.approx(largest, rel=0.15)


def test_sigmoid_chains_of_random_weights_fall_as_foretold():
    """w, b ~ N(0, 1): ln |gradient| falls by 2.307585 a layer, at depth 20,000 and in float32."""
    k_w, k_b = jax.random.split(jax.random.key(0))
    depth = 20_000
    w = jax.random.normal(k_w, (depth, 1, 1))
    params = (jnn.Stack(w, jax.random.normal(k_b, (depth, 1)), "sigmoid"),)
    log = diagnostics.output_norms(params, [[0.5]])
    fall = (log[-1] - log[0]) / (depth - 1)
    spread = np.std(np.diff(log)) / depth**0.5
    assert abs(fall - 2.307585) <= 3.5 * spread


# ---- finite width ----


@pytest.mark.parametrize("n", [1, 2, 4, 10, 100])
def test_networks_of_jnn_obey_the_law(n):
    """ln |Ju|² of 3,000 networks: mean and variance within 3 standard errors, then all of it."""
    sizes, count = [3, n, n], 3000

    def log_gain(key):
        *hidden, _ = jnn.init_network_params([*sizes, 1], key, activation="relu", init=UNTRUNCATED)
        x, u = jnp.array([0.3, -1.0, 0.5]), jnp.array([0.6, 0.0, 0.8])
        states, Ju = jax.jvp(partial(jnn.forward, tuple(hidden)), (x,), (u,))
        return jnp.where(jnp.any(states > 0), jnp.log(jnp.sum(Ju**2)), -jnp.inf)

    logs = np.asarray(
        jax.jit(jax.vmap(log_gain))(jax.random.split(jax.random.key(n), count)), np.float64
    )
    alive, law = logs[np.isfinite(logs)], finite_width.relu_law(sizes)
    dead = 1 - len(alive) / count
    assert abs(dead - law.dead) <= 3 * np.sqrt(law.dead * (1 - law.dead) / count) + 1e-9
    assert abs(alive.mean() - law.mean) < 3 * np.sqrt(law.variance / len(alive))
    spread = np.std((alive - law.mean) ** 2) / np.sqrt(len(alive))
    assert abs(alive.var() - law.variance) < 3 * spread
    assert stats.kstest(alive, lambda x: finite_width.relu_distribution(x, sizes).cdf).pvalue > 1e-3


@pytest.mark.parametrize("widths", [[2] * 4, [2, 2, 1, 2], [3, 4, 3]])
def test_networks_of_jnn_are_born_dead_as_often(widths):
    count = 20_000

    def constant(key):
        params = jnn.init_network_params([1, *widths, 1], key, activation="relu", init=UNTRUNCATED)
        return ~jnp.any(jax.vmap(partial(jnn.forward, params))(jnp.array([[-1.0], [1.0]])))

    dead = float(np.mean(jax.jit(jax.vmap(constant))(jax.random.split(jax.random.key(7), count))))
    limits = finite_width.born_dead(widths)
    error = 4 * np.sqrt(dead * (1 - dead) / count)
    assert limits.lower - error < dead < limits.upper + error
    assert (limits.exact is None) == (max(widths) > 2)
    assert limits.exact is None or abs(dead - limits.exact) < error


# ---- kernels ----


X = np.array([[1.0, 0.0], [0.6, 0.8]])


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "sigma_b2"), [("relu", 2.0, 0.0), ("tanh", 1.5, 0.2)]
)
def test_networks_of_width_512_have_the_kernel_of_infinite_width(activation, sigma_w2, sigma_b2):
    """The mean NTK of 40 networks within 3 standard errors, in the NTK parametrisation."""
    sizes, rng, drawn = [2, 512, 512, 1], np.random.default_rng(1), []
    for _ in range(40):
        pairs = []
        for i, o in pairwise(sizes):
            w = np.sqrt(sigma_w2 / i) * rng.standard_normal((o, i))
            b = np.sqrt(sigma_b2) * rng.standard_normal(o)
            pairs.append((jnp.asarray(w), jnp.asarray(b)))
        params = jnn.from_layers(pairs, activation=activation)
        drawn.append(empirical_ntk(params, X, sigma_w2=sigma_w2, sigma_b2=sigma_b2)[..., 0, 0])
    drawn = np.array(drawn)
    T = kernels.infinite_width(
        X, hidden=2, activation=activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2
    ).ntk
    assert np.all(np.abs(drawn.mean(0) - T) < 3 * drawn.std(0) / np.sqrt(len(drawn)))


def test_the_output_of_wide_networks_has_the_covariance_of_nngp():
    def outputs(key):
        params = jnn.init_network_params([2, 256, 1], key, activation="relu", init=UNTRUNCATED)
        return jax.vmap(lambda x: jnn.forward(params, x)[0])(jnp.asarray(X, jnp.float32))

    f = np.asarray(jax.lax.map(outputs, jax.random.split(jax.random.key(0), 4000), batch_size=100))
    products = f[:, :, None] * f[:, None, :]
    K = kernels.infinite_width(X, hidden=1).nngp
    assert np.all(np.abs(products.mean(0) - K) < 3 * products.std(0) / np.sqrt(len(f)))
