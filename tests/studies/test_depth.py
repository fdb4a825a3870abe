"""scripts/deep: its options, its start, a small run, and what it claims of great depth."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from studies import depth as study

import jnn
from jnn.figures.pages import plotly_file

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(
    ("arguments", "depths"),
    [([], [1000, 10000]), (["--depths", "7"], [7]), (["--depths", "20", "3", "20"], [3, 20])],
)
def test_depths(tmp_path, arguments, depths):
    assert study.parse([*arguments, "--out", str(tmp_path)]).depths == depths


def test_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = study.parse([])
    assert (options.seed, options.steps, options.out) == (0, 1000, Path("out"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--depths", "0"], "'0' is not a depth: give a whole number from 1 to 100000"),
        (["--depths", "-3"], "'-3' is not a depth"),
        (["--depths", "ten"], "'ten' is not a depth"),
        (["--depths", "9" * 5000], "is not a depth"),
        (["--depths"], "expected at least one argument"),
        (["--steps", "0"], "'0' is not a number of steps"),
        (["--steps", "1.5"], "'1.5' is not a number of steps"),
        (["--seed", "-1"], "'-1' is not a seed"),
        (["--seed", "4294967296"], "'4294967296' is not a seed"),
        (["--out", study.__file__], "depth.py is a file, not a directory"),
        (["--depth", "3"], "unrecognized arguments: --depth 3"),
    ],
)
def test_a_bad_value_gets_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        study.main(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert err.startswith("deep: ")
    assert err.count("\n") == 1
    assert named in err


@pytest.mark.parametrize("depth", [1, 30, 2000])
def test_the_start_is_plain_layers_with_orthogonal_weights_but_for_their_gains(depth):
    params = study.start(depth, jax.random.key(0))
    assert jnn.sizes(params) == (1, *[8] * depth, 1)
    assert not any(stack.residual for stack in params)
    assert [stack.activation for stack in params] == ["tanh"] * (len(params) - 1) + ["identity"]
    first, *hidden, readout = params
    np.testing.assert_allclose(np.linalg.norm(first.w), 3, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(readout.w), depth**0.5 / 10, rtol=1e-5)
    for stack in hidden:
        gain = np.float32(1 + 30 / max(depth, 300))
        products = np.asarray(stack.w) @ np.asarray(stack.w).swapaxes(1, 2)
        np.testing.assert_allclose(
            products, np.broadcast_to(gain**2 * np.eye(8), products.shape), atol=1e-5
        )
        np.testing.assert_array_equal(stack.b, 0)


@pytest.mark.slow
def test_a_seed_decides_everything():
    first, again, other = (study.train(5, seed, 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.fit.history["loss"], again.fit.history["loss"])
    assert first.end != other.end


@pytest.mark.parametrize("steps", [1, 19, 20])
def test_few_steps_are_a_schedule_too(steps):
    assert study.train(2, 0, steps).fit.epochs == steps


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person starts it, where there is no Chrome, every warning an error."""
    nowhere = {"BROWSER_PATH": "/nonexistent/chrome", "HOME": str(tmp_path / "home")}
    return subprocess.run(
        [
            *(sys.executable, "-P", "-W", "error", "-m", "studies.depth"),
            *("--out", str(tmp_path / "out")),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(SCRIPTS), "PYTHONIOENCODING": "utf-8", "JAX_PLATFORMS": "cpu"}
        | nowhere,
    )


def rows(output: str) -> dict[int, list[float]]:
    """The table: depth -> losses at the start, at the end, and between the points."""
    found = re.findall(
        r"^ *([\d,]+) +(\S+) +(\S+) +(\S+) +[\d,]+ +[\d.]+ +[\d.]+$", output, re.MULTILINE
    )
    return {int(depth.replace(",", "")): list(map(float, losses)) for depth, *losses in found}


@pytest.mark.slow
def test_a_small_run_without_chrome(tmp_path):
    done = run(tmp_path, "--depths", "20", "1", "--steps", "100")
    assert done.returncode == 0, done.stderr
    table = rows(done.stdout)
    assert list(table) == [1, 20]
    start, end, between = table[20]
    assert max(end, between) < start / 3
    assert "100%" in done.stderr
    for name in ("deep_fits", "deep_losses"):
        assert f"{tmp_path / 'out' / name}.html\n" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "deep_fits.html",
        "deep_losses.html",
        plotly_file()[0],  # which both share
    ]
    assert done.stdout.count("No Chrome found") == 1
    page = (tmp_path / "out" / "deep_losses.html").read_text()
    assert "20 layers" in page
    assert "1 layer" in page


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_thousand_layers_fit_far_below_0_02(seed):
    done = study.train(1000, seed, 1000)
    assert max(done.end, done.between) < 1e-3  # 5e-6 measured; predicting the mean has 0.5


@pytest.mark.slow
def test_ten_thousand_layers_fall_to_far_below_a_third_within_three_minutes(tmp_path):
    began = time.perf_counter()
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - began < 180
    table = rows(done.stdout)
    assert list(table) == [1000, 10_000]
    start, end, between = table[10_000]
    assert start > 0.5
    assert max(end, between) < 1e-3  # 1.4e-5 measured
