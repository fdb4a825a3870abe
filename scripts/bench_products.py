"""The matrix products of a case's training run and nothing else, by three libraries: no whole run can be faster.

Of each layer and batch that is X Wᵀ forward, and Gᵀ X and (but for the first layer) G W backward.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bench_peers import Case, Prepared


def _factors(case: "Case") -> Iterator[tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(0)
    for l, (n_in, n_out) in enumerate(zip(case.sizes[:-1], case.sizes[1:], strict=True)):
        x, w, g = (
            generator.normal(size=shape).astype(np.float32)
            for shape in ((case.batch, n_in), (n_out, n_in), (case.batch, n_out))
        )
        yield from [(x, w.T), (g.T, x), (g, w)][: 2 if l == 0 else 3]


def operations(case: "Case") -> int:
    """Floating-point operations of the whole run's matrix products."""
    return 2 * _steps(case) * sum(a.size * b.shape[1] for a, b in _factors(case))


def _steps(case: "Case") -> int:
    return case.epochs * -(-len(case.x) // case.batch)


def _repeated(case: "Case", step: Callable[[], Any]) -> "Prepared":
    def run() -> None:
        for _ in range(_steps(case)):
            step()

    return run, lambda _: case.layers


def products_numpy(case: "Case") -> "Prepared":
    factors = [(a, b, a @ b) for a, b in _factors(case)]
    return _repeated(case, lambda: [np.matmul(a, b, out=c) for a, b, c in factors])


def products_torch(case: "Case") -> "Prepared":
    import torch

    # transposed views stay views, so that torch sees the transposition too
    factors = [(a, b, a @ b) for a, b in ((torch.from_numpy(a), torch.from_numpy(b)) for a, b in _factors(case))]
    return _repeated(case, lambda: [torch.mm(a, b, out=c) for a, b, c in factors])


def products_jax(case: "Case") -> "Prepared":
    import jax

    # a transposed factor is transposed inside the program, where the compiler joins it to the product
    stored = [(a if a.flags.c_contiguous else a.T, b if b.flags.c_contiguous else b.T) for a, b in _factors(case)]
    turned = [(not a.flags.c_contiguous, not b.flags.c_contiguous) for a, b in _factors(case)]

    @jax.jit
    def step(factors: Any) -> Any:
        return [(a.T if i else a) @ (b.T if j else b) for (a, b), (i, j) in zip(factors, turned, strict=True)]

    factors = jax.device_put(stored)
    return _repeated(case, lambda: jax.block_until_ready(step(factors)))
