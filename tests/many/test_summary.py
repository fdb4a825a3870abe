"""What `print(fits)` says of the losses, against quantiles of sorted numbers."""

import numpy as np
import pytest

from jnn.many.summary import quantiles

N = 41  # of which every level is one
LOSSES = np.random.default_rng(0).permutation(N) + 1.0
FEW = np.arange(N) % 3
MANY = np.geomspace(1e-3, 1.0, N)


def rows(losses, columns):
    """The cells by the name of the row."""
    title, *lines = quantiles("least loss", losses, columns)
    assert title.split()[-6:] == ["n", "best", "25%", "median", "75%", "worst"]
    assert len({len(line) for line in (title, *lines)}) == 1
    return {" ".join(line.split()[:-6]): [float(c) for c in line.split()[-6:]] for line in lines}


def expected(losses):
    return [
        len(losses),
        *np.sort(losses)[
            np.ceil(np.array([1e-9, 0.25, 0.5, 0.75, 1]) * len(losses)).astype(int) - 1
        ],
    ]


def test_all_and_each_value_of_a_column():
    found = rows(LOSSES, {"rate": FEW * 0.1, "the same": np.ones(N)})
    assert list(found) == ["all", "rate = 0", "rate = 0.1", "rate = 0.2"]
    assert found["all"] == expected(LOSSES) == [N, 1, 11, 21, 31, 41]
    for i in range(3):
        assert found[f"rate = {i / 10:.4g}"] == expected(LOSSES[i == FEW])


def test_ranges_of_a_column_of_many_values_hold_every_member_once():
    found = rows(LOSSES, {"l2": MANY})
    assert list(found)[1] == "l2 0.001 to 0.005623"
    assert [cells[0] for cells in found.values()] == [N, 11, 10, 10, 10]
    assert found["l2 0.001 to 0.005623"] == expected(LOSSES[:11])


def test_words_have_rows_where_they_are_few():
    names = np.array(["relu", "tanh"])[np.arange(N) % 2]
    found = rows(LOSSES, {"activation": names, "name": np.arange(N).astype(str)})
    assert list(found) == ["all", "activation = relu", "activation = tanh"]


def test_a_member_without_a_loss_spoils_no_other_quantile():
    losses = np.where(LOSSES > 40, np.inf, LOSSES)
    assert rows(losses, {})["all"] == [N, 1, 11, 21, 31, np.inf]


@pytest.mark.parametrize("losses", [np.array([2.0]), np.full(3, np.inf)])
def test_one_member_and_none_with_a_loss(losses):
    assert rows(losses, {})["all"] == [len(losses), *[losses[0]] * 5]
