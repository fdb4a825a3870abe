"""Mean field: the tables, closed forms, iteration, other quadratures, and the laws of fixed points."""

import json
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import jnn
from jnn.theory import gaussian, mean_field

TABLES = json.loads((Path(__file__).parent / "reference" / "theory.json").read_text())["mean_field"]


def erf_by_hand(z):
    """No closed form is known of it to jnn."""
    return jax.scipy.special.erf(z)


# ---- the tables ----


@pytest.mark.parametrize("row", TABLES["tanh_sigma_b2_0.05"], ids=lambda row: str(row["sigma_w2"]))
def test_fixed_points_of_tanh(row):
    found = mean_field.limits("tanh", sigma_w2=row["sigma_w2"], sigma_b2=0.05)._asdict()
    for name in ("q", "chi_1", "xi_q", "c", "xi_c"):
        assert round(found[name], 6) == row[name], name
    assert found["phase"] == ("ordered" if row["chi_1"] < 1 else "chaotic")


@pytest.mark.parametrize("row", TABLES["tanh_critical_line"], ids=lambda row: str(row["sigma_b2"]))
def test_the_critical_line_of_tanh(row):
    point = mean_field.critical(row["sigma_b2"], "tanh")
    assert (round(point.sigma_w2, 6), round(point.q, 6)) == (row["sigma_w2"], row["q"])
    assert mean_field.limits("tanh", sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2).phase == "critical"


def test_the_other_entries():
    row = TABLES["erf_closed_form"]["sigma_b2=0.05"]
    for activation in ("erf", erf_by_hand):
        point = mean_field.critical(0.05, activation)
        assert (round(point.sigma_w2, 6), round(point.q, 6)) == (row["sigma_w2"], row["q"])
    for row in TABLES["sigmoid"]:
        found = mean_field.limits("sigmoid", sigma_w2=row["sigma_w2"], sigma_b2=row["sigma_b2"])
        assert (round(found.q, 6), round(found.chi_1, 6)) == (row["q"], row["chi_1"])
    assert mean_field.critical(0, "relu")[:2] == (2.0, 0.0)
    relu = TABLES["relu"]["from_c_0.6"]
    _, c = mean_field.through_depth(100, "relu", sigma_w2=2, sigma_b2=0, c=0.6)
    assert {l: round(float(c[int(l)]), 6) for l in relu} == relu
    lengths = TABLES["tanh_1_0_from_q_1"]
    q, _ = mean_field.through_depth(100, "tanh", sigma_w2=1, sigma_b2=0)
    assert {l: round(float(q[int(l)]), 6) for l in lengths} == lengths


# ---- closed forms, and another quadrature ----


@pytest.mark.parametrize("q", [1e-8, 0.01, 0.5, 3.0, 40.0])
def test_closed_forms_of_relu_and_erf(q):
    relu, erf = gaussian.moments("relu", q), gaussian.moments(erf_by_hand, q)
    np.testing.assert_allclose(relu[:3], [q / 2, 0.5, 0.5], rtol=1e-13)
    closed = [2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)), 4 / np.pi / np.sqrt(1 + 4 * q)]
    np.testing.assert_allclose(erf[:2], closed, rtol=1e-12)
    growth = 4 / np.pi / np.sqrt(1 + 4 * q) / (1 + 2 * q)  # d/dq of the first
    np.testing.assert_allclose(erf.growth, growth, rtol=1e-11)


@pytest.mark.parametrize("name", jnn.ACTIVATIONS)
@pytest.mark.parametrize("q", [0.03, 2.0, 25.0])
def test_moments_by_an_adaptive_quadrature(name, q, x64):
    h, found = jnn.ACTIVATIONS[name], gaussian.moments(name, q)

    def expectation(f):
        def integrand(z):
            return float(f(jnp.asarray(np.sqrt(q) * z))) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        kinks = sorted({0.0, *(k for k in np.array([-1.0, 1.0]) / np.sqrt(q) if abs(k) < 9)})
        ends = [-9.0, *kinks, 9.0]
        return sum(quad(integrand, a, b, epsabs=1e-8, limit=60)[0] for a, b in pairwise(ends))

    np.testing.assert_allclose(found.value2, expectation(lambda u: h.value(u) ** 2), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.slope2, expectation(lambda u: h.slope(u) ** 2), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "elu", "softplus", "sigmoid"])
def test_the_growth_is_the_derivative_of_the_length_map(activation):
    q, ε = 1.3, 1e-5
    ends = gaussian.mean_square(activation, np.array([q - ε, q + ε]))
    np.testing.assert_allclose(gaussian.moments(activation, q).growth, np.diff(ends)[0] / (2 * ε), rtol=1e-8)


@pytest.mark.parametrize("activation", ["erf", "relu", "sin", "tanh"])
@pytest.mark.parametrize("ε", [1e-9, 1e-4, 0.3, 1.7])
def test_half_a_squared_difference(activation, ε):
    """Against the closed forms where digits are left, and against χ₁ for small ε."""
    q = 0.8
    found = float(gaussian.half_difference(activation, q, ε))
    if ε > 1e-3:
        same, apart = (float(gaussian.products(activation)(*np.array([[q], [q], [q * c]]))[0][0]) for c in (1, 1 - ε))
        np.testing.assert_allclose(found, same - apart, rtol=1e-8)
    elif activation != "relu":  # whose map has a root of ε in its next term
        np.testing.assert_allclose(found, q * ε * gaussian.moments(activation, q).slope2, rtol=3 * ε + 1e-7)


# ---- fixed points ----


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "sigma_b2"),
    [
        ("tanh", 1.2, 0.3),
        ("tanh", 9.0, 0.01),
        ("erf", 2.2, 0.1),
        ("gelu", 1.5, 0.3),
        ("hard_tanh", 2.0, 0.1),
        ("softsign", 5.0, 0.0),
        ("sigmoid", 150.0, 0.2),
        ("lecun_tanh", 2.0, 0.2),
    ],
)
def test_they_are_what_iteration_ends_in(activation, sigma_w2, sigma_b2):
    found = mean_field.limits(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    q, c = mean_field.through_depth(150, activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2, c=0.1)
    assert found.q == pytest.approx(q[-1], rel=1e-6)
    assert found.c == pytest.approx(c[-1], abs=10 * np.exp(-150 / found.xi_c) + 1e-6)
    step = 1e-4
    if found.phase == "chaotic":
        ends = mean_field.correlation_map(
            found.c + np.array([-step, step]), activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2
        )
        assert found.chi_c == pytest.approx(np.diff(ends)[0] / (2 * step), rel=1e-5)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6])
def test_near_criticality(distance):
    """Where iteration would take 1/distance layers: closed form and quadrature agree."""
    line = mean_field.critical(0.05, "erf")
    closed = mean_field.limits("erf", sigma_w2=line.sigma_w2 + distance, sigma_b2=0.05)
    numeric = mean_field.limits(erf_by_hand, sigma_w2=line.sigma_w2 + distance, sigma_b2=0.05)
    assert closed.phase == "chaotic"
    assert numeric.q == pytest.approx(closed.q, rel=1e-12)
    assert numeric.c == pytest.approx(closed.c, abs=1e-9)
    assert numeric.xi_c == pytest.approx(closed.xi_c, rel=1e-5)
    # to first order, C'(c*) − 1 = −(χ₁ − 1): the scale on both sides of the line is the same
    assert -1 / np.log(closed.chi_c) == pytest.approx(1 / (closed.chi_1 - 1), rel=3 * distance**0.5 + 1e-4)


def test_without_biases_tanh_has_its_transition_at_one():
    assert mean_field.critical(0, "tanh") == (1.0, 0.0, 0.0)
    for distance in (1e-3, 1e-6):  # V(q) = σ_w² (q − 2q² + 17/3 q³ …)
        found = mean_field.limits("tanh", sigma_w2=1 + distance, sigma_b2=0)
        assert found.q == pytest.approx(distance / 2, rel=distance)
    assert mean_field.length("tanh", sigma_w2=1, sigma_b2=0) == 0
    assert mean_field.limits("tanh", sigma_w2=0.5, sigma_b2=0).chi_1 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("gelu", (1.98305826, 0.17292239, (3 + 17**0.5) / 2)),  # Roberts, Yaida and Hanin 2022, section 5.3.4
        ("silu", (1.98800468, 0.55514317, 14.32017362)),
    ],
)
def test_criticality_at_a_point(activation, expected):
    point = mean_field.critical_point(activation)
    np.testing.assert_allclose(point, expected, atol=6e-9)
    found = mean_field.limits(activation, sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2, q=point.q, tolerance=1e-6)
    assert (found.chi_1, found.chi_q) == pytest.approx((1, 1), abs=1e-6)


def test_homogeneous_networks_keep_grow_or_shrink():
    kept = mean_field.limits("relu", sigma_w2=2, sigma_b2=0, q=3.7)
    assert (kept.q, kept.chi_1, kept.c, kept.phase) == (3.7, 1.0, 1.0, "critical")
    assert kept.trainable_depth == np.inf
    assert mean_field.limits("relu", sigma_w2=2.5, sigma_b2=0.1).q == np.inf
    fixed = mean_field.limits("relu", sigma_w2=1.5, sigma_b2=0.1)  # q = 0.75 q + 0.1
    assert (fixed.q, fixed.chi_1) == pytest.approx((0.4, 0.75), rel=1e-12)


def test_the_phase_diagram_is_made_of_its_points():
    diagram = mean_field.phase_diagram("tanh", [0.5, 2.0, 3.5], [0.0, 0.05, 0.4])
    for i, b in enumerate(diagram.sigma_b2):
        assert diagram.critical[i] == pytest.approx(mean_field.critical(b).sigma_w2)
        for j, w in enumerate(diagram.sigma_w2):
            found = mean_field.limits("tanh", sigma_w2=w, sigma_b2=b)
            assert (diagram.q[i, j], diagram.chi_1[i, j]) == pytest.approx((found.q, found.chi_1), rel=1e-9)
    assert np.isnan(mean_field.phase_diagram("relu", [2.0], [0.1]).critical).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="sigma_w2 must be positive"):
        mean_field.limits(sigma_w2=-1, sigma_b2=0)
    with pytest.raises(ValueError, match="sigma_b2 must be finite"):
        mean_field.critical(-0.1)
    with pytest.raises(ValueError, match="no critical network"):
        mean_field.critical(0.1, "relu")
    with pytest.raises(ValueError, match="χ₁ = χ_q"):
        mean_field.critical_point("tanh")
    with pytest.raises(ValueError, match="from −1 to 1"):
        mean_field.correlation_map(1.5, sigma_w2=1, sigma_b2=0)
    with pytest.raises(ValueError, match="unknown activation"):
        mean_field.limits("tan", sigma_w2=1, sigma_b2=0)


# ---- layer by layer ----


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "sigmoid"])
def test_signals_are_the_length_map_again_and_again(activation):
    found = mean_field.signals(30, activation, sigma_w2=1.7, sigma_b2=0.1, start=(0.8, 0.0))
    q = 1.7 * 0.8 + 0.1
    for l in range(30):
        at = gaussian.moments(activation, q)
        assert found.q[l] == pytest.approx(q, rel=1e-6)
        assert found.log_gradient[l] == pytest.approx(0.5 * np.log(1.7 * at.slope2), abs=1e-6)
        q = float(mean_field.length_map(q, activation, sigma_w2=1.7, sigma_b2=0.1))


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_residual_signals_are_those_of_a_wide_network(activation):
    rng, n, depth = np.random.default_rng(0), 1500, 10
    predicted = mean_field.signals(depth, activation, sigma_w2=0.5, sigma_b2=0.01, residual=True)
    h = jnn.ACTIVATIONS[activation]
    x, λ, blocks, lengths = rng.standard_normal(n), rng.standard_normal(n), [], []
    for _ in range(depth):
        W = rng.standard_normal((n, n)) * np.sqrt(0.5 / n)
        z = W @ x + 0.1 * rng.standard_normal(n)
        blocks.append((W, np.asarray(h.slope(jnp.asarray(z)))))
        lengths.append(np.mean(z * z))
        x = x + np.asarray(h.value(jnp.asarray(z)))
    np.testing.assert_allclose(lengths, predicted.q, rtol=0.2)
    total = np.log(np.linalg.norm(λ))
    for W, δ in blocks[::-1]:
        λ = λ + W.T @ (δ * λ)
    assert np.log(np.linalg.norm(λ)) - total == pytest.approx(
        np.sum(predicted.log_gradient), abs=0.15
    )  # three standard deviations
