"""jnn's contestants of the group `depth`, and those written by hand on plain JAX."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import jnn
from benchmarks.depth.case import Case, Contestant, Prepare, on_jax
from benchmarks.depth.cells import Cell

# Keywords of jnn.predict, by the contestant's name. The reference and the dense system are for
# study, and a CPU only interprets the fused kernel, to check it.
_LEFT_OUT = {"auto", "autodiff", "dense"}
if jax.default_backend() == "cpu":
    _LEFT_OUT.add("fused")
JNN: dict[str, dict[str, Any]] = {
    "auto": {},
    **{name: {"backprop": name} for name in jnn.METHODS if name not in _LEFT_OUT},
    "newton": {"states": "newton"},
}
OWN = (*JNN, "scan autodiff", "unrolled")


def own(cell: Cell) -> dict[str, Prepare]:
    """All of them by name, as far as they fit."""
    chosen: dict[str, Prepare] = {
        name: partial(_jnn, **keywords) for name, keywords in JNN.items() if fits(cell, keywords)
    }
    chosen["scan autodiff"] = partial(_batched, _scan)
    if cell.depth <= 100:  # it compiles for minutes beyond
        chosen["unrolled"] = partial(_batched, _unrolled)
    return chosen


def fits(cell: Cell, keywords: dict[str, Any]) -> bool:
    """Whether a method can have the Jacobians of all layers and examples at once.

    It must end within a second, too.
    """
    assembles = "states" in keywords or keywords.get("backprop") == "parallel"
    most = 2**22 if jax.default_backend() == "cpu" else 2**30
    return not assembles or cell.depth * cell.width**2 * cell.batch <= most


def _jnn(case: Case, **keywords: Any) -> Contestant:
    params = (jnn.Stack(case.w, case.b, activation="tanh", residual=False),)
    predict = partial(jnn.predict, **keywords)
    return on_jax(case, predict, params, lambda gradient: (gradient[0].w, gradient[0].b))


def _batched(predict: Callable[..., jax.Array], case: Case) -> Contestant:
    params = (case.w, case.b)
    return on_jax(case, jax.vmap(predict, (None, 0)), params, lambda gradient: gradient)


def _scan(layers: tuple[Any, Any], x: jax.Array) -> jax.Array:
    def layer(x: jax.Array, wb: Any) -> Any:
        return jnp.tanh(wb[0] @ x + wb[1]), None

    return lax.scan(layer, x, layers)[0]


def _unrolled(layers: tuple[Any, Any], x: jax.Array) -> jax.Array:
    for w, b in zip(*layers, strict=True):
        x = jnp.tanh(w @ x + b)
    return x
