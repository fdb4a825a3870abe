"""Finite width: the numbers of the literature, laws of probability, and networks that jnn itself draws."""

import json
import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jnn
from jnn.theory import approximation, finite_width, width_one

THEORY = json.loads((Path(__file__).parent / "reference" / "theory.json").read_text())
RELU, DEAD, ONE = (THEORY[name] for name in ("finite_width_relu", "born_dead_relu", "width_one_sigmoid"))
HE = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")  # not cut off, as he_normal is


def printed(value, reference):
    """To every digit that the reference prints."""
    digits = len(str(reference).partition(".")[2])
    return round(float(value), digits) == reference


# ---- the law of |Ju|² ----


@pytest.mark.parametrize("n", RELU["per_layer_given_alive"])
def test_a_layer_has_the_moments_of_the_table(n):
    law, table = finite_width.relu_law([int(n)] * 2), RELU["per_layer_given_alive"][n]
    assert printed(law.mean, table["E_lnR"])
    assert printed(law.variance, table["Var_lnR"])
    assert np.exp(law.log_second_moment) == pytest.approx(1 + 5 / int(n))
    assert law.dead == pytest.approx(2.0 ** -int(n), rel=1e-12)


def test_a_network_adds_up_its_layers():
    sizes = [3, 5, 2, 7]
    law, layers = finite_width.relu_law(sizes), [finite_width.relu_law([n, n]) for n in sizes[1:]]
    assert law.mean == pytest.approx(np.log(7 / 3) + sum(layer.mean for layer in layers))
    assert law.variance == pytest.approx(sum(layer.variance for layer in layers))
    assert law.dead == pytest.approx(1 - np.prod([1 - 2.0**-n for n in sizes[1:]]))
    assert round(np.exp(finite_width.relu_law([10] * 21).log_second_moment)) == 3325
    assert finite_width.relu_law([8] * 10_001).log_second_moment == pytest.approx(1e4 * np.log(1 + 5 / 8))
    assert finite_width.relu_law([10_000] * 2).variance == pytest.approx(5 / 10_000, rel=1e-3)


@pytest.mark.parametrize("sizes", [[3, 1], [2, 2, 2], [5, 10, 3], [100] * 3, [1] * 50, [2000, 2000]])
def test_the_distribution_has_the_moments_of_the_law_and_adds_up_to_one(sizes):
    law = finite_width.relu_law(sizes)
    x = law.mean + np.sqrt(law.variance) * np.linspace(-25, 12, 6001)
    of_x = finite_width.relu_distribution(x, sizes)
    for power, expected in enumerate([1, 0, law.variance]):
        assert integrate.trapezoid(of_x.density * (x - law.mean) ** power, x) == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(
        of_x.cdf, integrate.cumulative_trapezoid(of_x.density, x, initial=0) + of_x.cdf[0], atol=1e-5
    )
    assert np.all(np.diff(of_x.cdf) > -1e-12)


def test_the_distribution_of_width_one_is_that_of_a_chi_square():
    x = np.linspace(-10, 4, 29)
    expected = stats.chi2(1).cdf(np.exp(x) / 2)  # R = 2 χ²₁ given alive
    np.testing.assert_allclose(finite_width.relu_distribution(x, [1, 1]).cdf, expected, atol=1e-9)
    assert finite_width.relu_distribution([-1e9, 1e9], [1, 1]).cdf.round(9).tolist() == [0, 1]


@pytest.mark.parametrize("n", [1, 2, 4, 10, 100])
def test_networks_of_jnn_obey_the_law(n):
    """ln |Ju|² of 3,000 networks, two hidden layers: mean and variance within 3 standard errors, then all of it."""
    sizes, count = [3, n, n], 3000

    def log_gain(key):
        *hidden, _ = jnn.init_network_params([*sizes, 1], key, activation="relu", init=HE)
        x, u = jnp.array([0.3, -1.0, 0.5]), jnp.array([0.6, 0.0, 0.8])
        states, Ju = jax.jvp(partial(jnn.forward, tuple(hidden)), (x,), (u,))
        return jnp.where(jnp.any(states > 0), jnp.log(jnp.sum(Ju**2)), -jnp.inf)

    logs = np.asarray(jax.jit(jax.vmap(log_gain))(jax.random.split(jax.random.key(n), count)), np.float64)
    alive, law = logs[np.isfinite(logs)], finite_width.relu_law(sizes)
    dead = 1 - len(alive) / count
    assert abs(dead - law.dead) <= 3 * np.sqrt(law.dead * (1 - law.dead) / count) + 1e-9
    assert abs(alive.mean() - law.mean) < 3 * np.sqrt(law.variance / len(alive))
    spread = np.std((alive - law.mean) ** 2) / np.sqrt(len(alive))
    assert abs(alive.var() - law.variance) < 3 * spread
    assert stats.kstest(alive, lambda x: finite_width.relu_distribution(x, sizes).cdf).pvalue > 1e-3


# ---- dead networks ----


def test_dead_at_one_point():
    assert finite_width.dead_probability([1]) == 0.5
    assert finite_width.dead_probability([2, 3]) == pytest.approx(1 - 3 / 4 * 7 / 8, rel=1e-14)
    assert finite_width.dead_probability([100] * 5) == pytest.approx(5 * 2.0**-100, rel=1e-12)
    assert finite_width.dead_probability([1] * 5000) == 1


def test_born_dead_as_in_the_table():
    for n, measured in DEAD["monte_carlo"].items():
        limits = finite_width.born_dead([int(n)] * 9)
        assert limits.upper == pytest.approx(1 - (1 - 2.0 ** -int(n)) ** 9, rel=1e-12)
        assert limits.lower <= measured + 4 * DEAD["standard_error"]
        assert measured - 4 * DEAD["standard_error"] <= limits.upper
        if limits.exact is not None:
            assert abs(measured - limits.exact) < 4 * DEAD["standard_error"]
    assert finite_width.born_dead([2] * 9).exact == pytest.approx(0.87983984, abs=1e-7)
    assert finite_width.born_dead([2, 2]).exact == pytest.approx(0.15625, abs=1e-9)
    assert finite_width.born_dead([60] * 3).lower == pytest.approx(2.0**-59 * 2.0**-60 * 2, rel=0.1)
    for H in range(1, 12):
        limits = finite_width.born_dead([1] * H)
        assert limits.lower == pytest.approx(1 - 2.0 ** -(H - 1))
        assert limits.exact == pytest.approx(limits.lower)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_lower_limit_is_that_of_the_paper(n):
    """Its closed form for equal widths, H hidden layers."""
    H, a1, a2 = 9, 1 - 2.0**-n, 1 - 2.0 ** (1 - n) - (n - 1) * 4.0**-n
    share = (1 - 2.0 ** (1 - n)) * (1 - 2.0**-n) / (1 + (n - 1) * 2.0**-n)
    expected = 1 - a1 ** (H - 1) + share * (a2 ** (H - 1) - a1 ** (H - 1))
    assert finite_width.born_dead([n] * H).lower == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("widths", [[2] * 4, [2, 2, 1, 2], [3, 4, 3]])
def test_networks_of_jnn_are_born_dead_as_often(widths):
    count = 20_000

    def constant(key):
        params = jnn.init_network_params([1, *widths, 1], key, activation="relu", init=HE)
        return ~jnp.any(jax.vmap(partial(jnn.forward, params))(jnp.array([[-1.0], [1.0]])))

    dead = float(np.mean(jax.jit(jax.vmap(constant))(jax.random.split(jax.random.key(7), count))))
    limits = finite_width.born_dead(widths)
    error = 4 * np.sqrt(dead * (1 - dead) / count)
    assert limits.lower - error < dead < limits.upper + error
    assert (limits.exact is None) == (max(widths) > 2)
    assert limits.exact is None or abs(dead - limits.exact) < error


# ---- what narrow networks cannot approximate ----


@pytest.mark.parametrize(
    ("d_x", "d_y", "activation", "space", "lower", "upper"),
    [
        *((x, y, "relu", "Lp(R)", max(x + 1, y), max(x + 1, y)) for x, y in [(1, 1), (2, 5), (7, 3)]),
        *((x, y, "relu", "Lp(K)", max(x, y, 2), max(x, y, 2)) for x, y in [(1, 1), (2, 5), (7, 3)]),
        (1, 1, "leaky_relu", "Lp(K)", 2, 2),
        (1, 1, "tanh", "Lp(K)", 2, 3),
        (1, 1, "sin", "Lp(K)", 1, 3),
        (3, 1, "relu", "C(K)", 4, 4),
        (1, 2, "relu", "C(K)", 3, 3),
        (2, 2, "relu", "C(K)", 3, 4),
        (2, 4, "tanh", "C(K)", 5, 7),
        (2, 2, "gelu", "C(K)", 2, 5),
    ],
)
def test_minimum_width(d_x, d_y, activation, space, lower, upper):
    width = approximation.minimum_width(d_x, d_y, activation=activation, space=space)
    assert (width.lower, width.upper) == (lower, upper)
    assert width.sources


def test_no_theorem_contradicts_another():
    for activation in set(jnn.ACTIVATIONS) - {"identity"}:
        for x, y in np.ndindex(6, 8):
            lp, c = (
                approximation.minimum_width(x + 1, y + 1, activation=activation, space=space)
                for space in ("Lp(K)", "C(K)")
            )
            assert lp.lower <= lp.upper
            assert c.lower <= c.upper
            assert lp.lower <= c.upper  # what approximates in C does in Lᵖ


def test_the_floor_of_monotone_functions_under_the_absolute_value():
    """The projection of |x| is √2 − 1 up to there, and x beyond."""
    c = np.sqrt(2) - 1
    exact = integrate.quad(lambda x: (abs(x) - c) ** 2 / 2, -1, c, points=[0])[0]
    assert printed(exact, 0.0571910) or round(exact, 7) == 0.0571910
    x = np.linspace(-1, 1, 20_001)
    trapezoid = np.ones_like(x)
    trapezoid[[0, -1]] = 0.5
    floor = approximation.monotone_floor(x, np.abs(x), trapezoid)
    assert floor.mse == pytest.approx(exact, abs=1e-8)
    assert floor.sup == 0.5
    assert approximation.monotone_floor(x[::-1], -np.abs(x), trapezoid) == pytest.approx(floor)


def test_the_floor_of_monotone_functions_elsewhere():
    assert approximation.monotone_floor([0, 1, 2], [3.0, 2.0, 1.0]) == (0, 0)
    assert approximation.monotone_floor([0, 0, 1, 1], [0.0, 1.0, 5.0, 5.0]) == pytest.approx((0.125, 0.5))
    assert approximation.monotone_floor([0.0], [1.0]) == (0, 0)
    doubled = approximation.monotone_floor([0, 1, 2, 2], [1, 0, 1, 1])
    assert approximation.monotone_floor([0, 1, 2], [1, 0, 1], [1, 1, 2]) == pytest.approx(doubled)


def test_width_one_stays_above_the_floor_and_width_two_fits():
    """Chains with the best readout, so that only the shape counts; and |x| = relu(x) + relu(−x)."""
    x = np.linspace(-1, 1, 201)[:, None]
    floor = approximation.monotone_floor(x[:, 0], np.abs(x[:, 0]))
    for seed in range(10):
        start = jnn.init_network_params([1, 1, 1, 1], jax.random.key(seed), activation="relu", init="normal")
        params = jnn.solve_readout(start, (x, np.abs(x)))
        error = np.asarray(jnn.predict(params, x)) - np.abs(x)
        assert np.mean(error**2) >= floor.mse
        assert np.abs(error).max() >= floor.sup - 1e-6
    exact = jnn.from_layers([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])], activation="relu")
    np.testing.assert_array_equal(jnn.predict(exact, x), np.abs(x).astype(np.float32))


# ---- chains ----


def chain(H, w, b, dtype):
    """H sigmoid layers and a readout, all of weight w and bias b: ∂x_N/∂b_1 = (w/4)ᴴ at w/2 + b = 0."""
    return jnn.from_layers([(jnp.array([[w]], dtype), jnp.array([b], dtype))] * (H + 1), activation="sigmoid")


def first_bias(params, x):
    """∂x_N/∂b_1."""
    return float(jax.grad(lambda p: jnn.forward(p, x)[0])(params)[0].b[0, 0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_sigmoid_chain_vanishes_where_foretold(dtype, x64):
    H = width_one.last_depth(dtype)
    assert {"float16": 12, "bfloat16": 63, "float32": 63, "float64": 511}[dtype] == H
    x = jnp.array([0.5], dtype)
    assert first_bias(chain(H, 1.0, -0.5, dtype), x) == 4.0**-H
    assert first_bias(chain(H + 1, 1.0, -0.5, dtype), x) == 0
    assert first_bias(chain(H + 1, 4.0, -2.0, dtype), x) == 1  # every layer lets all through


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("ratio", [0.5, 0.125])
def test_other_ratios_vanish_where_foretold(dtype, ratio):
    H, w = width_one.last_depth(dtype, ratio), 4 * ratio
    x = jnp.array([0.5], dtype)
    grads = [first_bias(chain(depth, w, -w / 2, dtype), x) for depth in (H, H + 1)]
    assert grads[0] > 0
    assert grads[1] == 0


def test_ratios_that_never_vanish():
    assert width_one.last_depth("float32", 1) == math.inf
    assert width_one.last_depth("float16", 0.6) == math.inf  # 0.6 · 2⁻²⁴ rounds to 2⁻²⁴
    assert width_one.last_depth("float64", 0.999) == pytest.approx(math.log(2.0**-1022) / math.log(0.999), abs=1)


def test_gradients_stay_below_the_bound():
    def drawn(key):
        params = jnn.init_network_params([1] * 6, key, activation="sigmoid", init="normal")
        gradient = jax.grad(lambda p: jnn.forward(p, jnp.array([0.3]))[0])(params)[0].b[0, 0]
        return jnp.log(jnp.abs(gradient)), jnp.stack([w[0, 0] for w, _ in jnn.layers(params)])

    logs, w = jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(0), 20))
    assert all(log <= width_one.log_gradient_bound(each[1:]) for log, each in zip(logs, np.asarray(w), strict=True))
    assert width_one.log_gradient_bound([1.0] * 1000) == pytest.approx(-1000 * np.log(4))
    assert width_one.log_gradient_bound([2.0, -3.0], "tanh") == pytest.approx(np.log(6))
    assert width_one.log_gradient_bound([1.0, 0.0]) == -np.inf
    assert width_one.log_gradient_bound([1.0], "softplus") == pytest.approx(0, abs=1e-12)
    assert width_one.log_gradient_bound([1.0], "gelu") == pytest.approx(np.log(1.12890), abs=1e-5)


def test_fixed_points():
    for w, (x, multiplier) in ONE["b=0 fixed points x*, w*delta"].items():
        (point,) = width_one.fixed_points(float(w), 0)
        assert printed(point.x, x)
        assert printed(point.multiplier, multiplier)
    assert width_one.fixed_points(4, -2)[0] == pytest.approx((0.5, 1.0))
    three = width_one.fixed_points(20, -10)
    assert [p.multiplier > 1 for p in three] == [False, True, False]
    assert three[0].x + three[2].x == pytest.approx(1, abs=1e-12)
    for p in three:
        assert p.x == pytest.approx(1 / (1 + np.exp(10 - 20 * p.x)), abs=1e-14)
    assert width_one.fixed_points(0.5, 1, "relu")[0] == pytest.approx((2, 0.5))
    assert width_one.fixed_points(1, 1, "relu") == ()
    assert [p.multiplier < 1 for p in width_one.fixed_points(1, -2, jnp.exp)] == [True, False]
    assert width_one.fixed_points(-3, 0, lambda z: jnp.tanh(z))[0] == pytest.approx((0, -3))


@pytest.mark.parametrize(
    ("activation", "variances", "expected"),
    [
        ("sigmoid", (1, 1), 2.307585),
        ("identity", (1, 1), (np.euler_gamma + np.log(2)) / 2),
        ("identity", (0.3, 5), (np.euler_gamma + np.log(2) - np.log(0.3)) / 2),
        ("leaky_relu", (1, 1), (np.euler_gamma + np.log(2) + np.log(100)) / 2),
        ("relu", (1, 1), np.inf),
        ("hard_tanh", (1, 1), np.inf),
    ],
)
def test_the_fall_of_gradients_in_closed_form(activation, variances, expected):
    fall = width_one.gradient_fall(activation, sigma_w2=variances[0], sigma_b2=variances[1])
    assert fall == pytest.approx(expected, abs=6e-7 if activation == "sigmoid" else 1e-8)


LOG_SLOPES = {  # ln |h'|, by formulas that lose nothing
    "sigmoid": lambda z: -np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z))),
    "tanh": lambda z: -2 * (np.abs(z) + np.log1p(np.exp(-2 * np.abs(z))) - np.log(2)),
    "erf": lambda z: np.log(2 / np.sqrt(np.pi)) - z * z,
    "sin": lambda z: np.log(np.abs(np.cos(z))),
    "softplus": lambda z: -np.logaddexp(0, -z),
    "softsign": lambda z: -2 * np.log1p(np.abs(z)),
}


@pytest.mark.parametrize(
    ("activation", "variances"),
    [*((name, (1, 1)) for name in LOG_SLOPES), ("tanh", (100, 0.01)), ("sigmoid", (100, 0.01)), ("sin", (100, 0.01))],
)
def test_the_fall_of_gradients_by_monte_carlo(activation, variances):
    """20,000 chains of 100 layers, after 50 to forget the start."""
    with jax.enable_x64(True):
        rng, x, falls = np.random.default_rng(0), np.zeros(20_000), []
        h = jnn.ACTIVATIONS[activation].value
        for l in range(150):
            w, b = rng.standard_normal((2, len(x))) * np.sqrt(variances)[:, None]
            z = w * x + b
            x = np.asarray(h(jnp.asarray(z)))
            if l >= 50:
                falls.append(-np.log(np.abs(w)) - LOG_SLOPES[activation](z))
    each = np.mean(falls, 0)
    fall = width_one.gradient_fall(activation, sigma_w2=variances[0], sigma_b2=variances[1])
    assert abs(each.mean() - fall) < 4 * each.std() / np.sqrt(len(each))


# ---- what is refused ----


def cube(z):
    return z**3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: finite_width.relu_law([3]), "at least n_0 and n_1"),
        (lambda: finite_width.relu_law([3, 0]), "positive integer"),
        (lambda: finite_width.relu_distribution(np.nan, [2, 2]), "finite"),
        (lambda: finite_width.dead_probability([]), "entries"),
        (lambda: finite_width.dead_probability([2, 0]), "positive integer"),
        (lambda: finite_width.dead_probability(3), "sequence"),
        (lambda: finite_width.born_dead([2.5]), "positive integer"),
        (lambda: approximation.minimum_width(0, 1), "positive integer"),
        (lambda: approximation.minimum_width(1, 1, activation="swish"), "activation must be one of"),
        (lambda: approximation.minimum_width(1, 1, activation="identity"), "affine"),
        (lambda: approximation.minimum_width(1, 1, activation="tanh"), "no theorem"),
        (lambda: approximation.minimum_width(1, 1, space="L2"), "space must be one of"),
        (lambda: approximation.monotone_floor([1, 2], [1, 2, 3]), "one shape"),
        (lambda: approximation.monotone_floor([], []), "one shape"),
        (lambda: approximation.monotone_floor([1, 2], [1, np.nan]), "finite"),
        (lambda: approximation.monotone_floor([1, 2], [1, 2], [1, 0]), "positive"),
        (lambda: width_one.log_gradient_bound([[1.0]]), "must be"),
        (lambda: width_one.log_gradient_bound([1.0], cube), "no limit"),
        (lambda: width_one.last_depth("int32"), "dtype must be"),
        (lambda: width_one.last_depth("float32", 0), "positive"),
        (lambda: width_one.last_depth("float32", -0.5), "positive"),
        (lambda: width_one.fixed_points(np.inf, 0), "finite"),
        (lambda: width_one.fixed_points(1, 0, "swish"), "unknown activation"),
        (lambda: width_one.gradient_fall("tanh", sigma_w2=0), "positive"),
        (lambda: width_one.gradient_fall("tanh", sigma_b2=0), "positive"),
        (lambda: width_one.gradient_fall("identity", sigma_w2=5), "no stationary law"),
    ],
)
def test_bad_input_is_refused(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()
