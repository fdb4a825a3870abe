"""How the time grows with the number of networks, in one program and one after another.

A program for many is one for a single network under `jax.vmap`, over the keys that the networks are
drawn from. On a GPU a small network leaves the device idle, and its neighbours cost little.
"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn
from benchmarks.timing import assert_close, on_each, race

SIZES = [1, 16, 16, 16, 1]
# With ε = 1e-8 the signs of vanishing gradients, which are rounding, move the parameters: of
# 256 networks one has another loss, by 2 %, from the third step on
OPTIMIZER = optax.adam(1e-3, eps=1e-3)
TURNS = 16  # of a loop that are measured, at most
COMPARED = 20  # the steps whose losses are compared; rounding grows with them
X = np.linspace(-2, 2, 64, dtype=np.float32)[:, None]
Y = np.sin(X)


OPTIONS: dict[str, Any] = {
    "loss": "mse", "optimizer": OPTIMIZER, "batch_size": len(X), "shuffle": False,
    "progress": False,
}  # fmt: skip


def measure(quick: bool, seconds: float | None = None) -> None:
    """Milliseconds until so many networks are trained, by four ways to train them.

    A loop's time is proportional to its turns: it is measured over 16 networks at most.
    """
    steps = 20 if quick else 100
    print(
        f"\nmany: networks {'–'.join(map(str, SIZES))}, tanh, {len(X)} rows, {steps} steps of "
        "Adam, ε = 1e-3, from keys to losses; least milliseconds\n"
        f"(loops of more than {TURNS} networks: {TURNS} of them, scaled up)"
    )
    print(
        f"{'networks':>9}{'fit_many':>12}{'one program':>14}{'one by one':>14}{'loop of fit':>14}"
        f"{'compile s':>11}{'program/fit_many':>18}{'loop/fit_many':>15}",
        flush=True,
    )
    counts = (1, 4) if quick else (1, 16, 256)
    on_each(counts, lambda n: _measure(n, steps, quick), "many", seconds=seconds)


def _measure(n: int, steps: int, quick: bool) -> None:
    """Print a row, the losses of all networks compared first."""
    keys = jax.random.split(jax.random.key(0), n)
    few = keys[:TURNS]
    start = time.perf_counter()
    program = jax.jit(jax.vmap(partial(trained, steps=steps))).lower(keys).compile()
    compilation = time.perf_counter() - start
    contestants = {
        "fit_many": lambda: fitted_together(keys, steps),
        "one program": lambda: program(keys),
        "one by one": lambda: [_single(key, steps) for key in few],
        "loop of fit": lambda: [fitted(key, steps) for key in few],
    }
    losses = {name: np.stack(run())[: len(few), :COMPARED] for name, run in contestants.items()}
    for name, of_name in losses.items():
        assert_close(losses["one by one"], of_name, 1e-3, f"many {n}: {name}")
    times = race(contestants, seconds=0.2 if quick else 1, rounds=3)
    scaled = {name: 1e3 * time.minimum for name, time in times.items()}
    for name in ("one by one", "loop of fit"):
        scaled[name] *= n / len(few)
    ours = scaled["fit_many"]
    print(
        f"{n:>9}{ours:>12.2f}{scaled['one program']:>14.2f}{scaled['one by one']:>14.2f}"
        f"{scaled['loop of fit']:>14.2f}{compilation:>11.2f}"
        f"{scaled['one program'] / ours:>18.2f}{scaled['loop of fit'] / ours:>15.2f}",
        flush=True,
    )


def trained(key: Any, steps: int) -> jax.Array:
    """The losses of one network, drawn from a key and trained on all rows: (steps,)."""
    params: Any = jnn.init_network_params(SIZES, key)

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        value, gradient = jax.value_and_grad(_loss)(params)
        updates, state = OPTIMIZER.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    start = (params, OPTIMIZER.init(params))
    return jax.lax.scan(step, start, length=steps)[1]


_single = jax.jit(trained, static_argnames="steps")


def _loss(params: Any) -> jax.Array:
    return jnp.mean((jnn.predict(params, X) - Y) ** 2)


def fitted_together(keys: Any, steps: int) -> np.ndarray:
    """All of them by `jnn.fit_many`: (networks, steps)."""
    runs = jnn.fit_many(
        _drawn(keys),
        (X, Y),
        epochs=steps,
        **OPTIONS,
    )
    return runs.history["loss"]


_drawn = jax.jit(jax.vmap(lambda key: jnn.init_network_params(SIZES, key)))


def fitted(key: Any, steps: int) -> np.ndarray:
    """The same by `jnn.fit`."""
    run = jnn.fit(
        jnn.init_network_params(SIZES, key),
        (X, Y),
        epochs=steps,
        **OPTIONS,
    )
    return np.asarray(run.history["loss"])
