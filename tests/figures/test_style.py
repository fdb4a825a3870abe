"""The house style: one scale for signs, one for sizes, and texts that can be read on them."""

import numpy as np
import pytest
from plotly.colors import sample_colorscale

from jnn import figures
from jnn.figures import style

SIGNED = {
    "matrix": lambda: figures.matrix([[1.0, -2.0]]),
    "phase_diagram": lambda: figures.phase_diagram([1, 2], [0, 1], [[0.5, 2.0], [0.4, 1.5]]),
}
SIZES = {
    "matrix": lambda: figures.matrix([[1.0, -2.0]], log=True),
    "sensitivity": lambda: figures.sensitivity([[0.0, -np.inf], [-2.0, 0.0]]),
    "trainability": lambda: figures.trainability([1, 2], [1, 2], np.eye(2)),
    "confusion_matrix": lambda: figures.confusion_matrix([[8, 2], [1, 9]]),
    "heat_map": lambda: figures.heat_map({"a": [1, 2], "loss": [1, 2]}, "a", "a", "loss"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_signed_numbers_have_one_scale(name):
    heat = SIGNED[name]().data[0]
    assert [[*stop] for stop in heat.colorscale] == style.DIVERGING
    assert heat.zmin == -heat.zmax < 0


@pytest.mark.parametrize("name", SIZES)
def test_sizes_have_one_scale(name):
    heat = SIZES[name]().data[0]
    assert [[*stop] for stop in heat.colorscale] == style.SEQUENTIAL


def luminance(colour):
    """WCAG 2.2's, from "#rrggbb" or (r, g, b) up to 1, by the plain gamma of 2.2."""
    if isinstance(colour, str):
        digits = colour.removeprefix("#")
        digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
        colour = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return np.dot([0.2126, 0.7152, 0.0722], np.power(colour, 2.2))


def contrast(a, b):
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


def test_texts_in_cells_have_contrast():
    shares = np.linspace(0, 1, 101)
    for share, text in zip(shares, style.readable(np.full(101, "1"), shares), strict=True):
        (cell,) = sample_colorscale(style.SEQUENTIAL, [share], colortype="tuple")
        assert contrast(text.split(":")[1].split('"')[0], cell) > 4.5
    for cell in sample_colorscale(style.DIVERGING, shares.tolist(), colortype="tuple"):
        assert contrast(style.INK, cell) > 4.5
