"""The palette of a static picture keeps the colours that a reader tells curves and points by."""

import io

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("colours", [24, 96])
def test_a_small_point_keeps_its_colour(colours):
    """A scale fills the picture; points of a thousandth of it stay apart, each nearly as it was."""
    from studies import pictures

    pixels = np.full((300, 400, 3), 255, np.uint8)
    pixels[:200, :, 1] = np.linspace(40, 255, 400)  # from magenta to white
    points = np.array([[213, 94, 0], [0, 158, 115], [0, 114, 178], [230, 159, 0], [34, 34, 34]])
    for i, point in enumerate(points):
        pixels[240:251, 60 * i + 20 : 60 * i + 31] = point
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    small = np.asarray(
        Image.open(io.BytesIO(pictures.small(written.getvalue(), colours))).convert("RGB")
    )
    kept = small[245, 25 + 60 * np.arange(len(points))].astype(int)
    assert np.abs(kept - points).max() <= 40
