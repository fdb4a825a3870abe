"""The contours of a loss, and the paths of descents through them."""

import numpy as np
import pytest

from jnn import figures

P, Q = np.linspace(-1, 1, 5), np.linspace(0, 3, 4)
LOSS = 1 + P[None] ** 2 + Q[:, None]


def test_contours_are_of_the_logarithm_and_paths_keep_their_order():
    way = [(1, 3), (-0.5, 2), (0, 0)]
    figure = figures.descent(P, Q, LOSS, {"way": way, "minimum": [(0, 0)]})
    contours, path, mark = figure.data
    np.testing.assert_allclose(10**contours.z, LOSS)
    np.testing.assert_allclose(np.stack([path.x, path.y], axis=1), way)
    assert (path.mode, mark.mode) == ("lines+markers", "markers")
    assert figure.layout.xaxis.range == (-1, 1)
    assert figure.layout.yaxis.range == (0, 3)
    assert not figures.descent(P, Q, LOSS).layout.showlegend


@pytest.mark.parametrize(
    ("p", "loss", "paths", "message"),
    [
        (P, LOSS.T, {}, r"loss has shape \(5, 4\); expected \(4, 5\)"),
        (P, LOSS - 1, {}, "1 entries that are not positive"),
        (P[::-1], LOSS, {}, "first must rise"),
        (P, LOSS, {"way": [1.0, 2.0]}, r"the path 'way' has shape \(2,\); expected \(k, 2\)"),
        (P, LOSS, {"way": np.ones((0, 2))}, r"the path 'way' has shape \(0, 2\)"),
    ],
)
def test_what_does_not_fit_is_named(p, loss, paths, message):
    with pytest.raises(ValueError, match=message):
        figures.descent(p, Q, loss, paths)
