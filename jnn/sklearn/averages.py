"""An average of networks as one network, and scalings as a part of its first and last layer.

Both are exact up to rounding, in NumPy and float64. So whatever takes a network (predictions,
files, diagnostics, the triangular system) takes an average of several in its own units.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy.linalg import block_diag

from jnn.data.scaling import Standardization

Layers: TypeAlias = list[tuple[np.ndarray, np.ndarray]]  # [(W_1, b_1), …], Wₗ: (n_l, n_{l−1})


def joined(members: Sequence[Layers]) -> Layers:
    """One network whose output is the mean of the members' outputs.

        W_1 = (W_1¹; …; W_1ᴹ),   Wₗ = diag(Wₗ¹, …, Wₗᴹ),   W_N = (W_N¹, …, W_Nᴹ)/M

    Hidden layers stand beside each other and do not see each other; the last layer averages.

    Args:
      members: M networks of the same sizes, all with the same activation.

    >>> one, other = [(np.eye(1), np.ones(1))] * 2, [(-np.eye(1), np.ones(1))] * 2
    >>> [(w.tolist(), b.tolist()) for w, b in joined([one, other])]
    [([[1.0], [-1.0]], [1.0, 1.0]), ([[0.5, -0.5]], [1.0])]
    """
    network = []
    depth = len(members[0])
    for l, of_layer in enumerate(zip(*members, strict=True)):
        ws, bs = ([np.asarray(a, np.float64) for a in each] for each in zip(*of_layer, strict=True))
        if l < depth - 1:
            network.append((np.concatenate(ws) if l == 0 else block_diag(*ws), np.concatenate(bs)))
        elif l == 0:  # without hidden layers
            network.append((np.mean(ws, axis=0), np.mean(bs, axis=0)))
        else:
            network.append((np.concatenate(ws, axis=1) / len(ws), np.mean(bs, axis=0)))
    return network


def unscaled(network: Layers, x: Standardization, y: Standardization | None = None) -> Layers:
    """The network that takes rows as they came, and gives outputs in the units of y.

        W_1 (x − μ)/σ + b_1 = (W_1/σ) x + (b_1 − (W_1/σ) μ)

    Args:
      network: from standardised rows to standardised outputs.
      x, y: from `jnn.data.standardization`; y is None where outputs have no units.

    >>> doubled = [(np.array([[2.0]]), np.zeros(1))]
    >>> scaling = Standardization(mean=np.array([10.0]), scale=np.array([4.0]))
    >>> [(w.tolist(), b.tolist()) for w, b in unscaled(doubled, scaling, scaling)]
    [([[2.0]], [-10.0])]
    """
    network = [(np.asarray(w, np.float64), np.asarray(b, np.float64)) for w, b in network]
    w, b = network[0]
    w = w / np.asarray(x.scale, np.float64)
    network[0] = w, b - w @ np.asarray(x.mean, np.float64)
    if y is not None:
        w, b = network[-1]
        scale = np.asarray(y.scale, np.float64)
        network[-1] = w * scale[:, None], b * scale + np.asarray(y.mean, np.float64)
    return network
