"""Isometry: the table, series against densities, and products of matrices that are drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from jnn.theory import isometry, mean_field

TABLE = json.loads((Path(__file__).parent / "reference" / "theory.json").read_text())["isometry"]
CRITICAL = {"tanh": dict(zip(("sigma_w2", "sigma_b2"), mean_field.critical(0.05), strict=False))}
CRITICAL |= {"relu": {"sigma_w2": 2.0}, "identity": {"sigma_w2": 1.0}}


@pytest.mark.parametrize(
    ("row", "activation"), [("linear", "identity"), ("relu", "relu"), ("tanh_critical_sigma_b2_0.05", "tanh")]
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
    for L in (1, 2, 10, 100):
        largest = isometry.largest_singular_value(L, "identity", sigma_w2=1.0)
        assert 2 * np.log(largest) == pytest.approx((L + 1) * np.log(L + 1) - L * np.log(L), rel=1e-9)
    assert round(isometry.largest_singular_value(10, "identity", sigma_w2=1.0) ** 2, 3) == 28.531
    assert isometry.largest_singular_value(10, "identity", "orthogonal", sigma_w2=1.0) == pytest.approx(1)
    assert isometry.largest_singular_value(3, "relu", "orthogonal", sigma_w2=2.0) ** 2 == pytest.approx(27 / 4)
    # Fuss–Catalan numbers: m_k = binom((L + 1) k, k) / (L k + 1)
    np.testing.assert_allclose(isometry.moments(4, 2, "identity", sigma_w2=1.0), [1, 3, 12, 55], rtol=1e-12)
    for L in (0, 1, 3):  # finite widths tend to it
        assert isometry.linear_moments(10**6, L)[1] == pytest.approx(L + 1, rel=1e-4)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
@pytest.mark.parametrize(("weights", "depth"), [("gaussian", 1), ("gaussian", 6), ("orthogonal", 6)])
def test_the_density_has_the_moments(activation, weights, depth):
    if (activation, weights) == ("identity", "orthogonal"):
        with pytest.raises(ValueError, match="all singular values are 1"):
            isometry.spectrum(depth, activation, weights, **CRITICAL[activation])
        return
    found = isometry.spectrum(depth, activation, weights, **CRITICAL[activation], points=400)
    m = isometry.moments(3, depth, activation, weights, **CRITICAL[activation])
    for k in (1, 2, 3):
        assert np.sum(found.density * found.s ** (2 * k)) * found.s[0] == pytest.approx(m[k - 1], rel=3e-3)
    assert found.zeros == pytest.approx(0.5 if activation == "relu" else 0)


@pytest.mark.parametrize(("n", "L"), [(2, 3), (10, 5)])
def test_exact_moments_of_drawn_products(n, L):
    rng = np.random.default_rng(0)
    J = np.broadcast_to(np.eye(n), (20_000, n, n))
    for _ in range(L):
        J = np.sqrt(1.5 / n) * rng.standard_normal((20_000, n, n)) @ J
    A = J @ np.swapaxes(J, 1, 2)
    samples = [np.trace(A, axis1=1, axis2=2) / n, np.sum(A * A, (1, 2)) / n, np.trace(A, axis1=1, axis2=2) ** 2 / n**2]
    for sample, exact in zip(samples, isometry.linear_moments(n, L, 1.5), strict=True):
        assert abs(sample.mean() - exact) <= 5 * sample.std() / np.sqrt(len(sample))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="depth must be"):
        isometry.variance(0, sigma_w2=1)
    with pytest.raises(ValueError, match='"gaussian" or "orthogonal"'):
        isometry.moments(2, 3, weights="uniform", sigma_w2=1)
    with pytest.raises(ValueError, match="order"):
        isometry.moments(0, 3, sigma_w2=1)
    with pytest.raises(ValueError, match="width"):
        isometry.linear_moments(0, 3)
