"""Adam and SGD as scikit-learn defines them; rates, momenta and ε are numbers to the program."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.checks import Thing, Tree


class Numbers(NamedTuple):
    """All numbers of a run that are no data: another one of them compiles nothing."""

    alpha: Any
    tol: Any
    patience: Any  # n_iter_no_change
    learning_rate: Any  # learning_rate_init
    falling: Any  # 1 where the rate falls with the samples seen, "invscaling"
    adaptive: Any  # 1 where it is cut for lack of progress
    power: Any  # power_t
    momentum: Any
    nesterov: Any  # 1 where the momentum looks ahead
    beta_1: Any
    beta_2: Any
    epsilon: Any
    # what `terms.Terms` asks for; 0 where it does not
    dropout: Any = 0.0
    l1_ratio: Any = 0.0
    smoothing: Any = 0.0  # label_smoothing
    clip_norm: Any = 0.0
    seed: Any = 0.0  # of the masks
    first: Any = 0.0  # the step that a cosine starts with
    horizon: Any = 0.0  # the steps that it takes to fall
    levels: tuple[Any, ...] = ()  # quantiles to predict


NOTHING = Numbers(*[0.0] * 12, levels=())


def packed(numbers: Numbers) -> np.ndarray:
    """All of them in one vector, the levels last."""
    *others, levels = numbers
    return np.array([*others, *levels], np.float64)


def unpacked(vector: Thing) -> Numbers:
    """The numbers of a vector, traced or not.

    >>> numbers = Numbers(*range(12), levels=(0.1, 0.9))
    >>> unpacked(packed(numbers)).levels
    (np.float64(0.1), np.float64(0.9))
    """
    count = len(Numbers._fields) - 1
    entries = [vector[i] for i in range(len(vector))]
    return Numbers(*entries[:count], levels=tuple(entries[count:]))


class Solver(NamedTuple):
    """How a step is made of a gradient."""

    start: Callable[[Tree], tuple[Tree, ...]]  # the moments of parameters before the first step
    # of numbers, rate, number of this step, moments, gradient, parameters and what is searched by:
    # the new moments and the step
    step: Callable[[Numbers, Any, Any, Tree, Tree, Tree, Any], tuple[Tree, Tree]]


def _adam(
    numbers: Numbers, rate: Any, t: Any, moments: tuple[Tree, ...], gradient: Tree, *_: Any
) -> tuple[tuple[Tree, ...], Tree]:
    """−η √(1 − β₂ᵗ)/(1 − β₁ᵗ) m/(√v + ε): ε is not corrected for the bias of v."""
    rate = rate * jnp.sqrt(1 - numbers.beta_2**t) / (1 - numbers.beta_1**t)

    def of_array(g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
        β1, β2, ε, η = (
            number.astype(g.dtype)
            for number in (numbers.beta_1, numbers.beta_2, numbers.epsilon, rate)
        )
        m = β1 * m + (1 - β1) * g
        v = β2 * v + (1 - β2) * g**2
        return m, v, -η * m / (jnp.sqrt(v) + ε)

    return _taken_apart(jax.tree.map(of_array, gradient, *moments), gradient)


def _sgd(
    numbers: Numbers, rate: Any, _: Any, moments: tuple[Tree, ...], gradient: Tree, *__: Any
) -> tuple[tuple[Tree, ...], Tree]:
    """v ← μ v − η g, which is the step; of Nesterov's momentum that is μ v − η g once more."""

    def of_array(g: Any, v: Any) -> tuple[Any, Any]:
        η, μ = rate.astype(g.dtype), numbers.momentum.astype(g.dtype)
        v = μ * v - η * g
        return v, jnp.where(numbers.nesterov > 0, μ * v - η * g, v)

    return _taken_apart(jax.tree.map(of_array, gradient, *moments), gradient)


def _taken_apart(found: Tree, like: Tree) -> tuple[tuple[Tree, ...], Tree]:
    """A tree of tuples (moments …, step) as a tuple of trees."""
    structure = jax.tree.structure(like)
    *moments, step = zip(*structure.flatten_up_to(found), strict=True)
    return tuple(map(structure.unflatten, moments)), structure.unflatten(step)


def _zeros(count: int, params: Tree) -> tuple[Tree, ...]:
    """So many trees like the parameters, NumPy's."""
    return (jax.tree.map(np.zeros_like, params),) * count


SOLVERS = {"adam": Solver(partial(_zeros, 2), _adam), "sgd": Solver(partial(_zeros, 1), _sgd)}
