"""Jacobians: a spectrum with its law, and a map of sensitivity that is blank above the diagonal."""

import numpy as np
import pytest

from jnn import figures
from jnn.theory import isometry


def test_a_spectrum_and_its_law():
    law = isometry.spectrum(2, "identity", sigma_w2=1.0, points=50)
    s = np.linalg.svd(
        np.random.default_rng(0).standard_normal((2, 60, 60)) / 60**0.5, compute_uv=False
    )
    figure = figures.jacobian_spectrum(s, law=(law.s, law.density))
    bars, line = figure.data
    assert np.sum(bars.y) * bars.width == pytest.approx(1)
    np.testing.assert_allclose(line.y, law.density)
    with pytest.raises(ValueError, match="no finite"):
        figures.jacobian_spectrum([np.nan])


def test_sensitivity_is_blank_above_the_diagonal():
    figure = figures.sensitivity([[0.0, -np.inf], [-2.0, 0.0]], [1, 10])
    assert np.isnan(figure.data[0].z[0][1])
    assert figure.data[0].z[1][0] == pytest.approx(-2 / np.log(10))
    assert tuple(figure.data[0].x) == (1, 10)
    with pytest.raises(ValueError, match="square"):
        figures.sensitivity(np.zeros((2, 3)))
