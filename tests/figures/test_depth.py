"""By depth: errors, gradients that floats cannot say, correlations; measured and predicted."""

import jax.numpy as jnp
import numpy as np
import pytest

from jnn import figures


def test_errors_by_depth():
    figure = figures.errors_by_depth(
        [3, 1, 2], {"jnn": jnp.array([3.0, 1.0, 2.0]), "the lecture": [np.nan, 1, 2]}, baseline=4.7
    )
    by_name = {trace.name: trace for trace in figure.data}
    assert by_name["jnn"].x.tolist() == by_name["jnn"].y.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(by_name["the lecture"].y, [1, 2, np.nan])
    assert by_name["predicting the mean"].y.tolist() == [4.7, 4.7]
    assert by_name["predicting the mean"].line.dash == "dash"
    assert figure.layout.yaxis.type == "log"


@pytest.mark.parametrize("errors", [[0.0, 0.0], [1e-300, 1e300], [1.0, 1.0], [np.nan, np.nan]])
def test_errors_of_any_size_have_an_axis(errors):
    figures.errors_by_depth([1, 2], errors).to_json()


def test_gradients_by_depth_says_what_floats_cannot():
    log_norms = -3.0 * np.arange(1000)[::-1]  # down to 1e−1301
    figure = figures.gradients_by_depth(log_norms, predicted=log_norms - 1, smallest=1.2e-38)
    line, points = figure.data
    assert (line.mode, points.mode) == ("lines", "markers")
    assert points.y[0] == pytest.approx(-2997 / np.log(10))
    assert [shape.y0 for shape in figure.layout.shapes] == [np.log10(1.2e-38)]
    assert np.isnan(figures.gradients_by_depth([-np.inf, -1.0, 0.0]).data[0].y[0])
    assert not figures.gradients_by_depth(
        [-1.0, 0.0], smallest=1.2e-38
    ).layout.shapes  # nothing comes near it


def test_gradients_by_depth_of_several_networks():
    figure = figures.gradients_by_depth(
        {"a": [0.0, 1.0], "b": [0.0, 2.0]}, predicted={"b": [0.0, 1.9]}
    )
    assert [trace.name for trace in figure.data] == ["b, predicted", "a", "b"]
    assert figure.data[0].line.color == figure.data[2].marker.color
    with pytest.raises(ValueError, match="prediction 'b'"):
        figures.gradients_by_depth({"b": [0.0, 2.0]}, predicted={"b": [0.0]})


def test_correlations_by_depth():
    figure = figures.correlations_by_depth(
        {"relu": [0.5, 0.9]}, predicted={"relu": [0.6, 0.9]}, log=True
    )
    assert [trace.mode for trace in figure.data] == ["lines", "markers"]
    np.testing.assert_allclose(figure.data[1].y, [0.5, 0.1])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    with pytest.raises(ValueError, match="correlations 'relu'"):
        figures.correlations_by_depth({"relu": np.ones((2, 2))})


def test_errors_of_another_length_are_named():
    with pytest.raises(ValueError, match=r"errors has shape \(1,\); expected \(2,\)"):
        figures.errors_by_depth([1, 2], [1.0])
