"""The matrix products of a training run and nothing else, by three libraries: no run can be faster.

Of each layer and batch that is X Wᵀ forward, and Gᵀ X and (but for the first layer) G W backward.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.fit.case import Trainer, Training


def operations(training: Training) -> int:
    """Floating-point operations of the whole run's matrix products."""
    return 2 * training.steps * sum(a.size * b.shape[1] for a, b in _factors(training))


def products_numpy(training: Training) -> Trainer:
    """By NumPy."""
    factors = [(a, b, a @ b) for a, b in _factors(training)]
    return _repeated(training, lambda: [np.matmul(a, b, out=c) for a, b, c in factors])


def products_torch(training: Training) -> Trainer:
    """By PyTorch."""
    import torch

    # transposed views stay views, so that torch sees the transposition too
    pairs = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in _factors(training)]
    factors = [(a, b, a @ b) for a, b in pairs]
    return _repeated(training, lambda: [torch.mm(a, b, out=c) for a, b, c in factors])


def products_jax(training: Training) -> Trainer:
    """By JAX."""
    import jax

    # a transposed factor is transposed inside the program, where the compiler joins it to the
    # product
    factors = list(_factors(training))
    turned = [(not a.flags.c_contiguous, not b.flags.c_contiguous) for a, b in factors]
    stored = [
        (a.T if i else a, b.T if j else b) for (a, b), (i, j) in zip(factors, turned, strict=True)
    ]

    @jax.jit
    def step(stored: Any) -> Any:
        return [
            (a.T if i else a) @ (b.T if j else b)
            for (a, b), (i, j) in zip(stored, turned, strict=True)
        ]

    on_device = jax.device_put(stored)
    return _repeated(training, lambda: jax.block_until_ready(step(on_device)))


def _factors(training: Training) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The factors of each product of one batch."""
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    sizes = zip(training.sizes[:-1], training.sizes[1:], strict=True)
    for l, (n_in, n_out) in enumerate(sizes):
        x = normal(training.batch, n_in)
        w = normal(n_out, n_in)
        g = normal(training.batch, n_out)
        yield x, w.T
        yield g.T, x
        if l > 0:
            yield g, w


def _repeated(training: Training, step: Callable[[], Any]) -> Trainer:
    def run() -> None:
        for _ in range(training.steps):
            step()

    return Trainer(run, lambda _: training.layers)
