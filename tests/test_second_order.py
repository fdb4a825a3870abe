"""BFGS and Levenberg–Marquardt: closed forms, SciPy's and optimistix's optima, and the ripple down to its noise."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.flatten_util import ravel_pytree
from scipy import optimize

import jnn
from jnn import network, second_order
from jnn.choice import Method


def minimise(optimizer, f, p, iterations, state=None):
    """Iterations on f; parameters, objectives before each of them and at the end, and the state."""

    def step(carry, _):
        p, state = carry
        value, gradient = jax.value_and_grad(f)(p)
        updates, state = optimizer.update(gradient, state, p, value=value, grad=gradient, value_fn=f)
        return (optax.apply_updates(p, updates), state), value

    state = optimizer.init(p) if state is None else state
    run = jax.jit(lambda p, state: lax.scan(step, (p, state), None, length=iterations))
    (p, state), values = run(p, state)
    return p, np.append(values, f(p)), state


def minimise_squares(optimizer, r, p, iterations, state=None, jacobian=None):
    """The same on ½‖r‖²."""
    _, unravel = ravel_pytree(p)
    jacobian = jacobian or (lambda p: jax.jacfwd(lambda v: r(unravel(v)))(ravel_pytree(p)[0]))

    def step(carry, _):
        p, state = carry
        updates, state = optimizer.update(None, state, p, residuals=lambda p: (r(p), jacobian(p)))
        return (optax.apply_updates(p, updates), state), 0.5 * jnp.sum(r(p) ** 2)

    state = optimizer.init(p) if state is None else state
    run = jax.jit(lambda p, state: lax.scan(step, (p, state), None, length=iterations))
    (p, state), values = run(p, state)
    return p, np.append(values, 0.5 * jnp.sum(r(p) ** 2)), state


def rosenbrock(p):
    return jnp.concatenate([10 * (p[1:] - p[:-1] ** 2), 1 - p[:-1]])


T = np.linspace(0, 4, 30)
DECAY = 2.5 * np.exp(-1.3 * T) + 0.5 + 0.01 * np.cos(20 * T)  # no exact fit: the residual at the optimum is not zero
LOGISTIC = 3 / (1 + np.exp(-2 * (T - 1.5))) + 0.02 * np.sin(9 * T)
CURVES = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0]),
    "rosenbrock in 6": (rosenbrock, [-1.2, 1.0, -0.5, 0.8, 1.2, 0.3]),
    "decay": (lambda p: p[0] * jnp.exp(-p[1] * T) + p[2] - DECAY, [1.0, 0.5, 0.0]),
    "logistic": (lambda p: p[0] / (1 + jnp.exp(-p[1] * (T - p[2]))) - LOGISTIC, [1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_bfgs_minimises_a_quadratic_in_a_few_iterations_more_than_dimensions(d, x64):
    rng = np.random.default_rng(d)
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    A, c = jnp.asarray(Q * np.linspace(1, 20, d) @ Q.T), jnp.asarray(rng.normal(size=d))
    optimizer = second_order.bfgs(curv_rtol=1e-3)  # nearly exact searches, for which d iterations are the theory
    p, _, _ = minimise(optimizer, lambda p: 0.5 * p @ A @ p - c @ p, jnp.zeros(d), d + 10)
    np.testing.assert_allclose(p, np.linalg.solve(A, c), rtol=1e-7, atol=1e-7)


def test_the_inverse_hessian_follows_the_rule_in_numpy(x64):
    rng = np.random.default_rng(0)
    B = rng.normal(size=(4, 4))
    H, p, g, step, change = B @ B.T, *rng.normal(size=(4, 4))
    y = change if change @ step > 0 else -change
    state = second_order.BFGSState(jnp.asarray(H), jnp.asarray(p), jnp.asarray(g), jnp.array(False))
    optimizer, here = second_order.bfgs(), jnp.asarray(p + step)
    _, new = optimizer.update(jnp.asarray(g + y), state, here, value=0.0, value_fn=lambda q: jnp.dot(g + y, q - here))
    V = np.eye(4) - np.outer(step, y) / (y @ step)
    np.testing.assert_allclose(new.inverse_hessian, V @ H @ V.T + np.outer(step, step) / (y @ step), rtol=1e-10)
    np.testing.assert_allclose(new.inverse_hessian @ y, step, rtol=1e-9)  # the secant equation


@pytest.mark.parametrize("name", CURVES)
def test_bfgs_finds_the_optimum_that_scipy_finds(name, x64):
    r, start = CURVES[name]

    def f(p):
        return 0.5 * jnp.sum(r(p) ** 2)

    expected = optimize.minimize(jax.jit(f), start, jac=jax.jit(jax.grad(f)), method="BFGS", options={"gtol": 1e-9})
    p, values, _ = minimise(second_order.bfgs(), f, jnp.asarray(start), 100)
    np.testing.assert_allclose(values[-1], expected.fun, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(p, expected.x, rtol=1e-4)
    assert np.all(np.diff(values) <= 1e-14 * values[:-1])


@pytest.mark.parametrize("name", CURVES)
def test_levenberg_marquardt_finds_the_optimum_that_scipy_finds(name, x64):
    r, start = CURVES[name]
    expected = optimize.least_squares(jax.jit(r), start, jax.jit(jax.jacfwd(r)), method="lm", xtol=1e-12, ftol=1e-12)
    p, values, _ = minimise_squares(second_order.levenberg_marquardt(), r, jnp.asarray(start), 80)
    np.testing.assert_allclose(values[-1], expected.cost, rtol=1e-10, atol=1e-20)
    np.testing.assert_allclose(p, expected.x, rtol=1e-6)
    assert np.all(np.diff(values) <= 1e-14 * values[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decay", "logistic"])
def test_both_find_the_optimum_that_optimistix_finds(name, x64):
    optimistix = pytest.importorskip("optimistix")
    r, start = CURVES[name]
    start, residuals = jnp.asarray(start), lambda p, _: r(p)
    squares = optimistix.least_squares(residuals, optimistix.LevenbergMarquardt(1e-10, 1e-10), start, max_steps=500)

    def f(p):
        return 0.5 * jnp.sum(r(p) ** 2)

    quasi = optimistix.minimise(lambda p, _: f(p), optimistix.BFGS(1e-9, 1e-9), start, max_steps=1000)
    p, _, _ = minimise_squares(second_order.levenberg_marquardt(), r, start, 80)
    q, _, _ = minimise(second_order.bfgs(), f, start, 100)
    np.testing.assert_allclose(p, squares.value, rtol=1e-6)
    np.testing.assert_allclose(q, quasi.value, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [3, 8, 30])
def test_linear_least_squares_has_its_closed_form(m, dtype, x64):
    rng = np.random.default_rng(m)
    A, c = rng.normal(size=(m, 8)).astype(dtype), rng.normal(size=m).astype(dtype)
    p, values, _ = minimise_squares(
        second_order.levenberg_marquardt(), lambda p: A @ p - c, jnp.zeros(8, dtype), 40, jacobian=lambda p: A
    )
    expected, *_ = np.linalg.lstsq(A.astype(float), c.astype(float))
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    assert p.dtype == dtype
    np.testing.assert_allclose(A @ p, A @ expected, atol=tolerance)
    np.testing.assert_allclose(values[-1], 0.5 * np.sum((A @ expected - c) ** 2), rtol=tolerance, atol=tolerance**2)


def test_one_step_is_the_damped_normal_equations(x64):
    rng = np.random.default_rng(0)
    for m in (4, 9):  # fewer residuals than parameters, and more
        J, r = rng.normal(size=(m, 6)), rng.normal(size=m)
        squares = np.sum(J**2, axis=0)
        expected = np.linalg.solve(J.T @ J + 0.01 * np.diag(squares + squares.mean()), -J.T @ r)
        optimizer, p = second_order.levenberg_marquardt(damping=0.01), jnp.zeros(6)
        step, state = optimizer.update(None, optimizer.init(p), p, residuals=lambda p, J=J, r=r: (r + J @ p, J))
        np.testing.assert_allclose(step, expected, rtol=1e-10)
        np.testing.assert_allclose(state.damping, 0.01 / 3)


def test_columns_of_zeros_and_equal_columns_do_no_harm():
    rng = np.random.default_rng(1)
    column = rng.normal(size=(20, 1))
    A = jnp.asarray(np.hstack([column, column, 0 * column]), jnp.float32)
    p, values, _ = minimise_squares(
        second_order.levenberg_marquardt(), lambda p: A @ p - A @ jnp.ones(3), jnp.array([3.0, 0.0, 7.0]), 20
    )
    assert values[-1] < 1e-10
    assert p[2] == 7
    np.testing.assert_allclose(p[:2].sum(), 2, rtol=1e-5)


@pytest.mark.parametrize("residual", [0.0, 1.0, np.nan])
def test_where_nothing_lowers_the_objective_the_step_is_zero(residual):
    optimizer, p = second_order.levenberg_marquardt(), jnp.ones(3)
    state = optimizer.init(p)
    step, new = optimizer.update(None, state, p, residuals=lambda p: (jnp.full(4, residual), jnp.zeros((4, 3))))
    np.testing.assert_array_equal(step, np.zeros(3))
    assert new.damping > state.damping

    def f(p):
        return residual + 0 * jnp.sum(p)

    optimizer = second_order.bfgs()
    step, state = optimizer.update(jnp.zeros(3), optimizer.init(p), p, value=f(p), value_fn=f)
    np.testing.assert_array_equal(step, np.zeros(3))
    np.testing.assert_array_equal(state.inverse_hessian, np.eye(3))


def test_a_failed_search_starts_from_the_identity_again(x64):
    def f(p):
        return 0.5 * jnp.sum(p**2 * jnp.array([1.0, 9.0]))

    optimizer = second_order.bfgs()
    p, _, state = minimise(optimizer, f, jnp.array([1.0, 1.0]), 4)
    assert not state.fresh

    def uphill(q):  # whatever the gradient says
        return f(p) + jnp.sum(jnp.abs(q - p)) * 1e3

    step, state = optimizer.update(jax.grad(f)(p), state, p, value=f(p), value_fn=uphill)
    np.testing.assert_array_equal(step, np.zeros(2))
    np.testing.assert_array_equal(state.inverse_hessian, np.eye(2))
    assert state.fresh


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_bfgs_does_not_mind_the_unit_of_the_objective(scale, x64):
    def f(p):
        return scale * jnp.sum(rosenbrock(p) ** 2)

    p, _, _ = minimise(second_order.bfgs(), f, jnp.array([-1.2, 1.0]), 80)
    np.testing.assert_allclose(p, np.ones(2), rtol=1e-5)


def mean_square(params, x, y):
    return jnp.mean((network.batch_output(params, x, Method()) - y) ** 2)


def residuals(params, x, y):
    """r with ½‖r‖² = half the mean square, one example's row of J at a time."""
    flat, unravel = ravel_pytree(params)

    def one(x):
        return jax.jacrev(lambda p: network.output(unravel(p), x, Method()))(flat)

    r = (network.batch_output(params, x, Method()) - y).ravel() / np.sqrt(y.size).astype(y.dtype)
    return r, jax.vmap(one)(x).reshape(y.size, -1) / np.sqrt(y.size).astype(y.dtype)


@partial(jax.jit, static_argnames=("optimizer", "iterations"))
def ripple_run(params, x, y, optimizer, iterations):
    """Half the mean square before each iteration and at the end, and the final parameters and state."""

    def f(params):
        return 0.5 * mean_square(params, x, y)

    def step(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(f)(params)
        updates, state = optimizer.update(
            gradient, state, params, value=value, grad=gradient, value_fn=f, residuals=partial(residuals, x=x, y=y)
        )
        return (optax.apply_updates(params, updates), state), value

    (params, state), values = lax.scan(step, (params, optimizer.init(params)), None, length=iterations)
    return jnp.append(values, f(params)), params, state


BOTH = [(second_order.bfgs(), 150), (second_order.levenberg_marquardt(), 50)]


@pytest.mark.parametrize(("optimizer", "iterations"), BOTH, ids=["bfgs", "levenberg_marquardt"])
def test_the_ripple_is_fitted_to_its_noise_from_nine_starts_of_ten(optimizer, iterations):
    reached = []
    for seed in range(10):
        x, y = jnn.data.ripple(jax.random.key(100 + seed))
        params = jnn.init_network_params([1, 10, 1], jax.random.key(seed))
        values, _, _ = ripple_run(params, x, y, optimizer, iterations)
        assert np.all(np.diff(values) <= 1e-6 * values[:-1])
        reached.append(2 * values.min() <= 0.0025)
    assert sum(reached) >= 9  # the noise drawn for the tenth is larger: no start comes so low


@pytest.mark.parametrize(("optimizer", "iterations"), BOTH, ids=["bfgs", "levenberg_marquardt"])
def test_the_state_is_arrays_and_a_copy_of_it_resumes_bit_for_bit(optimizer, iterations):
    x, y = map(jnp.asarray, jnn.data.ripple(jax.random.key(0)))
    params = jnn.init_network_params([1, 4, 1], jax.random.key(0))

    @jax.jit
    def step(params, state):
        value, gradient = jax.value_and_grad(mean_square)(params, x, y)
        updates, state = optimizer.update(
            gradient,
            state,
            params,
            value=value,
            value_fn=lambda q: mean_square(q, x, y),
            residuals=partial(residuals, x=x, y=y),
        )
        return optax.apply_updates(params, updates), state

    carry = params, optimizer.init(params)
    for i in range(12):
        if i == 6:
            assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(carry))
            copy = jax.tree.map(lambda leaf: jnp.asarray(np.array(leaf)), carry)
        carry = step(*carry)
    for _ in range(6):
        copy = step(*copy)
    jax.tree.map(np.testing.assert_array_equal, copy, carry)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize(("optimizer", "iterations"), BOTH, ids=["bfgs", "levenberg_marquardt"])
def test_parameters_keep_their_dtype_and_get_better(optimizer, iterations, dtype, x64):
    x, y = (jnp.asarray(a, dtype) for a in jnn.data.ripple(jax.random.key(0)))
    params = jnn.init_network_params([1, 4, 1], jax.random.key(0), dtype=dtype)
    values, params, _ = ripple_run(params, x, y, optimizer, 10)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    assert values[-1] < values[0]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (second_order.bfgs, {"curv_rtol": 1.0}, "curv_rtol is 1.0; it must be between 0 and 1"),
        (second_order.levenberg_marquardt, {"damping": 0.0}, "damping is 0.0; it must be finite and above 0"),
        (second_order.levenberg_marquardt, {"increase": 1.0}, "increase is 1.0; it must be finite and above 1"),
        (second_order.levenberg_marquardt, {"decrease": 0.5}, "decrease is 0.5; it must be finite and above 1"),
        (second_order.levenberg_marquardt, {"trials": 0}, "trials is 0; it must be at least 1"),
    ],
)
def test_wrong_settings_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_what_is_missing_is_named():
    for optimizer, message in [
        (second_order.bfgs(), "bfgs needs value and value_fn from its caller"),
        (second_order.levenberg_marquardt(), "levenberg_marquardt needs residuals from its caller"),
    ]:
        with pytest.raises(ValueError, match=message):
            optimizer.update(jnp.zeros(2), optimizer.init(jnp.zeros(2)), jnp.zeros(2))
