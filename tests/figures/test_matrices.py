"""Matrices: zeros are blank, the first row is on top, blocks are parted; and what is refused."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from jnn import figures


def words(heat):
    """What stands in the cells, without the colour it is written in."""
    return [[re.sub("<.*?>", "", text) for text in row] for row in heat.text]


X = jnp.linspace(0.5, 3.0, 7)


def test_matrix_leaves_zeros_blank_and_centres_its_colours():
    M = np.array([[1.0, 0.0], [-4.0, 1e-9]])
    heat = figures.matrix(jnp.asarray(M), labels=["x₁", "x₂"], blocks=[1, 1]).data[0]
    assert np.isnan(heat.z).tolist() == [[False, True], [False, False]]
    assert heat.text.tolist() == [["1", ""], ["−4", "1e−9"]]
    assert (heat.zmin, heat.zmax) == (-4, 4)
    assert heat.colorscale[1] == (
        0.5,
        "#e6e6e6",
    )  # a small entry is grey, only an exact zero is white


def test_matrix_stands_as_it_is_written():
    figure = figures.matrix(np.tril(np.ones((3, 3))), labels=["a", "b", "c"])
    low, high = figure.layout.yaxis.range
    assert low > high  # the first row on top
    assert figure.layout.yaxis.scaleanchor == "x"  # square cells
    assert figure.layout.xaxis.ticktext == figure.layout.yaxis.ticktext == ("a", "b", "c")


def test_matrix_of_logarithms():
    heat = figures.matrix([[1.0, 0.0], [-1e-30, 100.0]], log=True).data[0]
    np.testing.assert_allclose(heat.z, [[0, np.nan], [-30, 2]])


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (11, 11), (64, 64)])
def test_matrix_of_any_size(shape):
    figure = figures.matrix(np.ones(shape))
    assert (figure.data[0].text is None) == (max(shape) > 10)
    assert len(figure.layout.xaxis.tickvals) <= 16


def test_matrix_of_zeros_is_blank():
    assert np.isnan(figures.matrix(np.zeros((2, 2))).data[0].z).all()


def test_blocks_are_parted_by_lines():
    assert len(figures.matrix(np.eye(6), blocks=[1, 2, 3]).layout.shapes) == 4


def test_confusion_matrix_is_coloured_by_shares_of_rows_and_tells_counts():
    figure = figures.confusion_matrix(jnp.array([[1234, 0], [0, 0]]))
    np.testing.assert_array_equal(figure.data[0].z, [[1, 0], [np.nan, np.nan]])
    assert figure.data[0].hovertext[0][0] == "true 0, predicted 0: 1234"
    assert (words(figure.data[0])[0][0], figure.layout.yaxis.ticktext) == ("1234", ("0", "1"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.matrix(X), r"M has shape \(7,\); expected a matrix \(rows, columns\)"),
        (lambda: figures.matrix([[np.nan, np.inf]]), r"M holds NaN or infinity in 2 of 2 entries"),
        (
            lambda: figures.matrix(np.eye(3), labels=["a"]),
            r"1 labels for M of shape \(3, 3\); expected 3",
        ),
        (
            lambda: figures.matrix(np.ones((2, 3)), labels=["a", "b"]),
            r"for a square matrix; M has shape \(2, 3\)",
        ),
        (
            lambda: figures.matrix(np.eye(3), blocks=[1, 1]),
            r"blocks \[1, 1\] must sum to 3",
        ),
        (
            lambda: figures.matrix(np.eye(3), blocks=[3, 0]),
            r"a size of blocks is 0; it must be an integer of at least 1",
        ),
        (lambda: figures.confusion_matrix(np.ones((2, 3))), r"confusion has shape \(2, 3\)"),
        (lambda: figures.confusion_matrix(np.eye(3), ["a", "b"]), "K, K. for 2 labels"),
        (lambda: figures.confusion_matrix([[1, -1], [np.inf, 1]]), "2 counts that are negative"),
    ],
)
def test_wrong_arrays_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.matrix(np.eye(3), labels=3), "labels is 3; it must be a list of names"),
        (lambda: figures.matrix(np.eye(3), blocks=3), "blocks is 3; it must be a list of sizes"),
        (lambda: figures.confusion_matrix(np.eye(2), 2), "labels is 2; it must be a list of names"),
    ],
)
def test_what_is_no_list_is_named(call, message, as_a_user):
    with pytest.raises(TypeError, match=message):
        call()
