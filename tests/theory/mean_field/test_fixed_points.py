"""Fixed points: the tables, iteration, and the laws near criticality."""

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
@pytest.mark.parametrize("row", TABLES["tanh_sigma_b2_0.05"], ids=lambda row: str(row["sigma_w2"]))
def test_fixed_points_of_tanh(row):
    found = mean_field.limits("tanh", sigma_w2=row["sigma_w2"], sigma_b2=0.05)._asdict()
    for name in ("q", "chi_1", "xi_q", "c", "xi_c"):
        assert round(found[name], 6) == row[name], name
    assert found["phase"] == ("ordered" if row["chi_1"] < 1 else "chaotic")


def test_fixed_points_of_sigmoid():
    for row in TABLES["sigmoid"]:
        found = mean_field.limits("sigmoid", sigma_w2=row["sigma_w2"], sigma_b2=row["sigma_b2"])
        assert (round(found.q, 6), round(found.chi_1, 6)) == (row["q"], row["chi_1"])


@pytest.mark.slow
@pytest.mark.table
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


@pytest.mark.table
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
    assert -1 / np.log(closed.chi_c) == pytest.approx(
        1 / (closed.chi_1 - 1), rel=3 * distance**0.5 + 1e-4
    )


def test_homogeneous_networks_keep_grow_or_shrink():
    kept = mean_field.limits("relu", sigma_w2=2, sigma_b2=0, q=3.7)
    assert (kept.q, kept.chi_1, kept.c, kept.phase) == (3.7, 1.0, 1.0, "critical")
    assert kept.trainable_depth == np.inf
    assert mean_field.limits("relu", sigma_w2=2.5, sigma_b2=0.1).q == np.inf
    fixed = mean_field.limits("relu", sigma_w2=1.5, sigma_b2=0.1)  # q = 0.75 q + 0.1
    assert (fixed.q, fixed.chi_1) == pytest.approx((0.4, 0.75), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: mean_field.limits(sigma_w2=-1, sigma_b2=0),
            ValueError,
            "sigma_w2 is -1; it must be finite and above 0",
        ),
        (
            lambda: mean_field.limits(sigma_w2=1, sigma_b2=-1),
            ValueError,
            "sigma_b2 is -1; it must be finite",
        ),
        (lambda: mean_field.limits(sigma_w2=[1, 2], sigma_b2=0), TypeError, "sigma_w2 is"),
        (
            lambda: mean_field.limits("tan", sigma_w2=1, sigma_b2=0),
            ValueError,
            "unknown activation",
        ),
        (
            lambda: mean_field.limits(sigma_w2=1, sigma_b2=0, q="a"),
            TypeError,
            "q is 'a'; it must be a number",
        ),
        (
            lambda: mean_field.limits(sigma_w2=1, sigma_b2=0, q=0),
            ValueError,
            "q is 0; it must be finite and above 0",
        ),
        (
            lambda: mean_field.limits(sigma_w2=1, sigma_b2=0, tolerance=-1),
            ValueError,
            "tolerance is -1",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
