"""Figures of the laboratory: what stands in them, and what they refuse."""

import numpy as np
import pytest

from jnn import figures
from jnn.theory import isometry, mean_field


def test_gradients_by_depth_says_what_floats_cannot():
    log_norms = -3.0 * np.arange(1000)[::-1]  # down to 1e−1301
    figure = figures.gradients_by_depth(log_norms, predicted=log_norms - 1, smallest=1.2e-38)
    line, points = figure.data
    assert (line.mode, points.mode) == ("lines", "markers")
    assert points.y[0] == pytest.approx(-2997 / np.log(10))
    assert [shape.y0 for shape in figure.layout.shapes] == [np.log10(1.2e-38)]
    assert np.isnan(figures.gradients_by_depth([-np.inf, -1.0, 0.0]).data[0].y[0])
    assert not figures.gradients_by_depth([-1.0, 0.0], smallest=1.2e-38).layout.shapes  # nothing comes near it


def test_gradients_by_depth_of_several_networks():
    figure = figures.gradients_by_depth({"a": [0.0, 1.0], "b": [0.0, 2.0]}, predicted={"b": [0.0, 1.9]})
    assert [trace.name for trace in figure.data] == ["b, predicted", "a", "b"]
    assert figure.data[0].line.color == figure.data[2].marker.color
    with pytest.raises(ValueError, match="prediction 'b'"):
        figures.gradients_by_depth({"b": [0.0, 2.0]}, predicted={"b": [0.0]})


def test_correlations_by_depth():
    figure = figures.correlations_by_depth({"relu": [0.5, 0.9]}, predicted={"relu": [0.6, 0.9]}, log=True)
    assert [trace.mode for trace in figure.data] == ["lines", "markers"]
    np.testing.assert_allclose(figure.data[1].y, [0.5, 0.1])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    with pytest.raises(ValueError, match="correlations 'relu'"):
        figures.correlations_by_depth({"relu": np.ones((2, 2))})


def test_the_phase_diagram_of_tanh():
    diagram = mean_field.phase_diagram("tanh", points=9)
    figure = figures.phase_diagram(*diagram[:4], points={"mine": (1.5, 0.05)})
    heat, line, point = figure.data
    np.testing.assert_allclose(np.sign(heat.z), np.sign(np.log(diagram.chi_1)))
    np.testing.assert_allclose(line.x, diagram.critical)
    assert (point.name, point.x, point.y) == ("mine", (1.5,), (0.05,))
    with pytest.raises(ValueError, match=r"expected \(9, 9\)"):
        figures.phase_diagram(diagram.sigma_w2, diagram.sigma_b2, diagram.chi_1[:, 1:])


def test_a_spectrum_and_its_law():
    law = isometry.spectrum(2, "identity", sigma_w2=1.0, points=50)
    s = np.linalg.svd(np.random.default_rng(0).standard_normal((2, 60, 60)) / 60**0.5, compute_uv=False)
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
