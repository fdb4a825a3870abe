"""The introductory lecture on artificial neural networks, whole: cross-check, examples, table and pictures.

Run by `scripts/lecture`. It starts from the lecture's own parameters and visiting order (tests/reference/lecture.json),
so that its errors can be compared with the lecture's; with --seed it draws both anew.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.linalg import solve_triangular
from tqdm import tqdm

import jnn
from jnn import figures

REFERENCE = Path(__file__).resolve().parents[1] / "tests" / "reference" / "lecture.json"
GRID = np.linspace(0.5, 3.0, 200, dtype=np.float32)[:, None]
OPTIMIZER = optax.sgd(0.01)  # one object for all runs: a new one would compile every program anew
DEEPEST = 1000


class Target(NamedTuple):
    """What is learnt: its name here, its name in the reference, the function, the lecture's number of epochs."""

    name: str
    key: str
    function: Callable[[np.ndarray], np.ndarray]
    epochs: int


LINE = Target("−3x + 2", "linear", lambda x: -3 * x + 2, 500)
LOG = Target("log x", "log", np.log, 300)


class Run(NamedTuple):
    """One trained network, its mean squared error on the grid and, where there is one, the lecture's."""

    target: Target
    layers: int
    fit: jnn.Fit
    prediction: np.ndarray
    error: float
    lecture: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lecture; the exit code."""
    options = parse(arguments)
    began = time.perf_counter()
    device = jax.devices()[0]
    print(f"jnn {jnn.__version__}, jax {jax.__version__}, backend {jax.default_backend()} ({device.device_kind})\n")

    reference = json.loads(REFERENCE.read_text())
    step = reference["single_step"]
    network = jnn.from_layers(step["initial_wb"], activation="sigmoid")
    x, y = np.array([step["x"]], np.float32), np.array([step["y"]], np.float32)
    print(f"Cross-check: the lecture's network of three layers at x = {x[0]:g}, y = {y[0]:g}")
    report = jnn.crosscheck(network, x, y)
    print(f"{report}\n")

    runs = train_all(options, reference)
    print(f"{table(runs)}\n{remark(options)}")
    write(pictures(runs, options.depths, network, x), options.out)
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    return 0 if report.ok else 1


def train_all(options: argparse.Namespace, reference: Any) -> dict[tuple[str, int], Run]:
    """Every run, under a progress bar: Example 1, "How deep?" and Example 2; one that two of them need is run once."""
    wanted = [(LINE, 3), *((LINE, depth) for depth in options.depths), *((LOG, depth) for depth in (1, 2, 3))]
    runs: dict[tuple[str, int], Run] = {}
    with tqdm(list(dict.fromkeys(wanted)), desc="training", unit="run") as bar:
        for target, depth in bar:
            bar.set_postfix_str(f"{target.name}, {depth} {'layer' if depth == 1 else 'layers'}")
            runs[target.key, depth] = train(target, depth, options, reference)
    return dict(sorted(runs.items(), key=lambda item: (item[0][0] == LOG.key, item[0][1])))


def train(target: Target, depth: int, options: argparse.Namespace, reference: Any) -> Run:
    """One sigmoid chain of width one: from the lecture's start in the lecture's order, or from a seed."""
    stored = [r for r in reference["runs"] if (r["target"], r["layers"]) == (target.key, depth)]
    layers = stored[0]["initial_wb"] if stored and options.seed is None else drawn_layers(options.seed or 0)[:depth]
    order = np.array(reference["order"])
    fit = jnn.fit(
        jnn.from_layers(layers, activation="sigmoid"),
        (GRID[order], target.function(GRID[order])),
        optimizer=OPTIMIZER,
        epochs=options.epochs or target.epochs,
        batch_size=1,
        key=jax.random.fold_in(jax.random.key(options.seed or 0), 1 + depth),
        shuffle=options.seed is not None,
        progress=False,
    )
    prediction = np.asarray(jnn.predict(fit.params, jnp.asarray(GRID)))
    error = float(np.mean((prediction - target.function(GRID)) ** 2, dtype=np.float64))
    return Run(target, depth, fit, prediction, error, stored[0]["mse"] if stored else None)


@cache
def drawn_layers(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases from N(0, 1), drawn once since each drawing compiles; depth d takes the first d of them."""
    key = jax.random.fold_in(jax.random.key(seed), 0)
    hidden, _ = jnn.init_network_params([1] * (DEEPEST + 2), key, activation="sigmoid", init="normal")
    return list(zip(np.asarray(hidden.w), np.asarray(hidden.b), strict=True))


def table(runs: dict[tuple[str, int], Run]) -> str:
    """The runs as a table, the lecture's own errors beside ours."""
    head = f"{'target':<10}{'layers':>7}{'mean squared error':>21}{'the lecture':>15}{'compile s':>12}{'run s':>9}"
    rows = [
        f"{r.target.name:<10}{r.layers:>7}{r.error:>21.6g}{'–' if r.lecture is None else f'{r.lecture:.6g}':>15}"
        f"{r.fit.compile_seconds:>12.2f}{r.fit.run_seconds:>9.3f}"
        for r in runs.values()
    ]
    return "\n".join([head, "─" * len(head), *rows, "─" * len(head)])


def remark(options: argparse.Namespace) -> str:
    """How the two columns of errors compare in this run."""
    if options.seed is not None:
        return f"Start and order drawn from seed {options.seed}: the lecture's numbers are those of another start."
    if options.epochs is not None:
        return f"Trained for {options.epochs} epochs: the lecture's numbers are those of 500 and 300."
    return "From the lecture's own start in its own order; – marks depths of which the lecture keeps no run (seed 0)."


def pictures(
    runs: dict[tuple[str, int], Run], depths: Sequence[int], network: jnn.Params, x: np.ndarray
) -> dict[str, Any]:
    """Every picture of the lecture, by the name of its file."""

    def fits(target: Target, depths: Sequence[int], title: str) -> Any:
        data = (GRID, target.function(GRID))
        chosen = {f"{d} {'layer' if d == 1 else 'layers'}": runs[target.key, d].prediction for d in depths}
        return figures.curves(GRID, chosen, data=data, title=title, y_title=target.name)

    deep = [runs[LINE.key, depth] for depth in depths]
    errors = {"jnn": [run.error for run in deep]}
    if any(run.lecture for run in deep):
        errors["the lecture"] = [np.nan if run.lecture is None else run.lecture for run in deep]
    history = {"−3x + 2, 3 layers": runs[LINE.key, 3].fit.history["loss"]}
    history |= {
        f"log x, {d} {'layer' if d == 1 else 'layers'}": runs[LOG.key, d].fit.history["loss"] for d in (1, 2, 3)
    }
    system = jnn.linear_system(network, jnp.asarray(x))
    identity = np.eye(len(system.L), dtype=np.float32)
    inverse = solve_triangular(identity - system.L, identity, lower=True, unit_diagonal=True)
    states = ["x₁", "x₂", "x₃"]
    return {
        "example_1": fits(LINE, [3], "Example 1: a network of three layers learns −3x + 2"),
        "how_deep": figures.errors_by_depth(
            depths,
            errors,
            baseline=float(np.var(LINE.function(GRID))),
            title="How deep? The same target, more and more layers",
        ),
        "how_deep_fits": fits(LINE, depths, "How deep? What the networks have learnt"),
        "example_2": fits(LOG, [1, 2, 3], "Example 2: log x with one, two and three layers"),
        "losses": figures.losses(history, title="Loss of each epoch, ½ (ŷ − y)²"),
        "system": figures.matrix(identity - system.L, title="I − L of the lecture's network", labels=states),
        "inverse": figures.matrix(inverse, title="(I − L)⁻¹: how each state moves the later ones", labels=states),
    }


def write(drawn: dict[str, Any], directory: Path) -> None:
    """Every picture as a page and, where Chrome is found, as a PNG; the paths, one a line."""
    print("\nPictures")
    png = True
    for name, figure in drawn.items():
        written = figures.save(figure, directory / name, png=png)
        png = len(written) > 1  # a Chrome that is missing or broken is not tried again
        for path in written:
            print(f"  {path}")
    if not png:
        print(figures.png_hint())


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lecture: {message}\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = _Parser(prog="lecture", description="The introductory lecture, whole.", allow_abbrev=False)
    parser.add_argument(
        "--depths", nargs="+", type=_depths, metavar="N", help='layers of "How deep?": 1 2 3, or 1-10 (default 1-10)'
    )
    parser.add_argument("--epochs", type=_epochs, metavar="N", help="epochs of every run (default the lecture's)")
    parser.add_argument(
        "--seed", type=_seed, metavar="N", help="draw start and order from this seed, not the lecture's"
    )
    parser.add_argument("--out", type=_directory, default="out", metavar="DIR", help="where pictures go (default out)")
    options = parser.parse_args(arguments)
    options.depths = sorted({depth for part in options.depths or [range(1, 11)] for depth in part})
    return options


def _whole(text: str, low: int, high: int, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}: give a whole number from {low} to {high}")
    return int(text)


def _depths(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first and last):
        depth = _whole(text, 1, DEEPEST, "depth")
        return range(depth, depth + 1)
    low, high = (_whole(end, 1, DEEPEST, "depth") for end in (first, last))
    if low > high:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of depths: {low} is above {high}")
    return range(low, high + 1)


def _epochs(text: str) -> int:
    return _whole(text, 1, 1_000_000, "number of epochs")


def _seed(text: str) -> int:
    return _whole(text, 0, 2**32 - 1, "seed")


def _directory(text: str) -> Path:
    try:
        return figures.make_directory(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nlecture: stopped")
