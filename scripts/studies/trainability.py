"""How deep a tanh network can be trained, by the variance of its weights.

Run by `scripts/trainability`. The picture of Schoenholz, Gilmer, Ganguli and Sohl-Dickstein 2017:
stochastic gradient descent on the digits of scikit-learn (8 × 8 pixels, ten classes), for every
pair of depth and σ_w², σ_b² = 0.05. A network learns where its inputs are still told apart at the
end, down to about 6 ξ_c, which mean-field theory predicts and the picture shows as a line.

Hundreds of networks share one program: a network of depth d uses the first d layers of an array for
the deepest. Its pass and its triangular system are loops of d steps, written out here; back
substitution updates every layer's weights as soon as it has used them. Networks of one depth go
side by side, depths one after the other.
"""

import argparse
import datetime
import platform
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import plotly.graph_objects as go
from jax import Array, lax

import jnn
from jnn import figures
from jnn.theory import mean_field
from studies import shared

SIGMA_B2 = 0.05
WIDTH = 32
BATCH = 64
DEPTHS = (4, 8, 12, 16, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90, 100, 120)
DEEPEST = 10_000
POINTS = 16  # of σ_w²
LEAST, MOST = 1.0, 4.0  # σ_w²


class Map(NamedTuple):
    """Accuracies (depths, σ_w²) after training, and how long it took."""

    sigma_w2: np.ndarray
    depths: np.ndarray
    accuracy: np.ndarray
    compile_seconds: float
    run_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit code."""
    options = parse(arguments)
    measured = measure(options)
    text = "\n".join(
        [
            table(measured),
            f"compiled in {measured.compile_seconds:.1f} s, run in {measured.run_seconds:.0f} s; "
            f"{agreement(measured)}",
        ]
    )
    print(text)
    shared.write_picture(picture(measured, options.steps), options.out / "trainability")
    if options.save:
        device = jax.devices()[0].device_kind
        about = f"jnn {jnn.__version__}, jax {jax.__version__}, {device}, {platform.machine()}"
        shared.write_table("trainability", f"{datetime.date.today()}, {about}\n\n{text}\n")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = shared.Parser("trainability", "Accuracy by depth and weight variance.")
    parser.add_steps(400, "of gradient descent (default 400)")
    parser.add_seed("(default 0)")
    parser.add_depths(DEEPEST, "hidden layers", DEPTHS)
    parser.add_argument(
        "--points",
        type=shared.whole("number of points", 1, 1000),
        default=POINTS,
        metavar="N",
        help=f"of σ_w² from {LEAST:g} to {MOST:g}",
    )
    parser.add_out("where the picture goes (default out)")
    parser.add_save()
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> Map:
    """Every network, trained."""
    x, y = digits()
    depths = np.array(options.depths)
    sigma_w2 = np.linspace(LEAST, MOST, options.points)
    given = (
        jax.random.split(jax.random.key(options.seed), len(sigma_w2)),
        jnp.asarray(sigma_w2, jnp.float32),
        jnp.asarray(depths),
        jnp.asarray(x),
        jnp.asarray(y),
        visits(x.shape[1], options.steps, options.seed),
    )
    began = time.perf_counter()
    program = train.lower(*given, greatest=int(depths.max())).compile()
    compiled = time.perf_counter()
    networks = depths.size * sigma_w2.size
    print(f"{networks} networks in one program, {options.steps} steps each", flush=True)
    accuracy = np.asarray(program(*given))
    done = time.perf_counter()
    return Map(sigma_w2, depths, accuracy, compiled - began, done - compiled)


# ---- the data ----


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (64, n) of mean square 1, and one-hot labels (10, n), an example a column."""
    from sklearn.datasets import load_digits  # an extra

    x, y = load_digits(return_X_y=True)
    x = x - x.mean(0)
    x = x / np.sqrt(np.mean(x**2))
    return x.T.astype(np.float32), np.eye(10, dtype=np.float32)[y].T


# ---- one network ----


def start(key: Array, sigma_w2: Any, shapes: tuple[int, int, int, int]) -> dict[str, Array]:
    """Gaussian weights and biases; shapes are (n_0, width, greatest depth, classes)."""
    n_0, n, depth, classes = shapes
    keys = jax.random.split(key, 5)

    def normal(key: Array, variance: Any, *shape: int) -> Array:
        return jnp.sqrt(variance) * jax.random.normal(key, shape)

    return {
        "first": normal(keys[0], sigma_w2 / n_0, n, n_0),
        "first_b": normal(keys[1], SIGMA_B2, n, 1),
        "w": normal(keys[2], sigma_w2 / n, depth, n, n),
        "b": normal(keys[3], SIGMA_B2, depth, n, 1),
        "readout": normal(keys[4], 1 / n, classes, n),
        "readout_b": jnp.zeros((classes, 1)),
    }


def forward(p: dict[str, Array], depth: Any, x: Array) -> tuple[Array, Array]:
    """States x_0 … x_depth and the logits of a batch of columns."""
    states = jnp.zeros((len(p["w"]) + 1, WIDTH, x.shape[1]))
    states = states.at[0].set(jnp.tanh(p["first"] @ x + p["first_b"]))

    def layer(l: Array, states: Array) -> Array:
        return states.at[l + 1].set(jnp.tanh(p["w"][l] @ states[l] + p["b"][l]))

    states = lax.fori_loop(0, depth, layer, states)
    return states, p["readout"] @ states[depth] + p["readout_b"]


def step(p: dict[str, Array], depth: Any, x: Array, y: Array, rate: Any) -> dict[str, Array]:
    """One step of gradient descent on the cross-entropy.

    Back substitution uses a layer's weights and then moves them.
    """
    states, logits = forward(p, depth, x)
    error = (jax.nn.softmax(logits, axis=0) - y) / x.shape[1]

    def layer(i: Array, carry: Any) -> Any:
        w, b, λ = carry
        l = depth - 1 - i
        μ = (1 - states[l + 1] ** 2) * λ
        below = w[l].T @ μ
        w = w.at[l].add(-rate * μ @ states[l].T)
        b = b.at[l].add(-rate * jnp.sum(μ, 1, keepdims=True))
        return w, b, below

    w, b, λ = lax.fori_loop(0, depth, layer, (p["w"], p["b"], p["readout"].T @ error))
    μ = (1 - states[0] ** 2) * λ
    return {
        "first": p["first"] - rate * μ @ x.T,
        "first_b": p["first_b"] - rate * jnp.sum(μ, 1, keepdims=True),
        "w": w,
        "b": b,
        "readout": p["readout"] - rate * error @ states[depth].T,
        "readout_b": p["readout_b"] - rate * jnp.sum(error, 1, keepdims=True),
    }


# ---- hundreds ----


@partial(jax.jit, static_argnames="greatest")
def train(
    keys: Array,
    sigma_w2: Array,
    depths: Array,
    x: Array,
    y: Array,
    order: Array,
    greatest: int,
) -> Array:
    """Accuracies (depths, σ_w²) after as many steps as the order has rows; the rate is 1/depth."""

    def one(key: Array, sigma_w2: Array, depth: Array) -> Array:
        def update(i: Array, p: Any) -> Any:
            return step(p, depth, x[:, order[i]], y[:, order[i]], 1 / depth)

        p = start(key, sigma_w2, (len(x), WIDTH, greatest, len(y)))
        p = lax.fori_loop(0, len(order), update, p)
        predicted = jnp.argmax(forward(p, depth, x)[1], 0)
        return jnp.mean(predicted == jnp.argmax(y, 0))

    return lax.map(lambda depth: jax.vmap(one, (0, 0, None))(keys, sigma_w2, depth), depths)


def visits(n: int, steps: int, seed: int) -> np.ndarray:
    """(steps, BATCH) examples, epoch after epoch in a new order."""
    rng = np.random.default_rng(seed)
    epochs = -(-steps * BATCH // n)
    order = np.concatenate([rng.permutation(n) for _ in range(epochs)])
    return order[: steps * BATCH].reshape(steps, BATCH)


# ---- what is shown ----


def theory(sigma_w2: np.ndarray) -> np.ndarray:
    """6 ξ_c of wide networks."""
    limits = [mean_field.limits("tanh", sigma_w2=float(w), sigma_b2=SIGMA_B2) for w in sigma_w2]
    return np.array([limit.trainable_depth for limit in limits])


def table(measured: Map) -> str:
    """Accuracies in per cent, a row a depth; the last row is what theory allows."""
    head = f"{'layers':>7} | σ_w² " + "".join(f"{w:>6.2f}" for w in measured.sigma_w2)
    rows = [
        f"{depth:>7} |      " + "".join(f"{100 * accuracy:>6.0f}" for accuracy in row)
        for depth, row in zip(measured.depths, measured.accuracy, strict=True)
    ]
    limit = "".join(f"{min(depth, 9999):>6.0f}" for depth in theory(measured.sigma_w2))
    return "\n".join([head, *rows, f"{'6 ξ_c':>7} |      {limit}"])


def agreement(measured: Map) -> str:
    """How the deepest network above 50 % goes with ξ_c over σ_w²: the rank correlation."""
    from scipy.stats import spearmanr

    deepest = [measured.depths[column > 0.5].max(initial=0) for column in measured.accuracy.T]
    if len(set(deepest)) == 1:
        return f"all networks of {deepest[0]} layers could be trained"
    correlation: Any = spearmanr(deepest, theory(measured.sigma_w2))[0]
    return f"rank correlation of the deepest trained with ξ_c: {correlation:.2f}"


def picture(measured: Map, steps: int) -> go.Figure:
    """The map with the line of theory."""
    fine = np.linspace(LEAST, MOST, 121)
    return figures.trainability(
        measured.sigma_w2,
        measured.depths,
        measured.accuracy,
        limit=(fine, theory(fine)),
        title=f"Accuracy after {steps} steps: tanh, width {WIDTH}, σ<sub>b</sub>² = {SIGMA_B2}",
    )


if __name__ == "__main__":
    shared.run("trainability", main)
