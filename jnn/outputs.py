"""Outputs: what a readout may apply, any activation or one that mixes entries.

Softmax, p = eᶻ / Σ eᶻ, mixes entries: its derivative is not a vector of slopes but the matrix
diag(p) − p pᵀ, so it can stand at the end of a network only.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jnn import activations, checks
from jnn.activations import ACTIVATIONS, ActivationLike


class Output(NamedTuple):
    """A function of all entries of a readout together, along the first axis."""

    value: Callable[[Array], Array]  # (n, …) -> (n, …)
    derivative: Callable[[Array], Array]  # z: (n,) -> ∂value/∂z: (n, n)


def _softmax_derivative(z: Array) -> Array:
    p = jax.nn.softmax(z)
    return jnp.diag(p) - jnp.outer(p, p)


OUTPUTS: dict[str, Output] = {
    "softmax": Output(partial(jax.nn.softmax, axis=0), _softmax_derivative),
}


def mixing(activation: ActivationLike) -> Output | None:
    """The output of that name that mixes entries; None for what is an activation.

    >>> mixing("tanh") is None
    True
    """
    return OUTPUTS.get(activation) if isinstance(activation, str) else None


def kind_of_output(output: ActivationLike) -> str | None:
    """What a readout's values are: "numbers", "probabilities", or "a distribution".

    Returns:
      "probabilities" where each lies in (0, 1), "a distribution" where they sum to 1, or None for a
      function of your own, of which nothing is known.
    Raises:
      ValueError: the name is unknown.

    >>> kind_of_output("identity"), kind_of_output("sigmoid"), kind_of_output("softmax")
    ('numbers', 'probabilities', 'a distribution')
    """
    if not isinstance(output, str):
        checks.function("output", output, "a name or an elementwise function")
        return None
    check_output(output)
    if output in OUTPUTS:
        return "a distribution"
    return "probabilities" if ACTIVATIONS[output].probability else "numbers"


def check_output(output: ActivationLike) -> None:
    """Raise unless it may be a readout's activation: any activation, or one of `OUTPUTS`.

    Raises:
      ValueError, TypeError: as in `activations.check`.

    >>> check_output("softmax")
    """
    if isinstance(output, str):
        names = [*ACTIVATIONS, *OUTPUTS]
        checks.known("output", output, names, otherwise="an elementwise function")
    else:
        activations.check(output)
