"""The system (I − L) dx = D dp: blocks against NumPy, solution, inverse, transpose."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax.scipy.linalg import solve_triangular

import jnn
from jnn.triangular import dense, rule

pytestmark = pytest.mark.table

NETWORKS = [
    ([1, 1], "sigmoid", False),
    ([1, 1, 1, 1], "sigmoid", False),
    ([2, 3, 3, 3, 1], "tanh", True),
    ([3, 3, 3, 3], "silu", True),
    ([4, 2, 5, 3], "gelu", False),
    ([2, 4, 4, 2, 2, 3], oracles.bent, True),
]
table = pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)


def by_hand(params, x):
    """L and D with NumPy, entry by entry; the slopes by autodiff of the oracle's activation."""
    n = jnn.sizes(params)
    edges = np.concatenate([[0], np.cumsum(n[1:])])
    every = [np.asarray(x), *(np.asarray(s) for s in oracles.states(params, x))]
    L = np.zeros((edges[-1], edges[-1]))
    columns, l = [], 0
    for stack in params:
        h = oracles.ACTIVATIONS.get(stack.activation, stack.activation)
        for w, b in zip(np.asarray(stack.w), np.asarray(stack.b), strict=True):
            δ = np.asarray(jax.vmap(jax.grad(h))(jnp.asarray(w @ every[l] + b)))
            for i in range(n[l + 1]):
                for j in range(n[l] if l else 0):
                    L[edges[l] + i, edges[l - 1] + j] = δ[i] * w[i, j] + (stack.residual and i == j)
            for i in range(n[l + 1]):
                for j in range(n[l]):
                    column = np.zeros(edges[-1])
                    column[edges[l] + i] = δ[i] * every[l][j]
                    columns.append(column)
            for i in range(n[l + 1]):
                column = np.zeros(edges[-1])
                column[edges[l] + i] = δ[i]
                columns.append(column)
            l += 1
    return L, np.stack(columns, axis=1)


def stacked_states(params, x):
    return jnp.concatenate(oracles.states(params, x))


@table
def test_L_and_D_entry_by_entry(sizes, activation, residual, x64):
    params, x = oracles.network(sizes, activation, residual), oracles.example(sizes[0])
    system = jnn.linear_system(params, x)
    L, D = by_hand(params, x)
    np.testing.assert_allclose(system.L, L, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(system.D, D, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(system.L, np.tril(system.L, -1))
    assert len(system.states) == len(sizes)
    assert len(system.slopes) == len(sizes) - 1
    np.testing.assert_allclose(
        jnp.concatenate(system.states[1:]), stacked_states(params, x), rtol=1e-13
    )


@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS[1:4])
def test_the_solution_is_the_jacobian_of_all_states(sizes, activation, residual, x64):
    params, x = oracles.network(sizes, activation, residual), oracles.example(sizes[0])
    system = jnn.linear_system(params, x)
    solved = solve_triangular(jnp.eye(len(system.L)) - system.L, system.D, lower=True)
    rows = jax.jit(jax.jacrev(stacked_states))(params, x)  # per state, a network of derivatives
    for i in range(len(system.L)):
        row = jnn.layers(jax.tree.map(lambda a, i=i: a[i], rows))
        expected = jnp.concatenate([leaf.ravel() for pair in row for leaf in pair])
        assert oracles.apart(expected, solved[i]) < 1e-12


@pytest.mark.slow
def test_block_i_j_of_the_inverse_is_the_jacobian_of_state_i_by_state_j(x64):
    sizes = [2, 3, 4, 2, 2]
    params, x = oracles.network(sizes, "tanh", True), oracles.example(2)
    system = jnn.linear_system(params, x)
    inverse = np.linalg.inv(np.eye(len(system.L)) - system.L)
    edges = np.concatenate([[0], np.cumsum(sizes[1:])])
    pairs = [(w, b, s) for s in params for w, b in zip(s.w, s.b, strict=True)]
    for j in range(1, 5):
        for i in range(j, 5):

            def later(x_j, i=i, j=j):
                for w, b, stack in pairs[j:i]:
                    y = oracles.ACTIVATIONS[stack.activation](w @ x_j + b)
                    x_j = y + x_j if stack.residual else y
                return x_j

            block = inverse[edges[i - 1] : edges[i], edges[j - 1] : edges[j]]
            np.testing.assert_allclose(
                block, jax.jacfwd(later)(system.states[j]), rtol=1e-11, atol=1e-14
            )


@table
def test_the_transposed_system_gives_the_gradient(sizes, activation, residual, x64):
    params, x = oracles.network(sizes, activation, residual), oracles.example(sizes[0])
    system = jnn.linear_system(params, x)
    right = np.zeros(len(system.L))
    right[-sizes[-1] :] = np.arange(1, sizes[-1] + 1)
    λ = np.linalg.solve((np.eye(len(right)) - system.L).T, right)
    gradient = jax.grad(lambda p: jnp.vdot(oracles.forward(p, x), right[-sizes[-1] :]))(params)
    expected = jnp.concatenate([leaf.ravel() for pair in jnn.layers(gradient) for leaf in pair])
    assert oracles.apart(expected, np.asarray(system.D).T @ λ) < 1e-12


@pytest.mark.parametrize(
    ("width", "depth", "residual"),  # widths on both sides of where products change their form
    [
        (1, 5, True),
        (4, 1, False),
        (4, 2, True),
        (16, 3, False),
        (17, 3, True),
        (33, 1, True),
        (33, 3, False),
    ],
)
@pytest.mark.parametrize("solver", ["substitution", "parallel", "fused"])
def test_a_batch_as_columns_is_the_loop_over_columns(width, depth, residual, solver, x64):
    stack = oracles.network([width] * (depth + 2), "tanh", residual)[0]
    X = jnp.asarray(np.random.default_rng(0).standard_normal((width, 3)))
    u = jnp.arange(3.0 * width).reshape(width, 3) / width

    def by_rule(stack, X):
        return jnp.vdot(u, rule.solved_pass(stack, X, solver).output)

    def by_loop(stack, X):
        return sum(jnp.vdot(u[:, k], oracles.forward((stack,), X[:, k])) for k in range(3))

    expected = jax.jit(jax.value_and_grad(by_loop, (0, 1)))(stack, X)
    assert oracles.apart(expected, jax.jit(jax.value_and_grad(by_rule, (0, 1)))(stack, X)) < 1e-12


def test_dense_entries_counts_what_is_assembled():
    for sizes, *_ in NETWORKS:
        params = oracles.network(sizes)
        system = jax.eval_shape(jnn.linear_system, params, oracles.example(sizes[0]))
        assert dense.entries(params) == system.L.size + system.D.size


def test_too_large_a_system_names_the_limit_and_the_other_method():
    params = jax.tree.map(jnp.asarray, oracles.network([8] * 200))
    message = r"entries, more than the limit of 16,777,216: use backprop=\"substitution\""
    with pytest.raises(ValueError, match=message):
        jnn.linear_system(params, jnp.zeros(8))
    with pytest.raises(ValueError, match=message):
        jnn.forward(params, jnp.zeros(8), backprop="dense")
    with pytest.raises(ValueError, match=message):
        jnn.predict(params, jnp.zeros((2, 8)), backprop="dense")


def test_linear_system_takes_one_example(as_a_user):
    with pytest.raises(
        ValueError,
        match=r"x has shape \(5, 2\); one example for this network is \(2,\); for a batch",
    ):
        jnn.linear_system(oracles.network([2, 1]), np.zeros((5, 2)))
