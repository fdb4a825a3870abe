"""The group `depth` of `bench.py`: the gradient of a deep, narrow network, microseconds a layer.

    scripts/bench depth --cells 1000x8x32,10000x8x1        these cells alone, depth × width × batch

Every contestant differentiates the same loss of the same tanh layers by all parameters; the gradients are compared
before anything is timed. Other libraries and the limit, a loop in C, stand in `bench_depth_peers.py`.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from bench_depth_peers import Case, MissingError, Peers, Prepared, on_jax
from bench_timing import Time, assert_close, package_versions, race
from jax import lax

import jnn
from jnn.params import Stack


class Cell(NamedTuple):
    """So many layers of one width, and the rows of a batch."""

    depth: int
    width: int
    batch: int


# jnn.predict's contestants: its keywords, by name. The reference and the dense system are for study, and a CPU only
# interprets the fused kernel, to check it.
_LEFT_OUT = ("auto", "autodiff", "dense", *(["fused"] if jax.default_backend() == "cpu" else []))
JNN: dict[str, dict[str, Any]] = {
    "auto": {},
    **{name: {"backprop": name} for name in jnn.METHODS if name not in _LEFT_OUT},
    "newton": {"forward": "newton"},
}
OWN = (*JNN, "scan autodiff", "unrolled")
RIVALS = ("scan autodiff", "PyTorch", "torch.compile", "Equinox", "Flax NNX")  # whom "auto" is measured by


def depth(quick: bool, cells: Sequence[Cell] = ()) -> None:
    """The gradient of a mean squared error through a stack of tanh layers: microseconds a layer."""
    if not cells:
        depths, widths, batches = ((100, 1000), (1, 8), (1, 32)) if quick else (
            (100, 1_000, 10_000), (1, 8, 16, 32, 64), (1, 32),
        )  # fmt: skip
        cells = [Cell(layers, n, batch) for n in widths for batch in batches for layers in depths]
    peers = Peers()
    columns = (*OWN, *peers.by_name)
    print(package_versions("torch", "equinox", "flax"))
    print("\ndepth: gradient of the mean squared error, tanh, orthogonal weights, float32; least microseconds a layer")
    print(f"{'depth':>6}{'width':>6}{'batch':>6}" + "".join(f"{name:>14}" for name in columns), end="")
    print(
        f"{'auto median':>13}{'compile s':>11}{'parallel':>10}{'peer/auto':>11}{'auto/C':>8}  fastest peer; PyTorch",
        flush=True,
    )
    ratios: list[tuple[float, float]] = []
    try:
        for cell in cells:
            times, remarks = _measured(cell, peers, seconds=0.3 if quick else 2.0)
            ratios.append(_print_row(cell, columns, times, remarks))
    finally:
        peers.stop()
    for name, column in zip(("fastest peer / auto", "auto / C loop"), zip(*ratios, strict=True), strict=True):
        known = [ratio for ratio in column if np.isfinite(ratio)]
        if known:
            print(f"{name}: geometric mean {np.exp(np.mean(np.log(known))):.2f}, least {min(known):.2f}")


def parse_cells(text: str) -> list[Cell]:
    """The cells that a command line names, as in 1000x8x32,10000x8x1.

    >>> parse_cells("1000x8x32")
    [Cell(depth=1000, width=8, batch=32)]
    """
    cells = []
    for word in text.split(","):
        numbers = word.split("x")
        if len(numbers) != 3 or not all(number.isdecimal() and int(number) > 0 for number in numbers):
            raise argparse.ArgumentTypeError(
                f"{word!r} is no cell; expected depth, width and batch as in 1000x8x32, commas between cells"
            )
        cells.append(Cell(*map(int, numbers)))
    return cells


# ---- the contestants on plain JAX ----


def _scan(layers: tuple[Any, Any], x: jax.Array) -> jax.Array:
    def layer(x: jax.Array, wb: Any) -> Any:
        return jnp.tanh(wb[0] @ x + wb[1]), None

    return lax.scan(layer, x, layers)[0]


def _unrolled(layers: tuple[Any, Any], x: jax.Array) -> jax.Array:
    for w, b in zip(*layers, strict=True):
        x = jnp.tanh(w @ x + b)
    return x


def _batched(predict: Callable[..., jax.Array], case: Case) -> Prepared:
    return on_jax(case, jax.vmap(predict, (None, 0)), (case.w, case.b), lambda gradient: gradient)


def _jnn(case: Case, **keywords: Any) -> Prepared:
    params = (Stack(case.w, case.b, "tanh", False),)
    return on_jax(case, partial(jnn.predict, **keywords), params, lambda gradient: (gradient[0].w, gradient[0].b))


def fits(cell: Cell, keywords: dict[str, Any]) -> bool:
    """Whether a method can have the Jacobians of all layers and examples at once, and end within a second."""
    assembles = "forward" in keywords or keywords.get("backprop") == "parallel"
    most = 2**22 if jax.default_backend() == "cpu" else 2**28
    return not assembles or cell.depth * cell.width**2 * cell.batch <= most


def own(cell: Cell) -> dict[str, Callable[[Case], Prepared]]:
    """jnn's contestants and those written by hand, as far as they fit."""
    chosen = {name: partial(_jnn, **keywords) for name, keywords in JNN.items() if fits(cell, keywords)}
    by_hand = {"scan autodiff": partial(_batched, _scan)}
    if cell.depth <= 100:  # it compiles for minutes beyond
        by_hand["unrolled"] = partial(_batched, _unrolled)
    return chosen | by_hand


# ---- one cell ----


def case_of(cell: Cell) -> Case:
    key = jax.random.key(0)
    sizes = [cell.width] * (cell.depth + 2)
    stack = jnn.init_network_params(sizes, key, activation="tanh", init="orthogonal")[0]
    x = jax.random.normal(key, (cell.batch, cell.width))
    return Case(stack.w, stack.b, x, jnp.cos(x))


def _measured(cell: Cell, peers: Peers, *, seconds: float) -> tuple[dict[str, Time], dict[str, str]]:
    """Everybody's times, and remarks. A peer that cannot be had is taken out of `peers` with a line."""
    case = case_of(cell)
    contestants = {name: prepare(case) for name, prepare in own(cell).items()}
    for name, prepare in list(peers.by_name.items()):
        try:
            contestants[name] = prepare(case)
        except (ImportError, MissingError) as error:
            print(f"{name}: left out from here on, {error}", flush=True)
            del peers.by_name[name]
    first = {name: contestant.seconds() for name, contestant in contestants.items()}  # compilation included
    reference = contestants["scan autodiff"].gradient()
    for name, contestant in contestants.items():
        what = f"depth {cell.depth}, width {cell.width}, batch {cell.batch}: {name}"
        assert_close(reference, contestant.gradient(), 1e-3, what)
    times = race(
        {name: c.seconds for name, c in contestants.items()}, seconds=seconds, rounds=10, clock=lambda run: run()
    )
    times = {name: t._replace(compile=max(0.0, first[name] - t.minimum)) for name, t in times.items()}
    return times, {name: c.remark for name, c in contestants.items()}


def _print_row(
    cell: Cell, columns: Sequence[str], times: dict[str, Time], remarks: dict[str, str]
) -> tuple[float, float]:
    """Print a row; its two ratios."""
    per_layer = {name: 1e6 * t.minimum / cell.depth for name, t in times.items()}
    auto = times["auto"]
    fastest = min((name for name in RIVALS if name in times), key=per_layer.__getitem__)
    ratios = per_layer[fastest] / per_layer["auto"], per_layer["auto"] / per_layer.get("C loop", float("nan"))
    row = "".join(f"{per_layer[name]:>14.3f}" if name in per_layer else f"{'–':>14}" for name in columns)
    print(f"{cell.depth:>6}{cell.width:>6}{cell.batch:>6}{row}{1e6 * auto.median / cell.depth:>13.3f}", end="")
    limit = f"{ratios[1]:>8.2f}" if np.isfinite(ratios[1]) else f"{'–':>8}"
    parallel = f"{times['parallel'].compile:>10.2f}" if "parallel" in times else f"{'–':>10}"
    print(
        f"{auto.compile:>11.2f}{parallel}{ratios[0]:>11.2f}{limit}  {fastest}; {remarks.get('PyTorch', '–')}",
        flush=True,
    )
    return ratios
