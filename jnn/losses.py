"""Losses of a prediction ŷ and a target y, by name, on `optax.losses`.

A loss compares *one* example: `each(prediction: (n_N,), target)`. Whatever shape it returns is
averaged over outputs and examples, so losses of an entry (squared error) and of an example
(cross-entropy) both fit. `finish` then acts on the average (the root of `rmse`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jnn import checks
from jnn.checks import Real, Reals, Thing
from jnn.precision import weighted_sum, wide

Each: TypeAlias = Callable[[Array, Array], Array]


class Domain(NamedTuple):
    """The targets that a loss is made for; outside of them its numbers mean nothing."""

    words: str
    holds: Callable[[np.ndarray], Any]


class Loss(NamedTuple):
    """One example's loss, what is done to the average over examples, and what is known of it.

    No field has a default: what is not known of a new loss has to be said.
    """

    each: Each
    finish: Callable[[Array], Array]
    takes: str | None  # what predictions are to it, a key of _REMEDIES; None: whatever they are
    domain: Domain | None  # of (n, n_N) targets; None: all numbers
    labels: bool  # whether targets may be integer labels (n,)
    chance: Callable[[int], float] | None  # y of knowing nothing, by n_N, where ℓ is linear in y
    scale: float | None  # s where ℓ = s/2 (ŷ − y)²; None: not a square
    measured: "Loss | None"  # what validation takes in its place; None: itself
    smoothing: Any  # ε where it is `smoothed` of `measured`, else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by how it is made, for its functions do not pickle."""
        names = [name for name, loss in LOSSES.items() if loss is self]
        if names:
            return resolve, (names[0],)
        if self.smoothing is not None:
            return smoothed, (self.measured, self.smoothing)
        return getattr(self.each, "made", (Loss, tuple(self)))


LossLike: TypeAlias = str | Loss | Callable[..., Any]


def _mean(mean: Array) -> Array:
    return mean


def _root(mean: Array) -> Array:
    # √ has an infinite slope at 0: a perfect fit has gradient 0, not NaN
    zero = mean == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, mean)))


def _of_difference(
    each: Each, scale: float | None = None, finish: Callable[[Array], Array] = _mean
) -> Loss:
    """A loss of ŷ − y, for any numbers."""
    return Loss(each, finish, None, None, False, None, scale, None, None)


def _row(target: Array, like: Array) -> Array:
    """A label as a one-hot row: under vmap its entry alone is a gather."""
    return target if target.ndim else jax.nn.one_hot(target, len(like), dtype=like.dtype)


def _cross_entropy(logits: Array, target: Array) -> Array:
    """−log softmax(logits)[label], of a label or a one-hot (or soft) row."""
    return optax.losses.softmax_cross_entropy(logits, _row(target, logits))


def _log(p: Array) -> Array:
    """ln p, finite where p has underflowed to 0, with slope 0."""
    return jnp.log(jnp.maximum(p, jnp.finfo(p.dtype).tiny))


def _log_loss(p: Array, target: Array) -> Array:
    """−log p[label] of probabilities p."""
    return -jnp.sum(_row(target, p) * _log(p))


def _binary_log_loss(p: Array, y: Array) -> Array:
    return -y * _log(p) - (1 - y) * _log(1 - p)


_ROWS = Domain(
    "labels, or rows of probabilities that sum to 1",
    lambda y: (y >= 0).all() and np.allclose(y.sum(axis=1, dtype=float), 1, atol=1e-2),  # bfloat16
)
_UNIT = Domain("between 0 and 1", lambda y: (y >= 0) & (y <= 1))
_COUNTS = Domain("counts of at least 0", lambda y: y >= 0)


def _uniform(n_out: int) -> float:
    return 1 / n_out


def _half(_: int) -> float:
    return 0.5


LOSSES: dict[str, Loss] = {
    # the lecture's ½(ŷ − y)²: its derivative is ŷ − y
    "half_mse": _of_difference(lambda p, y: 0.5 * (p - y) ** 2, scale=1.0),
    "mse": _of_difference(lambda p, y: (p - y) ** 2, scale=2.0),
    # |ŷ − y| with slope 0 at 0, where that of jnp.abs is 1
    "mae": _of_difference(lambda p, y: (p - y) * jnp.sign(p - y)),
    "rmse": _of_difference(lambda p, y: (p - y) ** 2, finish=_root),
    "huber": _of_difference(lambda p, y: optax.losses.huber_loss(p, y)),
    "log_cosh": _of_difference(lambda p, y: optax.losses.log_cosh(p, y)),
    # of logits: the network ends in the identity, and `jnn.probabilities` says what it means
    "cross_entropy": Loss(_cross_entropy, _mean, "logits", _ROWS, True, _uniform, None, None, None),
    "binary_cross_entropy": Loss(
        lambda p, y: optax.losses.sigmoid_binary_cross_entropy(p, y),
        _mean, "logits", _UNIT, False, _half, None, None, None
    ),
    # of probabilities: of a softmax or sigmoid
    "log_loss": Loss(_log_loss, _mean, "a distribution", _ROWS, True, _uniform, None, None, None),
    "binary_log_loss": Loss(
        _binary_log_loss, _mean, "probabilities", _UNIT, False, _half, None, None, None
    ),
    # −log likelihood of a count y at rate exp ŷ, up to log y!
    "poisson": Loss(
        lambda p, y: jnp.exp(p) - y * p, _mean, "log rates", _COUNTS, False, None, None, None, None
    ),
}  # fmt: skip


def resolve(loss: LossLike) -> Loss:
    """The loss of that name, or a function of your own, `(prediction: (n_N,), target) -> ℓ`.

    A `Loss`, as from `smoothed`, is let through.

    Raises:
      ValueError: the name is unknown.
      TypeError: neither a name nor a function.

    >>> resolve("half_mse").each(3.0, 1.0)
    2.0
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        return LOSSES[checks.known("loss", loss, LOSSES, otherwise="a function of one example")]
    each = checks.function("loss", loss, "a name or a function of (prediction, target)")
    return Loss(each, _mean, None, None, True, None, None, None, None)


def smoothed(loss: str | Loss, amount: Reals) -> Loss:
    """Label smoothing: the loss against y (1 − ε) + ε / K, with K = 2 for binary losses.

    These losses are linear in y, so it is (1 − ε) ℓ(ŷ, y) + ε ℓ(ŷ, 1/K), for labels and rows alike;
    `fit` validates by the loss itself. The same loss and amount give the same object.

    Args:
      loss: "cross_entropy" or another of probabilities, by name or from `resolve`.
      amount: ε, 0 ≤ ε < 1; 0 is the loss itself. For `fit_many` an array (M,), one for each member.
    Raises:
      ValueError: a loss whose targets are not probabilities, or an amount out of range.
      TypeError: the amount is not a number.
    Source: Szegedy et al. 2016.

    >>> bool(smoothed("cross_entropy", 0.1).each(jnp.array([2.0, 0.0]), jnp.array(0)) > 0.2)
    True
    >>> smoothed("cross_entropy", 0.1) is smoothed("cross_entropy", 0.1)
    True
    """
    plain = LOSSES.get(loss) if isinstance(loss, str) else loss
    if not isinstance(plain, Loss) or plain.chance is None:
        able = [name for name, known in LOSSES.items() if known.chance]
        raise ValueError(
            f"label smoothing is for {', '.join(able)}, whose targets are probabilities; "
            f"got {loss!r}"
        )
    ε = checks.numbers("label smoothing", amount, least=0, below=1)
    if np.ndim(ε):
        return with_smoothing(plain, ε)
    return _smoothed(plain, ε) if ε else plain


@lru_cache(maxsize=128)
def _smoothed(plain: Loss, amount: float) -> Loss:
    """The same object for the same amount."""
    return with_smoothing(plain, amount)


def plain(loss: LossLike) -> LossLike:
    """The loss without smoothing, which a program takes as a number.

    >>> plain(smoothed("cross_entropy", 0.1)) is LOSSES["cross_entropy"]
    True
    """
    smooth = isinstance(loss, Loss) and loss.smoothing is not None and loss.measured
    return smooth or loss


def with_smoothing(plain: Loss, amount: Any) -> Loss:
    """`smoothed`, of an amount that a program takes as a number."""
    ε = amount
    chance = plain.chance or _half

    def each(prediction: Array, target: Array) -> Array:
        uniform = jnp.full_like(prediction, chance(prediction.size))
        return (1 - ε) * plain.each(prediction, target) + ε * plain.each(prediction, uniform)

    each.__qualname__ = f"smoothed({name_of(plain)}, {ε})"
    return plain._replace(each=each, measured=plain, smoothing=ε)


def quantile(q: Real) -> Loss:
    """The quantile (pinball) loss max(q (y − ŷ), (q − 1)(y − ŷ)), least at the q-quantile of y.

    Args:
      q: 0 < q < 1, the share of targets below ŷ; ½ is half of mae. The same q is the same object.
    Raises:
      ValueError, TypeError: q is out of range, is not a number.
    Source: Koenker and Bassett 1978.

    >>> float(quantile(0.75).each(jnp.array(1.0), jnp.array(3.0)))
    1.5
    """
    return _quantile(checks.number("q", q, above=0, below=1, meaning="the quantile to predict"))


@lru_cache(maxsize=128)
def _quantile(q: float) -> Loss:  # with slope 0 at ŷ = y, as mae
    loss = _of_difference(
        lambda p, y: (y - p) * (jnp.where(y > p, q, 0.0) + jnp.where(y < p, q - 1, 0.0))
    )
    loss.each.__qualname__ = f"quantile({q})"
    vars(loss.each)["made"] = (quantile, (q,))
    return loss


def of_examples(loss: Loss, predictions: Array, targets: Array) -> Array:
    """ℓ(ŷᵢ, yᵢ) of every example, (batch,), averaged over its outputs; in float32 at least.

    >>> of_examples(resolve("mse"), jnp.array([[1.0], [2.0]]), jnp.zeros((2, 1))).tolist()
    [1.0, 4.0]
    """
    predictions = predictions.astype(wide(predictions.dtype))
    each = jax.vmap(loss.each)(predictions, targets)
    each = jnp.mean(each.reshape(each.shape[0], -1), axis=1)
    return each.astype(wide(each.dtype))


def linearised(loss: Loss, mean: Array, near: Array) -> Array:
    """finish(m₀) + finish′(m₀) (mean − m₀): what a part of the data contributes to finish(m₀).

    A root of a minibatch's mean is no part of the root of all examples' mean. Its line through m₀,
    the mean over all, is: over all minibatches it averages to finish(m₀), and so do its gradients.

    Args:
      loss: from `resolve`.
      mean: of a minibatch's losses.
      near: m₀.

    >>> float(linearised(resolve("rmse"), jnp.array(5.0), jnp.array(4.0)))
    2.25
    """
    near = jax.lax.stop_gradient(near)
    finished, slope = jax.value_and_grad(loss.finish)(near)
    return finished + slope * (mean - near)


def is_mean(loss: Loss) -> bool:
    """Whether the loss of all examples is the mean of theirs.

    >>> is_mean(resolve("mse")), is_mean(resolve("rmse"))
    (True, False)
    """
    return loss.finish is _mean


def mean_loss(
    loss: Loss, predictions: Array, targets: Array, weights: Array | None = None
) -> Array:
    """finish(Σᵢ wᵢ ℓ(ŷᵢ, yᵢ) / Σᵢ wᵢ) over all examples, summed in float32 at least.

    Args:
      loss: from `resolve`.
      predictions: (batch, n_N).
      targets: (batch, n_N), or (batch,) labels where the loss takes them.
      weights: (batch,), None for all ones; where all are 0, loss and gradient are 0.

    >>> float(mean_loss(resolve("mse"), jnp.array([[1.0], [2.0]]), jnp.array([[0.0], [0.0]])))
    2.5
    """
    each = of_examples(loss, predictions, targets)
    if weights is None:
        return loss.finish(weighted_sum(each, None) / len(each))
    weights = weights.astype(wide(weights.dtype))
    total = jnp.sum(weights)
    return loss.finish(weighted_sum(each, weights) / jnp.where(total > 0, total, 1))


def name_of(loss: Thing) -> str:
    """What a loss is called: its name, or that of its function.

    >>> name_of(LOSSES["mse"]), name_of(smoothed("cross_entropy", 0.1))
    ('mse', 'smoothed(cross_entropy, 0.1)')
    """
    if isinstance(loss, str):
        return loss
    known = [name for name, known in LOSSES.items() if known is loss]
    each = loss.each if isinstance(loss, Loss) else loss
    return known[0] if known else getattr(each, "__qualname__", repr(each))
