"""Which start lets a plain deep network learn: final losses by depth, activation and initializer.

Run by `scripts/initializers`. Every cell trains networks of one shape from several seeds side by
side, on sin(3x), by the same optimizer with the same budget: Adam at the rate 0.02/depth with a
warm-up, on all 32 points at once. A loss of 0.5 or so is that of predicting the mean.
"""

import argparse
import datetime
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn
from studies import shared

WIDTH = 16
STEPS = 500
SEEDS = 5
DEPTHS = (10, 100, 200, 400)
DEEPEST = 100_000
STARTS = {
    "tanh": ("glorot_uniform", "he_uniform", "lecun_normal", "critical", "critical_orthogonal"),
    "relu": ("glorot_uniform", "he_uniform", "asymmetric", "looks_linear"),
    "gelu": ("he_uniform", "critical", "critical_orthogonal"),
}
RESIDUAL = {"tanh": ("glorot_uniform", "fixup", "rezero")}
X = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
Y = np.sin(3 * X)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and print; the exit code."""
    options = parse(arguments)
    began = time.perf_counter()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    say(
        f"median (least … most) final loss of {options.seeds} seeds, "
        f"width {WIDTH}, {options.steps} steps"
    )
    say(f"{'':<35}" + "".join(f"{f'{depth} layers':>25}" for depth in options.depths))
    for activation in options.activations:
        for init in STARTS[activation]:
            say(_row(activation, init, False, options))
        for init in RESIDUAL.get(activation, ()):
            say(_row(activation, init, True, options))
    say(f"{time.perf_counter() - began:.0f} s")
    if options.save:
        device = jax.devices()[0].device_kind
        today = datetime.date.today()
        about = f"{today}, jnn {jnn.__version__}, jax {jax.__version__}, {device}"
        shared.write_table("starts", "\n".join([about, "", *lines, ""]))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = shared.Parser("initializers", "Final losses by depth and initializer.")
    parser.add_depths(DEEPEST, "hidden layers", DEPTHS)
    parser.add_steps(STEPS, f"of Adam (default {STEPS})")
    parser.add_seeds(SEEDS, f"a cell (default {SEEDS})")
    parser.add_argument(
        "--activations", nargs="+", choices=STARTS, default=tuple(STARTS), help="(default all)"
    )
    parser.add_save()
    return parser.parse_args(arguments)


# ---- training ----


def losses(
    activation: str, init: str, residual: bool, depth: int, steps: int, seeds: int
) -> np.ndarray:
    """The final mean squared error of each seed, all of them trained in one program.

    It is NaN where a network diverged.
    """
    sizes = [1] + [WIDTH] * depth + [1]
    starts = [
        jnn.init_network_params(sizes, key, activation=activation, init=init, residual=residual)
        for key in jax.random.split(jax.random.key(0), seeds)
    ]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    rate = optax.warmup_cosine_decay_schedule(0.0, 0.02 / depth, steps // 10, steps, 0.0)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    return np.asarray(_train(params, optimizer, steps))


@partial(jax.jit, static_argnums=(1, 2))
def _train(params: Any, optimizer: optax.GradientTransformation, steps: int) -> jax.Array:
    def loss(p: Any) -> jax.Array:
        return jnp.mean((jnn.predict(p, X) - Y) ** 2)

    def one(p: Any) -> jax.Array:
        def step(_: Any, carry: Any) -> Any:
            p, state = carry
            updates, state = optimizer.update(jax.grad(loss)(p), state, p)
            return optax.apply_updates(p, updates), state

        p, _ = jax.lax.fori_loop(0, steps, step, (p, optimizer.init(p)))
        return loss(p)

    return jax.lax.map(one, params)


# ---- the table ----


def _row(activation: str, init: str, residual: bool, options: argparse.Namespace) -> str:
    cells = [
        _cell(losses(activation, init, residual, depth, options.steps, options.seeds))
        for depth in options.depths
    ]
    name = activation + " residual" * residual
    return f"{name:<14} {init:<20}" + "".join(f"{cell:>25}" for cell in cells)


def _cell(final: np.ndarray) -> str:
    return f"{np.median(final):.1g} ({final.min():.0e} … {final.max():.0e})"


if __name__ == "__main__":
    shared.run("initializers", main)
