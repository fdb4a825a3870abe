"""The recipe of `recommended()`: a network that is good without tuning, by `jnn.fit` in float32.

1. Columns of X, and of y in regression, are standardised.
2. Penalties are judged on held-out rows: for each α of `ALPHAS` four networks are trained on three
   quarters of the rows each, and asked for the other quarter. Of classes their outputs before
   softmax or sigmoid are multiplied by a factor, an inverse temperature: a penalty makes a network
   timid, the lack of one too sure. It is the root of the factor that makes the loss of these rows
   least, half of the way to it from 1: where they are few and none is wrong, the whole way makes
   the network so sure that a single wrong row outweighs all others.
3. Eight networks start at other weights and are trained on all rows. In turn they take the α's
   that the held-out rows do not tell from the best: those whose losses, row by row, exceed the
   best's by at most two standard errors on average. To choose one of them would be to trust luck.
4. The outputs of the eight, each with the factor of its α, are averaged.

Each is trained by Adam, its rate falling along half a cosine to 0. As α and the start are numbers
to the compiled program, there are two programs: of three quarters of the rows and of all of them.
The average is a network itself (`joined`), and takes rows as they came (`unscaled`).
"""

from functools import cache
from typing import NamedTuple

import jax
import numpy as np
import optax

from jnn import losses, penalties
from jnn.building import init_network_params
from jnn.checks import Tree
from jnn.data.scaling import standardization, standardize
from jnn.data.splits import split
from jnn.params import Params, layers
from jnn.sklearn.averages import Layers, joined, unscaled
from jnn.training.fitting import fit
from jnn.triangular.network import predict

ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0)
FACTORS = 2.0 ** np.linspace(-3, 3, 49)  # an inverse temperature; with 1 among them
FOLDS = 4
MEMBERS = 8
LEAST_ROWS = 2 * FOLDS
# what is minimised, by the names of out_activation_
LOSSES = {"softmax": "cross_entropy", "logistic": "binary_cross_entropy", "identity": "half_mse"}
CALIBRATED = ("cross_entropy", "binary_cross_entropy")


class Training(NamedTuple):
    """How each network is made and trained."""

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "silu"  # as jnn calls it
    rate: float = 1e-2  # at the start
    epochs: int = 200
    batch_size: int = 200  # at most: minibatches are of equal length


class Recommended(NamedTuple):
    """What the recipe found."""

    layers: Layers  # of one network, from rows as they came to the averaged outputs
    alphas: tuple[float, ...]  # of the members
    factors: tuple[float, ...]  # of their outputs; 1 but of classes
    held_out: np.ndarray  # (alphas,) mean loss on held-out rows, y standardised
    history: np.ndarray  # (epochs,) training loss with penalty, the members' mean


def recommended_network(
    X: np.ndarray, y: np.ndarray, output: str, seed: int, training: Training | None = None
) -> Recommended:
    """The network that the recipe finds.

    Args:
      X: (n, n_0).
      y: (n, n_N): one-hot rows, labels of 0 and 1, or real numbers.
      output: "softmax", "logistic" or "identity", which says what y is.
      seed: of folds, starts and orders of visits.
      training: None is 64–64 silu.
    Raises:
      ValueError: there are too few rows to hold some out.
    Source: Loshchilov and Hutter 2017 (cosine); Guo, Pleiss, Sun and Weinberger 2017 (temperature);
      Lakshminarayanan, Pritzel and Blundell 2017 (averages over starts).

    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> quick = Training(hidden=(8,), epochs=50)
    >>> network = recommended_network(x, 100 + 20 * x, "identity", 0, quick)
    >>> [w.shape for w, _ in network.layers]  # of eight networks in one
    [(64, 1), (1, 64)]
    """
    n = len(X)
    if n < LEAST_ROWS:
        raise ValueError(
            f"X has {n} rows; alpha='held-out' needs at least {LEAST_ROWS}, of which it holds some "
            "out to choose alpha: give alpha a number"
        )
    training = Training() if training is None else training
    scaling = standardization(X)
    target = standardization(y) if output == "identity" else None
    x, z = (
        np.asarray(a, np.float32)
        for a in (standardize(scaling, X), y if target is None else standardize(target, y))
    )
    of_folds, of_members, of_split = jax.random.split(jax.random.key(seed), 3)
    loss = LOSSES[output]
    outputs = _held_out_outputs(x, z, loss, of_split, of_folds, training)
    factors, held_out = _judged(outputs, z, loss)
    taken = np.resize(not_told_from_best(held_out), MEMBERS)

    members, histories = [], []
    for key, i in zip(jax.random.split(of_members, MEMBERS), taken, strict=True):
        params, history = _trained(x, z, loss, ALPHAS[i], key, training)
        *hidden, (w, b) = [(np.asarray(w), np.asarray(b)) for w, b in layers(params)]
        members.append([*hidden, (factors[i] * w, factors[i] * b)])
        histories.append(history)
    return Recommended(
        unscaled(joined(members), scaling, target),
        tuple(ALPHAS[i] for i in taken),
        tuple(factors[taken].tolist()),
        held_out.mean(axis=1),
        np.mean(histories, axis=0),
    )


def not_told_from_best(held_out: np.ndarray) -> np.ndarray:
    """The places of the α's that are not clearly worse than the best, in order.

    Of the differences to the best, row by row, the mean is at most two standard errors.

    Args:
      held_out: (alphas, n), the loss of each row.

    >>> not_told_from_best(np.array([[1.0, 3.0], [1.5, 2.4], [0.9, 3.2], [2.9, 3.1]])).tolist()
    [0, 1, 2]
    """
    n = held_out.shape[1]
    more = held_out - held_out[held_out.mean(axis=1).argmin()]
    error = more.std(axis=1, ddof=1) / np.sqrt(n)
    return np.flatnonzero(more.mean(axis=1) <= 2 * error)


def _held_out_outputs(
    x: np.ndarray, y: np.ndarray, loss: str, of_split: Tree, of_folds: Tree, training: Training
) -> np.ndarray:
    """(alphas, n, n_N): for each α the outputs of each row, by the network that has not seen it."""
    parts = _folds(len(x), y if loss == "cross_entropy" else None, of_split)
    outputs = np.empty((len(ALPHAS), *y.shape), np.float32)
    for held, key in zip(parts, jax.random.split(of_folds, FOLDS), strict=True):
        rest = np.setdiff1d(np.arange(len(x)), held)
        for i, alpha in enumerate(ALPHAS):  # from the same start, so that only α differs
            params, _ = _trained(x[rest], y[rest], loss, alpha, key, training)
            outputs[i, held] = predict(params, x[held])
    return outputs


def _judged(outputs: np.ndarray, y: np.ndarray, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """For each α the factor of its outputs, (alphas,); the rows' losses with it, (alphas, n)."""
    factors = np.ones(len(ALPHAS))
    if loss in CALIBRATED:
        each = [_of_rows(factor * factors, outputs, y, loss).mean(axis=1) for factor in FACTORS]
        factors = np.sqrt(FACTORS[np.argmin(each, axis=0)])
    return factors, _of_rows(factors, outputs, y, loss)


def _of_rows(factors: np.ndarray, outputs: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    """(alphas, n): the loss of each row, of outputs times the factor of their α."""
    scaled = (factors[:, None, None] * outputs).astype(np.float32)
    rows = jax.numpy.asarray(scaled.reshape(-1, y.shape[1]))
    targets = jax.numpy.asarray(np.tile(y, (len(ALPHAS), 1)))
    each = losses.of_examples(losses.resolve(loss), rows, targets)
    return np.asarray(each, np.float64).reshape(outputs.shape[:2])


def _folds(n: int, classes: np.ndarray | None, key: Tree) -> list[np.ndarray]:
    """The rows of each fold; classes of rows enough are in all of them."""
    labels = None
    if classes is not None and classes.sum(axis=0).min() >= FOLDS:
        labels = classes.argmax(axis=1)
    parts = split((np.arange(n),), [1 / FOLDS] * FOLDS, key, stratify=labels)
    return [rows for (rows,) in parts]


def _trained(
    x: np.ndarray, y: np.ndarray, loss: str, alpha: float, key: Tree, training: Training
) -> tuple[Params, np.ndarray]:
    """A network, and its loss after each epoch."""
    n = len(x)
    of_start, of_order = jax.random.split(key)
    sizes = [x.shape[1], *training.hidden, y.shape[1]]
    batches = -(-n // training.batch_size)
    result = fit(
        init_network_params(
            sizes, of_start, activation=training.activation, dtype=np.dtype(np.float32)
        ),
        (x, y),
        loss=loss,
        penalty=penalties.l2(alpha / n),
        learning_rate=_falling(training.rate, training.epochs * batches),
        epochs=training.epochs,
        batch_size=-(-n // batches),
        key=of_order,
        progress=False,
    )
    return result.params, np.asarray(result.history["loss"])


@cache
def _falling(rate: float, steps: int) -> optax.Schedule:
    """From the rate to 0 along half a cosine; one object, as a new one is compiled anew."""
    return optax.cosine_decay_schedule(rate, steps)
