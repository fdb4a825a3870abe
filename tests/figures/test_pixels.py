"""Images stand in rows, each below its caption, upright; and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jnn import figures

THREE = np.arange(3 * 4 * 8.0).reshape(3, 4, 8)


def test_each_image_stands_below_its_caption():
    figure = figures.images(jnp.asarray(THREE), ["a", "b", "c"], columns=2)
    [heat], notes = figure.data, figure.layout.annotations
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first row on top
    for image, note in zip(THREE, notes, strict=True):
        top, left = int(note.y + 0.5), int(note.x - 3.5)
        np.testing.assert_array_equal(heat.z[top : top + 4, left : left + 8], image)
    assert np.count_nonzero(~np.isnan(heat.z)) == THREE.size


def test_a_row_is_no_wider_than_its_images():
    assert figures.images(THREE, columns=9).data[0].z.shape[1] == 3 * 8 + 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.images(THREE[0]), r"pixels has shape \(4, 8\); expected finite numbers"),
        (lambda: figures.images(THREE * np.nan), r"pixels has shape \(3, 4, 8\); expected finite"),
        (lambda: figures.images(THREE, ["a"]), "1 captions for 3 images; expected one each"),
        (lambda: figures.images(THREE, columns=0), "columns is 0; it must be an integer of at lea"),
    ],
)
def test_wrong_images_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_captions_are_a_list(as_a_user):
    with pytest.raises(TypeError, match="captions is 3; it must be a list of texts, one an image"):
        figures.images(THREE, 3)
