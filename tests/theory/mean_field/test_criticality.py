"""The critical line, critical points and the phase diagram."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jnn.theory import mean_field

THEORY = json.loads((Path(__file__).parents[2] / "reference" / "theory.json").read_text())
TABLES = THEORY["mean_field"]


def erf_by_hand(z):
    """No closed form is known of it to jnn."""
    return jax.scipy.special.erf(z)


@pytest.mark.table
@pytest.mark.parametrize("row", TABLES["tanh_critical_line"], ids=lambda row: str(row["sigma_b2"]))
def test_the_critical_line_of_tanh(row):
    point = mean_field.critical(row["sigma_b2"], "tanh")
    assert (round(point.sigma_w2, 6), round(point.q, 6)) == (row["sigma_w2"], row["q"])
    found = mean_field.limits("tanh", sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2)
    assert found.phase == "critical"


@pytest.mark.slow
def test_the_other_critical_entries():
    row = TABLES["erf_closed_form"]["sigma_b2=0.05"]
    for activation in ("erf", erf_by_hand):
        point = mean_field.critical(0.05, activation)
        assert (round(point.sigma_w2, 6), round(point.q, 6)) == (row["sigma_w2"], row["q"])
    assert mean_field.critical(0, "relu")[:2] == (2.0, 0.0)


def test_without_biases_tanh_has_its_transition_at_one():
    assert mean_field.critical(0, "tanh") == (1.0, 0.0, 0.0)
    for distance in (1e-3, 1e-6):  # V(q) = σ_w² (q − 2q² + 17/3 q³ …)
        found = mean_field.limits("tanh", sigma_w2=1 + distance, sigma_b2=0)
        assert found.q == pytest.approx(distance / 2, rel=distance)
    assert mean_field.length("tanh", sigma_w2=1, sigma_b2=0) == 0
    assert mean_field.limits("tanh", sigma_w2=0.5, sigma_b2=0).chi_1 == pytest.approx(0.5)


@pytest.mark.table
@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        # Roberts, Yaida and Hanin 2022, section 5.3.4
        ("gelu", (1.98305826, 0.17292239, (3 + 17**0.5) / 2)),
        ("silu", (1.98800468, 0.55514317, 14.32017362)),
    ],
)
def test_criticality_at_a_point(activation, expected):
    point = mean_field.critical_point(activation)
    np.testing.assert_allclose(point, expected, atol=6e-9)
    found = mean_field.limits(
        activation, sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2, q=point.q, tolerance=1e-6
    )
    assert (found.chi_1, found.chi_q) == pytest.approx((1, 1), abs=1e-6)


@pytest.mark.slow
def test_the_phase_diagram_is_made_of_its_points():
    diagram = mean_field.phase_diagram("tanh", [0.5, 2.0, 3.5], [0.0, 0.05, 0.4])
    for i, b in enumerate(diagram.sigma_b2):
        assert diagram.critical[i] == pytest.approx(mean_field.critical(b).sigma_w2)
        for j, w in enumerate(diagram.sigma_w2):
            found = mean_field.limits("tanh", sigma_w2=w, sigma_b2=b)
            at = (diagram.q[i, j], diagram.chi_1[i, j])
            assert at == pytest.approx((found.q, found.chi_1), rel=1e-9)
    assert np.isnan(mean_field.phase_diagram("relu", [2.0], [0.1]).critical).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mean_field.critical(-0.1), ValueError, "sigma_b2 is -0.1; it must be finite"),
        (lambda: mean_field.critical("0"), TypeError, "sigma_b2 must hold numbers, got dtype <U1"),
        (lambda: mean_field.critical([0.1, 0.2]), TypeError, "sigma_b2 is"),
        (lambda: mean_field.critical(0.1, "relu"), ValueError, "no critical network"),
        (lambda: mean_field.critical(0.1, "tan"), ValueError, "unknown activation"),
        (lambda: mean_field.critical_point("tanh"), ValueError, "χ₁ = χ_q"),
        (lambda: mean_field.phase_diagram(points=0), ValueError, "points is 0"),
        (
            lambda: mean_field.phase_diagram(points=2.5),
            TypeError,
            "points is 2.5; it must be an integer",
        ),
        (
            lambda: mean_field.phase_diagram("tanh", 1.5),
            ValueError,
            r"sigma_w2 has shape \(\); expected one axis",
        ),
        (lambda: mean_field.phase_diagram("tanh", [1.0, 0.0]), ValueError, "sigma_w2 is"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
