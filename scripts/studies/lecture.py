"""The introductory lecture on artificial neural networks, whole: cross-check, examples, pictures.

Run by `scripts/lecture`. It starts from the lecture's own parameters and visiting order
(tests/reference/lecture.json), so that its errors can be compared with the lecture's; with --seed
it draws both anew.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plotly.graph_objects as go
from jax.scipy.linalg import solve_triangular
from tqdm import tqdm

import jnn
from jnn import figures
from studies import shared

REFERENCE = Path(__file__).resolve().parents[2] / "tests" / "reference" / "lecture.json"
GRID = np.linspace(0.5, 3.0, 200, dtype=np.float32)[:, None]
OPTIMIZER = optax.sgd(0.01)  # one object for all runs: a new one would compile every program anew
DEEPEST = 1000

Layers = Sequence[tuple[Any, Any]]  # weights and biases, one pair a layer
Reference = dict[str, Any]  # tests/reference/lecture.json


class Target(NamedTuple):
    """What is learnt."""

    name: str
    key: str  # its name in the reference
    function: Callable[[np.ndarray], np.ndarray]
    epochs: int  # the lecture's


LINE = Target("−3x + 2", "linear", lambda x: -3 * x + 2, 500)
LOG = Target("log x", "log", np.log, 300)


class Run(NamedTuple):
    """One trained network."""

    target: Target
    layers: int
    fit: jnn.Fit
    prediction: np.ndarray
    error: float  # mean squared, on the grid
    lecture: float | None  # the lecture's error, where there is one


Runs = dict[tuple[str, int], Run]  # by the target's key and the number of layers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lecture; the exit code."""
    options = parse(arguments)
    began = time.perf_counter()
    print(f"{shared.machine()}\n")

    reference = json.loads(REFERENCE.read_text())
    step = reference["single_step"]
    network = jnn.from_layers(step["initial_wb"], activation="sigmoid")
    x = np.array([step["x"]], np.float32)
    y = np.array([step["y"]], np.float32)
    print(f"Cross-check: the lecture's network of three layers at x = {x[0]:g}, y = {y[0]:g}")
    report = jnn.crosscheck(network, x, y)
    print(f"{report}\n")

    runs = train_all(options, reference)
    print(f"{table(runs)}\n{remark(options)}")
    drawn = {
        **pictures_of_fits(runs, options.depths),
        **pictures_of_the_system(jnn.linear_system(network, jnp.asarray(x))),
    }
    shared.write_pictures(drawn, options.out)
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    return 0 if report.ok else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = shared.Parser("lecture", "The introductory lecture, whole.")
    parser.add_argument(
        "--depths",
        nargs="+",
        type=_depths,
        metavar="N",
        help='layers of "How deep?": 1 2 3, or 1-10 (default 1-10)',
    )
    parser.add_argument(
        "--epochs",
        type=shared.whole("number of epochs", 1, 1_000_000),
        metavar="N",
        help="epochs of every run (default the lecture's)",
    )
    parser.add_seed("draw start and order from this seed, not the lecture's", default=None)
    parser.add_out()
    options = parser.parse_args(arguments)
    ranges = options.depths or [range(1, 11)]
    options.depths = sorted({depth for part in ranges for depth in part})
    return options


def _depths(text: str) -> range:
    depth = shared.whole("depth", 1, DEEPEST)
    first, dash, last = text.partition("-")
    if not (dash and first and last):
        only = depth(text)
        return range(only, only + 1)
    low = depth(first)
    high = depth(last)
    if low > high:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a range of depths: {low} is above {high}"
        )
    return range(low, high + 1)


# ---- training ----


def train_all(options: argparse.Namespace, reference: Reference) -> Runs:
    """Every run of Example 1, "How deep?" and Example 2, under a progress bar.

    A run that two of them need is run once.
    """
    wanted = [
        (LINE, 3),
        *((LINE, depth) for depth in options.depths),
        *((LOG, depth) for depth in (1, 2, 3)),
    ]
    runs: Runs = {}
    with tqdm(list(dict.fromkeys(wanted)), desc="training", unit="run") as bar:
        for target, depth in bar:
            bar.set_postfix_str(f"{target.name}, {shared.layers(depth)}")
            runs[target.key, depth] = train(target, depth, options, reference)
    return dict(sorted(runs.items(), key=lambda item: (item[0][0] == LOG.key, item[0][1])))


def train(target: Target, depth: int, options: argparse.Namespace, reference: Reference) -> Run:
    """One sigmoid chain of width one: from the lecture's start in its order, or from a seed."""
    seed = options.seed or 0
    stored = [r for r in reference["runs"] if (r["target"], r["layers"]) == (target.key, depth)]
    if stored and options.seed is None:
        start = stored[0]["initial_wb"]
    else:
        start = drawn_layers(seed)[:depth]
    order = np.array(reference["order"])
    fit = jnn.fit(
        jnn.from_layers(start, activation="sigmoid"),
        (GRID[order], target.function(GRID[order])),
        optimizer=OPTIMIZER,
        epochs=options.epochs or target.epochs,
        batch_size=1,
        key=jax.random.fold_in(jax.random.key(seed), 1 + depth),
        shuffle=options.seed is not None,
        progress=False,
    )
    prediction = np.asarray(jnn.predict(fit.params, jnp.asarray(GRID)))
    error = float(np.mean((prediction - target.function(GRID)) ** 2, dtype=np.float64))
    return Run(target, depth, fit, prediction, error, stored[0]["mse"] if stored else None)


@cache
def drawn_layers(seed: int) -> Layers:
    """Weights and biases from N(0, 1): depth d takes the first d of them.

    They are drawn once, since each drawing compiles.
    """
    key = jax.random.fold_in(jax.random.key(seed), 0)
    sizes = [1] * (DEEPEST + 2)
    hidden, _ = jnn.init_network_params(sizes, key, activation="sigmoid", init="normal")
    return list(zip(np.asarray(hidden.w), np.asarray(hidden.b), strict=True))


# ---- the table ----


def table(runs: Runs) -> str:
    """The runs as a table, the lecture's own errors beside ours."""
    head = (
        f"{'target':<10}{'layers':>7}{'mean squared error':>21}{'the lecture':>15}"
        f"{'compile s':>12}{'run s':>9}"
    )
    line = "─" * len(head)
    return "\n".join([head, line, *map(_row, runs.values()), line])


def _row(run: Run) -> str:
    lecture = "–" if run.lecture is None else f"{run.lecture:.6g}"
    return (
        f"{run.target.name:<10}{run.layers:>7}{run.error:>21.6g}{lecture:>15}"
        f"{run.fit.compile_seconds:>12.2f}{run.fit.run_seconds:>9.3f}"
    )


def remark(options: argparse.Namespace) -> str:
    """How the two columns of errors compare in this run."""
    if options.seed is not None:
        return (
            f"Start and order drawn from seed {options.seed}: "
            "the lecture's numbers are those of another start."
        )
    if options.epochs is not None:
        return (
            f"Trained for {options.epochs} epochs: the lecture's numbers are those of 500 and 300."
        )
    return (
        "From the lecture's own start in its own order; "
        "– marks depths of which the lecture keeps no run (seed 0)."
    )


# ---- the pictures, by the names of their files ----


def pictures_of_fits(runs: Runs, depths: Sequence[int]) -> dict[str, go.Figure]:
    """What was learnt, and how the errors and losses went."""
    deep = [runs[LINE.key, depth] for depth in depths]
    errors = {"jnn": [run.error for run in deep]}
    if any(run.lecture for run in deep):
        lecture = [np.nan if run.lecture is None else run.lecture for run in deep]
        errors["the lecture"] = lecture
    history = {
        f"{target.name}, {shared.layers(depth)}": runs[target.key, depth].fit.history["loss"]
        for target, depth in ((LINE, 3), (LOG, 1), (LOG, 2), (LOG, 3))
    }
    return {
        "example_1": _curves(
            runs, LINE, [3], "Example 1: a network of three layers learns −3x + 2"
        ),
        "how_deep": figures.errors_by_depth(
            depths,
            errors,
            baseline=float(np.var(LINE.function(GRID))),
            least=1e-4,  # one layer is exact
            title="How deep? The same target, more and more layers",
        ),
        "how_deep_fits": _curves(runs, LINE, depths, "How deep? What the networks have learnt"),
        "example_2": _curves(
            runs, LOG, [1, 2, 3], "Example 2: log x with one, two and three layers"
        ),
        "losses": figures.losses(history, title="Loss of each epoch, ½ (ŷ − y)²"),
    }


def _curves(runs: Runs, target: Target, depths: Sequence[int], title: str) -> go.Figure:
    data = (GRID, target.function(GRID))
    chosen = {shared.layers(depth): runs[target.key, depth].prediction for depth in depths}
    return figures.curves(GRID, chosen, data=data, title=title, y_title=target.name)


def pictures_of_the_system(system: jnn.LinearSystem) -> dict[str, go.Figure]:
    """The matrix of the lecture's network, and its inverse."""
    identity = np.eye(len(system.L), dtype=np.float32)
    matrix = identity - system.L
    inverse = solve_triangular(matrix, identity, lower=True, unit_diagonal=True)
    states = ["x₁", "x₂", "x₃"]
    return {
        "system": figures.matrix(matrix, title="I − L of the lecture's network", labels=states),
        "inverse": figures.matrix(
            inverse, title="(I − L)⁻¹: how each state moves the later ones", labels=states
        ),
    }


if __name__ == "__main__":
    shared.run("lecture", main)
