"""The rows of the group `fit`: training runs, and how they are to be judged."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

import jnn
from benchmarks.fit.case import Training


class Row(NamedTuple):
    """A training run, and how it is to be judged."""

    title: str
    make: Callable[[], Training]
    tolerance: float = 1e-3  # of the final loss, relative
    # the steps after which losses are compared, where the whole run amplifies rounding
    compared: int | None = None
    products: bool = False  # also show the matrix products alone


def rows(quick: bool) -> list[Row]:
    """All of them, or the first two shortened."""
    ten = partial(_ten_features, 100, 1, 5 if quick else 50)
    digits = partial(_digits, 10 if quick else 100)
    shallow = [
        Row("ten features: 10–100–1 relu, 850 rows, batch 50", ten),
        # rare pixels have gradients as small as ε
        Row(
            "digits: 64–100–10 relu, 1,437 rows, batch 200",
            digits,
            compared=None if quick else 80,
        ),
    ]
    if quick:
        return shallow
    narrow = partial(_ten_features, 16, 32, 20)
    return [
        *shallow,
        # the first steps overshoot, 13.4 → 1.3 → 8.3: the signs of a few vanishing gradients,
        # rounded, soon move it all
        Row("wide: 32–512–512–512–1 relu, 8,192 rows, batch 64", _wide, compared=3, products=True),
        Row("narrow: 10–32×16–1 tanh, 850 rows, batch 50", narrow, compared=17),
        Row("deep: 8–1,000×8–1 tanh, batch 32, 20 steps", _deep),
    ]


def _given(
    sizes: list[int],
    activation: str,
    x: Any,
    y: Any,
    *,
    batch: int,
    epochs: int,
    loss: str = "mse",
) -> Training:
    """He's weights for relu, orthogonal ones of gain 1 for tanh; no biases."""
    generator = np.random.default_rng(0)
    vectors = []
    for n_in, n_out in pairwise(sizes):
        w = generator.normal(size=(max(n_in, n_out), min(n_in, n_out)))
        gain = 1
        if activation == "tanh":
            w = np.linalg.qr(w)[0]
        if activation == "relu":
            gain = np.sqrt(2 / n_in)
        w = w.reshape(n_out, n_in) if w.shape == (n_out, n_in) else w.T
        vectors += [w.ravel() * gain, np.zeros(n_out)]
    parameters = np.concatenate(vectors).astype(np.float32)
    return Training(sizes, activation, loss, batch, epochs, x, y, parameters)


def _ten_features(width: int, depth: int, epochs: int) -> Training:
    x, y = (a[:850] for a in jnn.data.ten_features(jax.random.key(0), 1000))
    activation = "relu" if depth == 1 else "tanh"
    return _given([10, *[width] * depth, 1], activation, x, y, batch=50, epochs=epochs)


def _digits(epochs: int) -> Training:
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingImports]

    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:1437]
    x = (x[order] / 16).astype(np.float32)
    y = labels[order]
    return _given([64, 100, 10], "relu", x, y, batch=200, epochs=epochs, loss="cross_entropy")


def _wide() -> Training:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(8192, 32)).astype(np.float32)
    y = np.sin(x @ generator.normal(size=(32, 1)) / 4).astype(np.float32)
    return _given([32, 512, 512, 512, 1], "relu", x, y, batch=64, epochs=3)


def _deep() -> Training:
    x = np.random.default_rng(1).normal(size=(640, 8)).astype(np.float32)
    return _given([8] * 1001 + [1], "tanh", x, np.cos(x[:, :1]), batch=32, epochs=1)
