"""What narrow networks cannot approximate: how wide one must be, and what a network of width one leaves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jnn.activations import ACTIVATIONS
from jnn.params import check_sizes

# ---- how wide a network must be ----


class Width(NamedTuple):
    """The least width with which networks of any depth approximate every function: lower ≤ width ≤ upper."""

    lower: int
    upper: int
    sources: tuple[str, ...]  # the theorems that give these two


class _Theorem(NamedTuple):
    source: str
    activations: frozenset[str]
    space: str
    lower: Callable[[int, int], int] | None
    upper: Callable[[int, int], int] | None
    holds: Callable[[int, int], bool] = lambda *_: True


_NONAFFINE = frozenset(ACTIVATIONS) - {"identity"}  # all are C¹ somewhere with a slope other than 0
_INJECTIVE = _NONAFFINE - {"gelu", "silu", "sin"}  # monotone, so limits of injective functions
_RELU = frozenset({"relu"})
_RELU_LIKE = frozenset({"relu", "leaky_relu", "elu", "selu", "softplus"})

_THEOREMS = (
    _Theorem("Park et al. 2021", _RELU, "Lp(R)", lambda x, y: max(x + 1, y), lambda x, y: max(x + 1, y)),
    _Theorem("Kim, Min, Park 2024", _RELU_LIKE, "Lp(K)", lambda x, y: max(x, y, 2), lambda x, y: max(x, y, 2)),
    _Theorem("Cai 2023", _NONAFFINE, "Lp(K)", lambda x, y: max(x, y), None),
    _Theorem("width one is monotone", _INJECTIVE, "Lp(K)", lambda x, y: max(x, y, 2), None),
    _Theorem("Park et al. 2021", _NONAFFINE, "Lp(K)", None, lambda x, y: max(x + 2, y + 1)),
    _Theorem("Kidger and Lyons 2020", _NONAFFINE, "Lp(K)", None, lambda x, y: x + y + 1),
    _Theorem("Hanin and Sellke 2017", _RELU, "C(K)", lambda x, _: x + 1, lambda x, y: x + y),
    _Theorem("Johnson 2019", _INJECTIVE, "C(K)", lambda x, _: x + 1, None, lambda _, y: y == 1),
    _Theorem("Kim, Min, Park 2024", _INJECTIVE, "C(K)", lambda _, y: y + 1, None, lambda x, y: x < y <= 2 * x),
    _Theorem("Cai 2023", _NONAFFINE, "C(K)", lambda x, y: max(x, y), None),
    _Theorem("Kidger and Lyons 2020", _NONAFFINE, "C(K)", None, lambda x, y: x + y + 1),
)


def minimum_width(d_x: int, d_y: int, *, activation: str = "relu", space: str = "Lp(R)") -> Width:
    """The least width of the hidden layers with which networks, however deep, approximate every function.

    "Lp(R)", Lᵖ(ℝ^d_x) with 1 ≤ p < ∞:
      relu: max(d_x + 1, d_y), exactly (Park, Yun, Lee, Shin 2021);
    "Lp(K)", Lᵖ of a cube:
      relu, leaky_relu, elu, selu, softplus: max(d_x, d_y, 2), exactly (Kim, Min, Park 2024);
      any: at least max(d_x, d_y) (Cai 2023), and 2 if monotone; at most max(d_x + 2, d_y + 1) (Park et al. 2021);
    "C(K)", continuous functions on a cube, in the maximum norm:
      relu: d_x + 1 … d_x + d_y (Hanin and Sellke 2017);
      monotone: at least d_x + 1 if d_y = 1 (Johnson 2019), at least d_y + 1 if d_x < d_y ≤ 2 d_x (Kim et al. 2024);
      any: at least max(d_x, d_y) (Cai 2023), at most d_x + d_y + 1 (Kidger and Lyons 2020).

    "any" is every named activation but the identity: not a polynomial, and continuously differentiable at some point
    with a slope other than 0.

    Args:
      d_x, d_y: the dimensions of input and output, positive.
      activation: a name of `jnn.activations.ACTIVATIONS`.
      space: "Lp(R)", "Lp(K)" or "C(K)".
    Raises:
      ValueError: a dimension is no positive integer, a name is unknown, or no theorem here speaks of the pair.

    >>> minimum_width(2, 1)
    Width(lower=3, upper=3, sources=('Park et al. 2021',))
    >>> minimum_width(2, 2, activation="tanh", space="C(K)")[:2]
    (2, 5)
    """
    x, y = check_sizes([d_x, d_y])
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if space not in (spaces := dict.fromkeys(theorem.space for theorem in _THEOREMS)):
        raise ValueError(f"space must be one of {', '.join(spaces)}, got {space!r}")
    known = [t for t in _THEOREMS if activation in t.activations and t.space == space and t.holds(x, y)]
    if not known:
        remedy = "networks are affine" if activation == "identity" else 'ask for space="Lp(K)" or "C(K)"'
        raise ValueError(f"no theorem here speaks of activation {activation!r} in {space}: {remedy}")
    lower, source = max(((t.lower(x, y), t.source) for t in known if t.lower), key=lambda pair: pair[0])
    upper, other = min(((t.upper(x, y), t.source) for t in known if t.upper), key=lambda pair: pair[0])
    return Width(lower, upper, tuple(dict.fromkeys((source, other))))


# ---- monotone: what they cannot fit ----


class Floor(NamedTuple):
    """The least errors that a monotone function leaves."""

    mse: float
    sup: float


def monotone_floor(x: Any, y: Any, weights: Any = None) -> Floor:
    """The least mean squared and the least largest error on data (x, y) of any monotone function.

    A network of width one with a monotone activation is monotone, rising or falling, so that no depth and no training
    brings it below. The best rising function in the mean square is the isotonic projection (neighbours that fall are
    pooled); that of the maximum norm leaves half of the deepest fall, max over xᵢ ≤ xⱼ of (yᵢ − yⱼ)/2.

    Args:
      x, y: (n,), in any order.
      weights: (n,), positive; None for all ones.
    Raises:
      ValueError: the shapes differ, there are no data, a number is not finite, or a weight is not positive.

    |x|, uniform on [−1, 1]: width two fits it exactly by relu(x) + relu(−x), and width one leaves

    >>> x = (np.arange(20_000) + 0.5) / 10_000 - 1
    >>> round(monotone_floor(x, np.abs(x)).mse, 7)
    0.057191
    >>> monotone_floor([-1, 0, 1], [1, 0, 1]).sup
    0.5
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    w = np.ones(x.shape) if weights is None else np.asarray(weights, np.float64)
    if x.ndim != 1 or not x.shape == y.shape == w.shape or x.size == 0:
        raise ValueError(f"x, y and weights must be of one shape (n,), n ≥ 1; got {x.shape}, {y.shape}, {w.shape}")
    if not np.isfinite([x, y, w]).all() or w.min() <= 0:
        raise ValueError("x, y and weights must be finite, and weights positive")
    rising, falling = (_rising_floor(x, side, w / w.sum()) for side in (y, -y))
    return Floor(min(rising.mse, falling.mse), min(rising.sup, falling.sup))


def _rising_floor(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Floor:
    from scipy.optimize import isotonic_regression  # 0.25 s to import

    _, at = np.unique(x, return_inverse=True)  # a function has one value at equal x
    mass = np.bincount(at, w)
    fit = isotonic_regression(np.bincount(at, w * y) / mass, weights=mass).x
    order = np.lexsort((-y, x))  # at equal x the largest first: their differences count as falls
    fall = np.maximum.accumulate(y[order]) - y[order]
    return Floor(float(w @ (y - fit[at]) ** 2), float(fall.max() / 2))
