"""Which start lets a plain deep network learn: final losses by depth, activation and initialiser, over seeds.

Run by `scripts/initializers`. Every cell trains networks of one shape from several seeds side by side, on sin(3x), by
the same optimiser with the same budget: Adam at the rate 0.02/depth with a warm-up, on all 32 points at once. A loss
of 0.5 or so is that of predicting the mean.
"""

import argparse
import datetime
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn

WIDTH, STEPS, SEEDS = 16, 500, 5
DEPTHS = (10, 100, 200, 400)
STARTS = {
    "tanh": ("glorot_uniform", "he_uniform", "lecun_normal", "critical", "critical_orthogonal"),
    "relu": ("glorot_uniform", "he_uniform", "asymmetric", "looks_linear"),
    "gelu": ("he_uniform", "critical", "critical_orthogonal"),
}
RESIDUAL = {"tanh": ("glorot_uniform", "fixup", "rezero")}
X = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
Y = np.sin(3 * X)
RESULTS = Path(__file__).parent / "bench_results" / "initializers.txt"


def losses(activation: str, init: str, residual: bool, depth: int, steps: int, seeds: int) -> np.ndarray:
    """The final mean squared error of each seed, all of them trained in one program; NaN where it diverged."""
    sizes = [1] + [WIDTH] * depth + [1]
    keys = jax.random.split(jax.random.key(0), seeds)
    starts = [jnn.init_network_params(sizes, key, activation=activation, init=init, residual=residual) for key in keys]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    rate = optax.warmup_cosine_decay_schedule(0.0, 0.02 / depth, steps // 10, steps, 0.0)
    return np.asarray(_train(params, optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)), steps))


@partial(jax.jit, static_argnums=(1, 2))
def _train(params: Any, optimizer: optax.GradientTransformation, steps: int) -> Any:
    def loss(p: Any) -> Any:
        return jnp.mean((jnn.predict(p, X) - Y) ** 2)

    def one(p: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            p, state = carry
            updates, state = optimizer.update(jax.grad(loss)(p), state, p)
            return optax.apply_updates(p, updates), state

        p, _ = jax.lax.fori_loop(0, steps, step, (p, optimizer.init(p)))
        return loss(p)

    return jax.lax.map(one, params)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and print; the exit code."""
    parser = argparse.ArgumentParser(prog="initializers", description="Final losses by depth and initialiser.")
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS, metavar="N", help="hidden layers")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"of Adam (default {STEPS})")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"a cell (default {SEEDS})")
    parser.add_argument("--activations", nargs="+", choices=STARTS, default=tuple(STARTS), help="(default all)")
    parser.add_argument("--record", action="store_true", help="write the table into scripts/bench_results, too")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    head = f"{'':<35}" + "".join(f"{f'{depth} layers':>25}" for depth in options.depths)
    lines = [f"median (least … most) final loss of {options.seeds} seeds, width {WIDTH}, {options.steps} steps", head]
    print("\n".join(lines), flush=True)
    for activation in options.activations:
        rows = [(init, False) for init in STARTS[activation]] + [(init, True) for init in RESIDUAL.get(activation, ())]
        for init, residual in rows:
            found = [losses(activation, init, residual, d, options.steps, options.seeds) for d in options.depths]
            cells = "".join(f"{_cell(f):>25}" for f in found)
            lines.append(f"{activation + ' residual' * residual:<14} {init:<20}{cells}")
            print(lines[-1], flush=True)
    lines.append(f"{time.perf_counter() - began:.0f} s")
    print(lines[-1])
    if options.record:
        about = f"{datetime.date.today()}, jnn {jnn.__version__}, jax {jax.__version__}, {jax.devices()[0].device_kind}"
        RESULTS.write_text("\n".join([about, "", *lines, ""]))
    return 0


def _cell(found: np.ndarray) -> str:
    return f"{np.median(found):.1g} ({found.min():.0e} … {found.max():.0e})"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninitializers: stopped")
