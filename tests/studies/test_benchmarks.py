"""The benchmarks' options, and what has to be installed for each of their groups."""

import doctest
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from benchmarks import __main__ as bench, gpu, timing
from benchmarks.crossvalidation import table as cross_validation
from benchmarks.depth import cells
from benchmarks.estimators import quality, sets, speed

ROOT = Path(__file__).parents[2]


def test_the_examples_in_docstrings():
    assert doctest.testmod(bench).failed == 0
    assert doctest.testmod(cells).failed == 0
    assert doctest.testmod(timing).failed == 0
    assert doctest.testmod(quality).failed == 0


def test_every_group_is_a_module_and_needs_groups_that_there_are():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for group in bench.GROUPS.values():
        assert importlib.util.find_spec(group.module) is not None
        assert set(group.needs) <= set(known)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["lecture"], "bench"),
        (["crossover"], ""),
        (["fit", "depth"], "peers"),
        (["depth", "--quick", "--save"], "peers"),
        (["estimators"], "examples"),
        ([], "bench peers examples"),
    ],
)
def test_what_the_groups_asked_for_need(arguments, needed, capsys):
    assert bench.main(["--groups", *arguments]) == 0
    assert capsys.readouterr().out.strip() == needed


@pytest.mark.parametrize("arguments", [["--help"], ["-h", "lecture"]])
def test_for_help_nothing_need_be_installed(arguments, capsys):
    for asked, printed in ((["--groups"], False), ([], True)):
        with pytest.raises(SystemExit) as stopped:
            bench.main([*asked, *arguments])
        assert stopped.value.code == 0
        assert bool(capsys.readouterr().out) == printed


def test_neither_jax_nor_numpy_is_needed_to_tell():
    code = (
        "import sys; from benchmarks.__main__ import main; main(['--groups', 'depth']); "
        "print(sorted({'jax', 'jnn', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
    )
    assert done.stdout.split("\n") == ["peers", "[]", ""]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ["deep"],
            "unknown group 'deep'; known: lecture, depth, activations, crossover, fit, many, "
            "sweep, cold, estimators, cross_validation",
        ),
        (["--gpu", "lecture"], "--gpu is for crossover, depth, fit, many, not lecture"),
        (["--gpu", "fit", "--cells", "1x1x1"], "--cells are those of the group depth"),
        (["--cells", "1000x8"], "'1000x8' is not a cell; expected depth, width and batch"),
        (["--cells", "1000x8x0"], "'1000x8x0' is not a cell"),
        (["--cells", "1000x8x-1"], "'1000x8x-1' is not a cell"),
        (["--cells", "1x1x1,"], "'' is not a cell"),
        (["--cells", "²x1x1"], "'²x1x1' is not a cell"),
        (["lecture", "--cells", "1x1x1"], "--cells are those of the group depth"),
        (["lecture", "--out", "here"], "--out is for the pictures of crossover"),
        (["crossover", "--out", __file__], "test_benchmarks.py is a file, not a directory"),
        (["--record"], "unrecognized arguments: --record"),
    ],
)
def test_a_bad_value_gets_one_line_and_exit_code_2(arguments, named, capsys):
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert named in err


def test_cells_are_depth_by_width_by_batch():
    expected = [cells.Cell(1000, 8, 32), cells.Cell(10_000, 8, 1)]
    assert cells.parse_cells("1000x8x32,10000x8x1") == expected


def test_groups_run_and_their_tables_are_saved(tmp_path, capsys, monkeypatch):
    """A group of the tests' own stands for one that takes minutes."""

    def measure(quick, cells):
        print(f"quick {quick}, {len(cells)} cells")

    monkeypatch.setitem(sys.modules, "short", SimpleNamespace(measure=measure))
    monkeypatch.setitem(bench.GROUPS, "depth", bench.Group("short", (), ("cells",)))
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    assert bench.main(["depth", "--quick", "--cells", "1x1x1", "--save"]) == 0
    (table,) = tmp_path.iterdir()
    assert table.name.startswith("depth_")
    printed = capsys.readouterr().out
    assert printed == table.read_text() + f"written: {table.name}\n"
    first, second = table.read_text().splitlines()
    assert "jnn" in first
    assert second == "quick True, 1 cells"


def test_a_contestant_that_disagrees_ends_the_run(tmp_path, monkeypatch):
    def measure(quick):
        timing.assert_close([1.0], [1.5], 1e-3, "short: other")

    monkeypatch.setitem(sys.modules, "short", SimpleNamespace(measure=measure))
    monkeypatch.setitem(bench.GROUPS, "depth", bench.Group("short", ()))
    with pytest.raises(SystemExit, match=r"short: other: results differ .*; nothing was timed"):
        bench.main(["depth"])


# ---- estimators ----


@pytest.mark.parametrize("name", ["iris", "linear"])
def test_a_split_is_in_units_of_the_rows_to_train_on(name):
    rows = sets.split(name, 3)
    np.testing.assert_allclose(rows.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.x.std(axis=0), 1, atol=1e-12)
    assert not np.allclose(rows.held_x.mean(axis=0), 0, atol=1e-3)
    assert len(rows.held_x) == len(rows.held_y) == (len(rows.x) + len(rows.held_x)) // 5
    if not sets.SETS[name].classes:
        np.testing.assert_allclose([rows.y.mean(), rows.y.std()], [0, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("losses", "outputs", "named"),
    [
        ([2.0, 1.0, 0.5], [1.0], r"epochs are \[2, 3\]"),
        ([2.0, 1.1], [1.0], "losses: results differ"),
        ([2.0, 1.0], [1.1], "outputs: results differ"),
        ([2.0, 1.0], [1.0], None),
    ],
)
def test_fits_that_differ_are_not_timed(losses, outputs, named):
    def library(losses, outputs):
        return SimpleNamespace(ask=lambda task, **_: {"losses": losses, "outputs": outputs})

    both = {"scikit-learn": library([2.0, 1.0], [1.0]), "jnn": library(losses, outputs)}
    if named is None:
        speed._compare(both, speed.ROWS[0])
        return
    with pytest.raises(timing.DisagreementError, match=named):
        speed._compare(both, speed.ROWS[0])


def test_a_search_that_ends_elsewhere_is_a_disagreement(capsys):
    theirs = {"score": 0.9, "best": "a", "seconds": 2.0, "cpu": 3.0, "compilations": 0}
    for ours in ({"best": "b"}, {"score": 0.8}):
        with pytest.raises(timing.DisagreementError):
            speed._print_search(
                speed.SEARCHES[0], 1, {"scikit-learn": theirs, "jnn": theirs | ours}
            )
    speed._print_search(
        speed.SEARCHES[0], 1, {"scikit-learn": theirs, "jnn": theirs | {"cpu": 1.0}}
    )
    assert "3.00" in capsys.readouterr().out


@pytest.mark.slow
def test_a_quick_run_of_estimators_has_all_its_tables(capsys):
    assert bench.main(["estimators", "--quick"]) == 0
    printed = capsys.readouterr().out
    for line in (
        "one fit",
        "the first fit",
        "cross_val_score",
        "GridSearchCV",
        "held-out log loss",
    ):
        assert f"estimators: {line}" in printed


# ---- cross-validation ----


def test_scores_that_are_apart_are_not_timed():
    theirs = np.array([0.5, 0.9])
    cross_validation._compare("iris", theirs, theirs + 0.02)
    for ours in (theirs + 0.1, np.array([0.5, 0.8]), np.array([np.nan, 0.9])):
        with pytest.raises(timing.DisagreementError, match="cross_validation iris: "):
            cross_validation._compare("iris", theirs, ours)


@pytest.mark.slow
def test_a_quick_run_of_cross_validation_has_its_row(capsys):
    assert bench.main(["cross_validation", "--quick"]) == 0
    assert "\niris" in capsys.readouterr().out


# ---- activations ----


@pytest.mark.slow
def test_a_quick_run_of_activations_has_a_row_for_each_derivative(capsys):
    assert bench.main(["activations", "--quick"]) == 0
    printed = capsys.readouterr().out
    for kind in ("gradient", "tangents", "Hessian product"):
        assert kind in printed


# ---- on a GPU ----


@pytest.fixture
def set_up(monkeypatch):
    """What `--gpu` sets for the measurements, undone."""
    for name in ("XLA_PYTHON_CLIENT_PREALLOCATE", "JAX_DEFAULT_MATMUL_PRECISION"):
        monkeypatch.setenv(name, "")
    before = jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_default_matmul_precision", before)


def test_without_a_gpu_one_sentence_says_so_and_nothing_is_measured(
    tmp_path, capsys, monkeypatch, set_up
):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert bench.main(["--gpu", "--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == gpu.REFUSAL + "\n"
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("driver", "needed"),
    [("580.65.06\n", "cuda13"), ("550.54.15\n", "cuda12"), ("", ""), (None, "")],
)
def test_the_driver_says_which_cuda_is_needed(driver, needed, capsys, monkeypatch):
    def run(command, **_):
        if driver is None:
            raise FileNotFoundError(command[0])
        return SimpleNamespace(stdout=driver)

    monkeypatch.setattr(gpu.subprocess, "run", run)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    assert bench.main(["--groups", "--gpu"]) == 0
    assert capsys.readouterr().out.strip() == needed
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert {needed} - {""} <= set(known)


def test_what_one_group_leaves_of_its_time_goes_to_the_next(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(gpu.time, "monotonic", lambda: now[0])
    given = {}

    def run(name, seconds):
        given[name] = seconds
        now[0] += 20
        if name == "depth":
            raise RuntimeError("out of memory")

    assert not gpu.each(list(gpu.SHARES), False, run)
    assert list(given) == ["crossover", "depth", "fit", "many"]
    assert given["crossover"] == gpu.SECONDS * 6 / 14
    assert given["many"] == gpu.SECONDS - 60
    assert "depth failed" in capsys.readouterr().err


def test_in_limited_time_the_rest_is_named_and_a_failure_costs_a_line(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timing.time, "monotonic", lambda: now[0])

    def run(item):
        now[0] += 4
        if item == "b":
            raise ValueError("too large\nfor this device")

    timing.on_each("abcd", run, "rows", seconds=13)
    assert capsys.readouterr().out.splitlines() == [
        "left out: rows b: ValueError: too large",
        "rows: left out after 12 s: d",
    ]
    with pytest.raises(ValueError, match="too large"):
        timing.on_each("ab", run, "rows")


@pytest.mark.slow
def test_a_quick_run_has_all_its_tables(tmp_path):
    command = [sys.executable, "-P", "-m", "benchmarks", "--gpu", "--quick", "--out", str(tmp_path)]
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": path}
    )
    written = {file.name.partition("_")[0] for file in tmp_path.glob("*.txt")}
    assert written == set(gpu.SHARES)
    assert [*tmp_path.glob("crossover_*_1.html")]
    for line in (
        "fastest; auto takes",
        "fastest peer / auto",
        "losses agree",
        "loop/fit_many",
    ):
        assert line in done.stdout
    assert "Traceback" not in done.stderr
