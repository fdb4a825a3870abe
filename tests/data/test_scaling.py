"""Standardisation: mean and scale are the moments, and it is undone within the bounds it states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import data


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# columns that are hard on rounding; the first rows hold zeros where a column has any
RNG = np.random.default_rng(0)
COLUMNS = {
    "normal": RNG.normal(size=500),
    "far from zero": 1e4 + RNG.normal(size=500),
    "lognormal": np.exp(3 * RNG.normal(size=500)),
    "pixels": RNG.integers(0, 17, 500),
    "sparse": np.where(RNG.random(500) < 0.9, 0.0, RNG.normal(size=500) + 3),
    "decimals": RNG.integers(1, 80, 500) / 10,
    "huge": 1e30 * RNG.normal(size=500),
    "tiny": 1e-30 * RNG.normal(size=500),
    "subnormal in float32": np.where(np.arange(500) < 250, 1e-44, 3e-44),
    "constant": np.full(500, 0.1),
    "zero": np.zeros(500),
    "two values": np.where(np.arange(500) < 1, 0.3, 0.1),
    "one ulp apart": np.where(
        np.arange(500) < 250, 1.0, np.nextafter(np.float32(1), np.float32(2))
    ),
}
TABLE = np.stack([*COLUMNS.values()], axis=1)
NAMES = list(COLUMNS)


def test_mean_and_scale_are_the_moments():
    s = data.standardization(TABLE)
    np.testing.assert_allclose(s.mean, TABLE.mean(axis=0), rtol=1e-12)
    constant = np.array([name in ("constant", "zero") for name in NAMES])
    np.testing.assert_allclose(s.scale, np.where(constant, 1, TABLE.std(axis=0)), rtol=1e-12)
    assert s.mean[NAMES.index("constant")] == 0.1
    z = data.standardize(s, TABLE)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)  # 1e4 in units of σ = 1, summed
    np.testing.assert_allclose(z.std(axis=0), np.where(constant, 0, 1), atol=1e-9)
    assert np.all(z[:, constant] == 0)


def test_float32_data_come_back_bit_for_bit():
    x = TABLE.astype(np.float32)
    s = data.standardization(x)
    back = data.unstandardize(s, data.standardize(s, x))
    assert s.mean.dtype == s.scale.dtype == back.dtype == np.float32
    covered = (x == 0) | (np.abs(x) > 2.0**-25 * np.abs(s.mean))
    assert covered.mean() > 0.99
    np.testing.assert_array_equal(back[covered], x[covered])


def test_float32_just_above_the_stated_limit_come_back_and_far_below_it_do_not():
    x = np.array([1.0] * 7 + [2.0**-25 * 1.01], np.float32)
    s = data.standardization(x)
    assert data.unstandardize(s, data.standardize(s, x))[-1] == x[-1]
    x[-1] = 2.0**-40 / 3
    s = data.standardization(x)
    assert data.unstandardize(s, data.standardize(s, x))[-1] != x[-1]


def test_float64_data_come_back_within_the_stated_bound_and_zeros_exactly():
    s = data.standardization(TABLE)
    back = data.unstandardize(s, data.standardize(s, TABLE))
    bound = (
        2.0**-53
        * (2 * np.abs(TABLE - s.mean) + np.abs(s.mean) + 2 * np.abs(TABLE))
        * (1 + 2.0**-50)
    )
    assert np.all(np.abs(back - TABLE) <= bound)
    assert np.all(back[TABLE == 0] == 0)
    assert np.all(back[:, NAMES.index("constant")] == 0.1)
    assert back.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_comes_back_as_zero_whatever_the_mean(dtype, rng):
    x = (rng.normal(size=(5, 2000)) + rng.normal(size=2000)).astype(dtype)
    x[0] = 0
    s = data.standardization(x)
    assert np.all(data.unstandardize(s, data.standardize(s, x))[0] == 0)
    np.testing.assert_allclose(s.scale, x.astype(float).std(axis=0), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("form", ["eager", "jit", "vmap", "closed over"])
def test_jax_arrays_give_the_same_to_their_precision(form):
    x = TABLE[:, :6].astype(np.float32)
    s = data.standardization(x)
    functions = {
        "eager": lambda f, a: f(s, a),
        "jit": lambda f, a: jax.jit(f)(s, a),
        "vmap": lambda f, a: jax.vmap(f, in_axes=(None, 0))(s, a),
        "closed over": lambda f, a: jax.jit(lambda a: f(s, a))(a),
    }
    z = functions[form](data.standardize, jnp.asarray(x))
    back = functions[form](data.unstandardize, z)
    assert isinstance(z, jax.Array)
    assert z.dtype == back.dtype == jnp.float32
    np.testing.assert_allclose(z, data.standardize(s, x), rtol=1e-6, atol=1e-6)
    bound = (
        2.0**-24 * (3 * np.abs(x - s.mean) + 2 * np.abs(s.mean) + 2 * np.abs(x)) * (1 + 2.0**-20)
    )
    assert np.all(np.abs(np.asarray(back, float) - x) <= bound)


def test_float64_on_the_device(x64):
    s = data.standardization(TABLE)
    z = jax.jit(data.standardize)(s, jnp.asarray(TABLE))
    assert z.dtype == jnp.float64
    np.testing.assert_allclose(z, data.standardize(s, TABLE), rtol=1e-15, atol=1e-15)


def test_a_standardization_is_a_pytree_and_differentiable():
    s = data.standardization(TABLE[:, :3].astype(np.float32))
    leaves, structure = jax.tree.flatten(s)
    assert [leaf.shape for leaf in leaves] == [(3,), (3,)]
    assert isinstance(jax.tree.unflatten(structure, leaves), data.Standardization)
    slope = jax.jacobian(lambda z: data.unstandardize(s, z))(jnp.zeros(3))
    np.testing.assert_allclose(slope, np.diag(s.scale), rtol=1e-6)


def test_weights_count_as_repeated_rows(rng):
    x, times = rng.normal(size=(30, 4)) + 5, rng.integers(0, 4, 30)
    weighted, repeated = (
        data.standardization(x, weights=times),
        data.standardization(np.repeat(x, times, axis=0)),
    )
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-14)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-13)


def test_a_row_of_weight_zero_does_not_make_a_column_vary():
    s = data.standardization([[1.0], [0.1], [0.1], [0.1]], weights=[0, 1, 1, 1])
    assert (s.mean, s.scale) == ([0.1], [1.0])


def test_examples_of_any_shape_integers_and_bfloat16(rng):
    images = rng.integers(0, 17, (20, 4, 3))
    s = data.standardization(images)
    assert s.mean.shape == (4, 3)
    assert s.mean.dtype == np.float64
    np.testing.assert_allclose(
        data.unstandardize(s, data.standardize(s, images)), images, rtol=1e-15, atol=1e-15
    )
    numbers = data.standardization(np.array([1.0, 2.0, 4.0], jnp.bfloat16))
    assert numbers.mean.shape == ()
    assert numbers.mean.dtype == np.float32
    assert data.standardize(s, jnp.asarray(images)).dtype == jnp.float32


BAD_STANDARDIZATIONS = {
    "nan": (([[1.0], [np.nan]],), {}, ValueError, "NaN or infinity, first in row 1"),
    "infinity": (([np.inf, 1.0],), {}, ValueError, "first in row 0"),
    "empty": ((np.ones((0, 3)),), {}, ValueError, r"shape \(0, 3\)"),
    "a number": ((3.0,), {}, ValueError, r"shape \(\)"),
    "words": ((["a", "b"],), {}, TypeError, "x must hold numbers, got dtype <U1"),
    "complex": (([1j],), {}, TypeError, "complex128"),
    "few weights": (
        ([1.0, 2.0],),
        {"weights": [1.0]},
        ValueError,
        r"weights has shape \(1,\); expected one for each row, \(2,\)",
    ),
    "negative weights": (([1.0, 2.0],), {"weights": [1.0, -1.0]}, ValueError, "not negative"),
    "nan weights": (([1.0, 2.0],), {"weights": [1.0, np.nan]}, ValueError, "finite"),
    "zero weights": (([1.0, 2.0],), {"weights": [0.0, 0.0]}, ValueError, "not all zero"),
}


@pytest.mark.parametrize("case", BAD_STANDARDIZATIONS)
def test_bad_data_are_not_standardised(case):
    arguments, keywords, error, message = BAD_STANDARDIZATIONS[case]
    with pytest.raises(error, match=message):
        data.standardization(*arguments, **keywords)


@pytest.mark.parametrize("shape", [(6,), (6, 2), (1, 4), ()])
@pytest.mark.parametrize("f", [data.standardize, data.unstandardize])
def test_other_shapes_do_not_broadcast(f, shape):
    s = data.standardization(np.ones((5, 1, 3)) if shape == (1, 4) else np.ones((5, 1)))
    for x in (np.ones(shape), jnp.ones(shape)):
        with pytest.raises(ValueError, match=r"the standardization is of examples of shape \(1,"):
            f(s, x)
