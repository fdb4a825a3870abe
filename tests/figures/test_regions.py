"""Regions of classes: the winner everywhere, boundaries where two draw, points by their label."""

import numpy as np
import pytest

from jnn import figures

X = np.random.default_rng(0).uniform(-1, 1, (30, 2))
SIDE = np.where(X[:, 0] > 0, "right", "left")


def one_hot(x):
    """Probabilities of two classes, a straight boundary at x₁ = 0."""
    p = 1 / (1 + np.exp(-4 * x[:, :1]))
    return np.concatenate([1 - p, p], axis=1)


def words(x):
    return np.where(x[:, 0] > 0, "right", "left")


@pytest.mark.parametrize("predict", [one_hot, words])
def test_the_plane_is_parted_where_two_classes_draw(predict):
    regions, boundary, left, right = figures.decision_boundary(predict, X, SIDE).data
    np.testing.assert_array_equal(regions.z, np.tile(regions.x > 0, (100, 1)))
    assert (left.name, right.name) == ("left", "right")
    assert left.x.max() < 0 < right.x.min()
    np.testing.assert_array_equal(boundary.z < 0, regions.z == 1)  # it leads with "left"
    assert len(left.x) + len(right.x) == len(X)


def test_each_of_three_classes_has_its_boundary():
    labels = np.arange(30) % 2  # no point has the third

    def scores(x):
        return np.stack([x[:, 0], x[:, 1], -x.sum(axis=1)], axis=1)

    figure = figures.decision_boundary(scores, X, labels, points=20)
    assert [trace.type for trace in figure.data] == ["heatmap"] + 3 * ["contour"] + 3 * ["scatter"]
    grid = np.stack(np.meshgrid(figure.data[0].x, figure.data[0].y), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(figure.data[0].z.ravel(), scores(grid).argmax(axis=1))


@pytest.mark.parametrize(
    ("predict", "x", "labels", "message"),
    [
        (one_hot, X[:, :1], SIDE, r"x has shape \(30, 1\) and labels \(30,\); expected"),
        (one_hot, X, SIDE[1:], r"labels \(29,\)"),
        (lambda x: x[:3, 0], X, SIDE, r"predict gave shape \(3,\) for 10000 rows"),
        (lambda x: x[:, :1], X, SIDE, r"K ≥ 2"),
        (lambda x: np.ones((len(x), 3)), X, SIDE, "3 probabilities a row for 2 classes"),
        (lambda x: x[:, 0] > 0, X, np.arange(30), "at most 6 have a colour"),
    ],
)
def test_what_does_not_match_is_named(predict, x, labels, message):
    with pytest.raises(ValueError, match=message):
        figures.decision_boundary(predict, x, labels)
