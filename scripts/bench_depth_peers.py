"""The other libraries, and the limit, of `bench_depth.py`: the gradient of one deep tanh stack.

A contestant is prepared from a case and gives two functions: `seconds` of one more gradient, and the `gradient` itself.
One that cannot be had raises `MissingError` or ImportError. Equinox and Flax NNX have their equal layers stacked and
scanned, as both documentations advise, and their models are handed to `jax.jit` as the trees of arrays that they are,
which spares them the microseconds of `eqx.filter_jit` and `nnx.jit` at every call.
"""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from bench_depth_torch import save
from bench_peers_jax import equinox_stack, flax_stack
from bench_process import Process
from bench_timing import elapsed

LIMIT = 90  # seconds until PyTorch's first gradient must be there, compilation included

Gradient = tuple[Any, Any]  # by w and by b


class Case(NamedTuple):
    """The layers x ← tanh(W x + b) with the loss mean (x_N − y)²."""

    w: jax.Array  # (depth, n, n)
    b: jax.Array  # (depth, n)
    x: jax.Array  # (batch, n)
    y: jax.Array  # (batch, n)


class Prepared(NamedTuple):
    """A contestant, ready for one case."""

    seconds: Callable[[], float]
    gradient: Callable[[], Gradient]
    remark: str = ""


class MissingError(Exception):
    """Why a contestant cannot be had on this machine."""


def on_jax(
    case: Case,
    predict: Callable[[Any, Any], Any],
    params: Any,
    read: Callable[[Any], Gradient],
) -> Prepared:
    """`jax.grad` of a batch's prediction. Parameters and data are arguments, so that nothing is computed beforehand."""
    f = jax.jit(jax.grad(lambda params, x, y: jnp.mean((predict(params, x) - y) ** 2)))

    def run() -> Any:
        return f(params, case.x, case.y)

    return Prepared(partial(elapsed, run), lambda: read(run()))


def _equinox(case: Case) -> Prepared:
    import equinox as eqx

    depth, n = case.b.shape
    keys = jax.random.split(jax.random.key(0), depth)
    shapes = eqx.filter_eval_shape(lambda keys: equinox_stack(jnp.tanh, n, keys), keys)
    model = eqx.tree_at(lambda m: [m.linear.weight, m.linear.bias], shapes, [case.w, case.b])
    return on_jax(case, lambda model, x: jax.vmap(model)(x), model, lambda g: (g.linear.weight, g.linear.bias))


def _flax(case: Case) -> Prepared:
    from flax import nnx

    depth, n = case.b.shape
    rest, shapes = nnx.split(nnx.eval_shape(lambda: flax_stack(jnp.tanh, n, depth, nnx.Rngs(0))))
    # its leaves are the bias and the kernel, which is (n_in, n_out)
    state = jax.tree.unflatten(jax.tree.structure(shapes), [case.b, case.w.swapaxes(1, 2).copy()])

    def read(gradient: Any) -> Gradient:
        b, kernel = jax.tree.leaves(gradient)
        return kernel.swapaxes(1, 2), b

    return on_jax(case, lambda state, x: nnx.merge(rest, state)(x), state, read)


# ---- PyTorch ----


class _Torch:
    """PyTorch in a process of its own, started when first asked: its idle threads and XLA's would share the cores."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.process: Process | None = None

    def prepare(self, case: Case) -> Prepared:
        # one compiling process has no helpers that would outlive it
        environment = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor")}
        self.process = self.process or Process("bench_depth_torch.py", self.kind, environment=environment)
        process, path = self.process, self.folder / f"{self.kind}.npz"
        save(path, *case)
        try:
            remark = process.ask(f"case {path}", LIMIT)["remark"]
        except (RuntimeError, TimeoutError) as error:
            raise MissingError(str(error)) from error

        def gradient() -> Gradient:
            process.ask(f"save {path}")
            with np.load(path) as file:
                return file["arr_0"], file["arr_1"]

        return Prepared(lambda: process.ask("run")["seconds"], gradient, remark)

    def stop(self) -> None:
        if self.process:
            self.process.stop()


# ---- the limit: C ----


@cache
def _compiled(n: int, batch: int, folder: Path) -> Any:
    """The function `gradient` of bench_depth_loop.c, compiled for one width and one batch."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise MissingError("there is no C compiler cc")
    library = folder / f"loop_{n}_{batch}.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", f"-DWIDTH={n}", f"-DBATCH={batch}"]
    source = Path(__file__).with_name("bench_depth_loop.c")
    made = subprocess.run([compiler, *flags, source, "-o", library], capture_output=True, text=True, check=False)
    if made.returncode:
        why = next((line for line in made.stderr.splitlines() if "error" in line), made.stderr)
        raise MissingError(f"cc failed: {why}")
    function = ctypes.CDLL(str(library)).gradient
    function.argtypes, function.restype = [ctypes.c_long, *[ctypes.c_void_p] * 7], None
    return function


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Uninitialised float32, aligned to 64 bytes."""
    memory = np.empty(4 * int(np.prod(shape)) + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + 4 * int(np.prod(shape))].view(np.float32).reshape(shape)


def _loop(case: Case, folder: Path) -> Prepared:
    depth, n = case.b.shape
    batch = len(case.x)
    function = _compiled(n, batch, folder)
    arrays = [*map(_aligned, [*(a.shape for a in case), (depth + 1, batch, n), case.w.shape, case.b.shape])]
    for mine, a in zip(arrays, case, strict=False):
        mine[...] = a
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]

    def run() -> Gradient:
        function(depth, *pointers)
        return arrays[-2], arrays[-1]

    return Prepared(partial(elapsed, run), run)


class Peers:
    """All of them by name; `folder` is for what they write."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="jnn-bench-")
        folder = Path(self.folder.name)
        self.torch = {"PyTorch": _Torch("eager", folder), "torch.compile": _Torch("compiled", folder)}
        self.by_name: dict[str, Callable[[Case], Prepared]] = {
            **{name: torch.prepare for name, torch in self.torch.items()},
            "Equinox": _equinox,
            "Flax NNX": _flax,
            "C loop": partial(_loop, folder=folder),
        }

    def stop(self) -> None:
        """End the processes, remove the files."""
        for torch in self.torch.values():
            torch.stop()
        self.folder.cleanup()
