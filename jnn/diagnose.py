"""A verdict on a network before it is trained, or after: do its gradients reach the first layers, and what to change.

Measured by `jnn.diagnostics`, predicted by `jnn.theory`, side by side.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jnn import diagnostics
from jnn.activations import ActivationLike
from jnn.params import Params, Stack, sizes

_HEALTHY = 1e3  # the factor from the last hidden layer to the first that is still called so
_LN10 = math.log(10)


class Remedy(NamedTuple):
    """A change, and what the gradient would then be at the first hidden layer, in units of that at the last."""

    change: str
    log_ratio: float


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found, made to be printed; logarithms are natural ones, layers count from 1."""

    verdict: str  # "vanishing", "exploding", "healthy" or "dead"
    log_gradients: np.ndarray  # (N,): ln of the root mean square over examples of ‖∂ℓ/∂xₗ‖
    predicted: np.ndarray  # (N,): the same, from the last hidden layer down
    rate: float  # a layer, on the way back: the measured slope of log_gradients
    predicted_rate: float
    law: str  # what predicts it
    zeros: tuple[int, ...]  # layers whose ∂ℓ/∂b is exactly 0 in the network's dtype
    last_depth: float | int  # how many layers below the output floats of this dtype can say at this rate
    blocked: int | None  # the first layer that lets nothing through
    overflow: int | None  # the first layer whose states are infinite
    dead: int  # units whose slope is 0 on every example
    saturated: float  # share of slopes below 1 % of the largest
    constant: int  # units whose state is the same for every example
    units: int
    remedies: tuple[Remedy, ...]
    dtype: str
    shape: str  # the network in words

    @property
    def log_ratio(self) -> float:
        """ln of the gradient at the first hidden layer over that at the last."""
        hidden = self.log_gradients[:-1] if len(self.log_gradients) > 1 else self.log_gradients
        return float(hidden[0] - hidden[-1])

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self._summary()}", f"  network    {self.shape}"]
        if not (self.blocked or self.overflow):
            rate = f"× {math.exp(self.rate):.4g} a layer on the way back"
            lines.append(f"  gradient   {rate}, predicted × {math.exp(self.predicted_rate):.4g} ({self.law})")
        if self.zeros:
            lines.append(
                f"  {self.dtype:<10} ∂ℓ/∂b is exactly 0 in {len(self.zeros)} of {len(self.log_gradients)} layers"
                f" ({_span(self.zeros)}): no step can change them"
            )
        if math.isfinite(self.last_depth):
            lines.append(f"  {self.dtype:<10} at this rate gradients end {self.last_depth:.0f} layers below the output")
        lines.append(
            f"  units      {self.dead} of {self.units} dead, {self.constant} constant, "
            f"{100 * self.saturated:.0f}% of slopes saturated"
        )
        if self.remedies:
            lines.append("  what would help, and the predicted gradient at the first layer (last hidden layer: 1)")
            width = max(len(remedy.change) for remedy in self.remedies)
            lines += [f"    {remedy.change:<{width}}  {_power(remedy.log_ratio)}" for remedy in self.remedies]
        return "\n".join(lines)

    def _summary(self) -> str:
        if self.blocked:
            return f"no gradient passes layer {self.blocked}, all of whose slopes are 0 on these examples"
        if self.overflow:
            return f"the states themselves leave the range of {self.dtype} at layer {self.overflow}"
        fate = {"vanishing": "shrinks to", "exploding": "grows to", "healthy": "is"}[self.verdict]
        return f"the gradient at the first layer {fate} {_power(self.log_ratio)} of that at the last hidden layer"


def diagnose(params: Params, x: Any, y: Any, *, loss: Any = "half_mse") -> Diagnosis:
    """Measure how gradients travel through a network, predict it, and say what to change. `print` the result.

    The verdict is about the factor between the first and the last hidden layer: beyond a thousand, either way, it is
    vanishing or exploding. The prediction is the first of these that applies to a stack: width one, the bound
    ∏ |wₗ| sup |h'|; narrow relu layers without biases, their exact law (Hanin and Nica 2019); else the mean field of
    wide layers with the variances that the weights have (Schoenholz et al. 2017).

    Args:
      params: the network.
      x: (n, n_0) examples.
      y: their targets, as for `fit`.
      loss: as for `fit`.
    Raises:
      ValueError: shapes do not match, or there is no hidden layer.

    >>> params = jnn.from_layers([(1.0, -0.5)] * 100 + [(1.0, 0.0)], activation="sigmoid")
    >>> print(diagnose(params, [[0.5]], [[-0.5]]))  # doctest: +ELLIPSIS
    vanishing: the gradient at the first layer shrinks to 10^−59.6 of that at the last hidden layer
      network    100 sigmoid layers of width 1, float32
      gradient   × 0.25 a layer on the way back, predicted × 0.25 (at most: a chain of width one)
      float32    ∂ℓ/∂b is exactly 0 in 37 of 101 layers (1–37): no step can change them
      float32    at this rate gradients end 63 layers below the output
      units      0 of 100 dead, 0 constant, 0% of slopes saturated
      what would help, ...
    """
    norms = diagnostics.gradient_norms(params, x, y, loss=loss)
    if len(norms.log_states) < 2:
        raise ValueError("the network has no hidden layer: its gradient has nowhere to vanish")
    statistics = diagnostics.statistics(params, x)
    log_λ = np.asarray(norms.log_states)
    hidden = log_λ[:-1]
    gone, unbounded = np.flatnonzero(hidden == -np.inf), np.flatnonzero(~np.isfinite(statistics.x_std))
    finite = np.flatnonzero(np.isfinite(hidden))
    rate = -float(np.polyfit(finite, hidden[finite], 1)[0]) if finite.size > 1 else 0.0
    factors, law = _predicted_factors(params, float(np.mean(np.square(x))), float(np.mean(x)))
    predicted = hidden[-1] + np.append(np.cumsum(factors[:0:-1])[::-1], 0.0)
    ratio = float(hidden[0] - hidden[-1]) if np.isfinite(hidden[[0, -1]]).all() else -math.inf
    limit = math.log(_HEALTHY)
    beyond = "vanishing" if ratio < -limit else "exploding" if ratio > limit else "healthy"
    verdict = "exploding" if unbounded.size else "dead" if gone.size else beyond
    whole = np.flatnonzero(np.asarray(statistics.dead) == sizes(params)[1:])
    blocked = [*whole, *(gone[-1:] + 1)]
    tiny = float(jnp.finfo(params[0].w.dtype).tiny)
    zeros = np.flatnonzero(np.asarray(norms.log_biases) < math.log(tiny) - 1e-9) + 1
    dtype = str(params[0].w.dtype)
    from jnn.theory import width_one

    return Diagnosis(
        verdict=verdict,
        log_gradients=log_λ,
        predicted=np.append(predicted, np.nan),
        rate=rate,
        predicted_rate=float(np.mean(factors[1:])) if len(factors) > 1 else 0.0,
        law=law,
        zeros=tuple(int(l) for l in zeros) if verdict == "vanishing" else (),
        last_depth=width_one.last_depth(dtype, math.exp(rate)) if verdict == "vanishing" else math.inf,
        blocked=int(blocked[0]) + 1 if verdict == "dead" else None,
        overflow=int(unbounded[0]) + 1 if unbounded.size else None,
        dead=int(np.sum(statistics.dead[:-1])),
        saturated=float(np.mean(statistics.saturated[:-1])),
        constant=int(np.sum(statistics.constant[:-1])),
        units=sum(stack.b.size for stack in params) - params[-1].b.shape[1],
        remedies=() if verdict == "healthy" else _remedies(params, ratio),
        dtype=dtype,
        shape=_shape(params),
    )


# ---- predictions ----


def _predicted_factors(params: Params, m: float, mean: float) -> tuple[np.ndarray, str]:
    """½ ln of what each hidden layer multiplies ‖λ‖² with on the way back, and the name of the law."""
    from jnn.theory import finite_width, mean_field, width_one  # slow to import

    factors, laws = [], {}
    for stack in params if params[-1].depth > 1 else params[:-1]:
        w, b = np.asarray(stack.w, np.float64), np.asarray(stack.b, np.float64)
        n_out, n_in = w.shape[1:]
        variances = {"sigma_w2": max(float(np.mean(w**2)) * n_in, 1e-30), "sigma_b2": float(np.mean(b**2))}
        found = mean_field.signals(stack.depth, stack.activation, **variances, start=(m, mean), residual=stack.residual)
        factor, law = found.log_gradient, "mean field of wide layers"
        if n_out == n_in == 1 and not stack.residual:
            bound = width_one.log_gradient_bound([1.0], stack.activation)
            factor, law = np.log(np.abs(w[:, 0, 0])) + bound, "at most: a chain of width one"
        elif stack.activation == "relu" and n_out == n_in <= 100 and not (b.any() or stack.residual):
            mean_log = finite_width.relu_law([n_in, n_in]).mean + math.log(variances["sigma_w2"] / 2)
            factor, law = np.full(stack.depth, mean_log / 2), f"relu of width {n_in}"
        factors.append(factor)
        laws[law] = laws.get(law, 0) + stack.depth
        m, mean = float(found.state2[-1]), float(found.state[-1])
    hidden = sum(stack.depth for stack in params) - 1  # the readout may stand in a stack with others
    return np.concatenate(factors)[:hidden], max(laws, key=lambda law: laws[law])


def _remedies(params: Params, now: float) -> tuple[Remedy, ...]:
    """Changes of initialiser, activation, residual and width that should do better, best first."""
    from jnn import initializers
    from jnn.theory import finite_width, mean_field

    stack = max(params[:-1] or params, key=lambda stack: stack.depth)
    H, n = sum(stack.depth for stack in params) - 1, stack.w.shape[1]
    found: list[Remedy] = []

    def add(change: str, activation: ActivationLike, sigma_w2: float, sigma_b2: float, residual: bool = False) -> None:
        signals = mean_field.signals(
            H, activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2, start=(1.0, 0.0), residual=residual
        )
        found.append(Remedy(change, float(np.sum(signals.log_gradient[1:]))))

    def add_relu(change: str, n: int) -> None:
        found.append(Remedy(change, (H - 1) * finite_width.relu_law([n, n]).mean / 2))

    for activation in dict.fromkeys([stack.activation, "tanh"]):
        name = "" if activation == stack.activation else f'activation="{activation}", '
        if activation == "relu" and n <= 100 and not stack.residual:  # whose exact law is known
            add_relu('init="critical"', n)
            add_relu(f'width {4 * n}, init="critical"', 4 * n)
            found.append(Remedy(f'{"" if n % 2 == 0 else f"width {n + 1}, "}init="looks_linear"', 0.0))
        elif n > 1 and not stack.residual:
            with suppress(ValueError):  # softplus has no critical network
                add(f'{name}init="critical_orthogonal"', activation, *initializers.critical_variances(activation))
        with suppress(ValueError):  # residual layers of sigmoids grow whatever they start from
            scale = initializers.fixup_variance(activation, H)
            add(f'{name}residual=True, init="fixup"', activation, scale, 0.0, residual=True)
    better = [remedy for remedy in found if abs(remedy.log_ratio) < 0.5 * abs(now)]
    return tuple(sorted(better, key=lambda remedy: abs(remedy.log_ratio)))


# ---- words ----


def _shape(params: Params) -> str:
    def words(stack: Stack) -> tuple[str, int]:
        name = stack.activation if isinstance(stack.activation, str) else getattr(stack.activation, "__name__", "own")
        kind = f"residual {name}" if stack.residual else name
        return kind, stack.w.shape[1]

    stacks = []
    for (kind, n), run in groupby(params[:-1] or params, key=words):
        depth = sum(stack.depth for stack in run)
        stacks.append(f"{depth:,} {kind} layer{'s' if depth > 1 else ''} of width {n}")
    shown = stacks if len(stacks) <= 4 else [*stacks[:3], f"… {len(stacks) - 3} more"]
    return f"{', '.join(shown)}, {params[0].w.dtype}"


def _power(log: float) -> str:
    """A number in plain digits where they are few, else as a power of ten."""
    if log == -math.inf:
        return "0"
    if abs(log) < 3 * _LN10:
        return f"{math.exp(log):.3g}"
    return f"10^{log / _LN10:.1f}".replace("-", "−")


def _span(layers: tuple[int, ...]) -> str:
    """1–37, or a list."""
    whole = layers[-1] - layers[0] + 1 == len(layers)
    return f"{layers[0]}–{layers[-1]}" if whole and len(layers) > 1 else ", ".join(map(str, layers[:6]))
