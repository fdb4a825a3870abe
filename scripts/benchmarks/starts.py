"""The contestants of the group `cold`, one in a process of its own.

    python -m benchmarks.starts NAME BEGUN DIRECTORY

trains a small network by NAME and prints the seconds of each part, the first of them since BEGUN,
the parent's clock. DIRECTORY is where compiled programs are kept, if it is not empty. Each
contestant is written as its own documentation would have it, and yields at the end of each part.
"""
# pyright: reportMissingImports=false

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

PARTS = ("python", "imports", "own imports", "parameters", "first fit", "second fit")
SIZES = [10, 20, 20, 1]
ROWS, BATCH, EPOCHS, RATE = 200, 32, 20, 1e-3
Parts = Iterator[Any]  # the last two are losses on all rows, ½ the mean square


def data() -> tuple[Any, Any]:
    """x: (200, 10) and y: (200, 1)."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(ROWS, SIZES[0])).astype(np.float32)
    return x, np.sin(x[:, :1])


def of_jnn(directory: str) -> Parts:
    """`jnn.fit`."""
    import jax
    import numpy as np
    import optax

    del np, optax
    yield
    import jnn

    yield
    if directory:
        jnn.keep_compiled(directory)
    params = jax.block_until_ready(jnn.init_network_params(SIZES, jax.random.key(0)))
    yield
    for _ in range(2):
        run = jnn.fit(params, data(), epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE)
        yield run.history["loss"][-1]


def by_hand(directory: str) -> Parts:
    """The whole run as one program of JAX and optax, without anything beside the losses."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    yield
    yield
    if directory:
        jax.config.update("jax_compilation_cache_dir", directory)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    random = np.random.default_rng(0)
    shapes = zip(SIZES[1:], SIZES[:-1], strict=True)
    params = [(random.normal(size=s) / s[1] ** 0.5, np.zeros(s[0])) for s in shapes]
    params = jax.block_until_ready(jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params))
    key = jax.random.key(0)
    optimizer = optax.adam(RATE)
    yield

    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = jnp.tanh(x @ w.T + b)
        w, b = params[-1]
        return jnp.mean((x @ w.T + b - y) ** 2) / 2

    def step(x: Any, y: Any, carry: Any, index: Any) -> Any:
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params, x[index], y[index])
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    @jax.jit
    def run(params: Any, x: Any, y: Any, key: Any) -> Any:
        def epoch(carry: Any, key: Any) -> Any:
            order = jax.random.permutation(key, ROWS)
            whole = ROWS // BATCH * BATCH
            carry, values = jax.lax.scan(
                partial(step, x, y), carry, order[:whole].reshape(-1, BATCH)
            )
            carry, last = step(x, y, carry, order[whole:])
            return carry, (BATCH * values.sum() + (ROWS - whole) * last) / ROWS

        start = (params, optimizer.init(params))
        return jax.lax.scan(epoch, start, jax.random.split(key, EPOCHS))

    for _ in range(2):
        _, losses = run(params, *data(), key)
        yield float(losses[-1])


def of_sklearn(_: str) -> Parts:
    """scikit-learn's MLPRegressor."""
    import warnings

    import numpy as np
    from sklearn.neural_network import MLPRegressor

    del np
    warnings.simplefilter("ignore")  # it has not converged
    yield
    yield
    yield
    for seed in range(2):
        x, y = data()
        options: Any = {"batch_size": BATCH}  # whose default, a word, is taken for its type
        model = MLPRegressor(
            hidden_layer_sizes=SIZES[1:-1], activation="tanh", alpha=0, max_iter=EPOCHS,
            n_iter_no_change=EPOCHS + 1, learning_rate_init=RATE, random_state=seed, **options,
        )  # fmt: skip
        yield model.fit(x, y[:, 0]).loss_


def of_equinox(_: str) -> Parts:
    """Equinox: a compiled step, in a loop."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    yield
    import equinox as eqx

    yield
    model = eqx.nn.MLP(SIZES[0], 1, SIZES[1], 2, jnp.tanh, key=jax.random.key(0))
    optimizer = optax.adam(RATE)
    state = optimizer.init(eqx.filter(model, eqx.is_array))
    jax.block_until_ready(state)
    yield

    def loss(model: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jax.vmap(model)(x) - y) ** 2) / 2

    @eqx.filter_jit
    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        value, gradient = eqx.filter_value_and_grad(loss)(model, x, y)
        updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(model, updates), state, value

    measured = eqx.filter_jit(loss)
    for seed in range(2):
        now, at = model, state
        for x, y in _batches(np.random.default_rng(seed)):
            now, at, _ = step(now, at, x, y)
        yield float(measured(now, *data()))


def of_flax(_: str) -> Parts:
    """Flax NNX: a compiled step, in a loop."""
    import jax.numpy as jnp
    import numpy as np
    import optax

    yield
    from flax import nnx

    yield
    adam = optax.adam(RATE)

    def build() -> Any:
        rngs = nnx.Rngs(0)
        layers: list[Any] = []
        for n_in, n_out in pairwise(SIZES):
            layers += [nnx.Linear(n_in, n_out, rngs=rngs), jnp.tanh]
        model = nnx.Sequential(*layers[:-1])
        return model, nnx.Optimizer(model, adam, wrt=nnx.Param)

    model, optimizer = build()
    yield

    def loss(model: Any, x: Any, y: Any) -> Any:
        return jnp.mean((model(x) - y) ** 2) / 2

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        gradient = nnx.grad(loss)(model, x, y)
        optimizer.update(model, gradient)

    measured = nnx.jit(loss)
    for seed in range(2):
        if seed:
            model, optimizer = build()
        for x, y in _batches(np.random.default_rng(seed)):
            step(model, optimizer, x, y)
        yield float(measured(model, *data()))


def _batches(random: Any) -> Iterator[tuple[Any, Any]]:
    """All minibatches of all epochs, shuffled."""
    x, y = data()
    for _ in range(EPOCHS):
        order = random.permutation(ROWS)
        for i in range(0, ROWS, BATCH):
            yield x[order[i : i + BATCH]], y[order[i : i + BATCH]]


STARTS: dict[str, Callable[[str], Parts]] = {
    "jnn": of_jnn,
    "jnn, compiled kept": of_jnn,
    "jax and optax, by hand": by_hand,
    "jax and optax, compiled kept": by_hand,
    "scikit-learn": of_sklearn,
    "Flax NNX": of_flax,
    "Equinox": of_equinox,
}


def main() -> None:
    """Run one contestant and print the seconds of its parts."""
    name, begun, directory = sys.argv[1:]
    marks, losses = [float(begun), time.time()], []
    for loss in STARTS[name](directory):
        marks.append(time.time())
        losses.append(loss)
    # starts are drawn differently: what is asked is that each has learnt, y² / 2 being 0.2
    if not all(loss < 0.2 for loss in losses[-2:]):
        raise SystemExit(f"{name} has not learnt: losses {losses[-2:]}")
    print(*(b - a for a, b in pairwise(marks)))


if __name__ == "__main__":
    main()
