"""The plane of variances: phases, the critical line, and what can be trained."""

import numpy as np
import pytest

from jnn import figures
from jnn.theory import mean_field


def test_the_phase_diagram_of_tanh():
    diagram = mean_field.phase_diagram("tanh", points=9)
    figure = figures.phase_diagram(*diagram[:4], points={"mine": (1.5, 0.05)})
    heat, line, point = figure.data
    np.testing.assert_allclose(np.sign(heat.z), np.sign(np.log(diagram.chi_1)))
    np.testing.assert_allclose(line.x, diagram.critical)
    assert (point.name, point.x, point.y) == ("mine", (1.5,), (0.05,))
    with pytest.raises(ValueError, match=r"expected \(9, 9\)"):
        figures.phase_diagram(diagram.sigma_w2, diagram.sigma_b2, diagram.chi_1[:, 1:])


def test_the_accuracies_and_the_depth_that_theory_allows():
    w, depths = [1.0, 2.0, 3.0], [10, 20]
    figure = figures.trainability(w, depths, np.ones((2, 3)), limit=(w, [12.0, 26.0, 40.0]))
    heat, under, line = figure.data
    assert (under.line.color, under.showlegend) == ("white", False)
    assert heat.z.tolist() == [[1.0] * 3] * 2
    np.testing.assert_array_equal(line.y, [12, 26, np.nan])  # cut off above the picture
    assert figure.layout.xaxis.range == (1, 3)
    assert figure.layout.yaxis.range == (10, 20)
    with pytest.raises(ValueError, match=r"accuracy has shape \(3, 2\); expected \(2, 3\)"):
        figures.trainability(w, depths, np.ones((3, 2)))
