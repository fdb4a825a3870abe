"""Activations: values against NumPy and SciPy, slopes against autodiff, wrong ones refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as special

import jnn
from jnn import activations, outputs

Z = np.concatenate([np.linspace(-6, 6, 41) + 0.0123, [-30.0, -0.5, 0.5, 30.0]])
KINKS = np.array([-1.0, 0.0, 1.0])
SELU = (1.0507009873554805, 1.6732632423543772)

VALUES = {
    "identity": lambda z: z,
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, special.expm1(z)),
    "selu": lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * special.expm1(z)),
    "gelu": lambda z: z * special.ndtr(z),
    "silu": lambda z: z * special.expit(z),
    "mish": lambda z: z * np.tanh(-special.log_expit(-z)),
    "softplus": lambda z: -special.log_expit(-z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "erf": special.erf,
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "lecun_tanh": lambda z: 1.7159 * np.tanh(2 * z / 3),
    "sin": np.sin,
}


SLOPES_OF_VALUE = {"identity", "sigmoid", "tanh", "relu", "leaky_relu", "lecun_tanh"}


def test_the_table_covers_every_name():
    assert set(VALUES) == set(activations.ACTIVATIONS)
    known = {name for name, h in activations.ACTIVATIONS.items() if h.slope_of_value}
    assert known == SLOPES_OF_VALUE


def test_nothing_is_assumed_of_a_new_activation():
    assert activations.Activation._field_defaults == {}


@pytest.mark.parametrize("name", VALUES)
def test_value_is_the_textbook_one(name, x64):
    h = activations.resolve(name).value
    np.testing.assert_allclose(h(jnp.asarray(Z)), VALUES[name](Z), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", VALUES)
def test_slope_is_the_derivative_everywhere_kinks_included(name, x64):
    h = activations.resolve(name)
    z = jnp.asarray(np.concatenate([Z, KINKS]))
    np.testing.assert_allclose(h.slope(z), jax.vmap(jax.grad(h.value))(z), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", sorted(SLOPES_OF_VALUE))
def test_slope_of_the_value_is_the_slope(name, dtype, x64):
    h = activations.resolve(name)
    z = jnp.asarray(np.concatenate([Z, KINKS]), dtype)
    tolerance = 4 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(h.slope_of_value(h.value(z)), h.slope(z), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", VALUES)
def test_slope_is_the_finite_difference(name, x64):
    z, step = Z[np.min(np.abs(Z[:, None] - KINKS), axis=1) > 1e-3], 1e-5
    difference = (VALUES[name](z + step) - VALUES[name](z - step)) / (2 * step)
    np.testing.assert_allclose(
        activations.resolve(name).slope(jnp.asarray(z)), difference, rtol=1e-6, atol=1e-8
    )


def test_mish_keeps_the_digits_of_its_slope_where_tanh_is_almost_one(x64):
    mish, z = activations.resolve("mish"), jnp.linspace(5, 20, 61, dtype=jnp.float32)
    slope, by_autodiff = mish.slope, jax.vmap(jax.grad(mish.value))
    np.testing.assert_allclose(slope(z), slope(z.astype(float)), rtol=3e-7)  # 1 − tanh²: 7e-6
    np.testing.assert_allclose(by_autodiff(z), slope(z.astype(float)), rtol=2e-6)
    largest = np.finfo(np.float32).max * jnp.array([-1, 1], jnp.float32)
    assert jax.vmap(jax.grad(slope))(largest).tolist() == [0, 0]


@pytest.mark.parametrize("name", VALUES)
def test_second_derivatives_agree_and_stay_finite(name, x64):
    h = activations.resolve(name)
    z = jnp.asarray(np.concatenate([Z, [-1e4, -800.0, 800.0, 1e4]]))
    first = jax.vmap(jax.grad(h.slope))(z)
    second = jax.vmap(jax.grad(jax.grad(h.value)))(z)
    np.testing.assert_allclose(first, second, rtol=1e-11, atol=1e-13)
    assert np.all(np.isfinite(first))


# h(−∞), h'(−∞), h(∞), h'(∞)
AT_INFINITY = {
    "identity": (-np.inf, 1, np.inf, 1),
    "sigmoid": (0, 0, 1, 0),
    "leaky_relu": (-np.inf, 0.01, np.inf, 1),
    "elu": (-1, 0, np.inf, 1),
    "selu": (-SELU[0] * SELU[1], 0, np.inf, SELU[0]),
    "lecun_tanh": (-1.7159, 0, 1.7159, 0),
    "sin": (np.nan,) * 4,  # has no limit
    **dict.fromkeys(("relu", "gelu", "silu", "mish", "softplus"), (0, 0, np.inf, 1)),
    **dict.fromkeys(("tanh", "softsign", "erf", "hard_tanh"), (-1, 0, 1, 0)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VALUES)
def test_values_and_both_derivatives_are_right_at_the_ends_of_the_floats(name, dtype, x64):
    h, info = activations.resolve(name), jnp.finfo(dtype)
    derivatives = (jax.grad(h.value), jax.grad(h.slope), jax.grad(jax.grad(h.value)))

    @jax.jit
    def at(z):
        return [h.value(z), h.slope(z), *(jax.vmap(f)(z) for f in derivatives)]

    # numbers whose squares are ∞ and whose inverses 0, among them
    large = [0.0, float(info.tiny), 1e4, 2 * float(info.max) ** 0.5, float(info.max) / 2]
    z = np.array([-np.inf, np.inf, float(info.min), float(info.max), *large, *np.negative(large)])
    value, slope, by_autodiff, *second = map(np.asarray, at(jnp.asarray(z, dtype)))
    low, slope_low, high, slope_high = AT_INFINITY[name]
    close = {"rtol": 4 * float(info.eps), "atol": float(info.eps)}
    np.testing.assert_allclose(value[:2], [low, high], **close)
    np.testing.assert_allclose(slope[:2], [slope_low, slope_high], **close)
    np.testing.assert_allclose(value[4:], VALUES[name](z[4:].astype(dtype)), **close)
    np.testing.assert_allclose(by_autodiff, slope, **close)
    first = 2 if name == "sin" else 0  # which has no limit
    assert np.isfinite(np.array(second)[:, first:]).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("name", VALUES)
def test_dtype_and_shape_are_kept_and_large_arguments_stay_finite(name, dtype):
    z = jnp.array([[-1e4, -90.0, -1.0], [0.0, 2.0, 1e4]], dtype)
    h = activations.resolve(name)
    for f in (h.value, h.slope):
        assert f(z).dtype == z.dtype
        assert f(z).shape == z.shape
        assert jnp.all(jnp.isfinite(f(z).astype(jnp.float32)))


@pytest.mark.parametrize(
    ("h", "slope"),
    [
        (lambda z: z**3, lambda z: 3 * z**2),
        (jnp.exp, np.exp),
        (lambda z: jnp.sin(z) ** 2, lambda z: np.sin(2 * z)),
    ],
    ids=["cube", "exp", "sin2"],
)
def test_slope_of_a_users_function_is_its_derivative(h, slope, x64):
    z = np.linspace(-2, 2, 9)
    activations.check(h)
    np.testing.assert_allclose(
        activations.resolve(h).slope(jnp.asarray(z)), slope(z), rtol=1e-13, atol=1e-14
    )


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError,
        match=r"unknown activation 'tanhh'; known: identity, sigmoid.*sin, or a function",
    ):
        activations.resolve("tanhh")


def test_neither_name_nor_function(as_a_user):
    with pytest.raises(TypeError, match="activation is 3; it must be a name or a function"):
        activations.resolve(3)


@pytest.mark.parametrize(
    "mixing",
    [jax.nn.softmax, jnp.cumsum, jnp.sum, lambda z: z[::-1], lambda z: z / jnp.max(jnp.abs(z))],
)
def test_functions_that_mix_entries_are_refused(mixing):
    with pytest.raises(ValueError, match="must act on each entry by itself"):
        activations.check(mixing)


@pytest.mark.parametrize(
    ("h", "message"),
    [
        (np.sin, "must be a JAX function of one array"),
        (lambda z, a: z, "must be a JAX function of one array"),
        (lambda z: z > 0, "must return an array of floating-point numbers"),
        (lambda z: (z, z), "must return an array of floating-point numbers"),
    ],
    ids=["numpy", "two arguments", "bool", "tuple"],
)
def test_functions_that_are_not_activations_are_refused(h, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        activations.check(h)


# ---- what is known of them ----

GRID = np.arange(-3000, 3001) / 100  # −30 … 30, the kinks among them


@pytest.mark.parametrize("name", VALUES)
def test_monotone_means_that_it_never_falls(name, x64):
    h = activations.resolve(name)
    values = np.asarray(h.value(jnp.asarray(GRID)))
    # beyond rounding, which the largest value on the way sets
    falls = bool(np.any(np.diff(values) < -4 * np.finfo(float).eps * np.abs(values).max()))
    assert h.monotone == (not falls)


@pytest.mark.parametrize("name", VALUES)
def test_the_slope_jumps_at_the_kinks_and_nowhere_else(name, x64):
    h = activations.resolve(name)
    step = 1e-9  # a smooth slope changes by no more than 2 here
    jumps = h.slope(jnp.asarray(GRID + step)) - h.slope(jnp.asarray(GRID - step))
    assert GRID[np.abs(np.asarray(jumps)) > 1e-8].tolist() == list(h.kinks)


@pytest.mark.parametrize("name", VALUES)
def test_a_probability_lies_between_0_and_1(name, x64):
    h = activations.resolve(name)
    values = np.asarray(h.value(jnp.asarray(GRID)))
    assert h.probability == bool(np.all((values >= 0) & (values <= 1)))


@pytest.mark.parametrize("name", VALUES)
def test_the_families_are_what_they_say(name, x64):
    h = activations.resolve(name)
    z = jnp.asarray(GRID)
    # h(cz)/c of a large c: what is left of the slopes far out
    far = [float(h.value(jnp.asarray(sign * 1e8))) / 1e8 for sign in (-1.0, 1.0)]
    if h.family == "affine":
        np.testing.assert_allclose(np.diff(h.value(z), 2), 0, atol=1e-13)
    elif h.family == "relu":
        np.testing.assert_array_equal(h.value(z), np.maximum(GRID, 0))
    elif h.family == "relu-like":
        assert far[1] > 0.5
        assert -far[0] < 0.1
        assert h.monotone
    else:
        assert h.family is None
    if name in ("relu", "identity"):
        assert h.family == {"relu": "relu", "identity": "affine"}[name]


def test_of_a_function_of_the_users_nothing_is_claimed():
    h = activations.resolve(lambda z: z**3)
    assert (h.slope_of_value, h.monotone, h.kinks, h.family, h.probability) == (
        None,
        False,
        (),
        None,
        False,
    )


def test_every_start_is_an_initializer():
    assert {h.start for h in activations.ACTIVATIONS.values()} <= set(jnn.INITIALIZERS)


# ---- outputs ----


@pytest.mark.parametrize("n", [1, 2, 5])
def test_softmax_is_scipys_along_the_first_axis(n, x64):
    z = np.random.default_rng(n).normal(scale=3, size=(n, 4))
    softmax = outputs.OUTPUTS["softmax"].value
    np.testing.assert_allclose(softmax(jnp.asarray(z)), special.softmax(z, axis=0), rtol=1e-13)
    np.testing.assert_allclose(softmax(jnp.asarray(z[:, 0])), special.softmax(z[:, 0]), rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_derivative_of_softmax_is_autodiffs(n, x64):
    softmax = outputs.OUTPUTS["softmax"]
    z = jnp.asarray(np.random.default_rng(n).normal(scale=3, size=n))
    derivative = softmax.derivative(z)
    np.testing.assert_allclose(derivative, jax.jacfwd(softmax.value)(z), rtol=1e-12, atol=1e-15)
    # probabilities sum to 1 wherever z goes
    np.testing.assert_allclose(derivative.sum(axis=0), 0, atol=1e-15)
    twice = jax.jacfwd(jax.jacfwd(softmax.value))(z)
    np.testing.assert_allclose(jax.jacfwd(softmax.derivative)(z), twice, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_softmax_keeps_its_dtype_and_stays_finite(dtype):
    softmax = outputs.OUTPUTS["softmax"]
    z = jnp.array([1e4, -1e4, 0.0], dtype)
    for result in (softmax.value(z), softmax.derivative(z)):
        assert result.dtype == z.dtype
        assert jnp.all(jnp.isfinite(result.astype(jnp.float32)))


def test_softmax_is_refused_among_activations_by_its_name():
    for use in (activations.resolve, activations.check):
        with pytest.raises(ValueError, match=r"softmax mixes entries.*output=.softmax."):
            use("softmax")
