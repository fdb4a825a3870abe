"""Losses of a prediction ŷ and a target y, by name, on `optax.losses`.

A loss compares *one* example: `each(prediction: (n_N,), target)`. Whatever shape it returns is averaged over outputs
and examples, so elementwise losses (squared error) and losses per example (cross-entropy) both fit, as does any
function of the user's. `finish` then acts on the average (the root of `rmse`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array


class Loss(NamedTuple):
    """One example's loss, and what is done to the average over examples."""

    each: Callable[[Array, Array], Array]
    finish: Callable[[Array], Array] = lambda mean: mean


def _cross_entropy(logits: Array, target: Array) -> Array:
    """−log softmax(logits)[label]; the target is an integer label or a one-hot (or soft) row."""
    if target.ndim == 0:
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, target)
    return optax.losses.softmax_cross_entropy(logits, target)


def _root(mean: Array) -> Array:
    # the slope of √ at 0 is infinite: a perfect fit has gradient 0 here, not NaN
    zero = mean == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, mean)))


LOSSES: dict[str, Loss] = {
    "half_mse": Loss(lambda p, y: 0.5 * (p - y) ** 2),  # the lecture's ½(ŷ − y)²: its derivative is ŷ − y
    "mse": Loss(lambda p, y: (p - y) ** 2),
    "mae": Loss(lambda p, y: (p - y) * jnp.sign(p - y)),  # |ŷ − y| with slope 0 at 0, where that of jnp.abs is 1
    "rmse": Loss(lambda p, y: (p - y) ** 2, _root),
    "huber": Loss(lambda p, y: optax.losses.huber_loss(p, y)),
    "log_cosh": Loss(lambda p, y: optax.losses.log_cosh(p, y)),
    "cross_entropy": Loss(_cross_entropy),
    "binary_cross_entropy": Loss(lambda p, y: optax.losses.sigmoid_binary_cross_entropy(p, y)),
    "poisson": Loss(lambda p, y: jnp.exp(p) - y * p),  # −log likelihood of a count y at rate exp ŷ, up to log y!
}


def resolve(loss: str | Callable[[Array, Array], Array] | Loss) -> Loss:
    """The loss of that name, or a function of your own, `(prediction: (n_N,), target) -> loss of one example`.

    A `Loss`, as from `smoothed`, is let through.

    Raises:
      ValueError: the name is unknown.
      TypeError: neither a name nor a function.

    >>> resolve("half_mse").each(3.0, 1.0)
    2.0
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}, or a function of one example")
        return LOSSES[loss]
    if isinstance(loss, Loss):
        return loss
    if not callable(loss):
        raise TypeError(f"loss must be a name or a function of (prediction, target), got {loss!r}")
    return Loss(loss)


# Losses of probabilities, and what each output's target is for a network that knows nothing, by the number of outputs.
_CHANCE: dict[str, Callable[[int], float]] = {
    "cross_entropy": lambda n_out: 1 / n_out,
    "binary_cross_entropy": lambda _: 0.5,
}


def smoothed(loss: str | Loss, amount: float | int) -> Loss:
    """The loss against softened targets, y (1 − ε) + ε / K: label smoothing, with K = 2 for binary cross-entropy.

    Both losses are linear in the target, so this is (1 − ε) ℓ(ŷ, y) + ε ℓ(ŷ, 1 / K), for labels and rows alike.
    Szegedy et al. 2016. The same loss and amount give the same object, and so one compilation.

    Args:
      loss: "cross_entropy" or "binary_cross_entropy", by name or from `resolve`.
      amount: ε, 0 ≤ ε < 1; 0 is the loss itself.
    Raises:
      ValueError: another loss, whose targets are no probabilities, or an amount outside of [0, 1).
      TypeError: the amount is no number.

    >>> bool(smoothed("cross_entropy", 0.1).each(jnp.array([2.0, 0.0]), jnp.array(0)) > 0.2)
    True
    >>> smoothed("cross_entropy", 0.1) is smoothed("cross_entropy", 0.1)
    True
    """
    name = next((name for name in _CHANCE if loss in (name, LOSSES[name])), None)
    if name is None:
        raise ValueError(
            f"label smoothing is for {' and '.join(_CHANCE)}, whose targets are probabilities; got {loss!r}"
        )
    if isinstance(amount, (bool, str)) or np.ndim(amount) or np.asarray(amount).dtype.kind not in "iuf":
        raise TypeError(f"label smoothing must be a number, got {amount!r}")
    if not 0 <= float(amount) < 1:
        raise ValueError(f"label smoothing is {amount}; it must be at least 0 and less than 1")
    return _smoothed(name, float(amount)) if amount else LOSSES[name]


@lru_cache(maxsize=128)
def _smoothed(name: str, ε: float) -> Loss:
    each, finish = LOSSES[name]

    def smoothed_each(prediction: Array, target: Array) -> Array:
        chance = jnp.full_like(prediction, _CHANCE[name](prediction.size))
        return (1 - ε) * each(prediction, target) + ε * each(prediction, chance)

    return Loss(smoothed_each, finish)


def mean_loss(loss: Loss, predictions: Array, targets: Array, weights: Array | None = None) -> Array:
    """finish(Σᵢ wᵢ ℓ(ŷᵢ, yᵢ) / Σᵢ wᵢ) over a batch, summed in float32 at least.

    Args:
      loss: from `resolve`.
      predictions: (batch, n_N).
      targets: (batch, n_N), or (batch,) labels where the loss takes them.
      weights: (batch,), None for all ones; an example of weight 0 counts for nothing, and where all do, so does the
        batch: its loss and gradient are 0.

    >>> float(mean_loss(resolve("mse"), jnp.array([[1.0], [2.0]]), jnp.array([[0.0], [0.0]])))
    2.5
    """
    each = jax.vmap(loss.each)(predictions, targets)
    each = jnp.mean(each.reshape(each.shape[0], -1), axis=1)
    each = each.astype(jnp.promote_types(each.dtype, jnp.float32))
    if weights is None:
        return loss.finish(jnp.mean(each))
    weights = weights.astype(jnp.promote_types(weights.dtype, jnp.float32))
    total = jnp.sum(weights)
    return loss.finish(jnp.sum(weights * each) / jnp.where(total > 0, total, 1))


# Outside of these the formulas still give numbers, which mean nothing.
_DOMAINS: dict[Any, tuple[str, Callable[[np.ndarray], Any]]] = {
    "cross_entropy": (
        "labels, or rows of probabilities that sum to 1",
        lambda y: (y >= 0).all() and np.allclose(y.sum(axis=1, dtype=float), 1, atol=1e-2),  # bfloat16 rows too
    ),
    "binary_cross_entropy": ("between 0 and 1", lambda y: (y >= 0) & (y <= 1)),
    "poisson": ("counts of at least 0", lambda y: y >= 0),
}


def check_targets(loss: str | Callable[..., Any], targets: Any, n_out: int) -> None:
    """Refuse targets that would broadcast against predictions (n, n_out) instead of matching them.

    Raises:
      ValueError: the shape is not (n, n_out), nor (n,) integer labels for cross-entropy or a function of the user's; a
        target is outside of what the loss is made for.

    >>> check_targets("mse", np.zeros(5), 1)
    Traceback (most recent call last):
      ...
    ValueError: targets of shape (5,) do not match predictions of shape (5, 1): reshape them, y[:, None]
    """
    y = np.asarray(targets)
    shape = y.shape
    if callable(loss) and len(shape) == 1 and y.dtype.kind in "iu":
        return  # labels: what they mean is the function's business
    if loss == "cross_entropy" and len(shape) == 1:
        labels = y
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"cross_entropy labels must be integers, got {labels.dtype}: use y.astype(int)")
        if labels.size and not 0 <= labels.min() <= labels.max() < n_out:
            raise ValueError(f"labels run from {labels.min()} to {labels.max()}; {n_out} outputs need 0 … {n_out - 1}")
        return
    if len(shape) == 1 and n_out == 1:
        raise ValueError(
            f"targets of shape {shape} do not match predictions of shape ({shape[0]}, 1): reshape them, y[:, None]"
        )
    if len(shape) != 2 or shape[1] != n_out:
        rows = shape[0] if shape else "n"
        raise ValueError(f"targets have shape {shape}; the network predicts ({rows}, {n_out})")
    if loss in _DOMAINS:
        allowed, inside = _DOMAINS[loss]
        if not np.all(inside(y)):
            raise ValueError(f"targets of {loss} must be {allowed}; got values from {y.min()} to {y.max()}")
