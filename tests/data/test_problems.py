"""Problems: the lectures' targets are their formulas, in the shapes and dtypes asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import data

KEY = jax.random.key(0)


def test_ripple_is_a_standardised_line_with_noise_of_variance_1_in_401():
    x, y = data.ripple(KEY, n=20_000, dtype=np.float64)
    grid = np.linspace(-np.sqrt(3), np.sqrt(3), 20_000)[
        :, None
    ]  # the uniform distribution of variance 1, on a grid
    np.testing.assert_allclose(x, grid, rtol=2e-4)
    g = y - 0.5 * np.sin(4 * x)
    assert abs(g.mean()) < 1e-13
    assert g.std() == pytest.approx(1, rel=1e-13)
    noise = g - 20 / np.sqrt(401) * x
    assert noise.var() == pytest.approx(
        1 / 401, rel=5 * np.sqrt(2 / 20_000)
    )  # five standard deviations of a variance


def test_ten_features_are_the_formula():
    x, y = data.ten_features(KEY, n=5000, dtype=np.float64)
    rows = np.concatenate([x, np.ones((5000, 1))], axis=1)
    coefficients, *_ = np.linalg.lstsq(rows, y[:, 0], rcond=None)
    np.testing.assert_allclose(
        coefficients, [1, 10, -7, 2, 3, -14, 1, 3, -1, 11, -40], atol=5 * 0.02 / np.sqrt(5000)
    )
    assert np.std(y[:, 0] - rows @ coefficients) == pytest.approx(0.02, rel=5 / np.sqrt(2 * 5000))
    np.testing.assert_allclose(np.cov(x.T), np.eye(10), atol=0.1)
    assert np.var(y) == pytest.approx(491, rel=0.1)


def test_the_lectures_targets():
    grid = [0.5 + 2.5 * i / 199 for i in range(200)]
    for (x, y), f in ((data.line(), lambda t: -3 * t + 2), (data.logarithm(), np.log)):
        np.testing.assert_allclose(x[:, 0], grid, rtol=1e-7)
        np.testing.assert_allclose(y[:, 0], [f(t) for t in grid], rtol=1e-6, atol=1e-6)


TARGETS = {
    "ripple": (lambda **k: data.ripple(KEY, **k), (100, 1)),
    "ten_features": (lambda **k: data.ten_features(KEY, **k), (1000, 10)),
    "line": (data.line, (200, 1)),
    "logarithm": (data.logarithm, (200, 1)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_have_their_shapes_and_dtypes_and_refuse_others(name, as_a_user):
    target, shape = TARGETS[name]
    for dtype in (np.float32, np.float64, jnp.bfloat16):
        x, y = target(dtype=dtype)
        assert (x.shape, y.shape) == (shape, (shape[0], 1))
        assert x.dtype == y.dtype == dtype
    assert len(target(n=17)[0]) == 17
    np.testing.assert_array_equal(target()[1], target()[1])
    with pytest.raises(TypeError, match="floating-point"):
        target(dtype=int)
    with pytest.raises(ValueError, match="n is 0; it must be an integer of at least"):
        target(n=0)
    with pytest.raises(TypeError, match=r"n is 2\.5; it must be an integer"):
        target(n=2.5)


@pytest.mark.parametrize("target", [data.ripple, data.ten_features])
def test_random_targets_follow_their_key(target, as_a_user):
    assert np.any(target(jax.random.key(1))[1] != target(jax.random.key(2))[1])
    with pytest.raises(TypeError, match="key is 0; it must be one JAX key"):
        target(0)
