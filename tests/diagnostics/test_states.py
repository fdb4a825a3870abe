"""States against a plain loop over layers, and NumPy's factorisations."""

import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from diagnostics.networks import NETWORKS, problem

import jnn
from jnn import diagnostics


def states_of(params, x):
    """x_1, …, x_N by the oracle, (n, n_l) each."""
    columns = zip(*(oracles.states(params, row) for row in x), strict=True)
    return [np.stack(column) for column in columns]


@pytest.mark.table
@pytest.mark.parametrize(("sizes", "activation", "residual"), NETWORKS)
def test_statistics_are_those_of_the_loop(sizes, activation, residual, x64):
    params, x, _ = problem(sizes, activation, residual)
    found = diagnostics.statistics(params, x)
    states = states_of(params, x)
    np.testing.assert_allclose(found.x_mean, [s.mean() for s in states], atol=1e-13)
    np.testing.assert_allclose(found.x_std, [s.std() for s in states], rtol=1e-10)
    inputs = [np.asarray(x), *states[:-1]]
    z = [
        i @ np.asarray(w).T + np.asarray(b)
        for i, (w, b) in zip(inputs, jnn.layers(params), strict=True)
    ]
    np.testing.assert_allclose(found.z_std, [a.std() for a in z], rtol=1e-10)
    assert (found.constant == 0).all()


def test_saturated_dead_and_constant_units():
    w = np.array([[[90.0], [0.001], [0.0]]], np.float32)
    hidden = jnn.Stack(jnp.asarray(w), jnp.asarray([[90.0, 0.0, 0.3]], jnp.float32), "tanh")
    params = (hidden, jnn.Stack(jnp.ones((1, 1, 3)), jnp.zeros((1, 1))))
    found = diagnostics.statistics(params, [[0.1], [0.2], [0.9]])
    assert found.saturated.tolist() == pytest.approx([1 / 3, 0])
    assert found.constant.tolist() == [2, 0]  # the third, and the first to rounding
    assert found.dead.tolist() == [1, 0]  # the first: 1 − tanh² is 0 in float32


@pytest.mark.table
@pytest.mark.parametrize("n", [3, 20])
def test_effective_rank(n, x64):
    params, x, _ = problem([5, 4, 4, 4, 2], "tanh", False, n)
    found = diagnostics.effective_rank(params, x)
    for rank, s in zip(found, states_of(params, x), strict=True):
        values = np.linalg.svd(s - s.mean(0), compute_uv=False)
        p = values[values > 0] / values.sum()
        assert rank == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-9)
    assert (found <= min(n - 1, 4) + 1e-9).all()
    assert diagnostics.effective_rank(params, x[:1]).tolist() == [0, 0, 0, 0]


def test_correlations_of_the_first_layers(x64):
    params, x, _ = problem([3, 4, 4, 2], "tanh", False)
    found = diagnostics.correlations(params, x[0], x[1])
    before = [np.asarray(x), *states_of(params, x)]
    for l, (w, b) in enumerate(jnn.layers(params)):
        u, v = (np.asarray(w) @ before[l][i] + np.asarray(b) for i in (0, 1))
        cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
        assert found[l] == pytest.approx(1 - cosine, rel=1e-10)


def test_a_layer_is_measured_by_its_own_activation(x64):
    params, x, _ = problem([3, 4, 4, 4, 2], ["relu", "tanh", "sin"], False)
    found = diagnostics.statistics(params, 30 * x)  # tanh saturates
    x_1 = np.maximum(30 * x @ params[0].w[0].T + params[0].b[0], 0)
    assert found.x_std[0] == pytest.approx(x_1.std(), rel=1e-10)
    x_2 = np.tanh(x_1 @ params[1].w[0].T + params[1].b[0])
    assert found.x_std[1] == pytest.approx(x_2.std(), rel=1e-10)
    assert found.saturated[1] == pytest.approx(np.mean(1 - x_2**2 < 0.01))
    x_3 = np.sin(x_2 @ params[2].w[0].T + params[2].b[0])
    assert found.x_std[2] == pytest.approx(x_3.std(), rel=1e-10)


def test_bad_input_is_refused():
    params, x, _ = problem([3, 4, 2], "tanh", False)
    for call in (diagnostics.statistics, diagnostics.effective_rank):
        with pytest.raises(ValueError, match="shape"):
            call(params, x[0])
    with pytest.raises(ValueError, match="shape"):
        diagnostics.correlations(params, x[0], x[0, :2])
