"""LSUV: unit variance in every hidden layer, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn


@pytest.mark.parametrize(
    ("sizes", "activation", "residual"),
    [
        ([3, 8, 8, 8, 2], "relu", False),
        ([4, 4, 4], "identity", False),
        pytest.param([8, 8, 8, 5, 5, 1], "gelu", True, marks=pytest.mark.slow),
        pytest.param([4] * 60, "tanh", False, marks=pytest.mark.slow),
    ],
)
def test_hidden_pre_activations_have_unit_variance(sizes, activation, residual, x64):
    params = jnn.init_network_params(
        sizes, jax.random.key(0), activation=activation, init="orthogonal", residual=residual
    )
    x = jax.random.normal(jax.random.key(1), (50, sizes[0]))
    scaled = jnn.lsuv(params, x)
    states = [np.asarray(s) for s in jax.jit(jax.vmap(oracles.states, (None, 0)))(scaled, x)]
    for (w, _), state in list(zip(jnn.layers(scaled), [np.asarray(x), *states], strict=False))[:-1]:
        assert np.std(state @ np.asarray(w).T) == pytest.approx(1, rel=1e-10)
    for before, after in zip(params, scaled, strict=True):
        np.testing.assert_array_equal(before.b, after.b)
    np.testing.assert_array_equal(params[-1].w[-1], scaled[-1].w[-1])


def test_equal_examples_are_refused():
    params = jnn.init_network_params([2, 4, 1], jax.random.key(0))
    with pytest.raises(ValueError, match="layer 1 has no variance over these 5 examples"):
        jnn.lsuv(params, jnp.zeros((5, 2)))
    with pytest.raises(ValueError, match="shape"):
        jnn.lsuv(params, jnp.zeros(2))
