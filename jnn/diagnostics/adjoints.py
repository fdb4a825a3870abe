"""Gradients layer by layer, rescaled on the way back, so that no depth takes them out of the range of floats.

Back substitution λ_{l−1} = Wᵀ(δ_l ∘ λ_l) [+ λ_l] multiplies thousands of Jacobians. After each of them λ is divided by
a power of two, which costs no digit, and the exponents are summed as integers: ∂ℓ/∂x_l = 2^e λ.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import examples, losses, substitution
from jnn.params import Params, Stack
from jnn.substitution import Run


class Adjoints(NamedTuple):
    """Of a stack, for a batch as columns; ∂ℓ/∂x_l = 2^exponent λ, ∂ℓ/∂z_l = 2^exponent μ."""

    inputs: Array  # (depth, n_in, batch): x_{l−1}
    λ: Array  # (depth, n_out, batch)
    μ: Array  # (depth, n_out, batch): δ ∘ λ
    exponent: Array  # (depth,), integers


class GradientNorms(NamedTuple):
    """Natural logarithms for layers 1 … N; −∞ where a gradient is exactly 0, NaN where a state overflows."""

    log_states: np.ndarray  # the root mean square over examples of ‖∂ℓ/∂xₗ‖
    log_weights: np.ndarray  # ‖∂ℓ/∂Wₗ‖ of the mean loss, Frobenius
    log_biases: np.ndarray  # ‖∂ℓ/∂bₗ‖ of the mean loss


class NoiseScale(NamedTuple):
    """How many examples a step should take, tr Σ/|G|²; ∞ where the data show no gradient beyond noise."""

    total: float
    layers: np.ndarray  # (N,), by the parameters of one layer alone


def gradient_norms(params: Params, x: Any, y: Any, *, loss: Any = "half_mse", weights: Any = None) -> GradientNorms:
    """How large the gradient is in every layer, however deep the network and small or large the gradient.

    Args:
      params: the network.
      x: (n, n_0) examples.
      y: their targets, as for `fit`.
      loss: as for `fit`.
      weights: (n,), None for all ones.
    Raises:
      ValueError: shapes do not match.

    >>> params = jnn.from_layers([(1.0, -0.5)] * 200 + [(1.0, 0.0)], activation="sigmoid")
    >>> norms = gradient_norms(params, [[0.5]], [[-0.5]])  # the loss's slope is 1, and every layer hands on ¼
    >>> float(norms.log_biases[0] / np.log(4))
    -200.0
    """
    checked = _checked(params, x, y, loss, weights)
    return _to_logs(GradientNorms, *_norms(params, checked.x, checked.y, checked.weights, loss))


def output_norms(params: Params, x: Any) -> np.ndarray:
    """ln of the root mean square over examples of ‖∂(1ᵀ x_N)/∂xₗ‖, l = 1 … N: what reaches the output of a layer.

    Args:
      params: the network.
      x: (n, n_0) examples.
    Returns:
      (N,) natural logarithms, −∞ where it is exactly 0.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.from_layers([(1.0, -0.5)] * 200 + [(1.0, 0.0)], activation="sigmoid")
    >>> float(output_norms(params, [[0.5]])[0] / np.log(4))  # of x_1, behind 199 sigmoids
    -199.0
    """
    n_N = params[-1].b.shape[1]
    checked = _checked(params, x, np.zeros((len(x), n_N)), "half_mse", None)
    norms, exponents = _output_norms(params, checked.x)
    return _log(norms, exponents)


def noise_scale(params: Params, x: Any, y: Any, *, loss: Any = "half_mse") -> NoiseScale:
    """The simple gradient noise scale, tr Σ/|G|², both without bias.

    With g_i the gradients of single examples and G their mean, tr Σ = Σ|g_i − G|²/(n − 1) and |G|² less tr Σ/n. No g_i
    is formed: in a layer |g_i|² = |μ_i|² (|x_i|² + 1).

    Args:
      params, x, y, loss: as in `gradient_norms`; at least two examples.
    Raises:
      ValueError: shapes do not match, or there is one example only.
    Source: McCandlish, Kaplan, Amodei et al. 2018.

    >>> params = jnn.from_layers([(1.0, 0.0)])
    >>> noise_scale(params, [[1.0], [1.0]], [[0.0], [0.0]]).total  # equal examples
    0.0
    """
    checked = _checked(params, x, y, loss, None)
    n = len(checked.x)
    if n < 2:
        raise ValueError("noise is a difference between examples: give at least two")
    singles, means, exponents = (np.asarray(a, np.float64) for a in _squares(params, checked.x, checked.y, loss))
    scale = 4.0 ** np.clip(exponents - exponents.max(), -500, 0)

    def ratio(noise: Any, signal: Any) -> Any:
        return np.where(signal > 0, noise / signal, np.where(noise > 0, np.inf, 0 * noise))  # NaN stays NaN

    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.maximum(singles - means, 0) * n / (n - 1)
        signal = means - noise / n
        return NoiseScale(float(ratio(np.sum(scale * noise), np.sum(scale * signal))), ratio(noise, signal))


# ---- compiled ----


def passes(params: Params, x: Array) -> list[Run]:
    """The forward pass of x: (batch, n_0), stack by stack, with the batch as columns."""
    runs, state = [], x.T
    for stack in params:
        runs.append(substitution.run(stack, state))
        state = runs[-1].output
    return runs


def adjoints(params: Params, runs: list[Run], λ_N: Array) -> list[Adjoints]:
    """Adjoints of every stack from those of the output, λ_N: (batch, n_N)."""
    carry, found = _rescaled(λ_N.T, jnp.zeros((), jnp.int32)), []
    for stack, run in zip(params[::-1], runs[::-1], strict=True):
        δ = substitution.slopes(stack, run)

        def layer(carry: Any, block: Any, stack: Stack = stack) -> Any:
            λ, exponent = carry
            w, δ = block
            μ = δ * λ
            below = w.T @ μ + λ if stack.residual else w.T @ μ
            return _rescaled(below, exponent), (λ, μ, exponent)

        carry, kept = substitution.walk(layer, carry, (stack.w, δ), reverse=True)
        found.append(Adjoints(run.inputs, *kept))
    return found[::-1]


def _rescaled(λ: Array, exponent: Array) -> tuple[Array, Array]:
    """λ 2^−k and exponent + k, with max |λ 2^−k| in [½, 1)."""
    k = jnp.frexp(jnp.max(jnp.abs(λ)))[1].astype(jnp.int32)
    half = k // 2  # in two steps: 2^k itself may be out of range
    return λ * jnp.exp2(-half).astype(λ.dtype) * jnp.exp2(half - k).astype(λ.dtype), exponent + k


def loss_adjoint(loss: Any, predictions: Array, y: Any, weights: Any) -> Array:
    """n ∂ℓ/∂ŷ of the mean loss ℓ, (n, n_N)."""
    return len(predictions) * jax.grad(lambda p: losses.mean_loss(losses.resolve(loss), p, y, weights))(predictions)


@partial(jax.jit, static_argnames="loss")
def _norms(params: Params, x: Array, y: Any, weights: Any, loss: Any) -> Any:
    return norms(params, x, y, weights, loss)


def norms(params: Params, x: Array, y: Any, weights: Any, loss: Any) -> tuple[Array, Array, Array, Array]:
    """Norms (N,) of the gradients by states, weights and biases, to be multiplied by 2^exponent, the last."""
    n, runs, columns = len(x), passes(params, x), []
    for a in adjoints(params, runs, loss_adjoint(loss, runs[-1].output.T, y, weights)):
        by_weights = jnp.einsum("lib,ljb->lij", a.μ, a.inputs) / n
        columns.append((_size(a.λ) / n**0.5, _size(by_weights), _size(jnp.sum(a.μ, 2) / n), a.exponent))
    states, by_weights, by_biases, exponents = (jnp.concatenate(column) for column in zip(*columns, strict=True))
    return states, by_weights, by_biases, exponents


@jax.jit
def _output_norms(params: Params, x: Array) -> tuple[Array, Array]:
    ones = jnp.ones((len(x), params[-1].b.shape[1]), x.dtype)
    found = [(_size(a.λ) / len(x) ** 0.5, a.exponent) for a in adjoints(params, passes(params, x), ones)]
    sizes, exponents = (jnp.concatenate(column) for column in zip(*found, strict=True))
    return sizes, exponents


@partial(jax.jit, static_argnames="loss")
def _squares(params: Params, x: Array, y: Any, loss: Any) -> tuple[Array, Array, Array]:
    """Mean of the |g_i|² and |G|² of every layer, and the exponents of their roots."""
    runs, found = passes(params, x), []
    for a in adjoints(params, runs, loss_adjoint(loss, runs[-1].output.T, y, None)):
        singles = jnp.mean(jnp.sum(a.μ**2, 1) * (jnp.sum(a.inputs**2, 1) + 1), 1)
        by_weights = jnp.einsum("lib,ljb->lij", a.μ, a.inputs) / len(x)
        means = jnp.sum(by_weights**2, (1, 2)) + jnp.sum(jnp.mean(a.μ, 2) ** 2, 1)
        found.append((singles, means, a.exponent))
    singles, means, exponents = (jnp.concatenate(column) for column in zip(*found, strict=True))
    return singles, means, exponents


def _size(a: Array) -> Array:
    """The norm of every layer's part, (depth,), by way of its largest entry: squares of small numbers would be 0."""
    a = a.reshape(len(a), -1)
    largest = jnp.max(jnp.abs(a), 1, keepdims=True)
    return largest[:, 0] * jnp.sqrt(jnp.sum((a / jnp.where(largest > 0, largest, 1)) ** 2, 1))


# ---- on the host ----


def _log(sizes: Any, exponents: Any) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(sizes, np.float64)) + np.asarray(exponents, np.float64) * np.log(2)


def _to_logs(kind: Any, *columns: Any) -> Any:
    *sizes, exponents = columns
    return kind(*(_log(size, exponents) for size in sizes))


def _checked(params: Params, x: Any, y: Any, loss: Any, weights: Any) -> examples.Checked:
    return examples.check(params, (x, y) if weights is None else (x, y, weights), loss)
