"""What is not JAX: scikit-learn in two processes, PyTorch in two manners, and a loop in C."""
# the libraries are extras of this benchmark
# pyright: reportMissingImports=false

import copy
import ctypes
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import native
from benchmarks.many.case import EPSILON, RATE, Case, Layers

Run = Callable[[], Layers]
_LANES = 8
_TOGETHER = 8  # examples, a divisor of every batch but one

# ---- scikit-learn ----


def scikit_learn(case: Case) -> Run:
    """Its own network, one after the other in each of two processes of joblib."""
    from joblib import Parallel, delayed

    x, y = case.x, case.y[:, 0]
    starts = []
    for m in range(case.members):
        network = _estimator(case, x, y)
        network.coefs_ = [w[m].T.copy() for w, _ in case.layers]
        network.intercepts_ = [b[m].copy() for _, b in case.layers]
        starts.append(network)

    def run() -> Layers:
        found: Any = Parallel(n_jobs=2)(delayed(_fitted)(network, x, y) for network in starts)
        return [
            (
                np.stack([network.coefs_[l].T for network in found]),
                np.stack([network.intercepts_[l] for network in found]),
            )
            for l in range(len(case.layers))
        ]

    return run


def _estimator(case: Case, x: np.ndarray, y: np.ndarray) -> Any:
    """One that was fitted for an epoch: it goes on from whatever weights it is given."""
    from sklearn.neural_network import MLPRegressor

    options: Any = {
        "hidden_layer_sizes": (case.width,) * 2, "activation": "tanh", "alpha": 0,
        "batch_size": case.batch, "learning_rate_init": RATE, "epsilon": EPSILON, "tol": 0,
        "n_iter_no_change": 10**9, "shuffle": case.order is not None, "max_iter": 1,
        "warm_start": True, "random_state": 0,
    }  # fmt: skip
    network = MLPRegressor(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        network.fit(x, y)
    network.max_iter = case.epochs
    network.n_iter_ = network.t_ = 0
    return network


def _fitted(network: Any, x: np.ndarray, y: np.ndarray) -> Any:
    network = copy.deepcopy(network)  # what joblib runs in this process would go on from its end
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return network.fit(x, y)


# ---- PyTorch ----


def torch_func(case: Case) -> Run:
    """`torch.func`: one network called for all, by `vmap` of `functional_call`."""
    import torch
    from torch import nn
    from torch.func import functional_call, vmap

    width = case.width
    network = nn.Sequential(
        nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
    )
    names = [name for name, _ in network.named_parameters()]

    def losses(parameters: Any, x: Any, y: Any) -> Any:
        def one(parameters: Any) -> Any:
            return nn.functional.mse_loss(functional_call(network, parameters, (x,)), y) / 2

        return vmap(one)(dict(zip(names, parameters, strict=True)))

    def run() -> Layers:
        start = [torch.tensor(a, requires_grad=True) for pair in case.layers for a in pair]
        return _by_torch(case, start, losses)

    return run


def torch_baddbmm(case: Case) -> Run:
    """Batched by hand: a product of three-dimensional arrays a layer."""
    import torch

    def losses(parameters: Any, x: Any, y: Any) -> Any:
        states = x.expand(case.members, *x.shape)
        for l in range(0, len(parameters), 2):
            w, b = parameters[l : l + 2]
            states = torch.baddbmm(b[:, None], states, w.transpose(1, 2))
            states = states.tanh() if l + 2 < len(parameters) else states
        return ((states - y) ** 2).mean((1, 2)) / 2

    def run() -> Layers:
        start = [torch.tensor(a, requires_grad=True) for pair in case.layers for a in pair]
        return _by_torch(case, start, losses)

    return run


def _by_torch(case: Case, parameters: list[Any], losses: Callable[[Any, Any, Any], Any]) -> Layers:
    """Adam on all members' parameters at once: a sum of losses has each member's own gradient."""
    import torch

    optimizer = torch.optim.Adam(parameters, lr=RATE, eps=EPSILON, fused=True)
    x, y = torch.from_numpy(case.x), torch.from_numpy(case.y)
    for visits in torch.from_numpy(case.visits.astype(np.int64)):
        for rows in visits.split(case.batch):
            optimizer.zero_grad()
            losses(parameters, x[rows], y[rows]).sum().backward()
            optimizer.step()
    found = [p.detach().numpy() for p in parameters]
    return list(zip(found[::2], found[1::2], strict=True))


# ---- the limit: C ----


def loop_in_c(case: Case, threads: int = 2) -> Run:
    """Eight members are the lanes of a vector; `loop.c`, by so many threads."""
    train = _compiled(case.width, 1 if case.batch == 1 else _TOGETHER)
    x, y = (np.ascontiguousarray(a[:, 0]) for a in (case.x, case.y))
    order = np.ascontiguousarray(case.visits)
    # a member's parameters in one row; lanes that are left over repeat the last member
    flat = np.concatenate([a.reshape(case.members, -1) for p in case.layers for a in p], axis=1)
    rows = np.minimum(np.arange(-(-case.members // _LANES) * _LANES), case.members - 1)
    groups = flat[rows].reshape(-1, _LANES, flat.shape[1]).transpose(0, 2, 1)

    def one(start: np.ndarray) -> np.ndarray:
        p = native.aligned(start.shape)
        p[...] = start
        moments = [native.aligned(start.shape) for _ in range(2)]
        for moment in moments:
            moment[...] = 0
        pointers = [a.ctypes.data for a in (p, *moments, x, y, order)]
        train(*pointers, case.epochs, len(x), case.batch, RATE, EPSILON)
        return p

    def run() -> Layers:
        with ThreadPoolExecutor(threads) as pool:
            found = np.stack(list(pool.map(one, groups)))
        members = found.transpose(0, 2, 1).reshape(-1, flat.shape[1])[: case.members]
        return list(_unpacked(case, members))

    return run


def _unpacked(case: Case, members: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    start = 0
    for w, b in case.layers:
        middle = start + w[0].size
        end = middle + b[0].size
        yield members[:, start:middle].reshape(w.shape), members[:, middle:end]
        start = end


@cache
def _compiled(width: int, tile: int) -> Any:
    """The function `train` of loop.c, compiled for one width."""
    train = native.function(Path(__file__).with_name("loop.c"), "train", WIDTH=width, TILE=tile)
    train.argtypes = [ctypes.c_void_p] * 6 + [ctypes.c_long] * 3 + [ctypes.c_float] * 2
    return train
