"""Sums over the steps of an epoch, of which there may be millions."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array


class Sums(NamedTuple):
    """Σ w ℓ, Σ w, Σ Ω and Σ 1 over steps, compensated, and ‖∂ℓ/∂p‖ of the last of them.

    Of a long sum of float32 numbers alone, the later terms would be rounded away. Kahan 1965.

    >>> sums = Sums.none(jnp.float32).plus(jnp.array([6.0, 2.0, 0.0]), 1, norm=0.1)
    >>> float(sums.mean)
    3.0
    """

    held: Array  # (2, 4): the sums, and by what they are too large
    norm: Array

    @classmethod
    def none(cls, dtype: Any) -> "Sums":
        """Before the first step."""
        return cls(jnp.zeros((2, 4), dtype), jnp.zeros((), dtype))

    @property
    def values(self) -> Array:
        """(4,), the sums."""
        return self.held[0]

    def plus(self, terms: Array, steps: Any, *, norm: Any) -> "Sums":
        """With Σ w ℓ, Σ w and Σ Ω of some more steps, (3,)."""
        before, errors = self.held
        terms = jnp.append(terms.astype(before.dtype), jnp.asarray(steps, before.dtype))
        corrected = terms - errors
        after = before + corrected
        held = jnp.stack([after, (after - before) - corrected])
        return Sums(held, jnp.asarray(norm, before.dtype))

    @property
    def mean(self) -> Array:
        """Σ w ℓ / Σ w."""
        return self.values[0] / self.values[1]
