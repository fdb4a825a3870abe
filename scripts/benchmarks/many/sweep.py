"""The group `sweep`: depth × activation × start × seed by one call of `fit_many`, from cold.

1,280 networks of width 8 in 40 structures, whose programs are compiled while others train. Beside
it a loop of `fit`: for each structure its first network from cold, and a few more, from which the
time of the others is scaled up.
"""

import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import jax
import numpy as np

import jnn
from benchmarks.timing import assert_close, package_versions

WIDTH, ROWS, STEPS = 8, 32, 1000
DEPTHS = (2, 4, 8, 16, 32, 64, 128, 256)
ACTIVATIONS = ("tanh", "sigmoid", "relu", "gelu", "silu")
STARTS = ("glorot_normal", "lecun_normal", "he_normal", "orthogonal")
FEW = 3  # networks of a structure that `fit` trains, the first of them from cold
OPTIONS: dict[str, Any] = {"batch_size": ROWS, "progress": False}


def measure(quick: bool) -> None:
    """Seconds of both, from cold, and their ratio."""
    print(package_versions("numpy"))
    depths, seeds, steps = (DEPTHS[:2], 2, 20) if quick else (DEPTHS, 8, STEPS)
    structures = [list(_networks(*structure, seeds)) for structure in product(depths, ACTIVATIONS)]
    networks = [network for members in structures for network in members]
    x, y = jnn.data.logarithm(ROWS)
    print(
        f"\n{len(networks)} networks of width {WIDTH} in {len(structures)} structures, "
        f"depths {depths[0]} to {depths[-1]}, batch {ROWS}, {steps} steps; seconds, from cold"
    )

    jax.clear_caches()
    start = time.perf_counter()
    fits = jnn.fit_many(networks, (x, y), epochs=steps, **OPTIONS)
    many = time.perf_counter() - start
    print(f"fit_many      {many:9.1f}, of which compilation on other threads", flush=True)

    jax.clear_caches()
    loop, compiled, at = 0.0, 0.0, 0
    for members in structures:
        first, *others = [
            _alone(network, (x, y), steps, fits.history["loss"][at + i])
            for i, network in enumerate(members[:FEW])
        ]
        loop += first + min(others) * (len(members) - 1)
        compiled += first - min(others)
        at += len(members)
    print(f"loop of fit   {loop:9.1f}, of which compilation {compiled:.1f}")
    print(f"fit_many / loop of fit: {many / loop:.2f}")


def _networks(depth: int, activation: str, seeds: int) -> Iterator[Any]:
    sizes = [1, *[WIDTH] * (depth - 1), 1]
    for start, seed in product(STARTS, range(seeds)):
        yield jnn.init_network_params(
            sizes, jax.random.key(seed), init=start, activation=activation
        )


def _alone(network: Any, rows: Any, steps: int, losses: np.ndarray) -> float:
    """Seconds of `fit`, whose first losses are compared with those of the member."""
    start = time.perf_counter()
    run = jnn.fit(network, rows, epochs=steps, **OPTIONS)
    seconds = time.perf_counter() - start
    assert_close(run.history["loss"][:4], losses[:4], 1e-3, "losses of fit and fit_many")
    return seconds
