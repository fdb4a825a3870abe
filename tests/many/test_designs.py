"""Designs: every combination of levels once, the last fastest, and what is refused."""

import itertools

import numpy as np
import pytest

import jnn


def test_a_grid_is_the_product_of_its_levels():
    levels = {"learning_rate": [1e-3, 1e-2], "l2": np.array([0.0, 0.1, 1.0]), "seed": range(4)}
    design = jnn.grid(**levels)
    assert list(design) == list(levels)
    rows = list(zip(*(column.tolist() for column in design.values()), strict=True))
    assert rows == list(itertools.product(*([*map(float, levels["learning_rate"])],
                                            levels["l2"].tolist(), levels["seed"])))  # fmt: skip
    assert design["seed"].dtype.kind == "i"


def test_levels_may_be_names():
    assert jnn.grid(activation=["relu", "tanh"], depth=[2, 4])["activation"].tolist() == [
        "relu", "relu", "tanh", "tanh",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({}, "grid has no levels"),
        ({"l2": []}, r"levels of l2 have shape \(0,\)"),
        ({"l2": 0.1}, r"levels of l2 are 0.1; give a list, l2=\[0.1\]"),
        ({"init": "he"}, "levels of init are 'he'"),
        ({"l2": np.ones((2, 2))}, r"levels of l2 have shape \(2, 2\)"),
        ({"l2": [[1, 2], [3]]}, r"give its number, l2=range\(2\)"),
        ({"l2": [1, "x"]}, "they must be numbers, or texts"),
        ({"l2": {"x": 1}}, r"levels of l2 are a dict; give a list of them, list\(l2\)"),
        ({"a": range(10**4), "b": range(10**4)}, r"grid has 10000 × 10000 = 100000000 rows"),
    ],
)
def test_bad_levels_are_named(levels, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        jnn.grid(**levels)
