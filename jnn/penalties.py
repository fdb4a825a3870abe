"""Penalties on the weights, Ω(p), which training adds to the loss.

Lasso, ridge, and the elastic net between them. A strength is data, not structure: a program
compiled for one serves every other, and `jax.vmap` runs over several.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks
from jnn.checks import Real, Thing
from jnn.params import Params
from jnn.precision import widened


@partial(jax.tree_util.register_dataclass, data_fields=["l1", "l2"], meta_fields=[])
@dataclasses.dataclass(frozen=True)
class Penalty:
    """Ω(p) = l1 Σ|w| + ½ l2 Σw² over the weights of all layers.

    Biases go free, as they do not bend the function. The fields are typed `Any` because JAX
    rebuilds trees with leaves that are not numbers.

    >>> Penalty(l1=0.1)
    Penalty(l1=0.1, l2=0.0)
    """

    l1: Any = 0.0
    l2: Any = 0.0


PenaltyLike: TypeAlias = Penalty | Callable[[Params], Any]


def l1(strength: Real | np.ndarray | Array) -> Penalty:
    """The lasso, strength Σ|w|: weights that the loss hardly needs shrink to 0.

    Args:
      strength: at least 0; for `fit_many` an array (M,), one for each member.
    Raises:
      ValueError: the strength is negative or not finite.
      TypeError: the strength is not a number.
    Source: Tibshirani 1996.

    >>> l1(0.1)
    Penalty(l1=0.1, l2=0.0)
    """
    return Penalty(l1=_strengths("strength", strength))


def l2(strength: Real | np.ndarray | Array) -> Penalty:
    """Ridge, or weight decay within the gradient, ½ strength Σw².

    Args, Raises: as for `l1`.
    Source: Hoerl & Kennard 1970.

    >>> l2(0.1)
    Penalty(l1=0.0, l2=0.1)
    """
    return Penalty(l2=_strengths("strength", strength))


def elastic_net(strength: Real | np.ndarray | Array, mix: Real = 0.5) -> Penalty:
    """Lasso and ridge mixed, strength (mix Σ|w| + ½ (1 − mix) Σw²).

    Args:
      strength: at least 0.
      mix: from 0, which is `l2`, to 1, which is `l1`.
    Raises:
      ValueError: the strength is negative or not finite, or mix lies outside of [0, 1].
      TypeError: one of them is not a number.
    Source: Zou & Hastie 2005.

    >>> elastic_net(0.5, mix=0.25)
    Penalty(l1=0.125, l2=0.375)
    """
    strength = _strengths("strength", strength)
    mix = checks.number("mix", mix, least=0, most=1, meaning="0 is l2, and 1 is l1")
    return Penalty(l1=strength * mix, l2=strength * (1 - mix))


def value(penalty: PenaltyLike, params: Params) -> Array:
    """Ω(p), one number, in float32 at least.

    Its gradient is l1 sign(w) + l2 w, where sign(0) = 0 is the choice among the subgradients of
    |w|.

    Args:
      penalty: from `l1`, `l2` or `elastic_net`, or a function of your own, `params -> one number`.
      params: from `init_network_params` or `from_layers`.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)])
    >>> float(value(l1(0.5), params)), float(value(l2(0.5), params))
    (1.5, 1.25)
    """
    if not isinstance(penalty, Penalty):
        return widened(jnp.asarray(penalty(params)))
    weights = [widened(jnp.asarray(stack.w)) for stack in params]
    # jnp.abs has slope 1 at 0, which would move zero weights
    absolute = sum(jnp.sum(w * jnp.sign(w)) for w in weights)
    square = sum(jnp.sum(w * w) for w in weights)
    return jnp.asarray(penalty.l1 * absolute + 0.5 * penalty.l2 * square)


def check_penalty(penalty: PenaltyLike | None, params: Params) -> None:
    """Raise on what `value` could not evaluate, before anything is computed.

    A function of your own is called on shapes alone.

    Raises:
      ValueError: a strength is negative or not finite, or the function does not return one
        floating-point number.
      TypeError: neither None nor a penalty nor a function.

    >>> params = jnn.from_layers([(2.0, 1.0), (-1.0, 0.5)])
    >>> check_penalty(lambda params: params[0].w, params)
    Traceback (most recent call last):
      ...
    ValueError: a penalty function must return one floating-point number, \
got float32 of shape (1, 1, 1)
    """
    if penalty is None:
        return
    if isinstance(penalty, Penalty):
        checks.number("l1", penalty.l1, least=0)
        checks.number("l2", penalty.l2, least=0)
        return
    allowed = "None, l2(strength) or the like, or a function of params"
    checks.function("penalty", penalty, allowed)
    try:
        result = jax.eval_shape(penalty, params)
    except Exception as error:
        raise ValueError(
            f"penalty {penalty!r} could not be called on the parameters: {error!r}"
        ) from error
    if not isinstance(result, jax.ShapeDtypeStruct):
        raise ValueError(
            f"a penalty function must return one floating-point number, got {result!r}"
        )
    if result.shape != () or not jnp.issubdtype(result.dtype, jnp.floating):
        raise ValueError(
            f"a penalty function must return one floating-point number, got {result.dtype} of "
            f"shape {result.shape}"
        )


def _strengths(name: str, value: Thing) -> Any:
    """One strength, or an array of them."""
    return checks.numbers(name, value, least=0)
