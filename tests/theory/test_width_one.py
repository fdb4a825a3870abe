"""Chains of width one: the numbers of the literature, and chains that jnn itself draws."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.theory import width_one

THEORY = json.loads((Path(__file__).parents[1] / "reference" / "theory.json").read_text())
ONE = THEORY["width_one_sigmoid"]


def printed(value, reference):
    """To every digit that the reference prints."""
    digits = len(str(reference).partition(".")[2])
    return round(float(value), digits) == reference


def chain(H, w, b, dtype):
    """H sigmoid layers and a readout of weight w and bias b: ∂x_N/∂b_1 = (w/4)ᴴ at w/2 + b = 0."""
    layer = (jnp.array([[w]], dtype), jnp.array([b], dtype))
    return jnn.from_layers([layer] * (H + 1), activation="sigmoid")


def first_bias(params, x):
    """∂x_N/∂b_1."""
    return float(jax.grad(lambda p: jnn.forward(p, x)[0])(params)[0].b[0, 0])


@pytest.mark.table
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_sigmoid_chain_vanishes_where_foretold(dtype, x64):
    H = width_one.last_depth(dtype)
    assert {"float16": 12, "bfloat16": 63, "float32": 63, "float64": 511}[dtype] == H
    x = jnp.array([0.5], dtype)
    assert first_bias(chain(H, 1.0, -0.5, dtype), x) == 4.0**-H
    assert first_bias(chain(H + 1, 1.0, -0.5, dtype), x) == 0
    assert first_bias(chain(H + 1, 4.0, -2.0, dtype), x) == 1  # every layer lets all through


@pytest.mark.table
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
    expected = math.log(2.0**-1022) / math.log(0.999)
    assert width_one.last_depth("float64", 0.999) == pytest.approx(expected, abs=1)


@pytest.mark.slow
def test_gradients_stay_below_the_bound():
    def drawn(key):
        params = jnn.init_network_params([1] * 6, key, activation="sigmoid", init="normal")
        gradient = jax.grad(lambda p: jnn.forward(p, jnp.array([0.3]))[0])(params)[0].b[0, 0]
        return jnp.log(jnp.abs(gradient)), jnp.stack([w[0, 0] for w, _ in jnn.layers(params)])

    logs, w = jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(0), 20))
    bounds = [width_one.log_gradient_bound(each[1:]) for each in np.asarray(w)]
    assert all(log <= bound for log, bound in zip(logs, bounds, strict=True))
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


@pytest.mark.table
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


@pytest.mark.table
@pytest.mark.parametrize(
    ("activation", "variances"),
    [
        *((name, (1, 1)) for name in LOG_SLOPES),
        ("tanh", (100, 0.01)),
        ("sigmoid", (100, 0.01)),
        ("sin", (100, 0.01)),
    ],
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


def cube(z):
    return z**3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: width_one.log_gradient_bound([[1.0]]),
            ValueError,
            r"w has shape \(1, 1\); expected \(H,\)",
        ),
        (
            lambda: width_one.log_gradient_bound([1.0, np.nan]),
            ValueError,
            "w is .*; it must be finite",
        ),
        (lambda: width_one.log_gradient_bound([1.0], cube), ValueError, "no limit"),
        (lambda: width_one.last_depth("int32"), TypeError, "dtype is 'int32'; it must be float16"),
        (
            lambda: width_one.last_depth("float32", 0),
            ValueError,
            "ratio is 0; it must be finite and above 0",
        ),
        (lambda: width_one.last_depth("float32", -0.5), ValueError, "ratio is -0.5"),
        (lambda: width_one.last_depth("float32", True), TypeError, "ratio is True"),
        (lambda: width_one.fixed_points(np.inf, 0), ValueError, "w is inf; it must be finite"),
        (lambda: width_one.fixed_points(1, "0"), TypeError, "b is '0'; it must be a number"),
        (lambda: width_one.fixed_points(1, 0, "swish"), ValueError, "unknown activation"),
        (
            lambda: width_one.gradient_fall("tanh", sigma_w2=0),
            ValueError,
            "sigma_w2 is 0; it must be finite and above 0",
        ),
        (
            lambda: width_one.gradient_fall("tanh", sigma_b2=0),
            ValueError,
            "sigma_b2 is 0; it must be finite and above 0",
        ),
        (lambda: width_one.gradient_fall("tanh", sigma_w2=[1, 2]), TypeError, "sigma_w2 is"),
        (lambda: width_one.gradient_fall("identity", sigma_w2=5), ValueError, "no stationary law"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
