"""The contestants of the group `fit`: one training run, as each library's users would write it.

All of them visit the rows in the order of the data, in equal batches, with Adam and ε = 1e-8. Keras
and scikit-learn add ε before the bias correction, the others after it: where gradients are as small
as ε, their losses are others in the third digit.

To add a contestant, write a function from a training run to a `Trainer` and enter it in `PEERS`. It
starts from `training.layers`; its libraries are imported inside it.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fit import on_equinox, on_flax, on_jnn, products
from benchmarks.fit.case import Layers, Trainer, Training

# ---- scikit-learn ----


def _sklearn(training: Training) -> Trainer:
    from sklearn import neural_network

    regression = training.loss == "mse"
    kind = neural_network.MLPRegressor if regression else neural_network.MLPClassifier

    class Given(kind):  # pyright: ignore[reportGeneralTypeIssues]  one class or the other
        """The estimator, starting from given parameters."""

        def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
            assert (fan_out, fan_in) == self.rest[0][0].shape
            w, b = self.rest.pop(0)
            return np.array(w.T, dtype, order="C"), np.array(b, dtype)

    def run() -> Any:
        model = Given(
            hidden_layer_sizes=training.sizes[1:-1],
            activation=training.activation,
            alpha=0,
            batch_size=training.batch,
            shuffle=False,
            tol=0,
            learning_rate_init=training.rate,
            max_iter=training.epochs,
            n_iter_no_change=training.epochs,
            # its squared error is halved: half of ε then gives the same steps
            epsilon=training.epsilon * (0.5 if regression else 1),
        )
        model.rest = training.layers
        with warnings.catch_warnings():
            # "not converged": it ran the epochs that it was asked for
            warnings.simplefilter("ignore")
            return model.fit(training.x, training.y.ravel())

    def read(model: Any) -> Layers:
        return [(w.T, b) for w, b in zip(model.coefs_, model.intercepts_, strict=True)]

    return Trainer(run, read)


# ---- PyTorch ----


def _torch(training: Training, *, threads: int) -> Trainer:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    hidden = nn.Tanh if training.activation == "tanh" else nn.ReLU
    modules: list[Any] = []
    for n_in, n_out in zip(training.sizes[:-1], training.sizes[1:], strict=True):
        modules += [nn.Linear(n_in, n_out), hidden()]
    model = nn.Sequential(*modules[:-1])
    linear = [module for module in model if isinstance(module, nn.Linear)]
    objective = nn.MSELoss() if training.loss == "mse" else nn.CrossEntropyLoss()
    x = torch.from_numpy(training.x)
    y = torch.from_numpy(training.y)
    start = [torch.from_numpy(a.copy()) for pair in training.layers for a in pair]

    def run() -> Any:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), start, strict=True):
                parameter.copy_(value)
        # fused is faster here than foreach
        optimizer = torch.optim.Adam(
            model.parameters(), lr=training.rate, eps=training.epsilon, fused=True
        )
        for _ in range(training.epochs):
            batches = zip(x.split(training.batch), y.split(training.batch), strict=True)
            for x_batch, y_batch in batches:
                optimizer.zero_grad()
                objective(model(x_batch), y_batch).backward()
                optimizer.step()

    def read(_: Any) -> Layers:
        return [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in linear]

    return Trainer(run, read)


# ---- Keras ----


def _keras(training: Training) -> Trainer:
    import keras

    sys.setrecursionlimit(100_000)  # it walks a deep network recursively
    model = keras.Sequential(
        [
            keras.Input(training.sizes[:1]),
            *(keras.layers.Dense(n, training.activation) for n in training.sizes[1:-1]),
            keras.layers.Dense(training.sizes[-1]),
        ]
    )
    if training.loss == "mse":
        objective = keras.losses.MeanSquaredError()
    else:
        objective = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(training.rate, epsilon=training.epsilon)
    model.compile(optimizer, objective)
    optimizer.build(model.trainable_variables)
    start = [a for w, b in training.layers for a in (w.T, b)]
    state = [np.array(v) for v in optimizer.variables]

    def run() -> None:
        model.set_weights(start)
        for variable, value in zip(optimizer.variables, state, strict=True):
            variable.assign(value)
        model.fit(
            training.x,
            training.y,
            batch_size=training.batch,
            epochs=training.epochs,
            shuffle=False,
            verbose=0,  # pyright: ignore[reportArgumentType]  as documented
        )

    def read(_: Any) -> Layers:
        arrays = model.get_weights()
        return [(w.T, b) for w, b in zip(arrays[::2], arrays[1::2], strict=True)]

    return Trainer(run, read)


# ---- all of them ----


class Peer(NamedTuple):
    """What to import, how to prepare it, and how it counts."""

    modules: tuple[str, ...]
    prepare: Callable[[Training], Trainer]
    # or "deep", a peer in deep networks alone; "limit", "products" and, where jnn computes on
    # another device, "cpu" are shown and not counted
    kind: str = "peer"
    environment: tuple[tuple[str, str], ...] = ()


_EQUINOX = ("jax", "optax", "equinox")
_FLAX = ("jax", "optax", "flax.nnx")
_KERAS_ON_JAX = (("KERAS_BACKEND", "jax"),)

PEERS = {  # jnn first
    "jnn": Peer(("jax", "jnn"), on_jnn.fit),
    "whole run by hand on jnn.predict": Peer(("jax", "jnn"), on_jnn.by_hand, "limit"),
    "jnn on the CPU": Peer(("jax", "jnn"), on_jnn.fit, "cpu", (("JAX_PLATFORMS", "cpu"),)),
    "scikit-learn": Peer(("sklearn.neural_network",), _sklearn),
    "PyTorch, 1 thread": Peer(("torch",), partial(_torch, threads=1)),
    "PyTorch, 2 threads": Peer(("torch",), partial(_torch, threads=2)),
    "Keras on JAX": Peer(("keras",), _keras, environment=_KERAS_ON_JAX),
    "Equinox": Peer(_EQUINOX, on_equinox.loop),
    "Equinox, layers scanned": Peer(_EQUINOX, on_equinox.layers_scanned, "deep"),
    "Flax NNX": Peer(_FLAX, on_flax.loop),
    "Flax NNX, layers scanned": Peer(_FLAX, on_flax.layers_scanned, "deep"),
    "Equinox, whole run in lax.scan": Peer(_EQUINOX, on_equinox.whole_run, "limit"),
    "the matrix products alone, NumPy": Peer((), products.products_numpy, "products"),
    "the matrix products alone, PyTorch": Peer(("torch",), products.products_torch, "products"),
    "the matrix products alone, JAX": Peer(("jax",), products.products_jax, "products"),
}
