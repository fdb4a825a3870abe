"""What narrow networks cannot approximate: how wide one must be, and what width one leaves."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jnn import checks
from jnn.activations import ACTIVATIONS, Activation
from jnn.arrays.limits import reals
from jnn.checks import Data
from jnn.equality import by_value

# ---- how wide a network must be ----


class Width(NamedTuple):
    """The least width that suffices, however deep the network: lower ≤ width ≤ upper."""

    lower: int
    upper: int
    sources: tuple[str, ...]  # the theorems that give these two


class _Theorem(NamedTuple):
    source: str
    speaks_of: Callable[[Activation], bool]
    space: str
    lower: Callable[[int, int], int] | None
    upper: Callable[[int, int], int] | None
    holds: Callable[[int, int], bool] = lambda *_: True


def _nonaffine(h: Activation) -> bool:
    """Every named one is C¹ somewhere with a slope other than 0."""
    return h.family != "affine"


def _injective(h: Activation) -> bool:
    """A monotone function is a limit of injective ones."""
    return h.monotone and _nonaffine(h)


def _relu(h: Activation) -> bool:
    return h.family == "relu"


def _relu_like(h: Activation) -> bool:
    return h.family in ("relu", "relu-like")


_THEOREMS = (
    _Theorem(
        "Park et al. 2021", _relu, "Lp(R)", lambda x, y: max(x + 1, y), lambda x, y: max(x + 1, y)
    ),
    _Theorem(
        "Kim, Min, Park 2024",
        _relu_like,
        "Lp(K)",
        lambda x, y: max(x, y, 2),
        lambda x, y: max(x, y, 2),
    ),
    _Theorem("Cai 2023", _nonaffine, "Lp(K)", lambda x, y: max(x, y), None),
    _Theorem("width one is monotone", _injective, "Lp(K)", lambda x, y: max(x, y, 2), None),
    _Theorem("Park et al. 2021", _nonaffine, "Lp(K)", None, lambda x, y: max(x + 2, y + 1)),
    _Theorem("Kidger and Lyons 2020", _nonaffine, "Lp(K)", None, lambda x, y: x + y + 1),
    _Theorem("Hanin and Sellke 2017", _relu, "C(K)", lambda x, _: x + 1, lambda x, y: x + y),
    _Theorem("Johnson 2019", _injective, "C(K)", lambda x, _: x + 1, None, lambda _, y: y == 1),
    _Theorem(
        "Kim, Min, Park 2024",
        _injective,
        "C(K)",
        lambda _, y: y + 1,
        None,
        lambda x, y: x < y <= 2 * x,
    ),
    _Theorem("Cai 2023", _nonaffine, "C(K)", lambda x, y: max(x, y), None),
    _Theorem("Kidger and Lyons 2020", _nonaffine, "C(K)", None, lambda x, y: x + y + 1),
)


def minimum_width(d_x: int, d_y: int, *, activation: str = "relu", space: str = "Lp(R)") -> Width:
    """The least width with which networks of any depth approximate every function.

    It is that of the hidden layers, and what is known of it depends on the space.

    "Lp(R)", Lᵖ(ℝ^d_x) with 1 ≤ p < ∞:
      relu: max(d_x + 1, d_y), exactly (Park, Yun, Lee, Shin 2021).
    "Lp(K)", Lᵖ of a cube:
      relu, leaky_relu, elu, selu, softplus: max(d_x, d_y, 2), exactly (Kim, Min, Park 2024);
      any: at least max(d_x, d_y) (Cai 2023), and 2 if monotone; at most max(d_x + 2, d_y + 1)
      (Park et al. 2021).
    "C(K)", continuous functions on a cube, in the maximum norm:
      relu: d_x + 1 … d_x + d_y (Hanin and Sellke 2017);
      monotone: at least d_x + 1 if d_y = 1 (Johnson 2019), at least d_y + 1 if d_x < d_y ≤ 2 d_x
      (Kim et al. 2024);
      any: at least max(d_x, d_y) (Cai 2023), at most d_x + d_y + 1 (Kidger and Lyons 2020).

    "any" is every named activation but the identity: not a polynomial, and continuously
    differentiable at some point with a slope other than 0.

    Args:
      d_x, d_y: the dimensions of input and output, positive.
      activation: a name of `jnn.ACTIVATIONS`.
      space: "Lp(R)", "Lp(K)" or "C(K)".
    Raises:
      TypeError: a dimension is not an integer.
      ValueError: a dimension is not positive, a name is unknown, or no theorem here speaks of the
        pair.

    >>> minimum_width(2, 1)
    Width(lower=3, upper=3, sources=('Park et al. 2021',))
    >>> minimum_width(2, 2, activation="tanh", space="C(K)")[:2]
    (2, 5)
    """
    x = checks.integer("d_x", d_x, 1, meaning="the dimension of the input")
    y = checks.integer("d_y", d_y, 1, meaning="the dimension of the output")
    h = ACTIVATIONS[checks.known("activation", activation, ACTIVATIONS)]
    checks.known("space", space, dict.fromkeys(theorem.space for theorem in _THEOREMS))
    known = [t for t in _THEOREMS if t.speaks_of(h) and t.space == space and t.holds(x, y)]
    if not known:
        remedy = 'ask for space="Lp(K)" or "C(K)"' if _nonaffine(h) else "networks are affine"
        raise ValueError(
            f"no theorem here speaks of activation {activation!r} in {space}: {remedy}"
        )
    lowers = [(t.lower(x, y), t.source) for t in known if t.lower]
    uppers = [(t.upper(x, y), t.source) for t in known if t.upper]
    lower, of_lower = max(lowers, key=lambda pair: pair[0])
    upper, of_upper = min(uppers, key=lambda pair: pair[0])
    return Width(lower, upper, tuple(dict.fromkeys((of_lower, of_upper))))


# ---- monotone: what they cannot fit ----


@by_value
class Floor(NamedTuple):
    """The least errors that a monotone function leaves."""

    mse: float
    sup: float


def monotone_floor(x: Data, y: Data, weights: Data = None) -> Floor:
    """The least mean squared and the least largest error on data (x, y) of any monotone function.

    A network of width one with a monotone activation is monotone, rising or falling, so that no
    depth and no training brings it below. The best rising function in the mean square is the
    isotonic projection (neighbours that fall are pooled); that of the maximum norm leaves half of
    the deepest fall, max over xᵢ ≤ xⱼ of (yᵢ − yⱼ)/2.

    Args:
      x, y: (n,), in any order.
      weights: (n,), positive; None for all ones.
    Raises:
      ValueError: the shapes differ, there are no data, a number is not finite, or a weight is not
        positive.

    |x|, uniform on [−1, 1]: width two fits it exactly by relu(x) + relu(−x), and width one leaves

    >>> x = (np.arange(20_000) + 0.5) / 10_000 - 1
    >>> round(monotone_floor(x, np.abs(x)).mse, 7)
    0.057191
    >>> monotone_floor([-1, 0, 1], [1, 0, 1]).sup
    0.5
    """
    x, y = reals("x", x, meaning="inputs"), reals("y", y, meaning="targets")
    one = np.ones(x.shape) if weights is None else weights
    w = reals("weights", one, above=0, meaning="of the rows")
    if x.ndim != 1 or not x.shape == y.shape == w.shape or x.size == 0:
        raise ValueError(
            f"x, y and weights have shapes {x.shape}, {y.shape} and {w.shape}; expected one shape "
            "(n,), n ≥ 1"
        )
    w = w / w.sum()
    rising = _rising_floor(x, y, w)
    falling = _rising_floor(x, -y, w)
    return Floor(min(rising.mse, falling.mse), min(rising.sup, falling.sup))


def _rising_floor(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Floor:
    from scipy.optimize import isotonic_regression  # 0.25 s to import

    # a function has one value at equal x
    _, at = np.unique(x, return_inverse=True)
    mass = np.bincount(at, w)
    fit = isotonic_regression(np.bincount(at, w * y) / mass, weights=mass).x
    # at equal x the largest first: their differences count as falls
    order = np.lexsort((-y, x))
    fall = np.maximum.accumulate(y[order]) - y[order]
    return Floor(float(w @ (y - fit[at]) ** 2), float(fall.max() / 2))
