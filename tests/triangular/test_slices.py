"""Layers read and written by primitives, against NumPy and under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn.triangular.slices import get, put

RNG = np.random.default_rng(0)
ARRAY, ROW = (jnp.asarray(RNG.normal(size=size), jnp.float32) for size in ((5, 3), 3))


def placed(array, row, l):
    array = np.array(array)
    array[l] = row
    return array


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("l", [0, 2, 4])
def test_one_layer(l, jitted):
    read, write = (jax.jit(f) if jitted else f for f in (get, put))
    np.testing.assert_array_equal(read(ARRAY, l), ARRAY[l])
    np.testing.assert_array_equal(write(ARRAY, ROW, l), placed(ARRAY, ROW, l))


@pytest.mark.parametrize("axes", [(0, None), (1, None), (2, None), (0, 0), (None, 0)])
def test_reading_of_members(axes):
    array = ARRAY if axes[0] is None else jnp.stack([ARRAY, 2 * ARRAY], axes[0])
    l = 3 if axes[1] is None else jnp.array([1, 4])
    found = jax.vmap(get, axes)(array, l)
    for m in range(2):
        own = ARRAY if axes[0] is None else (m + 1) * ARRAY
        np.testing.assert_array_equal(found[m], own[l if axes[1] is None else l[m]])


@pytest.mark.parametrize(
    "axes",
    [(0, 0, None), (1, 1, None), (0, None, None), (None, 0, None), (0, 0, 0), (None, None, 0)],
)
def test_writing_of_members(axes):
    array = ARRAY if axes[0] is None else jnp.stack([ARRAY, 2 * ARRAY], axes[0])
    row = ROW if axes[1] is None else jnp.stack([ROW, 3 * ROW], axes[1])
    l = 3 if axes[2] is None else jnp.array([1, 4])
    found = jax.vmap(put, axes)(array, row, l)
    for m in range(2):
        own = ARRAY if axes[0] is None else (m + 1) * ARRAY
        of = ROW if axes[1] is None else (2 * m + 1) * ROW
        expected = placed(own, of, l if axes[2] is None else l[m])
        np.testing.assert_array_equal(found[m], expected)


def loop(array, x):
    """Each layer from the one before, as the pass does."""

    def step(l, states):
        return put(states, jnp.sin(get(states, l) * get(array, l)), l + 1)

    states = put(jnp.zeros((len(array) + 1, *x.shape), x.dtype), x, 0)
    return jnp.sum(jax.lax.fori_loop(0, len(array), step, states))


def plainly(array, x):
    states = [x]
    for l in range(len(array)):
        states.append(jnp.sin(states[-1] * array[l]))
    return sum(state.sum() for state in states)


TRANSFORMED = {
    "value": lambda f: f,
    "gradient": jax.grad,
    "forward mode": lambda f: jax.jacfwd(f),
    "reverse over reverse": lambda f: jax.jacrev(jax.grad(f)),
    "forward over reverse": jax.hessian,
    "of members": lambda f: lambda a, x: jax.vmap(f)(jnp.stack([a, 2 * a]), jnp.stack([x, -x])),
    "of members of members": lambda f: (
        lambda a, x: jax.vmap(jax.vmap(f, (0, None)), (None, 0))(
            jnp.stack([a, 2 * a]), jnp.stack([x, -x, x + 1])
        )
    ),
    "gradient of members": lambda f: (
        lambda a, x: jax.vmap(jax.grad(f), (0, None))(jnp.stack([a, 2 * a]), x)
    ),
    "checkpoint": lambda f: jax.grad(jax.checkpoint(f)),
    "jit": lambda f: jax.jit(jax.grad(f)),
}


@pytest.mark.parametrize("transform", TRANSFORMED.values(), ids=list(TRANSFORMED))
def test_a_loop_is_transformed_as_what_is_written_out(transform, x64):
    array, x = jnp.asarray(ARRAY, float), jnp.asarray(ROW, float)
    found, expected = transform(loop)(array, x), transform(plainly)(array, x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_members_abreast_are_read_and_written_as_slices():
    """No gather, no scatter: those cost seven kernels a layer in place of two."""
    members = jnp.ones((4, 5, 3))
    program = jax.jit(jax.vmap(loop, (0, None))).lower(members, jnp.ones(3)).as_text()
    assert "gather" not in program
    assert "scatter" not in program
