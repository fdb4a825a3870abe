"""Fits: lines over x from any array, the data behind them, and what they refuse."""

import jax.numpy as jnp
import numpy as np
import pytest

from jnn import figures

X = jnp.linspace(0.5, 3.0, 7)


@pytest.mark.parametrize("shape", [(7,), (7, 1)])
@pytest.mark.parametrize(
    "kind",
    [jnp.asarray, np.asarray, lambda a: np.asarray(a).tolist(), lambda a: a.astype(jnp.bfloat16)],
)
def test_curves_take_any_array(shape, kind):
    x = kind(X.reshape(shape))
    figure = figures.curves(x, {"2 layers": x, "3 layers": x}, data=(x, x), title="a title")
    assert [trace.name for trace in figure.data] == ["data", "2 layers", "3 layers"]
    assert [trace.mode for trace in figure.data] == ["markers", "lines", "lines"]
    for trace in figure.data:
        np.testing.assert_allclose(trace.y, X, rtol=1e-2)
    assert figure.layout.title.text == "a title"


def test_curves_are_drawn_from_left_to_right():
    x = np.array([2.0, 0.0, 1.0])
    trace = figures.curves(x, {"line": 10 * x}).data[0]
    assert trace.x.tolist() == [0, 1, 2]
    assert trace.y.tolist() == [0, 10, 20]


@pytest.mark.parametrize("count", [1, 6, 7, 20])
def test_lines_differ_in_colour(count):
    figure = figures.curves(X, {str(i): X for i in range(count)})
    assert len({trace.line.color for trace in figure.data}) == count


def test_residuals_are_points_about_a_line_at_0():
    figure = figures.residuals(X, {"a": X - 1, "b": 0 * X})
    assert [trace.mode for trace in figure.data] == ["markers", "markers"]
    np.testing.assert_allclose(figure.data[0].y, X - 1)
    (line,) = figure.layout.shapes
    assert (line.y0, line.y1, line.line.dash) == (0, 0, "dash")


def test_residuals_by_their_powers_of_ten():
    figure = figures.residuals([1, 2, 3], {"a": [-1e-6, 0.0, 1e-2]}, log=True)
    np.testing.assert_array_equal(figure.data[0].y, [1e-6, np.nan, 1e-2])
    assert (figure.layout.yaxis.type, figure.layout.yaxis.title.text) == ("log", "|ŷ − y|")
    assert not figure.layout.shapes


@pytest.mark.parametrize("shape", [(7,), (7, 1)])
def test_predictions_stand_over_what_was_measured(shape):
    y = X[::-1].reshape(shape)
    figure = figures.predicted(y, {"a": 2 * y, "σ_w² = 1": y})
    line, first, second = figure.data
    assert (line.mode, line.line.dash, first.mode) == ("lines", "dash", "markers")
    assert line.x.tolist() == line.y.tolist() == [0.5, 3.0]  # ŷ = y, over all that was measured
    np.testing.assert_allclose(first.x, X[::-1])
    np.testing.assert_allclose(first.y, 2 * X[::-1])
    assert second.name == "σ<sub>w</sub>² = 1"
    assert first.marker.color != second.marker.color


def test_measurements_are_points_in_the_colour_of_their_line_and_references_dashed():
    figure = figures.curves(
        X, {"σ_w² = 1": X, "b": -X}, measured={"b": ([1.0], [-1.0])}, reference={"stays": X}
    )
    reference, first, points, line = figure.data
    assert (reference.mode, reference.line.dash) == ("lines", "dash")
    assert (points.mode, points.showlegend) == ("markers", False)
    assert points.marker.color == line.line.color != first.line.color
    assert points.legendgroup == line.legendgroup
    assert first.name == "σ<sub>w</sub>² = 1"  # as the axes have it


@pytest.mark.parametrize("named", [True, False])
def test_training_opens_on_the_last_fit_with_the_first_beside_it(named):
    rows, epochs = np.stack([0 * X, X, 2 * X]), [0, 5, 1000]
    predictions = dict(zip(epochs, rows, strict=True)) if named else rows
    figure = figures.training(X[::-1], predictions, epochs=None if named else epochs, data=(X, X))
    data, first, last = figure.data
    assert (data.mode, first.mode, first.line.dash) == ("markers", "lines", "dash")
    assert (first.name, last.name) == ("epoch 0", "epoch 1000")
    np.testing.assert_allclose(last.y, 2 * X[::-1])  # from left to right
    (slider,) = figure.layout.sliders
    assert [step.args[0][0] for step in slider.steps] == [frame.name for frame in figure.frames]
    assert slider.active == 2
    for frame, row in zip(figure.frames, rows, strict=True):
        assert frame.traces == (2,)
        np.testing.assert_allclose(frame.data[0].y, row[::-1])
    low, high = figure.layout.yaxis.range
    assert low < 0 < 6 < high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: figures.curves(X, {"net": X[:3]}),
            r"the prediction 'net' has shape \(3,\); expected \(7,\) or \(7, 1\)",
        ),
        (
            lambda: figures.curves(jnp.ones((7, 2)), {}),
            r"x has shape \(7, 2\); expected \(n,\) or \(n, 1\)",
        ),
        (
            lambda: figures.curves(X, {}, data=(X, X[:2])),
            r"data\[1\] has shape \(2,\); expected \(7,\)",
        ),
        (lambda: figures.training(X, [[1.0, 2.0]]), r"predictions have shape \(1, 2\); expected"),
        (lambda: figures.training(X, {3: X[:2]}), r"the prediction of epoch 3 has shape \(2,\)"),
        (lambda: figures.curves(X, {"a": X}, measured={"b": (X, X)}), r"measured has \['b'\]"),
        (lambda: figures.curves(X, {"a": X}, measured={"a": (X, X[1:])}), r"'a'\]\[1\] has shape"),
        (
            lambda: figures.predicted(X, {"a": X[1:]}),
            r"prediction 'a' has shape \(6,\); expected \(7",
        ),
        (lambda: figures.predicted(jnp.ones((7, 2)), {}), r"measured has shape \(7, 2\)"),
        (lambda: figures.curves(X, {}, reference={"a": [1.0]}), "the reference 'a' has shape"),
        (lambda: figures.training(X, {}), "no predictions; expected one frame at least"),
        (lambda: figures.training(X, {1: X}, epochs=[1]), "epochs must not come as well"),
        (lambda: figures.training(X, [X, X], epochs=[1, 1]), "1 different ones for 2 frames"),
        (lambda: figures.training(X, [X, X], epochs=[1]), r"epochs has shape \(1,\); expected \(2"),
        (lambda: figures.curves(["a", "b"], {}), r"x must be an array of numbers: dtype <U1"),
        (lambda: figures.curves([[1.0], [1.0, 2.0]], {}), r"x must be an array of numbers"),
    ],
)
def test_wrong_arrays_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
