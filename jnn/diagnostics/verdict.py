"""A verdict on a network: do gradients reach its first layers, and if not, what to change.

Measured as in `jnn.diagnostics`, predicted by `jnn.theory`, side by side.
"""

import math
from dataclasses import dataclass
from itertools import groupby

import jax.numpy as jnp
import numpy as np

from jnn import arrays
from jnn.checks import Data
from jnn.diagnostics import gradients, prediction, states
from jnn.diagnostics.gradients import GradientNorms
from jnn.diagnostics.prediction import Remedy
from jnn.diagnostics.states import Statistics
from jnn.equality import by_value
from jnn.losses import LossLike
from jnn.params import Params, Stack, hidden_and_readout, sizes
from jnn.precision import full_precision
from jnn.transfers import meant

_HEALTHY = 1e3  # the factor from the last hidden layer to the first that is still called so
_LN10 = math.log(10)


@by_value
@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` found, made to be printed.

    Logarithms are natural ones, layers count from 1.
    """

    verdict: str  # "vanishing", "exploding", "healthy" or "dead"
    log_gradients: np.ndarray  # (N,): ln of the root mean square over examples of ‖∂ℓ/∂xₗ‖
    predicted: np.ndarray  # (N,): the same, from the last hidden layer down
    rate: float  # a layer, on the way back: the measured slope of log_gradients
    predicted_rate: float
    law: str  # what predicts it
    zeros: tuple[int, ...]  # layers whose ∂ℓ/∂b is exactly 0 in the network's dtype
    # how many layers below the output floats of this dtype can say at this rate
    last_depth: float | int
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
        hidden = self.log_gradients[:-1]
        return float(hidden[0] - hidden[-1])

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self._summary()}", f"  network    {self.shape}"]
        if not (self.blocked or self.overflow):
            rate = f"× {math.exp(self.rate):.4g} a layer on the way back"
            predicted = f"predicted × {math.exp(self.predicted_rate):.4g} ({self.law})"
            lines.append(f"  gradient   {rate}, {predicted}")
        if self.zeros:
            layers = f"{len(self.zeros)} of {len(self.log_gradients)} layers"
            lines.append(
                f"  {self.dtype:<10} ∂ℓ/∂b is exactly 0 in {layers} ({_span(self.zeros)}): "
                "no step can change them"
            )
        if math.isfinite(self.last_depth):
            lines.append(
                f"  {self.dtype:<10} at this rate gradients end {self.last_depth:.0f} layers "
                "below the output"
            )
        lines.append(
            f"  units      {self.dead} of {self.units} dead, {self.constant} constant, "
            f"{100 * self.saturated:.0f}% of slopes saturated"
        )
        if self.remedies:
            lines.append(
                "  what would help, and the predicted gradient at the first layer (last hidden "
                "layer: 1)"
            )
        width = max((len(remedy.change) for remedy in self.remedies), default=0)
        lines += [
            f"    {remedy.change:<{width}}  {_power(remedy.log_ratio)}" for remedy in self.remedies
        ]
        return "\n".join(lines)

    def _summary(self) -> str:
        if self.blocked:
            return (
                f"no gradient passes layer {self.blocked}, all of whose slopes are 0 on these "
                "examples"
            )
        if self.overflow:
            return f"the states themselves leave the range of {self.dtype} at layer {self.overflow}"
        fate = {"vanishing": "shrinks to", "exploding": "grows to", "healthy": "is"}[self.verdict]
        return (
            f"the gradient at the first layer {fate} {_power(self.log_ratio)} of that at the last "
            "hidden layer"
        )


@meant
@full_precision
def diagnose(params: Params, x: Data, y: Data, *, loss: LossLike = "half_mse") -> Diagnosis:
    """Measure how gradients travel through a network, predict it, and say what to change.

    `print` the result. The verdict is about the factor between the first and the last hidden layer:
    beyond a thousand, either way, it is vanishing or exploding. The prediction is the first of
    these that applies to a stack: width one, the bound ∏ |wₗ| sup |h'|; narrow relu layers without
    biases, their exact law (Hanin and Nica 2019); else the mean field of wide layers with the
    variances that the weights have (Schoenholz et al. 2017).

    Args:
      params: the network.
      x: (n, n_0) examples.
      y: their targets, as for `fit`.
      loss: as for `fit`.
    Raises:
      ValueError: shapes do not match, the loss does not go with the network's output, or there is
        no hidden layer.

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
    norms = gradients.gradient_norms(params, x, y, loss=loss)
    hidden, _ = hidden_and_readout(params)
    if not hidden:
        raise ValueError(
            f"the network has sizes {sizes(params)} and no hidden layer: its gradient has nowhere "
            "to vanish"
        )
    inputs = arrays.doubles("x", x)
    predicted = prediction.log_factors(hidden, float(np.mean(inputs**2)), float(np.mean(inputs)))
    return _diagnosis(params, hidden, norms, states.statistics(params, x), *predicted)


def _diagnosis(
    params: Params,
    hidden: Params,
    norms: GradientNorms,
    measured: Statistics,
    factors: np.ndarray,
    law: str,
) -> Diagnosis:
    """The verdict on what was measured, and on what is predicted (`prediction.log_factors`)."""
    from jnn.theory import width_one

    log_hidden = norms.log_states[:-1]
    ratio = -math.inf
    if np.isfinite(log_hidden[[0, -1]]).all():
        ratio = float(log_hidden[0] - log_hidden[-1])
    overflow = _first(~np.isfinite(measured.x_std))
    blocked = None if overflow else _blocked(params, log_hidden, np.asarray(measured.dead))
    verdict = _verdict(ratio, blocked, overflow)

    rate = _slope(log_hidden)
    dtype = str(params[0].w.dtype)
    zeros: tuple[int, ...] = ()
    last_depth = math.inf
    if verdict == "vanishing":
        zeros = _zeros(norms.log_biases, dtype)
        last_depth = width_one.last_depth(dtype, math.exp(rate))
    from_last = np.append(np.cumsum(factors[:0:-1])[::-1], 0.0)
    return Diagnosis(
        verdict=verdict,
        log_gradients=norms.log_states,
        predicted=np.append(log_hidden[-1] + from_last, np.nan),
        rate=rate,
        predicted_rate=float(np.mean(factors[1:])) if len(factors) > 1 else 0.0,
        law=law,
        zeros=zeros,
        last_depth=last_depth,
        blocked=blocked,
        overflow=overflow,
        dead=int(np.sum(measured.dead[:-1])),
        saturated=float(np.mean(measured.saturated[:-1])),
        constant=int(np.sum(measured.constant[:-1])),
        units=sum(stack.b.size for stack in hidden),
        remedies=() if verdict == "healthy" else prediction.remedies(hidden, ratio),
        dtype=dtype,
        shape=_shape(hidden),
    )


# ---- what the numbers say ----


def _verdict(ratio: float, blocked: int | None, overflow: int | None) -> str:
    limit = math.log(_HEALTHY)
    if overflow:
        return "exploding"
    if blocked:
        return "dead"
    if ratio < -limit:
        return "vanishing"
    return "exploding" if ratio > limit else "healthy"


def _first(there: np.ndarray) -> int | None:
    """The first layer, from 1, of which it is true."""
    layers = np.flatnonzero(there)
    return int(layers[0]) + 1 if layers.size else None


def _blocked(params: Params, log_hidden: np.ndarray, dead: np.ndarray) -> int | None:
    """The first layer that lets no gradient through, where a hidden layer gets none."""
    gone = np.flatnonzero(log_hidden == -np.inf)
    if not gone.size:
        return None
    whole = _first(dead == sizes(params)[1:])
    return whole or int(gone[-1]) + 2


def _slope(log_hidden: np.ndarray) -> float:
    """What a layer on the way back adds to the logarithm."""
    finite = np.flatnonzero(np.isfinite(log_hidden))
    if finite.size < 2:
        return 0.0
    return -float(np.polyfit(finite, log_hidden[finite], 1)[0])


def _zeros(log_biases: np.ndarray, dtype: str) -> tuple[int, ...]:
    """The layers, from 1, whose ∂ℓ/∂b a dtype cannot tell from 0."""
    least = math.log(float(jnp.finfo(dtype).tiny)) - 1e-9
    return tuple(int(l) + 1 for l in np.flatnonzero(log_biases < least))


# ---- words ----


def _shape(hidden: Params) -> str:
    """Each run of layers of one kind and width, and the dtype."""
    runs = []
    for (kind, n), run in groupby(hidden, key=_kind_and_width):
        depth = sum(stack.depth for stack in run)
        runs.append(f"{depth:,} {kind} layer{'s' if depth > 1 else ''} of width {n}")
    if len(runs) > 4:
        runs = [*runs[:3], f"… {len(runs) - 3} more"]
    return f"{', '.join(runs)}, {hidden[0].w.dtype}"


def _kind_and_width(stack: Stack) -> tuple[str, int]:
    name = stack.activation
    if not isinstance(name, str):
        name = getattr(name, "__name__", "custom")
    return f"residual {name}" if stack.residual else name, stack.w.shape[1]


def _power(log: float) -> str:
    """A number in plain digits where they are few, else as a power of ten."""
    if log == -math.inf:
        return "0"
    if abs(log) < 3 * _LN10:
        return f"{math.exp(log):.3g}"
    return f"10^{log / _LN10:.1f}".replace("-", "−")


def _span(layers: tuple[int, ...]) -> str:
    """1–37, or a list."""
    together = layers[-1] - layers[0] + 1 == len(layers)
    if together and len(layers) > 1:
        return f"{layers[0]}–{layers[-1]}"
    return ", ".join(map(str, layers[:6]))
