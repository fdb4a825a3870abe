"""Power series, as arrays of their coefficients from t⁰ on."""

import numpy as np


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product, as far as the shorter of the two reaches.

    >>> times(np.array([1.0, 1.0, 0.0]), np.array([1.0, -1.0, 0.0])).tolist()
    [1.0, 0.0, -1.0]
    """
    n = min(len(a), len(b))
    return np.convolve(a, b)[:n]


def power(a: np.ndarray, exponent: int) -> np.ndarray:
    """aᴺ by squaring.

    >>> power(np.array([1.0, 1.0, 0.0]), 3).tolist()
    [1.0, 3.0, 3.0]
    """
    result = np.zeros_like(a)
    result[0] = 1
    while exponent:
        if exponent % 2:
            result = times(result, a)
        a = times(a, a)
        exponent //= 2
    return result


def inverse(f: np.ndarray) -> np.ndarray:
    """The series g with f(g(t)) = t, where f begins with t.

    Lagrange's formula: n [tⁿ] g = [tⁿ⁻¹] (t/f)ⁿ.

    >>> inverse(np.array([0.0, 1.0, 1.0, 1.0])).tolist()  # of t/(1 − t): t/(1 + t)
    [0.0, 1.0, -1.0, 1.0]
    """
    # t/f
    ratio = np.zeros(len(f) - 1)
    ratio[0] = 1 / f[1]
    for k in range(1, len(ratio)):
        ratio[k] = -np.dot(f[2 : k + 2], ratio[k - 1 :: -1]) / f[1]
    g = np.zeros(len(f))
    of_ratio = np.eye(1, len(ratio))[0]
    for n in range(1, len(f)):
        of_ratio = times(of_ratio, ratio)
        g[n] = of_ratio[n - 1] / n
    return g
