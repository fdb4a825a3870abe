"""Products written out, which are one operation to JAX, against the library's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn.triangular.products import times, transpose_times

RNG = np.random.default_rng(0)
PRODUCTS = {
    "W x": (times, lambda w, x: w @ x, -1),
    "Wᵀ x": (transpose_times, lambda w, x: w.T @ x, -2),
}
table = pytest.mark.parametrize(("product", "library", "axis"), PRODUCTS.values(), ids=PRODUCTS)


def factors(axis, n_out=4, n_in=3, batch=5, members=()):
    w = RNG.normal(size=(*members, n_out, n_in))
    return jnp.asarray(w), jnp.asarray(RNG.normal(size=(*members, w.shape[axis], batch)))


@table
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (4, 3, 5), (1, 7, 9), (1, 7, 200), (8, 1, 32), (40, 2, 3)]
)
@pytest.mark.parametrize("jitted", [False, True])
def test_products(product, library, axis, shape, jitted, x64):
    w, x = factors(axis, *shape)
    product = jax.jit(product) if jitted else product
    np.testing.assert_allclose(product(w, x), library(w, x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(product(w, x[:, 0]), library(w, x[:, 0]), rtol=1e-13, atol=1e-13)


@table
@pytest.mark.parametrize("axes", [(0, 0), (1, 2), (0, None), (None, 1)])
def test_of_members(product, library, axis, axes, x64):
    """Two levels of them as well, of which the outer one has the factors in another order."""
    w, x = factors(axis, members=(3,))
    w = jnp.moveaxis(w, 0, axes[0]) if axes[0] is not None else w[0]
    x = jnp.moveaxis(x, 0, axes[1]) if axes[1] is not None else x[0]
    found, expected = (jax.vmap(f, axes) for f in (product, library))
    np.testing.assert_allclose(found(w, x), expected(w, x), rtol=1e-13)
    again, expected_again = (jax.vmap(f, (None, 0)) for f in (found, expected))
    several = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(again(w, several), expected_again(w, several), rtol=1e-13)


TRANSFORMED = {
    "gradient": lambda f: jax.grad(f, (0, 1)),
    "forward mode": lambda f: jax.jacfwd(f, (0, 1)),
    "reverse over reverse": lambda f: jax.jacrev(jax.grad(f, (0, 1)), (0, 1)),
    "forward over reverse": lambda f: jax.hessian(f, (0, 1)),
    "third": lambda f: jax.jacfwd(jax.hessian(f)),
    "gradient of members": lambda f: (
        lambda w, x: jax.vmap(jax.grad(f, (0, 1)))(jnp.stack([w, -w]), jnp.stack([x, x]))
    ),
    "gradient of members that share weights": lambda f: (
        lambda w, x: jax.vmap(jax.grad(f, (0, 1)), (None, 0))(w, jnp.stack([x, 2 * x]))
    ),
    "checkpoint": lambda f: jax.grad(jax.checkpoint(f), (0, 1)),
}


@table
@pytest.mark.parametrize("transform", TRANSFORMED.values(), ids=list(TRANSFORMED))
def test_transformed(product, library, axis, transform, x64):
    w, x = factors(axis, 2, 3, 4)

    def of(product):
        return lambda w, x: jnp.sum(jnp.sin(product(jnp.tanh(w), x)))

    found, expected = (transform(of(f))(w, x) for f in (product, library))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), found, expected
    )


@table
def test_a_product_is_one_operation_and_its_derivatives_are_products(product, library, axis):
    w, x = factors(axis)
    gradient = jax.make_jaxpr(jax.grad(lambda w, x: product(w, x).sum(), (0, 1)))(w, x)
    names = [equation.primitive.name for equation in gradient.eqns]
    assert {"times", "transpose_times"} >= {name for name in names if "times" in name}
    assert len(names) < 12
    assert "slice" not in names
