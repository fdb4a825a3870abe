"""The options that the studies share, their checks, and how pictures and tables are written."""

import argparse
import datetime
import doctest
from pathlib import Path

import jax
import numpy as np
import pytest
from studies import shared

from jnn import figures


def test_the_examples_in_its_docstrings():
    assert doctest.testmod(shared).failed == 0


# ---- numbers ----


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("1000", 1000)])
def test_whole_numbers_from_low_to_high(text, number):
    assert shared.whole("depth", 1, 1000)(text) == number


@pytest.mark.parametrize("text", ["0", "1001", "-3", "+3", "1.5", "1e2", "ten", "²", "", " 7"])
def test_what_is_not_such_a_number_is_named_with_its_limits(text):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        shared.whole("depth", 1, 1000)(text)
    expected = f"{text!r} is not a depth: give a whole number from 1 to 1000"
    assert str(refused.value) == expected


def test_a_number_of_thousands_of_digits_is_refused_as_others_are():
    with pytest.raises(argparse.ArgumentTypeError, match="is not a seed: give a whole number"):
        shared.whole("seed", 0, 2**32 - 1)("9" * 5000)


# ---- the parser ----


@pytest.fixture
def parser(tmp_path, monkeypatch) -> shared.Parser:
    monkeypatch.chdir(tmp_path)
    parser = shared.Parser("study", "What is studied.")
    parser.add_depths(100, "hidden layers", (3, 5))
    parser.add_steps(400, "of training")
    parser.add_seed("of the start")
    parser.add_seeds(10, "how many")
    parser.add_out()
    parser.add_save()
    return parser


def test_defaults(parser, tmp_path):
    options = parser.parse_args([])
    assert vars(options) == {
        "depths": (3, 5),
        "steps": 400,
        "seed": 0,
        "seeds": 10,
        "out": Path("out"),
        "save": False,
    }
    assert (tmp_path / "out").is_dir()


def test_all_of_them_given(parser, tmp_path):
    options = parser.parse_args(
        [
            "--depths",
            "7",
            "2",
            "--steps",
            "1",
            "--seed",
            "4294967295",
            "--seeds",
            "1",
            "--out",
            "a/b",
            "--save",
        ]
    )
    assert vars(options) == {
        "depths": [7, 2],
        "steps": 1,
        "seed": 2**32 - 1,
        "seeds": 1,
        "out": Path("a/b"),
        "save": True,
    }
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--depths", "0"], "argument --depths: '0' is not a depth: give a whole number from 1"),
        (["--depths", "2", "101"], "'101' is not a depth: give a whole number from 1 to 100"),
        (["--depths"], "expected at least one argument"),
        (["--steps", "-3"], "'-3' is not a number of steps: give a whole number from 1"),
        (["--steps", "0"], "'0' is not a number of steps"),
        (["--steps", "1.5"], "'1.5' is not a number of steps"),
        (["--seed", "-1"], "'-1' is not a seed"),
        (["--seed", "4294967296"], "'4294967296' is not a seed"),
        (["--seeds", "0"], "'0' is not a number of seeds"),
        (["--out", __file__], "test_shared.py is a file, not a directory"),
        (["--out", f"{__file__}/deeper"], "test_shared.py is a file, not a directory"),
        (["--save", "here"], "unrecognized arguments: here"),
        (["--record"], "unrecognized arguments: --record"),
        (["--step", "3"], "unrecognized arguments: --step 3"),  # no abbreviations
    ],
)
def test_a_bad_value_gets_one_line_and_exit_code_2(parser, capsys, arguments, named):
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert err.startswith("study: ")
    assert err.count("\n") == 1
    assert named in err


def test_help_shows_every_option(parser, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    names = ("--depths N", "--steps N", "--seed N", "--seeds N", "--out DIR", "--save")
    assert all(name in text for name in names)
    assert "What is studied." in text


# ---- running ----


def test_a_command_ends_with_its_exit_code():
    with pytest.raises(SystemExit) as stopped:
        shared.run("study", lambda: 3)
    assert stopped.value.code == 3


def test_ctrl_c_ends_a_command_with_one_line():
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        shared.run("study", interrupted)
    assert stopped.value.code == "\nstudy: stopped"


# ---- files ----


def test_a_chrome_that_is_missing_is_not_tried_again(tmp_path, capsys, monkeypatch):
    tried = []

    def save(figure, path, *, png, shared_js):
        assert shared_js
        tried.append(png)
        return [path.with_suffix(".html")]

    monkeypatch.setattr(figures, "save", save)
    figure = figures.matrix(np.eye(2))
    shared.write_pictures({"one": figure, "two": figure}, tmp_path)
    assert tried == [True, False]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["", "Pictures"]
    assert lines[2:4] == [f"  {tmp_path / name}.html" for name in ("one", "two")]
    assert lines[4:] == [figures.png_hint()]


def test_one_picture_is_one_line(tmp_path, capsys, monkeypatch):
    paths = [tmp_path / "map.html", tmp_path / "map.png"]
    monkeypatch.setattr(figures, "save", lambda figure, path: paths)
    shared.write_picture(figures.matrix(np.eye(2)), tmp_path / "map")
    assert capsys.readouterr().out == f"written: {paths[0]}, {paths[1]}\n"


def test_a_table_is_written_under_its_machine_version_and_day(tmp_path, capsys):
    path = shared.write_table("starts", "a table\n", tmp_path / "results")
    today = datetime.date.today()
    platform = jax.devices()[0].platform
    assert path.name == f"starts_{platform}_jax{jax.__version__}_{today}.txt"
    assert path.read_text() == "a table\n"
    assert capsys.readouterr().out == f"written: {path.name}\n"


def test_every_result_that_is_kept_carries_a_date():
    for folder in (shared.RESULTS, shared.RESULTS.parents[1] / "benchmarks" / "results"):
        kept = list(folder.iterdir())
        assert kept
        for path in kept:
            datetime.date.fromisoformat(path.stem.rpartition("_")[2])
