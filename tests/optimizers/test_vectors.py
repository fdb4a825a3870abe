"""Parameters as one vector, and back in the dtypes they had."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jnn.optimizers import vectors


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_a_vector_in_float32_at_least_and_back(dtype, x64):
    rng = np.random.default_rng(0)
    tree = {"w": jnp.asarray(rng.normal(size=(2, 3)), dtype), "b": jnp.ones(3, dtype)}
    vector, restore = vectors.flatten(tree)
    assert vector.dtype == jnp.promote_types(dtype, jnp.float32)
    np.testing.assert_array_equal(vector, ravel_pytree(tree)[0])
    back = restore(vector)
    jax.tree.map(np.testing.assert_array_equal, back, tree)
    assert {leaf.dtype for leaf in jax.tree.leaves(back)} == {jnp.dtype(dtype)}


def test_products_are_to_full_precision():
    rng = np.random.default_rng(0)
    A, v = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 7), 7))
    np.testing.assert_allclose(vectors.dot(jnp.asarray(A), jnp.asarray(v)), A @ v, rtol=1e-5)
    assert "HIGHEST" in str(jax.make_jaxpr(vectors.dot)(A, v))


def test_what_is_there_is_given_in_order():
    assert vectors.needed("x", {"b": 2, "a": 1, "c": 3}, "a", "b") == [1, 2]


@pytest.mark.parametrize("extra", [{}, {"a": None, "b": None}])
def test_what_is_missing_is_named(extra):
    with pytest.raises(ValueError, match=r"x needs a and b from its caller: update\(…, a=…\)"):
        vectors.needed("x", extra, "a", "b")
