"""Pictures of many networks: fans of losses, medians by two columns, an ensemble with its band."""

import re

import numpy as np
import pytest

from jnn import figures

N = 41  # of which every quantile is one
HISTORY = np.random.default_rng(0).permuted(np.tile(np.arange(1.0, N + 1)[:, None], 3), axis=0)


def test_a_fan_has_the_quantiles_of_each_epoch():
    figure = figures.fan({"all": HISTORY})
    wide, half, median = figure.data
    assert [trace.name for trace in figure.data] == [
        "10–90% of members",
        "25–75% of members",
        "all",
    ]
    assert wide.x.tolist() == half.x.tolist() == [1, 2, 3, 3, 2, 1]
    assert wide.y.tolist() == [5, 5, 5, 37, 37, 37]
    assert half.y.tolist() == [11, 11, 11, 31, 31, 31]
    assert median.y.tolist() == [21, 21, 21]
    assert figure.layout.yaxis.type == "log"


def test_several_fans_have_one_band_each_and_one_entry_for_it():
    figure = figures.fan({"a": HISTORY, "b": HISTORY[:, :2], "c": [[1.0]]}, log_y=False)
    assert figure.layout.yaxis.type is None
    said = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert said == ["a", "b", "c", "25–75% of members"]
    assert [len(trace.x) for trace in figure.data] == [6, 4, 2, 3, 2, 1, 1]
    many = figures.fan({str(i): HISTORY for i in range(8)})  # colours of a scale
    assert all(trace.fillcolor.startswith("rgba(") for trace in many.data[:8])


def test_members_that_are_done_keep_their_last_loss():
    stopped = [[4.0, 2.0, np.nan], [3.0, np.nan, np.nan], [5.0, 4.0, 1.0]]
    assert figures.fan({"all": stopped}).data[-1].y.tolist() == [4, 3, 2]


def test_what_is_infinite_or_not_above_0_has_no_place_and_spoils_no_other():
    history = np.where(HISTORY > 40, np.inf, HISTORY)
    *_, median = figures.fan({"all": history}).data
    assert median.y.tolist() == [21, 21, 21]
    wide, *_, median = figures.fan({"all": [[np.inf, 0.0, 2.0]]}).data
    np.testing.assert_array_equal(median.y, [np.nan, np.nan, 2.0])
    assert wide.x.tolist() == [3, 3]
    nothing = figures.fan({"all": np.full((2, 2), np.nan)})
    assert np.isnan(nothing.data[-1].y).all()


COLUMNS = {
    "depth": np.repeat([2, 16, 4], 6),
    "start": np.tile(["he", "critical", "he"], 6),
    "rate": np.geomspace(1e-3, 1, 18),
    "loss": np.arange(18.0),
}


def test_a_heat_map_has_the_median_of_every_pair():
    figure = figures.heat_map(COLUMNS, "depth", "start", "loss")
    (heat,) = figure.data
    assert list(figure.layout.xaxis.ticktext) == ["2", "4", "16"]  # numbers by size
    assert list(figure.layout.yaxis.ticktext) == ["he", "critical"]  # words as they come
    for i, start in enumerate(("he", "critical")):
        for j, depth in enumerate((2, 4, 16)):
            of = COLUMNS["loss"][(COLUMNS["depth"] == depth) & (COLUMNS["start"] == start)]
            assert heat.z[i][j] == np.sort(of)[(len(of) - 1) // 2]
    assert figure.layout.title.text == "Median loss by depth and start"


def test_blank_cells_have_no_member_or_few_numbers():
    a, b = [1, 1, 1, 2, 2, 3], [1, 1, 1, 1, 2, 2]
    loss = [np.nan, np.nan, 1.0, 2.0, np.inf, 3.0]
    (heat,) = figures.heat_map({"a": a, "b": b, "loss": loss}, "a", "b", "loss").data
    np.testing.assert_array_equal(heat.z, [[np.nan, 2, np.nan], [np.nan, np.nan, 3]])
    assert [[re.sub("<.*?>", "", text) for text in row] for row in heat.text] == [
        ["", "2", ""],
        ["", "inf", "3"],
    ]
    (heat,) = figures.heat_map(
        {"a": a, "loss": [1, 10, 100, 0, 0, 1]}, "a", "a", "loss", log=True
    ).data
    np.testing.assert_array_equal(np.diag(heat.z), [1, np.nan, 0])
    assert "log₁₀ loss" in heat.colorbar.title.text


def test_many_numbers_share_ranges_that_hold_every_member_once():
    generator = np.random.default_rng(0)
    rate = 10 ** generator.uniform(-4, 0, 120)
    figure = figures.heat_map({"rate": rate, "one": np.ones(120)}, "rate", "one", "rate")
    middle = np.sort(rate).reshape(12, 10)
    assert figure.data[0].z.tolist() == [middle[:, 4].tolist()]  # the lower median of each range
    assert figure.layout.xaxis.ticktext[0] == f"{middle[0, 5]:.3g}"


def test_an_ensemble_is_a_line_within_its_band():
    x = np.array([[2.0], [0.0], [1.0]])
    figure = figures.ensemble(x, (x**2, 0.5 * x), data=([0.5], [0.3]))
    band, data, mean = figure.data
    assert mean.x.tolist() == [0, 1, 2]
    assert mean.y.tolist() == [0, 1, 4]
    assert band.x.tolist() == [0, 1, 2, 2, 1, 0]
    assert band.y.tolist() == [0, 0, 2, 6, 2, 0]
    assert (data.mode, mean.mode) == ("markers", "lines")
    assert len(figures.ensemble(x, (x, x)).data) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: figures.fan({"all": np.ones(3)}),
            r"the history 'all' has shape \(3,\); expected \(M, epochs\)",
        ),
        (lambda: figures.fan({"all": np.ones((2, 0))}), r"shape \(2, 0\)"),
        (lambda: figures.fan({"all": [["a"]]}), "the history 'all' must be an array of numbers"),
        (
            lambda: figures.heat_map(COLUMNS, "depth", "begin", "loss"),
            "there is no column 'begin', but depth, start, rate, loss",
        ),
        (
            lambda: figures.heat_map(COLUMNS | {"depth": [1, 2]}, "depth", "start", "loss"),
            r"the column 'depth' has shape \(2,\); expected \(18,\)",
        ),
        (
            lambda: figures.heat_map(COLUMNS, "depth", "rate", "start"),
            "the column 'start' must be an array of numbers",
        ),
        (
            lambda: figures.ensemble([0.0, 1.0], ([1.0, 2.0], [1.0])),
            r"the standard deviation has shape \(1,\); expected \(2,\)",
        ),
        (lambda: figures.ensemble([0.0], ([1.0],) * 3), "must be a pair .*, got 3 entries"),
    ],
)
def test_wrong_arrays_are_named(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()
