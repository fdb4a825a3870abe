"""Sums over the steps of a long epoch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn.training.sums import Sums


@pytest.mark.parametrize("value", [0.1, 1e-3, 3.7])
def test_a_million_terms_do_not_drift(value):
    """Float32 alone is off by per cents: what is added is rounded to the grid of the sum."""
    n = 2**21

    @jax.jit
    def both(value):
        def step(_, carry):
            sums, plain = carry
            return sums.plus(total=value, weight=1.0, steps=1), plain + value

        start = (Sums.none(jnp.float32), jnp.zeros((), jnp.float32))
        return jax.lax.fori_loop(0, n, step, start)

    sums, plain = both(jnp.float32(value))
    right = n * float(np.float32(value))
    assert float(sums.values[0]) == pytest.approx(right, rel=1e-7)
    assert float(sums.values[1]) == n
    assert abs(float(plain) / right - 1) > 1e-4  # what it would be without
