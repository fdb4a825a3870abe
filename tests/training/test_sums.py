"""Sums over the steps of a long epoch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.training.sums import Sums


@pytest.mark.parametrize("value", [0.1, 1e-3, 3.7])
def test_a_million_terms_do_not_drift(value):
    """Float32 alone is off by per cents: what is added is rounded to the grid of the sum."""
    n = 2**21

    @jax.jit
    def both(value):
        def step(_, carry):
            sums, plain = carry
            terms = jnp.stack([value, 1.0, 0.0])
            return sums.plus(terms, 1, norm=0.0), plain + value

        start = (Sums.none(jnp.float32), jnp.zeros((), jnp.float32))
        return jax.lax.fori_loop(0, n, step, start)

    sums, plain = both(jnp.float32(value))
    right = n * float(np.float32(value))
    assert float(sums.values[0]) == pytest.approx(right, rel=1e-7)
    assert float(sums.values[1]) == n
    assert abs(float(plain) / right - 1) > 1e-4  # what it would be without


def test_nor_do_those_of_one_epoch():
    """They are written down step by step, and added up by a tree."""
    n = 2**18
    x = np.zeros((n, 1), np.float32)
    y = np.full((n, 1), 0.7, np.float32)
    params = jnn.from_layers([(1.0, 0.0)])
    result = jnn.fit(
        params, (x, y), loss="mse", optimizer="sgd", learning_rate=1e-30, batch_size=1, epochs=1
    )
    assert result.history["loss"][0] == pytest.approx(float(np.float32(0.7)) ** 2, rel=1e-6)
    assert result.history["gradient_norm"][0] == pytest.approx(2 * 0.7, rel=1e-6)
