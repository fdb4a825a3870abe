"""One gradient to be computed, and what a contestant makes of it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jnn
from benchmarks.depth.cells import Cell
from benchmarks.timing import assert_close, elapsed, say_left_out

Gradient = tuple[Any, Any]  # by w and by b


class Case(NamedTuple):
    """The layers x ← tanh(W x + b) with the loss mean (x_N − y)²."""

    w: jax.Array  # (depth, n, n)
    b: jax.Array  # (depth, n)
    x: jax.Array  # (batch, n)
    y: jax.Array  # (batch, n)


class Contestant(NamedTuple):
    """What is ready to compute the gradient of one case."""

    seconds: Callable[[], float]  # of one more gradient
    gradient: Callable[[], Gradient]
    remark: str = ""


Prepare = Callable[[Case], Contestant]


class MissingError(Exception):
    """Why a contestant cannot be had on this machine."""


def case_of(cell: Cell) -> Case:
    """Orthogonal weights, no biases, Gaussian inputs."""
    key = jax.random.key(0)
    sizes = [cell.width] * (cell.depth + 2)
    stack = jnn.init_network_params(sizes, key, activation="tanh", init="orthogonal")[0]
    x = jax.random.normal(key, (cell.batch, cell.width))
    return Case(stack.w, stack.b, x, jnp.cos(x))


def on_jax(
    case: Case,
    predict: Callable[[Any, Any], Any],
    params: Any,
    read: Callable[[Any], Gradient],
) -> Contestant:
    """`jax.grad` of a batch's prediction.

    Parameters and data are arguments, so that nothing is computed beforehand.
    """

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.mean((predict(params, x) - y) ** 2)

    f = jax.jit(jax.grad(loss))

    def run() -> Any:
        return f(params, case.x, case.y)

    return Contestant(partial(elapsed, run), lambda: read(run()))


def compared(
    contestants: dict[str, Contestant], what: object, *, lenient: bool
) -> dict[str, float]:
    """The seconds of everybody's first gradient, compiled for it, which is to be the reference's.

    The reference is "scan autodiff". Who fails or computes something else raises, or, if lenient,
    is taken out of the contestants with a line.
    """
    reference = "scan autodiff"
    first = {reference: contestants[reference].seconds()}
    expected = contestants[reference].gradient()
    for name, contestant in list(contestants.items()):
        if name == reference:
            continue
        try:
            first[name] = contestant.seconds()
            assert_close(expected, contestant.gradient(), 1e-3, f"{what}: {name}")
        except Exception as error:
            if not lenient:
                raise
            say_left_out(f"{what}: {name}", error)
            del contestants[name]
    return first
