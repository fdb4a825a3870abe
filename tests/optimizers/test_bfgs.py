"""BFGS: closed forms, SciPy's and optimistix's optima, and the ripple down to its noise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from optimizers import objectives
from optimizers.objectives import CURVES, rosenbrock
from scipy import optimize

from jnn.optimizers import bfgs

pytestmark = pytest.mark.table
METHOD = bfgs.optimizer()


def minimise(optimizer, f, p, iterations):
    """Iterations on f; parameters, objectives before each of them and at the end, and the state."""

    def step(carry, _):
        p, state = carry
        value, gradient = jax.value_and_grad(f)(p)
        updates, state = optimizer.update(
            gradient, state, p, value=value, grad=gradient, value_fn=f
        )
        return (optax.apply_updates(p, updates), state), value

    run = jax.jit(lambda p, state: lax.scan(step, (p, state), None, length=iterations))
    (p, state), values = run(p, optimizer.init(p))
    return p, np.append(values, f(p)), state


@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_a_quadratic_takes_a_few_iterations_more_than_dimensions(d, x64):
    rng = np.random.default_rng(d)
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    A, c = jnp.asarray(Q * np.linspace(1, 20, d) @ Q.T), jnp.asarray(rng.normal(size=d))
    # nearly exact searches, for which d iterations are the theory
    optimizer = bfgs.optimizer(curv_rtol=1e-3)
    p, _, _ = minimise(optimizer, lambda p: 0.5 * p @ A @ p - c @ p, jnp.zeros(d), d + 10)
    np.testing.assert_allclose(p, np.linalg.solve(A, c), rtol=1e-7, atol=1e-7)


@pytest.mark.slow
def test_the_inverse_hessian_follows_the_rule_in_numpy(x64):
    rng = np.random.default_rng(0)
    B = rng.normal(size=(4, 4))
    H, p, g, step, change = B @ B.T, *rng.normal(size=(4, 4))
    y = change if change @ step > 0 else -change
    state = bfgs.BFGSState(jnp.asarray(H), jnp.asarray(p), jnp.asarray(g), jnp.array(False))
    here = jnp.asarray(p + step)
    _, new = METHOD.update(
        jnp.asarray(g + y), state, here, value=0.0, value_fn=lambda q: jnp.dot(g + y, q - here)
    )
    V = np.eye(4) - np.outer(step, y) / (y @ step)
    expected = V @ H @ V.T + np.outer(step, step) / (y @ step)
    np.testing.assert_allclose(new.inverse_hessian, expected, rtol=1e-10)
    np.testing.assert_allclose(new.inverse_hessian @ y, step, rtol=1e-9)  # the secant equation


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_it_finds_the_optimum_that_scipy_finds(name, x64):
    r, start = CURVES[name]

    def f(p):
        return 0.5 * jnp.sum(r(p) ** 2)

    expected = optimize.minimize(
        jax.jit(f), start, jac=jax.jit(jax.grad(f)), method="BFGS", options={"gtol": 1e-9}
    )
    p, values, _ = minimise(METHOD, f, jnp.asarray(start), 100)
    np.testing.assert_allclose(values[-1], expected.fun, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(p, expected.x, rtol=1e-4)
    assert np.all(np.diff(values) <= 1e-14 * values[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decay", "logistic"])
def test_it_finds_the_optimum_that_optimistix_finds(name, x64):
    optimistix = pytest.importorskip("optimistix")
    r, start = CURVES[name]
    start = jnp.asarray(start)

    def f(p):
        return 0.5 * jnp.sum(r(p) ** 2)

    expected = optimistix.minimise(
        lambda p, _: f(p), optimistix.BFGS(1e-9, 1e-9), start, max_steps=1000
    )
    p, _, _ = minimise(METHOD, f, start, 100)
    np.testing.assert_allclose(p, expected.value, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_where_nothing_lowers_the_objective_the_step_is_zero(value):
    step, state = objectives.step_where_nothing_lowers(METHOD, value)
    np.testing.assert_array_equal(step, np.zeros(3))
    np.testing.assert_array_equal(state.inverse_hessian, np.eye(3))


@pytest.mark.slow
def test_a_failed_search_starts_from_the_identity_again(x64):
    def f(p):
        return 0.5 * jnp.sum(p**2 * jnp.array([1.0, 9.0]))

    p, _, state = minimise(METHOD, f, jnp.array([1.0, 1.0]), 4)
    assert not state.fresh

    def uphill(q):  # whatever the gradient says
        return f(p) + jnp.sum(jnp.abs(q - p)) * 1e3

    step, state = METHOD.update(jax.grad(f)(p), state, p, value=f(p), value_fn=uphill)
    np.testing.assert_array_equal(step, np.zeros(2))
    np.testing.assert_array_equal(state.inverse_hessian, np.eye(2))
    assert state.fresh


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_unit_of_the_objective_does_not_matter(scale, x64):
    def f(p):
        return scale * jnp.sum(rosenbrock(p) ** 2)

    p, _, _ = minimise(METHOD, f, jnp.array([-1.2, 1.0]), 80)
    np.testing.assert_allclose(p, np.ones(2), rtol=1e-5)


@pytest.mark.slow
def test_the_ripple_is_fitted_to_its_noise_from_nine_starts_of_ten():
    reached = objectives.reached_noise(METHOD, 150, range(10))
    assert sum(reached) >= 9  # the noise drawn for the tenth is larger: no start comes so low


@pytest.mark.slow
def test_the_state_is_arrays_and_a_copy_of_it_resumes_bit_for_bit():
    objectives.assert_a_copy_resumes(METHOD)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_keep_their_dtype_and_get_better(dtype, x64):
    objectives.assert_the_dtype_stays(METHOD, dtype)


@pytest.mark.parametrize(
    ("curv_rtol", "error", "message"),
    [
        (1.0, ValueError, "curv_rtol is 1.0; it must be above 0 and below 1"),
        (0, ValueError, "curv_rtol is 0; it must be above 0 and below 1"),
        (np.nan, ValueError, "curv_rtol is nan"),
        (True, TypeError, "curv_rtol is True; it must be a number"),
        ("0.3", TypeError, "curv_rtol is '0.3'; it must be a number"),
    ],
)
def test_wrong_settings_are_refused(curv_rtol, error, message, as_a_user):
    with pytest.raises(error, match=message):
        bfgs.optimizer(curv_rtol=curv_rtol)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="bfgs needs value and value_fn from its caller"):
        METHOD.update(jnp.zeros(2), METHOD.init(jnp.zeros(2)), jnp.zeros(2))
