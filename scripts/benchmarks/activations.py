"""The group `activations`: derivatives of a deep network, for every activation, at two depths.

What a layer takes must not grow with the depth: it did where a loop copied what it had written
(gelu, tangents). Beside it JAX's own derivative of a scan over the layers, results compared first.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp

import jnn
from benchmarks.timing import assert_close, elapsed, race

WIDTH, BATCH = 8, 32
KINDS = ("gradient", "tangents", "Hessian product")
CLOSE = 2e-4  # relative, in single precision


def measure(quick: bool) -> None:
    """A row an activation and kind: least microseconds a layer, and the ratio of the depths."""
    depths = (16, 64) if quick else (64, 1024)
    rows = [("gelu", False)] if quick else product(jnn.ACTIVATIONS, (False, True))
    print(
        f"\nactivations: derivatives of a network of width {WIDTH}, batch {BATCH}, float32; least "
        f"microseconds a layer at depth {depths[0]} and {depths[1]}"
    )
    print(f"{'activation':<20}{'residual':<10}{'':<17}{'auto':>16}{'growth':>9}{'autodiff':>18}")
    for (name, residual), kind in product(rows, KINDS):
        auto, autodiff = zip(
            *(_times(depth, name, residual, kind, quick) for depth in depths), strict=True
        )
        print(
            f"{name:<20}{'yes' if residual else 'no':<10}{kind:<17}{auto[0]:>8.2f}{auto[1]:>8.2f}"
            f"{auto[1] / auto[0]:>9.2f}{autodiff[0]:>10.2f}{autodiff[1]:>8.2f}",
            flush=True,
        )


def _times(
    depth: int, activation: str, residual: bool, kind: str, quick: bool
) -> tuple[float, float]:
    """Of "auto" and "autodiff", after a comparison of their results."""
    sizes = [1, *[WIDTH] * (depth - 1), 1]
    # a step of a residual network is small, so that it neither grows nor ends
    params = jnn.init_network_params(
        sizes, jax.random.key(0), activation=activation, init="orthogonal", residual=residual
    )
    params = jax.tree.map(lambda leaf: leaf / depth, params) if residual else params
    x = jnp.linspace(0.0, 1.0, BATCH)[:, None]
    runs = {
        method: partial(jax.jit(_derivative(kind, method)), params, x)
        for method in ("auto", "autodiff")
    }
    assert_close(runs["autodiff"](), runs["auto"](), CLOSE, f"{activation}, {depth} layers, {kind}")
    times = race(runs, seconds=0.02 if quick else 0.3, clock=elapsed)
    auto, autodiff = (1e6 * times[method].minimum / depth for method in runs)
    return auto, autodiff


def _derivative(kind: str, method: str) -> Callable[[Any, Any], Any]:
    def loss(params: Any, x: Any) -> Any:
        return jnp.mean((jnn.predict(params, x, backprop=method) - jnp.cos(x)) ** 2)

    gradient = jax.grad(loss)

    def tangents(of: Callable[[Any, Any], Any], params: Any, x: Any) -> Any:
        return jax.jvp(lambda params: of(params, x), (params,), (params,))

    return {
        "gradient": gradient,
        "tangents": partial(tangents, loss),
        "Hessian product": partial(tangents, gradient),
    }[kind]
