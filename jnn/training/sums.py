"""Sums over the steps of an epoch, of which there may be millions."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array


class Sums(NamedTuple):
    """Σ w ℓ, Σ w, Σ Ω, Σ ‖∂ℓ/∂p‖ and Σ 1 over steps, compensated.

    Of a long sum of float32 numbers alone, the later terms would be rounded away. Kahan 1965.

    >>> sums = Sums.none(jnp.float32).plus(total=6.0, weight=2.0)
    >>> float(sums.mean)
    3.0
    """

    held: Array  # (2, 5): the sums, and by what they are too large

    @classmethod
    def none(cls, dtype: Any) -> "Sums":
        """Before the first step."""
        return cls(jnp.zeros((2, 5), dtype))

    @property
    def values(self) -> Array:
        """(5,), the sums."""
        return self.held[0]

    def plus(
        self, *, total: Any, weight: Any, penalty: Any = 0, norm: Any = 0, steps: Any = 0
    ) -> "Sums":
        """With one step's terms added."""
        before, errors = self.held
        terms = [jnp.asarray(a, before.dtype) for a in (total, weight, penalty, norm, steps)]
        corrected = jnp.stack(terms) - errors
        after = before + corrected
        # one array is one operation of the program, two are three
        return Sums(jnp.stack([after, (after - before) - corrected]))

    @property
    def mean(self) -> Array:
        """Σ w ℓ / Σ w."""
        return self.values[0] / self.values[1]
