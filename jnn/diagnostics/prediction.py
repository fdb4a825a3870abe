"""What theory predicts of a network's gradients, and of changes that should do better."""

import math
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple, TypeAlias

import numpy as np

from jnn import initializers
from jnn.activations import ActivationLike
from jnn.params import Params, Stack

_NARROW = 100  # the width up to which relu layers are predicted by their exact law

Runs: TypeAlias = list[tuple[ActivationLike, int]]  # (activation, how many layers), in order


class Remedy(NamedTuple):
    """A change, and what it makes of the gradient at the first hidden layer."""

    change: str
    log_ratio: float  # ln of it then, in units of that at the last hidden layer


# ---- of the network as it is ----


def log_factors(hidden: Params, m: float, mean: float) -> tuple[np.ndarray, str]:
    """ln of what each hidden layer multiplies ‖λ‖ with on the way back, and the name of the law.

    Args:
      hidden: the layers but the readout.
      m, mean: the mean square and the mean of the entries of the network's input.
    Returns:
      (H,), and the law of most layers.
    """
    from jnn.theory import mean_field

    factors = []
    laws: dict[str, int] = {}
    for stack in hidden:
        w = np.asarray(stack.w, np.float64)
        b = np.asarray(stack.b, np.float64)
        sigma_w2 = max(float(np.mean(w**2)) * w.shape[2], 1e-30)
        wide = mean_field.signals(
            stack.depth,
            stack.activation,
            sigma_w2=sigma_w2,
            sigma_b2=float(np.mean(b**2)),
            start=(m, mean),
            residual=stack.residual,
        )
        exact = _exact_law(stack, w, b, sigma_w2)
        factor, law = exact or (wide.log_gradient, "mean field of wide layers")
        factors.append(factor)
        laws[law] = laws.get(law, 0) + stack.depth
        m = float(wide.state2[-1])
        mean = float(wide.state[-1])
    return np.concatenate(factors), max(laws, key=lambda law: laws[law])


def _exact_law(
    stack: Stack, w: np.ndarray, b: np.ndarray, sigma_w2: float
) -> tuple[np.ndarray, str] | None:
    """Of narrow layers: ln of the factors and the name of the law; None where there is none."""
    from jnn.theory import finite_width, width_one

    n_out, n_in = w.shape[1:]
    if stack.residual or n_out != n_in:
        return None
    if n_in == 1:
        bound = width_one.log_gradient_bound([1.0], stack.activation)
        with np.errstate(divide="ignore"):  # a weight of 0 lets nothing through
            return np.log(np.abs(w[:, 0, 0])) + bound, "at most: a chain of width one"
    if stack.activation == "relu" and n_in <= _NARROW and not b.any():
        mean_log = finite_width.relu_law([n_in, n_in]).mean + math.log(sigma_w2 / 2)
        return np.full(stack.depth, mean_log / 2), f"relu of width {n_in}"
    return None


# ---- of changes ----


def remedies(hidden: Params, now: float) -> tuple[Remedy, ...]:
    """Changes of initializer, activation, residual and width that should do better, best first.

    Args:
      hidden: the layers but the readout.
      now: ln of the gradient at the first hidden layer over that at the last.
    """
    longest = max(hidden, key=lambda stack: stack.depth)
    n = longest.w.shape[1]
    runs = _runs(hidden)
    depth = sum(count for _, count in runs)
    changes = {"": runs}
    if any(activation != "tanh" for activation, _ in runs):
        changes['activation="tanh", '] = [("tanh", depth)]
    candidates = []
    for name, changed in changes.items():
        # the exact law of relu layers is known
        if changed == [("relu", depth)] and n <= _NARROW and not longest.residual:
            candidates += _of_narrow_relu(n, depth)
        elif n > 1 and not longest.residual:
            change = f'{name}init="critical_orthogonal"'
            candidates += _of_wide(change, changed, initializers.critical_variances)
        candidates += _of_wide(
            f'{name}residual=True, init="fixup"',
            changed,
            lambda activation: (initializers.fixup_variance(activation, depth), 0.0),
            residual=True,
        )
    better = [remedy for remedy in candidates if abs(remedy.log_ratio) < 0.5 * abs(now)]
    return tuple(sorted(better, key=lambda remedy: abs(remedy.log_ratio)))


def _runs(hidden: Params) -> Runs:
    return [
        (activation, sum(stack.depth for stack in run))
        for activation, run in groupby(hidden, key=lambda stack: stack.activation)
    ]


def _of_narrow_relu(n: int, depth: int) -> list[Remedy]:
    from jnn.theory import finite_width

    def log_ratio(width: int) -> float:
        return (depth - 1) * finite_width.relu_law([width, width]).mean / 2

    even = "" if n % 2 == 0 else f"width {n + 1}, "
    return [
        Remedy('init="critical"', log_ratio(n)),
        Remedy(f'width {4 * n}, init="critical"', log_ratio(4 * n)),
        Remedy(f'{even}init="looks_linear"', 0.0),
    ]


def _of_wide(
    change: str,
    runs: Runs,
    variances: Callable[[ActivationLike], tuple[float, float]],
    *,
    residual: bool = False,
) -> list[Remedy]:
    """The remedy by mean field; none where an activation has no such variances.

    Softplus has no critical network; residual layers of sigmoids grow whatever they start from.
    """
    from jnn.theory import mean_field

    log_gradients = []
    start = (1.0, 0.0)
    try:
        for activation, depth in runs:
            sigma_w2, sigma_b2 = variances(activation)
            wide = mean_field.signals(
                depth,
                activation,
                sigma_w2=sigma_w2,
                sigma_b2=sigma_b2,
                start=start,
                residual=residual,
            )
            log_gradients.append(wide.log_gradient)
            start = (float(wide.state2[-1]), float(wide.state[-1]))
    except ValueError:
        return []
    return [Remedy(change, float(np.sum(np.concatenate(log_gradients)[1:])))]
