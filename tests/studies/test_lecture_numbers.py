"""The lecture's own numbers, in its float32: states, slopes, D, one step, and all ten runs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.scipy.linalg import solve_triangular

import jnn

TOLERANCE = 2e-6  # absolute and relative; float32 has 6e-8
RUNS = [(layers, target) for target in ("linear", "log") for layers in range(1, 6)]
TARGETS = {"linear": lambda x: -3 * x + 2, "log": np.log}
SGD = optax.sgd(0.01)  # one object: runs of one shape share a compilation


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.fixture
def step(lecture):
    """The network of the single step, its x and y, and what the lecture has."""
    given = lecture["single_step"]
    params = jnn.from_layers(map(tuple, given["initial_wb"]), activation="sigmoid")
    assert params[0].w.dtype == jnp.float32
    return params, jnp.array([given["x"]]), jnp.array([given["y"]]), given


def test_states_and_slopes(step):
    params, x, _, given = step
    system = jnn.linear_system(params, x)
    close(np.ravel(system.states), given["states"])
    close(np.ravel(system.slopes), given["delta"])


def test_D_holds_the_lectures_local_derivatives(step):
    params, x, _, given = step
    D = np.asarray(jnn.linear_system(params, x).D)
    expected = np.zeros((3, 6))
    for l, (dw, db) in enumerate(zip(*given["D_rows"], strict=True)):
        expected[l, 2 * l : 2 * l + 2] = dw, db
    close(D, expected)
    np.testing.assert_array_equal(D != 0, expected != 0)


@pytest.mark.parametrize("method", jnn.METHODS)
def test_every_hidden_state_and_the_output(step, method):
    params, x, _, given = step
    states = jnn.hidden_states(params, x, backprop=method)
    close(jnp.concatenate([s.ravel() for s in states]), given["states"][1:])
    close(jnn.forward(params, x, backprop=method), given["states"][-1:])


@pytest.mark.parametrize("method", jnn.METHODS)
def test_one_step_of_sgd_by_autodiff_and_the_rules(step, method):
    params, x, y, given = step

    def loss(p):
        return 0.5 * jnp.sum((jnn.forward(p, x, backprop=method) - y) ** 2)

    gradient = jax.jit(jax.grad(loss))(params)
    after = jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient)
    close([[w.item(), b.item()] for w, b in jnn.layers(after)], given["after_one_sgd_step_wb"])


def test_one_step_of_sgd_by_the_triangular_solve(step):
    """The lecture's algebra, line by line: (I − L)ᵀ λ = ∂ℓ/∂x, then ∂ℓ/∂p = Dᵀ λ."""
    params, x, y, given = step
    system = jnn.linear_system(params, x)
    I_L = jnp.eye(3) - system.L
    right = jnp.zeros(3).at[-1].set(system.states[-1][0] - y[0])
    λ = solve_triangular(I_L, right, trans="T", lower=True, unit_diagonal=True)
    before = np.ravel(given["initial_wb"])
    close(before - 0.01 * np.asarray(system.D.T @ λ), np.ravel(given["after_one_sgd_step_wb"]))
    # and forwards: all derivatives of all states first
    jacobian = solve_triangular(I_L, system.D, lower=True, unit_diagonal=True)
    close(before - 0.01 * np.asarray(jacobian.T @ right), np.ravel(given["after_one_sgd_step_wb"]))


@pytest.mark.parametrize(
    "method",
    ["auto", *(pytest.param(m, marks=pytest.mark.slow) for m in jnn.METHODS if m != "auto")],
)
@pytest.mark.parametrize(("layers", "target"), RUNS)
def test_the_ten_runs(lecture, layers, target, method):
    run = next(r for r in lecture["runs"] if (r["layers"], r["target"]) == (layers, target))
    grid = np.linspace(0.5, 3, 200, dtype=np.float32)[:, None]
    x = grid[np.array(lecture["order"])]
    y = TARGETS[target](x)
    start = jnn.from_layers(map(tuple, run["initial_wb"]), activation="sigmoid")
    fit = jnn.fit(
        start,
        (x, y),
        optimizer=SGD,
        epochs=run["epochs"],
        batch_size=1,
        shuffle=False,
        backprop=method,
        progress=False,
    )
    prediction = np.asarray(jnn.predict(fit.params, jnp.asarray(grid)))
    mse = np.mean((prediction - TARGETS[target](grid)) ** 2)
    assert mse == pytest.approx(run["mse"], rel=0.01, abs=1e-8)
    assert fit.diverged is None
    assert fit.history["loss"].shape == (run["epochs"],)
