"""A solve in several parts, against a dense one, where some parts do not depend on anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn.triangular.linear_solve import solve_in_parts, together

A = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [-1.0, 0.5, 4.0]])  # rows: a, b, c


def solved(lower, rhs):
    """The solution of three unknowns, as three parts of shapes (), (1,) and ()."""

    def whole(parts):
        return jnp.array([parts[0], parts[1][0], parts[2]])

    def parts(whole):
        return whole[0], whole[1:2], whole[2]

    def solve(_, rhs):
        return parts(jnp.linalg.solve(lower, whole(rhs)))

    def transpose_solve(_, rhs):
        return parts(jnp.linalg.solve(lower.T, whole(rhs)))

    def system(unknowns):
        return parts(lower @ whole(unknowns))

    return whole(solve_in_parts(system, parts(rhs), solve, transpose_solve, (lower,)))


def plain(lower, rhs):
    return jnp.linalg.solve(lower, rhs)


def of_one_part(solve, part):
    """Of a right-hand side of which one part alone depends on the number."""

    def f(s):
        rhs = jnp.ones(3).at[part].set(jnp.sin(s))
        return jnp.sum(solve(jnp.asarray(A), rhs)[part:] ** 2)

    return f


def of_the_matrix(solve, entry):
    def f(s):
        return jnp.sum(solve(jnp.asarray(A).at[entry].multiply(jnp.exp(s)), jnp.ones(3)) ** 2)

    return f


DERIVATIVES = {
    "gradient": jax.grad,
    "forward mode": jax.jacfwd,
    "reverse over reverse": lambda f: jax.grad(jax.grad(f)),
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f)),
    "reverse over forward": lambda f: jax.grad(jax.jacfwd(f)),
    "third": lambda f: jax.grad(jax.grad(jax.grad(f))),
    "of members": lambda f: jax.vmap(jax.grad(f)),
    "jit": lambda f: jax.jit(jax.grad(f)),
}


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=list(DERIVATIVES))
@pytest.mark.parametrize("part", [0, 1, 2])
def test_derivatives_by_one_part(part, derivative, x64):
    s = jnp.arange(1.0, 3.0) if derivative is DERIVATIVES["of members"] else 0.7
    found, expected = (derivative(of_one_part(f, part))(s) for f in (solved, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=list(DERIVATIVES))
@pytest.mark.parametrize("entry", [(0, 0), (1, 0), (2, 2)])
def test_derivatives_by_the_matrix(entry, derivative, x64):
    s = jnp.arange(1.0, 3.0) if derivative is DERIVATIVES["of members"] else 0.7
    found, expected = (derivative(of_the_matrix(f, entry))(s) for f in (solved, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_parts_are_what_they_were():
    parts = (jnp.arange(3.0), jnp.ones((2, 2)), jnp.zeros(()))
    for found, part in zip(together(parts, {"others": jnp.ones(2)}), parts, strict=True):
        np.testing.assert_array_equal(found, part)


def test_a_part_has_no_slope_by_what_it_is_together_with():
    one = jnp.ones(())
    slopes = jax.jacrev(lambda a, w: together((a, one, one), w), (0, 1))(one, one)
    assert [[float(slope) for slope in part] for part in slopes] == [[1, 0], [0, 0], [0, 0]]


def test_nothing_is_left_once_compiled():
    program = jax.jit(lambda a: together((a, a, a), (a,))[0]).lower(jnp.ones(3)).compile()
    assert program.as_text().count("fusion(") == 0
