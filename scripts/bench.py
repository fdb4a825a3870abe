"""Benchmarks: results are compared before anything is timed; compile and run are timed apart.

    scripts/bench                     every row group
    scripts/bench lecture depth       these row groups
    scripts/bench depth --quick       a few cells, to see that it works
    scripts/bench depth --cells 1000x8x32,10000x8x1
                                      these cells, depth × width × batch
    scripts/bench depth --save        also write the table to scripts/bench_results/

Contestants take turns, so that a slow moment of the machine falls on all of them. A row gives the minimum and the
median; ratios are of minima, which noise can only raise.
"""

import argparse
import contextlib
import datetime
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from bench_crossover import crossover
from bench_depth import depth, parse_cells
from bench_fit import fit
from bench_timing import assert_close, race, versions

import jnn

# ---- lecture: Example 1, the whole training run ----


def lecture(quick: bool) -> None:
    """Example 1 (−3x + 2, three layers of width one, batch 1): microseconds a step of stochastic gradient descent."""
    epochs, loop_epochs = (100, 5) if quick else (500, 20)
    x = np.linspace(0.5, 3, 200, dtype=np.float32)[:, None]
    y = -3 * x + 2
    params = jnn.init_network_params([1, 1, 1, 1], jax.random.key(1), activation="sigmoid", init="normal")
    optimizer = optax.sgd(0.01)

    def compiled(epochs: int) -> jnn.Fit:
        return jnn.fit(params, (x, y), optimizer=optimizer, epochs=epochs, batch_size=1, shuffle=False, progress=False)

    @jax.jit
    def update(params: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
        gradient = jax.grad(lambda p: 0.5 * jnp.sum((jnn.forward(p, x) - y) ** 2))(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    def python_loop(epochs: int) -> jnn.Params:
        p: Any = params
        state = optimizer.init(p)
        for _ in range(epochs):
            for x_i, y_i in zip(x, y, strict=True):
                p, state = update(p, state, x_i, y_i)
        return p

    contestants: dict[str, tuple[Callable[[], Any], int]] = {
        "jnn.fit": (lambda: compiled(epochs).params, epochs),
        "Python loop over jitted updates": (lambda: python_loop(loop_epochs), loop_epochs),
    }
    assert_close(python_loop(loop_epochs), compiled(loop_epochs).params, 1e-4, "lecture: Python loop")
    try:
        scalar_loop = _numba_loop(params, x[:, 0], y[:, 0])
    except ImportError:
        print("numba is not installed: the limit is left out")
    else:
        assert_close(scalar_loop(loop_epochs), _flat(compiled(loop_epochs).params), 1e-3, "lecture: numba")
        contestants["scalar loop in numba (the limit)"] = (lambda: scalar_loop(epochs), epochs)

    jax.clear_caches()
    compile_seconds = compiled(epochs).compile_seconds
    times = race({name: run for name, (run, _) in contestants.items()}, seconds=1 if quick else 4)
    print(f"\nlecture: three layers, width 1, batch 1, 200 points; jnn compiles in {compile_seconds:.2f} s")
    print(f"{'':<36}{'min µs/step':>14}{'median':>10}{'× jnn':>9}")
    per_step = {name: [1e6 * s / (200 * contestants[name][1]) for s in t[1:]] for name, t in times.items()}
    for name, (low, middle) in per_step.items():
        print(f"{name:<36}{low:>14.4f}{middle:>10.4f}{low / per_step['jnn.fit'][0]:>9.2f}")


def _flat(params: jnn.Params) -> np.ndarray:
    return np.array([[w.item(), b.item()] for w, b in jnn.layers(params)])


def _numba_loop(params: jnn.Params, x: np.ndarray, y: np.ndarray) -> Callable[[int], np.ndarray]:
    """The same run written as scalar loops and compiled by numba: how fast one core can do it."""
    import numba  # pyright: ignore[reportMissingImports]  an extra of this benchmark

    @numba.njit(fastmath=True)
    def run(w, b, x, y, epochs, rate):
        depth = len(w)
        states = np.zeros(depth + 1, np.float32)
        one = np.float32(1)
        for _ in range(epochs):
            for i in range(len(x)):
                states[0] = x[i]
                for l in range(depth):
                    z = w[l] * states[l] + b[l]
                    states[l + 1] = z if l == depth - 1 else one / (one + np.exp(-z))
                adjoint = states[depth] - y[i]
                for l in range(depth - 1, -1, -1):
                    h = states[l + 1]
                    μ = adjoint if l == depth - 1 else adjoint * h * (one - h)
                    adjoint = μ * w[l]
                    w[l] -= rate * μ * states[l]
                    b[l] -= rate * μ

    def start(epochs: int) -> np.ndarray:
        w, b = (np.ascontiguousarray(column, np.float32) for column in _flat(params).T)
        run(w, b, x, y, epochs, np.float32(0.01))
        return np.stack([w, b], axis=1)

    return start


GROUPS = {"lecture": lecture, "depth": depth, "crossover": crossover, "fit": fit}


def main() -> None:
    """Run the row groups asked for; with --save, write what was printed beside the earlier results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; none means all")
    parser.add_argument("--quick", action="store_true", help="a few cells only")
    parser.add_argument("--save", action="store_true", help="write the table to scripts/bench_results/")
    parser.add_argument("--cells", type=parse_cells, default=(), help="of depth: depth×width×batch, as in 1000x8x32")
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"unknown group {min(unknown)!r}; known: {', '.join(GROUPS)}")
    if arguments.cells and "depth" not in (arguments.groups or GROUPS):
        parser.error("--cells are those of the group depth: scripts/bench depth --cells …")
    groups = GROUPS | {"depth": partial(depth, cells=arguments.cells)}
    for name in arguments.groups or groups:
        printed = io.StringIO()
        with contextlib.redirect_stdout(_Tee(sys.stdout, printed)):
            print(versions())
            groups[name](arguments.quick)
        if arguments.save:
            folder = Path(__file__).parent / "bench_results"
            folder.mkdir(exist_ok=True)
            kind = jax.devices()[0].platform
            path = folder / f"{name}_{kind}_jax{jax.__version__}_{datetime.date.today()}.txt"
            path.write_text(printed.getvalue())
            print(f"written: {path.name}")


class _Tee(io.TextIOBase):
    """Writes to two streams at once."""

    def __init__(self, *streams: Any) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()


if __name__ == "__main__":
    main()
