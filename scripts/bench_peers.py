"""The contestants of `bench_fit.py`: one training run, written for each library as its users would write it.

A contestant is prepared from a case and gives two functions: `run`, the whole run from the given initial parameters
until the last number is there, and `read`, which turns what it left into a list of (W, b). All of them visit the rows
in the order of the data, in equal batches, with Adam and ε = 1e-8. Keras and scikit-learn add ε before the bias
correction, the others after it: where gradients are as small as ε, their losses are others in the third digit.

    python bench_peers.py case.npz NAME

is the process of one contestant: it tells on standard output what the imports, the preparation and the first run took,
and then runs once more for each line that it reads. Only NumPy is imported before the clock of the imports starts.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

import contextlib
import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]  # (W, b) of shapes (n_out, n_in) and (n_out,)
Prepared = tuple[Callable[[], Any], Callable[[Any], Layers]]


class Case(NamedTuple):
    """A training run: n_0 inputs, `depth` hidden layers of one width, n_N outputs; "mse" or "cross_entropy"."""

    sizes: list[int]
    activation: str
    loss: str
    batch: int
    epochs: int
    x: np.ndarray
    y: np.ndarray
    parameters: np.ndarray  # W_1, b_1, W_2, … in one vector
    rate: float = 1e-3
    epsilon: float = 1e-8

    @property
    def layers(self) -> Layers:
        """The initial parameters layer by layer."""
        layers, start = [], 0
        for n_in, n_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            w, b = np.split(self.parameters[start : start + n_out * (n_in + 1)], [n_out * n_in])
            layers.append((w.reshape(n_out, n_in), b))
            start += n_out * (n_in + 1)
        return layers

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_0, width, hidden layers, n_N)."""
        return self.sizes[0], self.sizes[1], len(self.sizes) - 2, self.sizes[-1]

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of one epoch; the last may be smaller."""
        for start in range(0, len(self.x), self.batch):
            yield self.x[start : start + self.batch], self.y[start : start + self.batch]

    def save(self, path: Path) -> None:
        """Write the case to a file."""
        np.savez(path, **self._asdict())

    @classmethod
    def load(cls, path: Path) -> "Case":
        """Read the case from its file."""
        with np.load(path) as file:
            return cls(**{name: a if (a := file[name]).ndim and name != "sizes" else a.tolist() for name in file})


def full_loss(case: Case, layers: Layers) -> float:
    """The loss over all rows, in float64: one yardstick for all contestants."""
    x = case.x.astype(np.float64)
    for l, (w, b) in enumerate(layers, start=1):
        x = x @ np.asarray(w, np.float64).T + b
        if l < len(layers):
            x = np.tanh(x) if case.activation == "tanh" else np.maximum(x, 0)
    if case.loss == "mse":
        return float(np.mean((x - case.y) ** 2))
    x = x - x.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(x)), case.y]))


# ---- jnn ----


def _jnn(case: Case) -> Prepared:
    import jax
    import optax

    import jnn

    # by name, as its users would, unless ε is another: the comparison's
    adam: dict[str, Any] = {"optimizer": "adam", "learning_rate": case.rate}
    if case.epsilon != Case._field_defaults["epsilon"]:
        adam = {"optimizer": optax.adam(case.rate, eps=case.epsilon)}
    drawn = jnn.init_network_params(case.sizes, jax.random.key(0), activation=case.activation)
    start, rest = [], case.layers
    for stack in drawn:
        w, b = map(np.stack, zip(*rest[: stack.depth], strict=True))
        start.append(replace(stack, w=jax.numpy.asarray(w), b=jax.numpy.asarray(b)))
        rest = rest[stack.depth :]

    def run() -> Any:
        return jnn.fit(
            tuple(start), (case.x, case.y), loss=case.loss, epochs=case.epochs, batch_size=case.batch,
            shuffle=False, progress=False, **adam,
        )  # fmt: skip

    def read(result: Any) -> Layers:
        return [pair for stack in result.params for pair in zip(np.asarray(stack.w), np.asarray(stack.b), strict=True)]

    return run, read


# ---- scikit-learn ----


def _sklearn(case: Case) -> Prepared:
    from sklearn import neural_network

    kind = neural_network.MLPRegressor if case.loss == "mse" else neural_network.MLPClassifier

    class Given(kind):  # pyright: ignore[reportGeneralTypeIssues]  one class or the other
        """The estimator, starting from given parameters."""

        def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
            assert (fan_out, fan_in) == self.rest[0][0].shape
            w, b = self.rest.pop(0)
            return np.array(w.T, dtype, order="C"), np.array(b, dtype)

    def run() -> Any:
        model = Given(
            hidden_layer_sizes=case.sizes[1:-1], activation=case.activation, alpha=0, batch_size=case.batch,
            shuffle=False, tol=0, learning_rate_init=case.rate, max_iter=case.epochs, n_iter_no_change=case.epochs,
            # its squared error is halved: half of ε then gives the same steps
            epsilon=case.epsilon * (0.5 if case.loss == "mse" else 1),
        )  # fmt: skip
        model.rest = case.layers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "not converged": it ran the epochs that it was asked for
            return model.fit(case.x, case.y.ravel())

    return run, lambda model: [(w.T, b) for w, b in zip(model.coefs_, model.intercepts_, strict=True)]


# ---- PyTorch ----


def _torch(case: Case, threads: int) -> Prepared:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    hidden = nn.Tanh if case.activation == "tanh" else nn.ReLU
    modules = [m for n, m in zip(case.sizes[:-1], case.sizes[1:], strict=True) for m in (nn.Linear(n, m), hidden())]
    model = nn.Sequential(*modules[:-1])
    linear = [module for module in model if isinstance(module, nn.Linear)]
    objective = nn.MSELoss() if case.loss == "mse" else nn.CrossEntropyLoss()
    x, y = torch.from_numpy(case.x), torch.from_numpy(case.y)
    start = [torch.from_numpy(a.copy()) for pair in case.layers for a in pair]

    def run() -> Any:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), start, strict=True):
                parameter.copy_(value)
        optimizer = torch.optim.Adam(
            model.parameters(), lr=case.rate, eps=case.epsilon, fused=True
        )  # faster here than foreach
        for _ in range(case.epochs):
            for x_batch, y_batch in zip(x.split(case.batch), y.split(case.batch), strict=True):
                optimizer.zero_grad()
                objective(model(x_batch), y_batch).backward()
                optimizer.step()

    return run, lambda _: [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in linear]


# ---- Keras ----


def _keras(case: Case) -> Prepared:
    import keras

    sys.setrecursionlimit(100_000)  # it walks a deep network recursively
    model = keras.Sequential(
        [keras.Input(case.sizes[:1])]
        + [keras.layers.Dense(n, case.activation) for n in case.sizes[1:-1]]
        + [keras.layers.Dense(case.sizes[-1])]
    )
    objective = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(case.rate, epsilon=case.epsilon)
    model.compile(optimizer, keras.losses.MeanSquaredError() if case.loss == "mse" else objective)
    optimizer.build(model.trainable_variables)
    start = [a for w, b in case.layers for a in (w.T, b)]
    state = [np.array(v) for v in optimizer.variables]

    def run() -> None:
        model.set_weights(start)
        for variable, value in zip(optimizer.variables, state, strict=True):
            variable.assign(value)
        model.fit(case.x, case.y, batch_size=case.batch, epochs=case.epochs, shuffle=False, verbose=0)  # pyright: ignore[reportArgumentType]  as documented

    def read(_: Any) -> Layers:
        arrays = model.get_weights()
        return [(w.T, b) for w, b in zip(arrays[::2], arrays[1::2], strict=True)]

    return run, read


# ---- the process of one contestant ----


class Peer(NamedTuple):
    """What to import, how to prepare it, and how it counts."""

    modules: tuple[str, ...]
    prepare: Callable[[Case], Prepared]
    kind: str = "peer"  # or "deep", a peer in deep networks alone, "limit" or "products", shown and not counted
    environment: tuple[tuple[str, str], ...] = ()


def peers() -> dict[str, Peer]:
    """All of them by name, jnn first."""
    import bench_peers_jax as on_jax
    import bench_products as products

    equinox, flax = ("jax", "optax", "equinox"), ("jax", "optax", "flax.nnx")
    return {
        "jnn": Peer(("jax", "jnn"), _jnn),
        "scikit-learn": Peer(("sklearn.neural_network",), _sklearn),
        "PyTorch, 1 thread": Peer(("torch",), lambda case: _torch(case, 1)),
        "PyTorch, 2 threads": Peer(("torch",), lambda case: _torch(case, 2)),
        "Keras on JAX": Peer(("keras",), _keras, environment=(("KERAS_BACKEND", "jax"),)),
        "Equinox": Peer(equinox, on_jax.equinox_loop),
        "Equinox, layers scanned": Peer(equinox, on_jax.equinox_layers_scanned, "deep"),
        "Flax NNX": Peer(flax, on_jax.flax_loop),
        "Flax NNX, layers scanned": Peer(flax, on_jax.flax_layers_scanned, "deep"),
        "Equinox, whole run in lax.scan": Peer(equinox, on_jax.equinox_whole_run, "limit"),
        "the matrix products alone, NumPy": Peer((), products.products_numpy, "products"),
        "the matrix products alone, PyTorch": Peer(("torch",), products.products_torch, "products"),
        "the matrix products alone, JAX": Peer(("jax",), products.products_jax, "products"),
    }


def main() -> None:
    """Prepare and run one contestant, then once more for each line of standard input."""
    # what the libraries print must not stand between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    case, peer = Case.load(Path(sys.argv[1])), peers()[sys.argv[2]]
    os.environ.update(peer.environment)
    marks = [time.perf_counter()]
    for module in peer.modules:
        importlib.import_module(module)
    marks.append(time.perf_counter())
    run, read = peer.prepare(case)
    marks.append(time.perf_counter())
    trained = run()
    marks.append(time.perf_counter())
    imports, build, first = np.diff(marks)
    answer(imports=imports, build=build, first=first)
    answer(loss=full_loss(case, read(trained)))
    with contextlib.suppress(KeyboardInterrupt):  # the parent's: it ends this process by itself
        for _ in sys.stdin:
            start = time.perf_counter()
            run()
            answer(seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main()
