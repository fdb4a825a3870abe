"""Isometry: the table, series against densities, and products of matrices that are drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from jnn.theory import isometry, mean_field

THEORY = json.loads((Path(__file__).parents[1] / "reference" / "theory.json").read_text())
TABLE = THEORY["isometry"]
CRITICAL = {"tanh": dict(zip(("sigma_w2", "sigma_b2"), mean_field.critical(0.05), strict=False))}
CRITICAL |= {"relu": {"sigma_w2": 2.0}, "identity": {"sigma_w2": 1.0}}


@pytest.mark.table
@pytest.mark.parametrize(
    ("row", "activation"),
    [("linear", "identity"), ("relu", "relu"), ("tanh_critical_sigma_b2_0.05", "tanh")],
)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("depth", [1, 7])
def test_the_table_of_variances(row, activation, weights, depth):
    entry = str(TABLE["table"][row][weights]).replace(" ", "").removesuffix("L")
    factor = 1.0 if entry == "" else float(entry)
    found = isometry.variance(depth, activation, weights, **CRITICAL[activation])
    assert round(found / depth, 6) == factor
    m = isometry.moments(2, depth, activation, weights, **CRITICAL[activation])
    assert m[1] / m[0] ** 2 - 1 == pytest.approx(found, abs=1e-9)


def test_linear_networks():
    assert round(isometry.linear_moments(10, 5)[1], 5) == TABLE["linear_exact_moment"]["a_n10_L5"]
    end = isometry.largest_singular_value
    for L in (1, 2, 10, 100):
        expected = (L + 1) * np.log(L + 1) - L * np.log(L)
        assert 2 * np.log(end(L, "identity", sigma_w2=1.0)) == pytest.approx(expected, rel=1e-9)
    assert round(end(10, "identity", sigma_w2=1.0) ** 2, 3) == 28.531
    assert end(10, "identity", "orthogonal", sigma_w2=1.0) == pytest.approx(1)
    assert end(3, "relu", "orthogonal", sigma_w2=2.0) ** 2 == pytest.approx(27 / 4)
    # Fuss–Catalan numbers: m_k = binom((L + 1) k, k) / (L k + 1)
    moments = isometry.moments(4, 2, "identity", sigma_w2=1.0)
    np.testing.assert_allclose(moments, [1, 3, 12, 55], rtol=1e-12)
    for L in (0, 1, 3):  # finite widths tend to it
        assert isometry.linear_moments(10**6, L)[1] == pytest.approx(L + 1, rel=1e-4)


@pytest.mark.table
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
@pytest.mark.parametrize(
    ("weights", "depth"), [("gaussian", 1), ("gaussian", 6), ("orthogonal", 6)]
)
def test_the_density_has_the_moments(activation, weights, depth):
    if (activation, weights) == ("identity", "orthogonal"):
        with pytest.raises(ValueError, match="all singular values are 1"):
            isometry.spectrum(depth, activation, weights, **CRITICAL[activation])
        return
    found = isometry.spectrum(depth, activation, weights, **CRITICAL[activation], points=400)
    m = isometry.moments(3, depth, activation, weights, **CRITICAL[activation])
    for k in (1, 2, 3):
        moment = np.sum(found.density * found.s ** (2 * k)) * found.s[0]
        assert moment == pytest.approx(m[k - 1], rel=3e-3)
    assert found.zeros == pytest.approx(0.5 if activation == "relu" else 0)


@pytest.mark.table
@pytest.mark.parametrize(("n", "L"), [(2, 3), (10, 5)])
def test_exact_moments_of_drawn_products(n, L):
    rng = np.random.default_rng(0)
    J = np.broadcast_to(np.eye(n), (20_000, n, n))
    for _ in range(L):
        J = np.sqrt(1.5 / n) * rng.standard_normal((20_000, n, n)) @ J
    A = J @ np.swapaxes(J, 1, 2)
    samples = [
        np.trace(A, axis1=1, axis2=2) / n,
        np.sum(A * A, (1, 2)) / n,
        np.trace(A, axis1=1, axis2=2) ** 2 / n**2,
    ]
    for sample, exact in zip(samples, isometry.linear_moments(n, L, 1.5), strict=True):
        assert abs(sample.mean() - exact) <= 5 * sample.std() / np.sqrt(len(sample))


def test_integers_of_numpy_are_integers(as_a_user):
    three, four = np.int64(3), np.int64(4)
    expected = isometry.moments(4, 3, sigma_w2=1.5)
    np.testing.assert_array_equal(isometry.moments(four, three, sigma_w2=1.5), expected)
    assert isometry.linear_moments(four, three) == isometry.linear_moments(4, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: isometry.variance(0, sigma_w2=1),
            ValueError,
            "depth is 0; it must be an integer of at least 1",
        ),
        (
            lambda: isometry.variance(2.5, sigma_w2=1),
            TypeError,
            "depth is 2.5; it must be an integer",
        ),
        (
            lambda: isometry.variance(2, sigma_w2=0),
            ValueError,
            "sigma_w2 is 0; it must be finite and above 0",
        ),
        (lambda: isometry.variance(2, sigma_w2=[1, 2]), TypeError, "sigma_w2 is"),
        (lambda: isometry.variance(2, sigma_w2=1, sigma_b2=np.nan), ValueError, "sigma_b2 is nan"),
        (
            lambda: isometry.moments(2, 3, weights="uniform", sigma_w2=1),
            ValueError,
            "unknown weights 'uniform'; known: gaussian, orthogonal",
        ),
        (lambda: isometry.moments(0, 3, sigma_w2=1), ValueError, "order is 0"),
        (lambda: isometry.moments(2.0, 3, sigma_w2=1), TypeError, "order is 2.0"),
        (lambda: isometry.spectrum(2, sigma_w2=1, points=0), ValueError, "points is 0"),
        (lambda: isometry.spectrum(2, sigma_w2=1, points=2.5), TypeError, "points is 2.5"),
        (lambda: isometry.linear_moments(0, 3), ValueError, "width is 0"),
        (lambda: isometry.linear_moments(2, -1), ValueError, "depth is -1"),
        (lambda: isometry.linear_moments(2.5, 3), TypeError, "width is 2.5"),
        (
            lambda: isometry.linear_moments(2, 3, 0),
            ValueError,
            "sigma_w2 is 0; it must be finite and above 0",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
