"""Kernels of networks of infinite width: NNGP and NTK.

In the NTK parametrisation zₗ = σ_w/√n_{l−1} Wₗ h(zₗ₋₁) + σ_b bₗ, all entries of W and b from N(0,
1). With H hidden layers of infinite width the output is a Gaussian process of covariance K_H
(NNGP), and gradient descent moves it along the kernel T_H (NTK), with (u, v) ~ N(0, K_l at x and
x'):

    K_0 = σ_w² x·x'/n_0 + σ_b²,    K_{l+1} = σ_w² E[h(u) h(v)] + σ_b²,
    T_0 = K_0,                     T_{l+1} = K_{l+1} + σ_w² E[h'(u) h'(v)] T_l

(Lee et al. 2018; Jacot et al. 2018). `jnn.diagnostics.empirical_ntk` measures the NTK of a network
that is there.
"""

from typing import NamedTuple

import numpy as np

from jnn import checks, memory
from jnn.activations import ActivationLike
from jnn.arrays.limits import reals
from jnn.checks import Data, Real
from jnn.equality import by_value
from jnn.shapes import Float
from jnn.theory import gaussian
from jnn.theory.mean_field.maps import check_point


@by_value
class Kernels(NamedTuple):
    """Of a network of infinite width, for each pair of examples."""

    nngp: Float[np.ndarray, "n m"]
    ntk: Float[np.ndarray, "n m"]


def infinite_width(
    x: Data,
    x2: Data = None,
    *,
    hidden: int,
    activation: ActivationLike = "relu",
    sigma_w2: Real = 2.0,
    sigma_b2: Real = 0.0,
) -> Kernels:
    """NNGP K_H and NTK T_H of H hidden layers of infinite width and a linear readout.

    In closed form for identity, relu and leaky_relu (arc-cosine kernels, Cho and Saul 2009), erf
    (Williams 1997) and sin, as one integral for hard_tanh, else by quadrature in polar coordinates:
    exact to 1e-9 where K is below 5, to 1e-5 below 100, for activations smooth on either side of 0;
    other kinks cost up to 1e-2.

    Args:
      x, x2: (n, n_0) and (m, n_0); None for x itself.
      hidden: H, at least 0.
      activation: of the hidden layers.
      sigma_w2, sigma_b2: weight variance times fan-in, positive, and bias variance, at least 0.
    Raises:
      TypeError: hidden is not an integer, or a variance not a number.
      ValueError: the inputs are not two-dimensional, of one width and finite, or a number lies
        outside of its limits.
    Source: Lee et al. 2018; Jacot, Gabriel, Hongler 2018.

    >>> K, T = infinite_width([[1, 0], [0.6, 0.8]], hidden=10)
    >>> K.round(6).tolist()
    [[1.0, 0.906611], [0.906611, 1.0]]
    >>> T.round(6).tolist()
    [[11.0, 4.358241], [4.358241, 11.0]]
    """
    x, x2 = _inputs(x, x2)
    hidden = checks.integer("hidden", hidden, 0, 10**6, meaning="how many hidden layers there are")
    sigma_w2, sigma_b2 = check_point(activation, sigma_w2, sigma_b2)
    expectations = gaussian.products(activation)
    scale = sigma_w2 / x.shape[1]
    p = scale * np.sum(x * x, 1) + sigma_b2
    q = scale * np.sum(x2 * x2, 1) + sigma_b2
    K = scale * (x @ x2.T) + sigma_b2
    T = K
    for _ in range(hidden):
        values, slopes = expectations(p[:, None], q[None, :], K)
        p = sigma_w2 * expectations(p, p, p)[0] + sigma_b2
        q = sigma_w2 * expectations(q, q, q)[0] + sigma_b2
        K = sigma_w2 * values + sigma_b2
        T = K + sigma_w2 * slopes * T
    return Kernels(K, T)


def _inputs(x: Data, x2: Data) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
    x = reals("x", x, meaning="examples, (n, n_0)")
    x2 = x if x2 is None else reals("x2", x2, meaning="examples, (m, n_0)")
    if x.ndim != 2 or x2.ndim != 2 or x.shape[1] != x2.shape[1] or 0 in x.shape + x2.shape:
        raise ValueError(
            f"x and x2 have shapes {x.shape} and {x2.shape}; expected (n, n_0) and (m, n_0): one "
            "example a row"
        )
    pairs = len(x) * len(x2)
    memory.check(f"the kernels of {pairs:,} pairs of examples", 32 * pairs, "take fewer at a time")
    return x, x2
