"""Activations: values against NumPy and SciPy, slopes against autodiff, wrong ones refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as special

from jnn import activations

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
    "softplus": lambda z: -special.log_expit(-z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "erf": special.erf,
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "lecun_tanh": lambda z: 1.7159 * np.tanh(2 * z / 3),
    "sin": np.sin,
}


def test_the_table_covers_every_name():
    assert set(VALUES) == set(activations.ACTIVATIONS)


@pytest.mark.parametrize("name", VALUES)
def test_value_is_the_textbook_one(name, x64):
    h = activations.resolve(name).value
    np.testing.assert_allclose(h(jnp.asarray(Z)), VALUES[name](Z), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", VALUES)
def test_slope_is_the_derivative_everywhere_kinks_included(name, x64):
    h, slope, _ = activations.resolve(name)
    z = jnp.asarray(np.concatenate([Z, KINKS]))
    np.testing.assert_allclose(slope(z), jax.vmap(jax.grad(h))(z), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", [name for name in VALUES if activations.resolve(name).slope_of_value])
def test_slope_of_the_value_is_the_slope(name, dtype, x64):
    h, slope, slope_of_value = activations.resolve(name)
    z = jnp.asarray(np.concatenate([Z, KINKS]), dtype)
    tolerance = 4 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(slope_of_value(h(z)), slope(z), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", VALUES)
def test_slope_is_the_finite_difference(name, x64):
    z, step = Z[np.min(np.abs(Z[:, None] - KINKS), axis=1) > 1e-3], 1e-5
    difference = (VALUES[name](z + step) - VALUES[name](z - step)) / (2 * step)
    np.testing.assert_allclose(activations.resolve(name).slope(jnp.asarray(z)), difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", VALUES)
def test_second_derivatives_agree_and_stay_finite(name, x64):
    h, slope, _ = activations.resolve(name)
    z = jnp.asarray(np.concatenate([Z, [-1e4, -800.0, 800.0, 1e4]]))
    first, second = jax.vmap(jax.grad(slope))(z), jax.vmap(jax.grad(jax.grad(h)))(z)
    np.testing.assert_allclose(first, second, rtol=1e-11, atol=1e-13)
    assert np.all(np.isfinite(first))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("name", VALUES)
def test_dtype_and_shape_are_kept_and_large_arguments_stay_finite(name, dtype):
    z = jnp.array([[-1e4, -90.0, -1.0], [0.0, 2.0, 1e4]], dtype)
    for f in activations.resolve(name)[:2]:
        assert f(z).dtype == z.dtype
        assert f(z).shape == z.shape
        assert jnp.all(jnp.isfinite(f(z).astype(jnp.float32)))


@pytest.mark.parametrize(
    ("h", "slope"),
    [(lambda z: z**3, lambda z: 3 * z**2), (jnp.exp, np.exp), (lambda z: jnp.sin(z) ** 2, lambda z: np.sin(2 * z))],
    ids=["cube", "exp", "sin2"],
)
def test_slope_of_a_users_function_is_its_derivative(h, slope, x64):
    z = np.linspace(-2, 2, 9)
    activations.check(h)
    np.testing.assert_allclose(activations.resolve(h).slope(jnp.asarray(z)), slope(z), rtol=1e-13, atol=1e-14)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown activation 'tanhh'; known: identity, sigmoid.*sin, or a function"):
        activations.resolve("tanhh")


def test_neither_name_nor_function(as_a_user):
    with pytest.raises(TypeError, match="activation must be a name or a function, got 3"):
        activations.resolve(3)


@pytest.mark.parametrize(
    "mixing", [jax.nn.softmax, jnp.cumsum, jnp.sum, lambda z: z[::-1], lambda z: z / jnp.max(jnp.abs(z))]
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
def test_functions_that_are_no_activation_are_refused(h, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        activations.check(h)
