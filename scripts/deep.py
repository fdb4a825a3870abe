"""Plain tanh networks of width 8, thousands of layers deep, trained on sin(3x): no residual, no normalisation.

Run by `scripts/deep`. What decides is the start, not the optimiser: from it Adam, momentum, Lion and Muon all bring
depth 1,000 below 2e-4 in 3,000 steps. After 1,000 steps of Adam the error is, at the worst of seeds 0 to 2, 5e-6; and

- 0.009 without the gain of the hidden layers. States of tanh layers with orthogonal weights shrink as 1/√depth; a gain
  a little above 1 holds them up, little enough that the bends of all layers together still do no harm;
- 0.005 without the larger readout, which brings the shrunken states to the size of the targets;
- 5e-5 without biases, which spread the examples over directions: without them the network is odd, and its states
  differ in little but the sign of x;
- 0.065 without any of them (0.19 at depth 10,000).

A change made to every layer adds up along the depth, hence a learning rate proportional to 1/depth. It is the deep
layers that learn: at depth 10,000 the weights move by a ten-thousandth of their size, and the new readout on the old
layers is no better than the old one.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
import optax

import jnn
from jnn import figures

WIDTH, DEPTHS, DEEPEST = 8, (1_000, 10_000), 100_000
X = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]  # to train on
GRID = np.linspace(-1, 1, 201, dtype=np.float32)[:, None]  # to look at


class Run(NamedTuple):
    """One trained network; its mean squared errors on X before and after, and on GRID, which lies between."""

    depth: int
    fit: jnn.Fit
    start: float
    end: float
    between: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit code."""
    options = parse(arguments)
    began = time.perf_counter()
    device = jax.devices()[0]
    print(f"jnn {jnn.__version__}, jax {jax.__version__}, backend {jax.default_backend()} ({device.device_kind})")
    print(f"sin(3x) by plain tanh networks of width {WIDTH}; predicting the mean has error {np.var(target(X)):.3g}\n")
    runs = [train(depth, options.seed, options.steps) for depth in options.depth]
    print(table(runs))
    write(pictures(runs), options.out)
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    return 0


def target(x: np.ndarray) -> np.ndarray:
    """What is learnt."""
    return np.sin(3 * x)


def start(depth: int, key: jax.Array) -> jnn.Params:
    """Orthogonal weights times a gain: 3 at first, then 1 + 30/depth, √depth/10 at last; the first biases are N(0, 1).

    The gain of the layers between is 1.1 at most, which matters to shallow networks.
    """
    w_key, b_key = jax.random.split(key)
    first, *hidden, readout = jnn.init_network_params([1] + [WIDTH] * depth + [1], w_key, init="orthogonal")
    return (
        replace(first, w=3 * first.w, b=jax.random.normal(b_key, first.b.shape)),
        *(replace(stack, w=(1 + 30 / max(depth, 300)) * stack.w) for stack in hidden),
        replace(readout, w=depth**0.5 / 10 * readout.w),
    )


def train(depth: int, seed: int, steps: int) -> Run:
    """Adam on all examples at once, under a progress bar; the gradient clipped, the rate warmed up and cooled down."""
    rate = 0.03 / depth
    params = start(depth, jax.random.key(seed))
    fit = jnn.fit(
        params,
        (X, target(X)),
        loss="mse",
        optimizer="adam",
        learning_rate=optax.warmup_cosine_decay_schedule(0.0, rate, steps // 20, steps, rate / 100),
        clip_norm=1.0,
        epochs=steps,
        batch_size=len(X),
        shuffle=False,
        progress=True,
    )
    return Run(depth, fit, error(params, X), error(fit.params, X), error(fit.params, GRID))


def error(params: jnn.Params, x: np.ndarray) -> float:
    """The mean squared error at x."""
    return float(np.mean((np.asarray(jnn.predict(params, x)) - target(x)) ** 2, dtype=np.float64))


def table(runs: Sequence[Run]) -> str:
    """The runs, one a line; losses are mean squared errors."""
    columns = {"depth": 7, "start loss": 12, "end loss": 12, "between": 12, "steps": 8, "seconds": 10}
    head = "".join(f"{name:>{width}}" for name, width in columns.items()) + f"{'compile seconds':>17}"
    rows = [
        f"{r.depth:>7,}{r.start:>12.3g}{r.end:>12.3g}{r.between:>12.3g}{r.fit.epochs:>8,}{r.fit.run_seconds:>10.1f}"
        f"{r.fit.compile_seconds:>17.1f}"
        for r in runs
    ]
    return "\n".join([head, "─" * len(head), *rows, "─" * len(head)])


def pictures(runs: Sequence[Run]) -> dict[str, Any]:
    """The losses and the fits, by the names of their files."""
    names = [f"{run.depth:,} {'layer' if run.depth == 1 else 'layers'}" for run in runs]
    histories = {name: run.fit.history["loss"] for name, run in zip(names, runs, strict=True)}
    fits = {name: np.asarray(jnn.predict(run.fit.params, GRID)) for name, run in zip(names, runs, strict=True)}
    losses = figures.losses(histories, title="Plain tanh networks of width 8 learn sin(3x)")
    losses.update_layout(showlegend=True).update_xaxes(title_text="step").update_yaxes(title_text="mean squared error")
    return {
        "deep_losses": losses,
        "deep_fits": figures.curves(
            GRID, fits, data=(X, target(X)), title="What they have learnt; the points are sin(3x)"
        ),
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
        self.exit(2, f"deep: {message}\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = _Parser(prog="deep", description="Plain tanh networks, thousands of layers deep.", allow_abbrev=False)
    parser.add_argument("--depth", nargs="+", type=_depth, metavar="N", help="hidden layers (default 1000 and 10000)")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the start (default 0)")
    parser.add_argument("--steps", type=_steps, default=1000, metavar="N", help="of Adam (default 1000)")
    parser.add_argument("--out", type=_directory, default="out", metavar="DIR", help="where pictures go (default out)")
    options = parser.parse_args(arguments)
    options.depth = sorted(set(options.depth or DEPTHS))
    return options


def _whole(text: str, low: int, high: int, what: str) -> int:
    # int() refuses numbers of thousands of digits with a message of its own
    if not (text.isascii() and text.isdigit() and len(text) < 20) or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}: give a whole number from {low} to {high}")
    return int(text)


def _depth(text: str) -> int:
    return _whole(text, 1, DEEPEST, "depth")


def _steps(text: str) -> int:
    return _whole(text, 1, 1_000_000, "number of steps")


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
        sys.exit("\ndeep: stopped")
