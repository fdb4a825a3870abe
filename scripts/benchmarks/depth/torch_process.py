"""PyTorch's process of the group `depth`: `python -m benchmarks.depth.torch_process eager`.

Or `compiled`. It reads lines and answers each with one of JSON:

    case FILE    take the arrays w, b, x, y of FILE, compute once, and say in a remark how
    run          the seconds of one more gradient
    save FILE    write the gradient there, by w and by b

Eager, layers are a plain Python loop over the slices of one stacked tensor or over a list of
`Linear` modules, with one thread or two; the fastest of these on the first layers of a case
computes the case. Compiled, a block of ten layers is one program, called in a loop:
`torch.compile` of all layers would compile for minutes.
"""
# the library is an extra of this benchmark
# pyright: reportMissingImports=false

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], tuple[Any, ...]]
TRIAL = 200  # layers on which the ways are compared
BLOCK = 10  # layers that are compiled together


def save(path: Path, *arrays: Any) -> None:
    """Write arrays to a file."""
    np.savez(path, *map(np.asarray, arrays))


def _walk(w: Any, b: Any, x: Any) -> Any:
    import torch

    # unbind: the gradient is stacked once
    for w_l, b_l in zip(w.unbind(), b.unbind(), strict=True):
        x = torch.tanh(torch.nn.functional.linear(x, w_l, b_l))
    return x


def _stacked(w: Any, b: Any, x: Any, y: Any, walk: Callable[[Any, Any, Any], Any] = _walk) -> Run:
    import torch

    w = w.clone().requires_grad_()
    b = b.clone().requires_grad_()
    loss = torch.nn.functional.mse_loss
    return lambda: torch.autograd.grad(loss(walk(w, b, x), y), (w, b))


def _modules(w: Any, b: Any, x: Any, y: Any) -> Run:
    import torch

    depth, n = b.shape
    layers = [torch.nn.utils.skip_init(torch.nn.Linear, n, n) for _ in range(depth)]
    for l, layer in enumerate(layers):
        layer.weight.data = w[l].clone()
        layer.bias.data = b[l].clone()
    parameters: list[Any] = [a for layer in layers for a in (layer.weight, layer.bias)]

    def run() -> tuple[Any, ...]:
        state = x
        for layer in layers:
            state = torch.tanh(layer(state))
        return torch.autograd.grad(torch.nn.functional.mse_loss(state, y), parameters)

    return run


def _minimum(run: Run, *, seconds: float) -> float:
    run()
    times = []
    stop = time.perf_counter() + seconds
    while not times or time.perf_counter() < stop:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def eager(w: Any, b: Any, x: Any, y: Any) -> tuple[Run, str]:
    """The fastest way of those without compilation, and its name."""
    import torch

    ways = {"stacked": _stacked, "modules": _modules}
    seconds = {}
    for threads in range(1, min(os.cpu_count() or 1, 2) + 1):
        torch.set_num_threads(threads)
        for name, way in ways.items():
            trial = way(w[:TRIAL], b[:TRIAL], x, y)
            seconds[name, threads] = _minimum(trial, seconds=0.2)
    name, threads = min(seconds, key=seconds.__getitem__)
    torch.set_num_threads(threads)
    plural = "s" * (threads > 1)
    return ways[name](w, b, x, y), f"{name}, {threads} thread{plural}"


_blocks: dict[Any, Any] = {}  # the compiled block of the present shapes


def compiled(w: Any, b: Any, x: Any, y: Any) -> tuple[Run, str]:
    """Blocks of layers compiled by torch.compile, on one thread."""
    import torch

    torch.set_num_threads(1)
    block = next(k for k in range(min(BLOCK, len(b)), 0, -1) if len(b) % k == 0)
    shapes = block, *x.shape
    if shapes not in _blocks:
        # it counts how often a function was compiled, and gives up after a while
        torch._dynamo.reset()
        _blocks.clear()
        _blocks[shapes] = torch.compile(_walk, dynamic=False, fullgraph=True)

    def walk(w: Any, b: Any, x: Any) -> Any:
        blocks = (a.view(-1, block, *a.shape[1:]).unbind() for a in (w, b))
        for w_block, b_block in zip(*blocks, strict=True):
            x = _blocks[shapes](w_block, b_block, x)
        return x

    # x asks for a gradient so that the first block is compiled as the others are
    return _stacked(w, b, x.requires_grad_(), y, walk), f"blocks of {block}"


def main() -> None:
    """Answer lines until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    run: Run = tuple
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        answer: dict[str, Any] = {}
        if command == "case":
            run, answer["remark"] = _prepared(Path(path))
        elif command == "run":
            start = time.perf_counter()
            run()
            answer["seconds"] = time.perf_counter() - start
        elif command == "save":
            gradient = [a.numpy() for a in run()]
            if len(gradient) > 2:
                gradient = [np.stack(gradient[::2]), np.stack(gradient[1::2])]
            save(Path(path), *gradient)
        print(json.dumps(answer), file=answers, flush=True)


def _prepared(path: Path) -> tuple[Run, str]:
    """The run of a case, after its first; it ends the process where PyTorch fails."""
    import torch

    with np.load(path) as file:
        arrays = [torch.from_numpy(file[name]) for name in file.files]
    prepare = {"eager": eager, "compiled": compiled}[sys.argv[1]]
    try:
        run, remark = prepare(*arrays)
        run()
    except RuntimeError as error:  # its last line, which is the one shown, is often advice
        sys.exit(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
    return run, remark


if __name__ == "__main__":
    main()
