"""The tangent kernel of a network, against both Jacobians formed by plain autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.diagnostics import tangent_kernel
from jnn.diagnostics.tangent_kernel import empirical_ntk


def jacobian_kernel(params, x, x2):
    """Θ from both Jacobians, formed by plain autodiff."""

    def jacobian(x):
        f = lambda p, x: jnn.forward(p, x, backprop="autodiff")  # noqa: E731
        each = jax.vmap(jax.jacrev(f), (None, 0))(params, x)
        return jnp.concatenate(
            [leaf.reshape(*leaf.shape[:2], -1) for leaf in jax.tree.leaves(each)], -1
        )

    return jnp.einsum("nap,mbp->nmab", jacobian(x), jacobian(x2))


@pytest.mark.table
@pytest.mark.parametrize(
    ("sizes", "activation", "residual"),
    [
        ([2, 1], "tanh", False),
        ([1, 1, 1, 1], "sigmoid", False),
        ([3, 4, 4, 2], "relu", False),
        ([2, 4, 4, 2], "tanh", True),
    ],
)
def test_the_empirical_kernel_is_that_of_the_jacobian(sizes, activation, residual, x64):
    params = jnn.init_network_params(
        sizes, jax.random.key(1), activation=activation, residual=residual, init="normal"
    )
    rng = np.random.default_rng(0)
    x, x2 = rng.standard_normal((4, sizes[0])), rng.standard_normal((3, sizes[0]))
    Θ = empirical_ntk(params, x, x2)
    assert Θ.shape == (4, 3, sizes[-1], sizes[-1])
    expected = jax.jit(jacobian_kernel)(params, jnp.asarray(x), jnp.asarray(x2))
    np.testing.assert_allclose(Θ, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_a_readout_that_mixes_entries(x64):
    params = jnn.init_network_params([2, 3, 3], jax.random.key(0), output="softmax")
    x = np.random.default_rng(0).standard_normal((3, 2))
    expected = jacobian_kernel(params, jnp.asarray(x), jnp.asarray(x))
    np.testing.assert_allclose(empirical_ntk(params, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_blocks_do_not_show(monkeypatch):
    params = jnn.init_network_params([2, 5, 2], jax.random.key(0))
    x = np.random.default_rng(0).standard_normal((6, 2))
    whole = empirical_ntk(params, x)
    monkeypatch.setattr(tangent_kernel, "_NUMBERS", 75)  # three examples at a time
    np.testing.assert_allclose(empirical_ntk(params, x), whole, rtol=1e-5, atol=1e-5)
    assert whole.dtype == jnp.float32


X = np.array([[1.0, 0.0], [0.6, 0.8]])
NET = jnn.from_layers([(np.ones((3, 2)), np.zeros(3)), (np.ones((1, 3)), np.zeros(1))])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: empirical_ntk([(1, 2)], X), TypeError, "tuple of stacks"),
        (lambda: empirical_ntk(NET, X[0]), ValueError, "one example a row"),
        (lambda: empirical_ntk(NET, X, X[0]), ValueError, "x2 has shape"),
        (lambda: empirical_ntk(NET, X[:0]), ValueError, "one example a row"),
        (lambda: empirical_ntk(NET, np.ones((2, 3))), ValueError, r"\(n, 2\)"),
        (lambda: empirical_ntk(NET, [[np.nan, 0.0]]), ValueError, "x must be finite"),
        (lambda: empirical_ntk(NET, X, sigma_w2=2.0), ValueError, "together"),
        (lambda: empirical_ntk(NET, X, sigma_b2=2.0), ValueError, "together"),
        (
            lambda: empirical_ntk(NET, X, sigma_w2=-1.0, sigma_b2=0.0),
            ValueError,
            "sigma_w2 is -1.0; it must be finite and above 0",
        ),
        (lambda: empirical_ntk(NET, X, sigma_w2=[1, 2], sigma_b2=0.0), TypeError, "sigma_w2 is"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
