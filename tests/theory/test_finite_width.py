"""Finite width: the numbers of the literature, and laws of probability."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from jnn.theory import finite_width

THEORY = json.loads((Path(__file__).parents[1] / "reference" / "theory.json").read_text())
RELU, DEAD = THEORY["finite_width_relu"], THEORY["born_dead_relu"]


def printed(value, reference):
    """To every digit that the reference prints."""
    digits = len(str(reference).partition(".")[2])
    return round(float(value), digits) == reference


# ---- the law of |Ju|² ----


@pytest.mark.table
@pytest.mark.parametrize("n", RELU["per_layer_given_alive"])
def test_a_layer_has_the_moments_of_the_table(n):
    law, table = finite_width.relu_law([int(n)] * 2), RELU["per_layer_given_alive"][n]
    assert printed(law.mean, table["E_lnR"])
    assert printed(law.variance, table["Var_lnR"])
    assert np.exp(law.log_second_moment) == pytest.approx(1 + 5 / int(n))
    assert law.dead == pytest.approx(2.0 ** -int(n), rel=1e-12)


@pytest.mark.slow
def test_a_network_adds_up_its_layers():
    sizes = [3, 5, 2, 7]
    law, layers = finite_width.relu_law(sizes), [finite_width.relu_law([n, n]) for n in sizes[1:]]
    assert law.mean == pytest.approx(np.log(7 / 3) + sum(layer.mean for layer in layers))
    assert law.variance == pytest.approx(sum(layer.variance for layer in layers))
    assert law.dead == pytest.approx(1 - np.prod([1 - 2.0**-n for n in sizes[1:]]))
    assert round(np.exp(finite_width.relu_law([10] * 21).log_second_moment)) == 3325
    deep = finite_width.relu_law([8] * 10_001)
    assert deep.log_second_moment == pytest.approx(1e4 * np.log(1 + 5 / 8))
    assert finite_width.relu_law([10_000] * 2).variance == pytest.approx(5 / 10_000, rel=1e-3)


@pytest.mark.table
@pytest.mark.parametrize(
    "sizes", [[3, 1], [2, 2, 2], [5, 10, 3], [100] * 3, [1] * 50, [2000, 2000]]
)
def test_the_distribution_has_the_moments_of_the_law_and_adds_up_to_one(sizes):
    law = finite_width.relu_law(sizes)
    x = law.mean + np.sqrt(law.variance) * np.linspace(-25, 12, 6001)
    of_x = finite_width.relu_distribution(x, sizes)
    for power, expected in enumerate([1, 0, law.variance]):
        moment = integrate.trapezoid(of_x.density * (x - law.mean) ** power, x)
        assert moment == pytest.approx(expected, abs=1e-6)
    cdf = integrate.cumulative_trapezoid(of_x.density, x, initial=0) + of_x.cdf[0]
    np.testing.assert_allclose(of_x.cdf, cdf, atol=1e-5)
    assert np.all(np.diff(of_x.cdf) > -1e-12)


def test_the_distribution_of_width_one_is_that_of_a_chi_square():
    x = np.linspace(-10, 4, 29)
    expected = stats.chi2(1).cdf(np.exp(x) / 2)  # R = 2 χ²₁ given alive
    np.testing.assert_allclose(finite_width.relu_distribution(x, [1, 1]).cdf, expected, atol=1e-9)
    assert finite_width.relu_distribution([-1e9, 1e9], [1, 1]).cdf.round(9).tolist() == [0, 1]


# ---- dead networks ----


def test_dead_at_one_point():
    assert finite_width.dead_probability([1]) == 0.5
    assert finite_width.dead_probability([2, 3]) == pytest.approx(1 - 3 / 4 * 7 / 8, rel=1e-14)
    assert finite_width.dead_probability([100] * 5) == pytest.approx(5 * 2.0**-100, rel=1e-12)
    assert finite_width.dead_probability([1] * 5000) == 1


def test_born_dead_as_in_the_table():
    for n, measured in DEAD["monte_carlo"].items():
        limits = finite_width.born_dead([int(n)] * 9)
        assert limits.upper == pytest.approx(1 - (1 - 2.0 ** -int(n)) ** 9, rel=1e-12)
        assert limits.lower <= measured + 4 * DEAD["standard_error"]
        assert measured - 4 * DEAD["standard_error"] <= limits.upper
        if limits.exact is not None:
            assert abs(measured - limits.exact) < 4 * DEAD["standard_error"]
    assert finite_width.born_dead([2] * 9).exact == pytest.approx(0.87983984, abs=1e-7)
    assert finite_width.born_dead([2, 2]).exact == pytest.approx(0.15625, abs=1e-9)
    assert finite_width.born_dead([60] * 3).lower == pytest.approx(2.0**-59 * 2.0**-60 * 2, rel=0.1)
    for H in range(1, 12):
        limits = finite_width.born_dead([1] * H)
        assert limits.lower == pytest.approx(1 - 2.0 ** -(H - 1))
        assert limits.exact == pytest.approx(limits.lower)


@pytest.mark.table
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_lower_limit_is_that_of_the_paper(n):
    """Its closed form for equal widths, H hidden layers."""
    H, a1, a2 = 9, 1 - 2.0**-n, 1 - 2.0 ** (1 - n) - (n - 1) * 4.0**-n
    share = (1 - 2.0 ** (1 - n)) * (1 - 2.0**-n) / (1 + (n - 1) * 2.0**-n)
    expected = 1 - a1 ** (H - 1) + share * (a2 ** (H - 1) - a1 ** (H - 1))
    assert finite_width.born_dead([n] * H).lower == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: finite_width.relu_law([3]), ValueError, "at least n_0 and n_1"),
        (lambda: finite_width.relu_law([3, 0]), ValueError, "positive integer"),
        (lambda: finite_width.relu_distribution(np.nan, [2, 2]), ValueError, "finite"),
        (lambda: finite_width.dead_probability([]), ValueError, "entries"),
        (lambda: finite_width.dead_probability([2, 0]), ValueError, "positive integer"),
        (lambda: finite_width.dead_probability(3), ValueError, "sequence"),
        (lambda: finite_width.born_dead([2.5]), ValueError, "positive integer"),
        (lambda: finite_width.born_dead([True]), ValueError, "positive integer"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
