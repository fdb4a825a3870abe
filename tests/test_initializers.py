"""Initializers: variances, orthogonality, independence of layers, and what None chooses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import initializers

IN, OUT = 400, 300  # 120,000 draws: the variance is known to 0.4% (one σ); the table allows 2%
VARIANCES = {
    "normal": 1.0,
    "lecun_normal": 1 / IN,
    "lecun_uniform": 1 / IN,
    "glorot_normal": 2 / (IN + OUT),
    "glorot_uniform": 2 / (IN + OUT),
    "he_normal": 2 / IN,
    "he_uniform": 2 / IN,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_weights_have_the_variance_of_the_scheme(name):
    w, b = jnn.layers(jnn.init_network_params([IN, OUT], jax.random.key(0), init=name))[0]
    assert w.shape == (OUT, IN)
    assert float(jnp.var(w)) == pytest.approx(VARIANCES[name], rel=0.02)
    assert abs(float(jnp.mean(w))) < 4 * np.sqrt(VARIANCES[name] / w.size)
    if name == "normal":
        assert float(jnp.var(b)) == pytest.approx(1, rel=0.3)
    else:
        assert not np.any(b)
    if name.endswith("uniform"):
        assert float(jnp.max(jnp.abs(w))) <= np.sqrt(3 * VARIANCES[name]) * (1 + 1e-6)


@pytest.mark.parametrize(("n_in", "n_out"), [(8, 8), (5, 3), (3, 5)])
def test_orthogonal_preserves_length(n_in, n_out):
    w, b = jnn.layers(jnn.init_network_params([n_in, n_out], jax.random.key(1), init="orthogonal"))[0]
    gram = w @ w.T if n_out <= n_in else w.T @ w
    np.testing.assert_allclose(gram, np.eye(min(n_in, n_out)), atol=1e-6)
    assert not np.any(b)


def test_every_name_is_tested():
    assert {*VARIANCES, "orthogonal"} == set(initializers.INITIALIZERS)


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        *((h, "he_uniform") for h in ("relu", "leaky_relu", "elu", "gelu", "silu")),
        ("selu", "lecun_normal"),
        *((h, "glorot_uniform") for h in ("identity", "sigmoid", "tanh", "softplus", "erf", "sin", jnp.tanh)),
    ],
)
def test_none_chooses_by_activation(activation, name):
    assert initializers.resolve(None, activation) is initializers.INITIALIZERS[name]


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_layers_are_independent_and_keys_reproduce(name):
    sizes = [3, 3, 3, 3]
    params = jnn.init_network_params(sizes, jax.random.key(0), init=name)
    again = jnn.init_network_params(sizes, jax.random.key(0), init=name)
    other = jnn.init_network_params(sizes, jax.random.key(1), init=name)
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))
    drawn = [np.asarray(w) for p in (params, other) for w, _ in jnn.layers(p)]
    assert len({w.tobytes() for w in drawn}) == 6


def test_a_function_of_the_users():
    def ramp(key, shape, dtype):
        del key
        return jnp.arange(shape[0] * shape[1], dtype=dtype).reshape(shape)

    w, b = jnn.layers(jnn.init_network_params([2, 3], jax.random.key(0), init=ramp))[0]
    np.testing.assert_array_equal(w, [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(b, np.zeros(3))


def test_a_function_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"init returned weights of shape \(3,\); expected .* \(2, 3\)"):
        jnn.init_network_params([2, 3], jax.random.key(0), init=lambda key, shape, dtype: jnp.zeros(shape[1], dtype))


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown init 'xavier'; known: normal, lecun_normal.*, or a function"):
        jnn.init_network_params([1, 1], jax.random.key(0), init="xavier")


def test_neither_name_nor_function(as_a_user):
    with pytest.raises(TypeError, match=r"init must be a name, a function .* or None, got 3"):
        jnn.init_network_params([1, 1], jax.random.key(0), init=3)
