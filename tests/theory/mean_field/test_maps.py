"""The maps of length and correlation: the tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from jnn.theory import mean_field

THEORY = json.loads((Path(__file__).parents[2] / "reference" / "theory.json").read_text())
TABLES = THEORY["mean_field"]


@pytest.mark.slow
def test_the_tables_of_lengths_and_correlations():
    relu = TABLES["relu"]["from_c_0.6"]
    _, c = mean_field.through_depth(100, "relu", sigma_w2=2, sigma_b2=0, c=0.6)
    assert {l: round(float(c[int(l)]), 6) for l in relu} == relu
    lengths = TABLES["tanh_1_0_from_q_1"]
    q, _ = mean_field.through_depth(100, "tanh", sigma_w2=1, sigma_b2=0)
    assert {l: round(float(q[int(l)]), 6) for l in lengths} == lengths


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: mean_field.correlation_map(1.5, sigma_w2=1, sigma_b2=0),
            ValueError,
            "c is 1.5; it must be finite and at least -1 and at most 1",
        ),
        (
            lambda: mean_field.correlation_map(0.5, sigma_w2=1, sigma_b2=0, q=-1.0),
            ValueError,
            "q is -1.0; it must be at least 0",
        ),
        (
            lambda: mean_field.correlation_map(0.5, sigma_w2=[1, 2], sigma_b2=0),
            TypeError,
            "sigma_w2 is",
        ),
        (lambda: mean_field.length_map([1.0, np.nan], sigma_w2=1, sigma_b2=0), ValueError, "q is"),
        (
            lambda: mean_field.length_map(1.0, sigma_w2=True, sigma_b2=0),
            TypeError,
            "sigma_w2 is True",
        ),
        (
            lambda: mean_field.length(sigma_w2=1, sigma_b2=0, start=0),
            ValueError,
            "start is 0; it must be finite and above 0",
        ),
        (
            lambda: mean_field.length(sigma_w2=1, sigma_b2=0, start=np.nan),
            ValueError,
            "start is nan",
        ),
        (
            lambda: mean_field.length(sigma_w2=1, sigma_b2=0, start="a"),
            TypeError,
            "start is 'a'; it must be a number",
        ),
        (lambda: mean_field.length(sigma_w2=[1.0, -1.0], sigma_b2=0), ValueError, "sigma_w2 is"),
        (
            lambda: mean_field.length("tan", sigma_w2=1, sigma_b2=0),
            ValueError,
            "unknown activation",
        ),
        (
            lambda: mean_field.through_depth(2.5, sigma_w2=1, sigma_b2=0),
            TypeError,
            "depth is 2.5; it must be an integer",
        ),
        (
            lambda: mean_field.through_depth(-1, sigma_w2=1, sigma_b2=0),
            ValueError,
            "depth is -1; it must be an integer from 0 to 1000000",
        ),
        (
            lambda: mean_field.through_depth(2, sigma_w2=1, sigma_b2=0, q=-1),
            ValueError,
            "q is -1; it must be finite and at least 0",
        ),
        (
            lambda: mean_field.through_depth(2, sigma_w2=1, sigma_b2=0, c=1.5),
            ValueError,
            "c is 1.5; it must be at least -1 and at most 1",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
