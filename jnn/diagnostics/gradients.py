"""Gradients layer by layer, rescaled on the way back, so that no depth takes them out of range.

Back substitution, λₗ₋₁ = Wₗᵀ(δₗ ∘ λₗ) [+ λₗ], multiplies thousands of Jacobians. The adjoints are
therefore carried as numbers with an exponent (`jnn.triangular.scaled`), ∂ℓ/∂xₗ = λₗ 2ᵉ, which costs
no digit.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import arrays
from jnn.checks import Data
from jnn.data import rows
from jnn.diagnostics.logits import loss_adjoint, passes
from jnn.equality import by_value
from jnn.losses import LossLike
from jnn.params import Params, Stack
from jnn.precision import full_precision
from jnn.structure import check_params
from jnn.transfers import meant
from jnn.triangular import loops, scaled, substitution
from jnn.triangular.scaled import Scaled
from jnn.triangular.substitution import Pass


@by_value
class GradientNorms(NamedTuple):
    """Natural logarithms for layers 1 … N.

    −∞ where a gradient is exactly 0, NaN where a state overflows.
    """

    log_states: np.ndarray  # the root mean square over examples of ‖∂ℓ/∂xₗ‖
    log_weights: np.ndarray  # ‖∂ℓ/∂Wₗ‖ of the mean loss, Frobenius
    log_biases: np.ndarray  # ‖∂ℓ/∂bₗ‖ of the mean loss


@by_value
class NoiseScale(NamedTuple):
    """How many examples a step should take, tr Σ/|G|².

    ∞ where the data show no gradient beyond noise.
    """

    total: float
    layers: np.ndarray  # (N,), by the parameters of one layer alone


@meant
@full_precision
def gradient_norms(
    params: Params, x: Data, y: Data, *, loss: LossLike = "half_mse", weights: Data = None
) -> GradientNorms:
    """How large the gradient is in every layer, however deep the network or small the gradient.

    Args:
      params: the network.
      x: (n, n_0) examples.
      y: their targets, as for `fit`.
      loss: as for `fit`.
      weights: (n,), None for all ones.
    Raises:
      ValueError: shapes do not match, or the loss does not go with the network's output.

    >>> params = jnn.from_layers([(1.0, -0.5)] * 200 + [(1.0, 0.0)], activation="sigmoid")
    >>> # the loss's slope is 1, and every layer hands on ¼
    >>> norms = gradient_norms(params, [[0.5]], [[-0.5]])
    >>> float(norms.log_biases[0] / np.log(4))
    -200.0
    """
    checked = rows.check_rows(params, (x, y), loss, weights=weights)
    *sizes, exponents = _norms(params, checked.x, checked.y, checked.weights, loss)
    return GradientNorms(*(scaled.log(size, exponents) for size in sizes))


@meant
@full_precision
def output_norms(params: Params, x: Data) -> np.ndarray:
    """ln of the root mean square over examples of ‖∂(1ᵀ x_N)/∂xₗ‖: what reaches the output.

    Args:
      params: the network; where it ends in a softmax, x_N are its logits.
      x: (n, n_0) examples.
    Returns:
      (N,) natural logarithms, l = 1 … N; −∞ where it is exactly 0.
    Raises:
      ValueError: x has the wrong shape.

    >>> params = jnn.from_layers([(1.0, -0.5)] * 200 + [(1.0, 0.0)], activation="sigmoid")
    >>> float(output_norms(params, [[0.5]])[0] / np.log(4))  # of x_1, behind 199 sigmoids
    -199.0
    """
    *_, n_N = check_params(params)
    x = arrays.numbers("x", x)
    checked = rows.check_rows(params, (x, np.zeros((len(np.atleast_1d(x)), n_N))), "half_mse")
    return scaled.log(*_output_norms(params, checked.x))


@meant
@full_precision
def noise_scale(params: Params, x: Data, y: Data, *, loss: LossLike = "half_mse") -> NoiseScale:
    """The simple gradient noise scale, tr Σ/|G|², both without bias.

    With g_i the gradients of single examples and G their mean, tr Σ = Σ|g_i − G|²/(n − 1) and |G|²
    less tr Σ/n. No g_i is formed: in a layer |g_i|² = |μ_i|² (|x_i|² + 1).

    Args:
      params, x, y, loss: as in `gradient_norms`; at least two examples.
    Raises:
      ValueError: shapes do not match, or there is one example only.
    Source: McCandlish, Kaplan, Amodei et al. 2018.

    >>> params = jnn.from_layers([(1.0, 0.0)])
    >>> noise_scale(params, [[1.0], [1.0]], [[0.0], [0.0]]).total  # equal examples
    0.0
    """
    checked = rows.check_rows(params, (x, y), loss)
    n = len(checked.x)
    if n < 2:
        raise ValueError(
            f"x has shape {checked.x.shape}; expected at least two rows: noise is a difference "
            "between examples"
        )
    singles, means, exponents = (
        np.asarray(column, np.float64) for column in _squares(params, checked.x, checked.y, loss)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.maximum(singles - means, 0) * n / (n - 1)
        signal = means - noise / n
        # the layers have exponents of their own, which are the same for noise and signal
        scale = 4.0 ** np.clip(exponents - exponents.max(), -500, 0)
        total = _ratio(np.sum(scale * noise), np.sum(scale * signal))
        return NoiseScale(float(total), _ratio(noise, signal))


def _ratio(noise: np.ndarray | np.float64, signal: np.ndarray | np.float64) -> np.ndarray:
    """noise/signal; ∞ where there is no signal, and NaN stays NaN."""
    without_signal = np.where(noise > 0, np.inf, 0 * noise)
    return np.where(signal > 0, noise / signal, without_signal)


# ---- compiled ----


class Adjoints(NamedTuple):
    """Of a stack, for a batch as columns; adjoints are to be multiplied by 2^exponent."""

    inputs: Array  # (depth, n_in, batch): xₗ₋₁
    of_states: Array  # (depth, n_out, batch): λₗ = ∂ℓ/∂xₗ
    of_pre_activations: Array  # (depth, n_out, batch): μₗ = ∂ℓ/∂zₗ = δₗ ∘ λₗ
    exponents: Array  # (depth,), integers


def adjoints(done: list[tuple[Stack, Pass]], of_output: Array) -> list[Adjoints]:
    """Adjoints of every stack that was passed, from those of the last state: (batch, n_N)."""
    carry = scaled.rescaled(of_output.T, 2)
    result = []
    for stack, its_pass in reversed(done):

        def layer(
            carry: Scaled, block: tuple[Array, Array], residual: bool = stack.residual
        ) -> tuple[Scaled, tuple[Array, Array, Array]]:
            λ, exponent = carry
            w, δ = block
            μ = δ * λ
            below = w.T @ μ
            if residual:
                below = below + λ
            return scaled.rescaled(below, 2, exponent), (λ, μ, exponent)

        δ = substitution.slopes(stack, its_pass)
        carry, kept = loops.scan(layer, carry, (stack.w, δ), reverse=True)
        result.append(Adjoints(its_pass.inputs, *kept))
    return result[::-1]


def norms(
    params: Params, x: Array, y: Array, weights: Array | None, loss: LossLike
) -> tuple[Array, ...]:
    """Norms of the gradients by states, weights and biases, and the exponents of all three: (N,).

    They are to be multiplied by 2^exponent; to be compiled.
    """
    n = len(x)
    done = passes(params, x)
    logits = done[-1][1].output.T
    by_stack = []
    for a in adjoints(done, loss_adjoint(params, logits, y, weights, loss)):
        by_weights = jnp.einsum("lib,ljb->lij", a.of_pre_activations, a.inputs) / n
        by_biases = jnp.sum(a.of_pre_activations, axis=2) / n
        by_states = _size(a.of_states) / n**0.5
        by_stack.append((by_states, _size(by_weights), _size(by_biases), a.exponents))
    return tuple(jnp.concatenate(column) for column in zip(*by_stack, strict=True))


_norms = jax.jit(norms, static_argnames="loss")


@jax.jit
def _output_norms(params: Params, x: Array) -> tuple[Array, ...]:
    done = passes(params, x)
    ones = jnp.ones_like(done[-1][1].output.T)
    by_stack = [(_size(a.of_states) / len(x) ** 0.5, a.exponents) for a in adjoints(done, ones)]
    return tuple(jnp.concatenate(column) for column in zip(*by_stack, strict=True))


@partial(jax.jit, static_argnames="loss")
def _squares(params: Params, x: Array, y: Array, loss: LossLike) -> tuple[Array, ...]:
    """Mean of the |g_i|² and |G|² of every layer, and the exponents of their roots."""
    done = passes(params, x)
    logits = done[-1][1].output.T
    by_stack = []
    for a in adjoints(done, loss_adjoint(params, logits, y, None, loss)):
        μ = a.of_pre_activations
        singles = jnp.mean(jnp.sum(μ**2, 1) * (jnp.sum(a.inputs**2, 1) + 1), 1)
        by_weights = jnp.einsum("lib,ljb->lij", μ, a.inputs) / len(x)
        means = jnp.sum(by_weights**2, (1, 2)) + jnp.sum(jnp.mean(μ, 2) ** 2, 1)
        by_stack.append((singles, means, a.exponents))
    return tuple(jnp.concatenate(column) for column in zip(*by_stack, strict=True))


def _size(a: Array) -> Array:
    """The norm of every layer's part, (depth,).

    By way of its largest entry: squares of small numbers would be 0.
    """
    a = a.reshape(len(a), -1)
    largest = jnp.max(jnp.abs(a), 1, keepdims=True)
    relative = a / jnp.where(largest > 0, largest, 1)
    return largest[:, 0] * jnp.sqrt(jnp.sum(relative**2, 1))
