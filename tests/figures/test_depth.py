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
    points, line = figure.data
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
    b, a, line, entry = figure.data
    assert (a.mode, b.mode, line.mode, entry.mode) == (*2 * ["markers"], "lines", "lines+markers")
    assert a.marker.color != b.marker.color == line.line.color
    said = [trace.name for trace in figure.data if trace.showlegend]
    assert said == ["a", "b"]  # a pair has one entry
    assert b.legendgroup == line.legendgroup == entry.legendgroup == "b"
    with pytest.raises(ValueError, match="prediction 'b'"):
        figures.gradients_by_depth({"b": [0.0, 2.0]}, predicted={"b": [0.0]})


def test_correlations_by_depth():
    figure = figures.correlations_by_depth(
        {"relu": [0.5, 0.9]}, predicted={"relu": [0.6, 0.9]}, log=True
    )
    assert [trace.mode for trace in figure.data] == ["markers", "lines"]
    np.testing.assert_allclose(figure.data[0].y, [0.5, 0.1])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    with pytest.raises(ValueError, match="correlations 'relu'"):
        figures.correlations_by_depth({"relu": np.ones((2, 2, 2))})


def test_errors_of_another_length_are_named():
    with pytest.raises(ValueError, match=r"errors has shape \(1,\); expected \(2,\)"):
        figures.errors_by_depth([1, 2], [1.0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda rows: figures.errors_by_depth([1, 2, 3], {"all": rows}),
        lambda rows: figures.gradients_by_depth(np.log(10) * rows),
        lambda rows: figures.correlations_by_depth({"all": rows}),
    ],
)
def test_many_networks_are_a_median_and_a_band(draw):
    rows = np.random.default_rng(0).permuted(np.tile(np.arange(1.0, 42)[:, None], 3), axis=0)
    band, points = draw(rows).data
    np.testing.assert_allclose(band.y, [5, 5, 5, 37, 37, 37])
    np.testing.assert_allclose(points.y, [21, 21, 21])
    assert (band.name, points.mode) == ("10–90% of networks", "markers")


def test_an_exact_point_does_not_flatten_the_others():
    figure = figures.errors_by_depth([1, 2, 3], [1e-11, 0.1, 1.0], least=1e-4)
    points, below = figure.data
    np.testing.assert_array_equal(points.y, [np.nan, 0.1, 1.0])
    assert (below.x.tolist(), below.y.tolist(), below.name) == ([1], [1e-4], "below 1e−4")
    assert below.marker.symbol == "triangle-down"


def test_predicted_errors_are_lines_without_markers():
    law = {"a quarter a layer": [0.25, 0.0625]}
    points, line = figures.errors_by_depth([1, 2], [0.2, 0.1], predicted=law).data
    assert (points.mode, line.mode, line.name) == ("markers", "lines", "a quarter a layer")
    pair = figures.errors_by_depth([1, 2], {"a": [1, 2], "b": [1, 2]}, predicted={"a": [1, 2]})
    assert [trace.name for trace in pair.data if trace.showlegend] == ["b", "a"]


def test_layers_may_have_other_numbers():
    figure = figures.gradients_by_depth([-2.0, -1.0], predicted=[-2.0, -1.0], layers=[10, 20])
    assert [trace.x.tolist() for trace in figure.data] == [[10, 20], [10, 20]]
