"""Levenberg–Marquardt: closed forms, SciPy's and optimistix's optima, the ripple to its noise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.flatten_util import ravel_pytree
from optimizers import objectives
from optimizers.objectives import CURVES
from scipy import optimize

from jnn.optimizers import levenberg_marquardt

pytestmark = pytest.mark.table
METHOD = levenberg_marquardt.optimizer()


def minimise(r, p, iterations, jacobian=None):
    """Iterations on ½‖r‖²; parameters, and objectives before each of them and at the end."""
    _, unravel = ravel_pytree(p)
    jacobian = jacobian or (lambda p: jax.jacfwd(lambda v: r(unravel(v)))(ravel_pytree(p)[0]))

    def step(carry, _):
        p, state = carry
        updates, state = METHOD.update(None, state, p, residuals=lambda p: (r(p), jacobian(p)))
        return (optax.apply_updates(p, updates), state), 0.5 * jnp.sum(r(p) ** 2)

    run = jax.jit(lambda p, state: lax.scan(step, (p, state), None, length=iterations))
    (p, _), values = run(p, METHOD.init(p))
    return p, np.append(values, 0.5 * jnp.sum(r(p) ** 2))


@pytest.mark.parametrize("name", CURVES)
def test_it_finds_the_optimum_that_scipy_finds(name, x64):
    r, start = CURVES[name]
    expected = optimize.least_squares(
        jax.jit(r), start, jax.jit(jax.jacfwd(r)), method="lm", xtol=1e-12, ftol=1e-12
    )
    p, values = minimise(r, jnp.asarray(start), 80)
    np.testing.assert_allclose(values[-1], expected.cost, rtol=1e-10, atol=1e-20)
    np.testing.assert_allclose(p, expected.x, rtol=1e-6)
    assert np.all(np.diff(values) <= 1e-14 * values[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decay", "logistic"])
def test_it_finds_the_optimum_that_optimistix_finds(name, x64):
    optimistix = pytest.importorskip("optimistix")
    r, start = CURVES[name]
    start = jnp.asarray(start)
    expected = optimistix.least_squares(
        lambda p, _: r(p), optimistix.LevenbergMarquardt(1e-10, 1e-10), start, max_steps=500
    )
    p, _ = minimise(r, start, 80)
    np.testing.assert_allclose(p, expected.value, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [3, 8, 30])
def test_linear_least_squares_has_its_closed_form(m, dtype, x64):
    rng = np.random.default_rng(m)
    A, c = rng.normal(size=(m, 8)).astype(dtype), rng.normal(size=m).astype(dtype)
    p, values = minimise(lambda p: A @ p - c, jnp.zeros(8, dtype), 40, jacobian=lambda p: A)
    expected, *_ = np.linalg.lstsq(A.astype(float), c.astype(float))
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    assert p.dtype == dtype
    np.testing.assert_allclose(A @ p, A @ expected, atol=tolerance)
    lowest = 0.5 * np.sum((A @ expected - c) ** 2)
    np.testing.assert_allclose(values[-1], lowest, rtol=tolerance, atol=tolerance**2)


@pytest.mark.parametrize("m", [4, 9], ids=["fewer residuals than parameters", "more"])
def test_one_step_is_the_damped_normal_equations(m, x64):
    rng = np.random.default_rng(0)
    J, r = rng.normal(size=(m, 6)), rng.normal(size=m)
    squares = np.sum(J**2, axis=0)
    damped = J.T @ J + 0.01 * np.diag(squares + squares.mean())
    optimizer, p = levenberg_marquardt.optimizer(damping=0.01), jnp.zeros(6)
    step, state = optimizer.update(
        None, optimizer.init(p), p, residuals=lambda p: (r + J @ p, jnp.asarray(J))
    )
    np.testing.assert_allclose(step, np.linalg.solve(damped, -J.T @ r), rtol=1e-10)
    np.testing.assert_allclose(state.damping, 0.01 / 3)


def test_columns_of_zeros_and_equal_columns_do_no_harm():
    rng = np.random.default_rng(1)
    column = rng.normal(size=(20, 1))
    A = jnp.asarray(np.hstack([column, column, 0 * column]), jnp.float32)
    p, values = minimise(lambda p: A @ p - A @ jnp.ones(3), jnp.array([3.0, 0.0, 7.0]), 20)
    assert values[-1] < 1e-10
    assert p[2] == 7
    np.testing.assert_allclose(p[:2].sum(), 2, rtol=1e-5)


@pytest.mark.parametrize("residual", [0.0, 1.0, np.nan])
def test_where_nothing_lowers_the_objective_the_step_is_zero(residual):
    p = jnp.ones(3)
    state = METHOD.init(p)
    step, new = METHOD.update(
        None, state, p, residuals=lambda p: (jnp.full(4, residual), jnp.zeros((4, 3)))
    )
    np.testing.assert_array_equal(step, np.zeros(3))
    assert new.damping > state.damping


@pytest.mark.parametrize("trials", [1, np.int64(2)])
def test_one_iteration_tries_as_many_dampings_as_it_may(trials, as_a_user):
    optimizer, p = levenberg_marquardt.optimizer(damping=1, increase=2, trials=trials), jnp.ones(3)
    _, state = optimizer.update(
        None, optimizer.init(p), p, residuals=lambda p: (jnp.ones(4), jnp.zeros((4, 3)))
    )
    assert float(state.damping) == 2**trials


@pytest.mark.slow
def test_the_ripple_is_fitted_to_its_noise_from_nine_starts_of_ten():
    reached = objectives.reached_noise(METHOD, 50, range(10))
    assert sum(reached) >= 9  # the noise drawn for the tenth is larger: no start comes so low


def test_the_state_is_arrays_and_a_copy_of_it_resumes_bit_for_bit():
    objectives.assert_a_copy_resumes(METHOD)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_keep_their_dtype_and_get_better(dtype, x64):
    objectives.assert_the_dtype_stays(METHOD, dtype)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"damping": 0.0}, ValueError, "damping is 0.0; it must be finite and above 0"),
        ({"damping": np.inf}, ValueError, "damping is inf; it must be finite and above 0"),
        ({"increase": 1.0}, ValueError, "increase is 1.0; it must be finite and above 1"),
        ({"decrease": 0.5}, ValueError, "decrease is 0.5; it must be finite and above 1"),
        ({"trials": 0}, ValueError, "trials is 0; it must be an integer of at least 1"),
        ({"trials": 2.0}, TypeError, "trials is 2.0; it must be an integer of at least 1"),
        ({"damping": True}, TypeError, "damping is True; it must be a number"),
    ],
)
def test_wrong_settings_are_refused(arguments, error, message, as_a_user):
    with pytest.raises(error, match=message):
        levenberg_marquardt.optimizer(**arguments)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="levenberg_marquardt needs residuals from its caller"):
        METHOD.update(jnp.zeros(2), METHOD.init(jnp.zeros(2)), jnp.zeros(2))
