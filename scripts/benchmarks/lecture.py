"""The group `lecture`: Example 1, the whole training run.

−3x + 2, three layers of width one, batch 1: microseconds a step of stochastic gradient descent. To
add a contestant, write a function from a number of epochs to the parameters after them, compare it
by `assert_close`, and enter it in `_contestants`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import jnn
from benchmarks.timing import Time, assert_close, race

RATE = 0.01
ROWS = 200
OPTIMIZER = optax.sgd(RATE)


class Problem(NamedTuple):
    """Where to start, and the data."""

    params: jnn.Params
    x: np.ndarray
    y: np.ndarray


class Runner(NamedTuple):
    """A training run, and how many epochs it has."""

    run: Callable[[], Any]
    epochs: int


def measure(quick: bool) -> None:
    """Print microseconds a step of every contestant."""
    x = np.linspace(0.5, 3, ROWS, dtype=np.float32)[:, None]
    params = jnn.init_network_params(
        [1, 1, 1, 1], jax.random.key(1), activation="sigmoid", init="normal"
    )
    problem = Problem(params, x, -3 * x + 2)
    epochs = 100 if quick else 500
    contestants = _contestants(problem, epochs, loop_epochs=5 if quick else 20)
    jax.clear_caches()
    compile_seconds = _compiled(problem, epochs).compile_seconds
    times = race(
        {name: contestant.run for name, contestant in contestants.items()},
        seconds=1 if quick else 4,
    )
    print(
        f"\nlecture: three layers, width 1, batch 1, {ROWS} points; "
        f"jnn compiles in {compile_seconds:.2f} s"
    )
    _print_table(contestants, times)


def _contestants(problem: Problem, epochs: int, loop_epochs: int) -> dict[str, Runner]:
    """Everybody by name, results compared; the loop in Python is slow and runs fewer epochs."""
    reference = _compiled(problem, loop_epochs).params
    python_loop = _python_loop(problem)
    assert_close(python_loop(loop_epochs), reference, 1e-4, "lecture: Python loop")
    contestants = {
        "jnn.fit": Runner(lambda: _compiled(problem, epochs).params, epochs),
        "Python loop over jitted updates": Runner(lambda: python_loop(loop_epochs), loop_epochs),
    }
    try:
        scalar_loop = _numba_loop(problem)
    except ImportError:
        print("numba is not installed: the limit is left out")
        return contestants
    assert_close(scalar_loop(loop_epochs), _flat(reference), 1e-3, "lecture: numba")
    limit = Runner(lambda: scalar_loop(epochs), epochs)
    return contestants | {"scalar loop in numba (the limit)": limit}


def _print_table(contestants: dict[str, Runner], times: dict[str, Time]) -> None:
    print(f"{'':<36}{'min µs/step':>14}{'median':>10}{'× jnn':>9}")
    jnn_steps = ROWS * contestants["jnn.fit"].epochs
    ours = 1e6 * times["jnn.fit"].minimum / jnn_steps
    for name, time in times.items():
        steps = ROWS * contestants[name].epochs
        least = 1e6 * time.minimum / steps
        middle = 1e6 * time.median / steps
        print(f"{name:<36}{least:>14.4f}{middle:>10.4f}{least / ours:>9.2f}")


# ---- the contestants ----


def _compiled(problem: Problem, epochs: int) -> jnn.Fit:
    params, x, y = problem
    return jnn.fit(
        params,
        (x, y),
        optimizer=OPTIMIZER,
        epochs=epochs,
        batch_size=1,
        shuffle=False,
        progress=False,
    )


def _python_loop(problem: Problem) -> Callable[[int], Any]:
    @jax.jit
    def update(params: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
        def loss(p: Any) -> jax.Array:
            return 0.5 * jax.numpy.sum((jnn.forward(p, x) - y) ** 2)

        updates, state = OPTIMIZER.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    def run(epochs: int) -> Any:
        p: Any = problem.params
        state = OPTIMIZER.init(p)
        for _ in range(epochs):
            for x, y in zip(problem.x, problem.y, strict=True):
                p, state = update(p, state, x, y)
        return p

    return run


def _flat(params: jnn.Params) -> np.ndarray:
    return np.array([[w.item(), b.item()] for w, b in jnn.layers(params)])


def _numba_loop(problem: Problem) -> Callable[[int], np.ndarray]:
    """The same run written as scalar loops and compiled by numba: how fast one core can do it."""
    import numba  # pyright: ignore[reportMissingImports]  an extra of this benchmark

    x = problem.x[:, 0]
    y = problem.y[:, 0]

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
        columns = _flat(problem.params).T
        w, b = (np.ascontiguousarray(column, np.float32) for column in columns)
        run(w, b, x, y, epochs, np.float32(RATE))
        return np.stack([w, b], axis=1)

    return start
