"""The other libraries, and the limit, of the group `depth`: the gradient of one deep tanh stack.

To add a contestant, write a function from a case to a `Contestant` and enter it in `Peers`. One
that cannot be had raises `MissingError` or ImportError.

Equinox and Flax NNX have their equal layers stacked and scanned, as both documentations advise, and
their models are handed to `jax.jit` as the trees of arrays that they are, which spares them the
microseconds of `eqx.filter_jit` and `nnx.jit` at every call.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

import ctypes
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import native
from benchmarks.depth.case import Case, Contestant, Gradient, MissingError, Prepare, on_jax
from benchmarks.depth.torch_process import save
from benchmarks.process import Process
from benchmarks.stacks import equinox_stack, flax_stack
from benchmarks.timing import elapsed

LIMIT = 90  # seconds until PyTorch's first gradient must be there, compilation included


class Peers:
    """All of them by name; `folder` is for what they write."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="jnn-bench-")
        folder = Path(self.folder.name)
        self.torch = {
            "PyTorch": _Torch("eager", folder),
            "torch.compile": _Torch("compiled", folder),
        }
        self.by_name: dict[str, Prepare] = {
            **{name: torch.prepare for name, torch in self.torch.items()},
            "Equinox": _equinox,
            "Flax NNX": _flax,
            "C loop": _loop,
        }

    def stop(self) -> None:
        """End the processes, remove the files."""
        for torch in self.torch.values():
            torch.stop()
        self.folder.cleanup()


# ---- Equinox and Flax NNX ----


def _equinox(case: Case) -> Contestant:
    import equinox as eqx

    depth, n = case.b.shape
    keys = jax.random.split(jax.random.key(0), depth)
    shapes = eqx.filter_eval_shape(lambda keys: equinox_stack(jnp.tanh, n, keys), keys)
    given = [case.w, case.b]
    model = eqx.tree_at(lambda m: [m.linear.weight, m.linear.bias], shapes, given)

    def predict(model: Any, x: Any) -> Any:
        return jax.vmap(model)(x)

    return on_jax(case, predict, model, lambda g: (g.linear.weight, g.linear.bias))


def _flax(case: Case) -> Contestant:
    from flax import nnx

    depth, n = case.b.shape
    model = nnx.eval_shape(lambda: flax_stack(jnp.tanh, n, depth, nnx.Rngs(0)))
    rest, shapes = nnx.split(model)
    # its leaves are the bias and the kernel, which is (n_in, n_out)
    leaves = [case.b, case.w.swapaxes(1, 2).copy()]
    state = jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    def read(gradient: Any) -> Gradient:
        b, kernel = jax.tree.leaves(gradient)
        return kernel.swapaxes(1, 2), b

    return on_jax(case, lambda state, x: nnx.merge(rest, state)(x), state, read)


# ---- PyTorch ----


class _Torch:
    """PyTorch in a process of its own, started when first asked.

    Its idle threads and XLA's would share the cores.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.process: Process | None = None

    def prepare(self, case: Case) -> Contestant:
        if self.process is None:
            self.process = self._start()
        process = self.process
        path = self.folder / f"{self.kind}.npz"
        save(path, *case)
        try:
            remark = process.ask(f"case {path}", LIMIT)["remark"]
        except (RuntimeError, TimeoutError) as error:
            raise MissingError(str(error)) from error

        def gradient() -> Gradient:
            process.ask(f"save {path}")
            with np.load(path) as file:
                return file["arr_0"], file["arr_1"]

        return Contestant(lambda: process.ask("run")["seconds"], gradient, remark)

    def _start(self) -> Process:
        environment = {
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # it has no helpers that would outlive it
            "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor"),
        }
        return Process("benchmarks.depth.torch_process", self.kind, environment=environment)

    def stop(self) -> None:
        if self.process:
            self.process.stop()


# ---- the limit: C ----


def _loop(case: Case) -> Contestant:
    depth, n = case.b.shape
    batch = len(case.x)
    function = _compiled(n, batch)
    shapes = [a.shape for a in case]
    shapes += [(depth + 1, batch, n), case.w.shape, case.b.shape]  # states, dw, db
    arrays = [native.aligned(shape) for shape in shapes]
    for mine, a in zip(arrays, case, strict=False):
        mine[...] = a
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]

    def run() -> Gradient:
        function(depth, *pointers)
        return arrays[-2], arrays[-1]

    return Contestant(partial(elapsed, run), run)


@cache
def _compiled(n: int, batch: int) -> Any:
    """The function `gradient` of loop.c, compiled for one width and one batch."""
    source = Path(__file__).with_name("loop.c")
    gradient = native.function(source, "gradient", WIDTH=n, BATCH=batch)
    gradient.argtypes = [ctypes.c_long, *[ctypes.c_void_p] * 7]
    return gradient
