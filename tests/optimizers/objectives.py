"""What second-order methods are tried on: curves that SciPy can fit, and the ripple."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.flatten_util import ravel_pytree

import jnn
from jnn.triangular import network
from jnn.triangular.method import Method


def rosenbrock(p):
    return jnp.concatenate([10 * (p[1:] - p[:-1] ** 2), 1 - p[:-1]])


T = np.linspace(0, 4, 30)
# no exact fit: the residual at the optimum is not zero
DECAY = 2.5 * np.exp(-1.3 * T) + 0.5 + 0.01 * np.cos(20 * T)
LOGISTIC = 3 / (1 + np.exp(-2 * (T - 1.5))) + 0.02 * np.sin(9 * T)
# residuals, and where to start
CURVES = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0]),
    "rosenbrock in 6": (rosenbrock, [-1.2, 1.0, -0.5, 0.8, 1.2, 0.3]),
    "decay": (lambda p: p[0] * jnp.exp(-p[1] * T) + p[2] - DECAY, [1.0, 0.5, 0.0]),
    "logistic": (lambda p: p[0] / (1 + jnp.exp(-p[1] * (T - p[2]))) - LOGISTIC, [1.0, 1.0, 1.0]),
}


def mean_square(params, x, y):
    return jnp.mean((network.batch_output(params, x, Method()) - y) ** 2)


def residuals(params, x, y):
    """r with ½‖r‖² = half the mean square, one example's row of J at a time."""
    flat, unravel = ravel_pytree(params)

    def one(x):
        return jax.jacrev(lambda p: network.output(unravel(p), x, Method()))(flat)

    root = np.sqrt(y.size).astype(y.dtype)
    r = (network.batch_output(params, x, Method()) - y).ravel() / root
    return r, jax.vmap(one)(x).reshape(y.size, -1) / root


def ripple_step(optimizer, params, state, x, y):
    """One iteration on half the mean square; parameters, state, and the objective before it."""

    def f(params):
        return 0.5 * mean_square(params, x, y)

    value, gradient = jax.value_and_grad(f)(params)
    updates, state = optimizer.update(
        gradient,
        state,
        params,
        value=value,
        grad=gradient,
        value_fn=f,
        residuals=partial(residuals, x=x, y=y),
    )
    return optax.apply_updates(params, updates), state, value


@partial(jax.jit, static_argnames=("optimizer", "iterations"))
def ripple_run(params, x, y, optimizer, iterations):
    """The objective before each iteration and at the end, and the final parameters."""

    def step(carry, _):
        params, state, value = ripple_step(optimizer, *carry, x, y)
        return (params, state), value

    start = (params, optimizer.init(params))
    (params, _), values = lax.scan(step, start, None, length=iterations)
    return jnp.append(values, 0.5 * mean_square(params, x, y)), params


def reached_noise(optimizer, iterations, seeds):
    """Whether the ripple is fitted to a mean square of 0.0025, from each start; no step rises."""
    reached = []
    for seed in seeds:
        x, y = jnn.data.ripple(jax.random.key(100 + seed))
        params = jnn.init_network_params([1, 10, 1], jax.random.key(seed))
        values, _ = ripple_run(params, x, y, optimizer, iterations)
        assert np.all(np.diff(values) <= 1e-6 * values[:-1])
        reached.append(bool(2 * values.min() <= 0.0025))
    return reached


def assert_a_copy_resumes(optimizer):
    """The state is arrays, and a copy of them goes on to the same bits."""
    x, y = map(jnp.asarray, jnn.data.ripple(jax.random.key(0)))
    params = jnn.init_network_params([1, 4, 1], jax.random.key(0))
    step = jax.jit(lambda params, state: ripple_step(optimizer, params, state, x, y)[:2])
    carry = params, optimizer.init(params)
    for _ in range(6):
        carry = step(*carry)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(carry))
    copy = jax.tree.map(lambda leaf: jnp.asarray(np.array(leaf)), carry)
    for _ in range(6):
        carry = step(*carry)
        copy = step(*copy)
    jax.tree.map(np.testing.assert_array_equal, copy, carry)


def assert_the_dtype_stays(optimizer, dtype):
    """Parameters keep their dtype, and get better."""
    x, y = (jnp.asarray(a, dtype) for a in jnn.data.ripple(jax.random.key(0)))
    params = jnn.init_network_params([1, 4, 1], jax.random.key(0), dtype=dtype)
    values, params = ripple_run(params, x, y, optimizer, 10)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    assert values[-1] < values[0]


def step_where_nothing_lowers(method, value):
    """The step and the state of a constant objective, from where it begins."""
    p = jnp.ones(3)

    def f(p):
        return value + 0 * jnp.sum(p)

    return method.update(jnp.zeros(3), method.init(p), p, value=f(p), value_fn=f)
