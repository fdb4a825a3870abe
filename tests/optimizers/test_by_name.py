"""Optimizers by name: twenty steps of each against the update rule written in NumPy, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn import optimizers

RATE = 0.05
START = np.array([1.5, -2.0, 0.3, 0.01])
CURVATURE = np.array([1.0, 0.2, 3.0, 10.0])


def gradient(p, t):
    """Of a bowl that moves a little at every step, so that no rule settles."""
    return CURVATURE * (p - 0.1 * np.cos(t + np.arange(4)))


def sgd(p, g, s, t):
    return p - RATE * g, s


def momentum(p, g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + g
    return p - RATE * s["v"], s


def nesterov(p, g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + g
    return p - RATE * (g + 0.9 * s["v"]), s


def adam(p, g, s, t, decay=0.0):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    m, v = s["m"] / (1 - 0.9 ** (t + 1)), s["v"] / (1 - 0.999 ** (t + 1))
    return p - RATE * (m / (np.sqrt(v) + 1e-8) + decay * p), s


def adamw(p, g, s, t):
    return adam(p, g, s, t, decay=1e-4)


def rmsprop(p, g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    return p - RATE * g / np.sqrt(s["v"] + 1e-8), s


def adagrad(p, g, s, t):
    s["v"] = s.get("v", 0.1) + g**2
    return p - RATE * g / np.sqrt(s["v"] + 1e-7), s


def adadelta(p, g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    step = np.sqrt(s.get("u", 0) + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
    s["u"] = 0.9 * s.get("u", 0) + 0.1 * step**2
    return p - RATE * step, s


def lion(p, g, s, t):
    m = s.get("m", 0)
    s["m"] = 0.99 * m + 0.01 * g
    return p - RATE * (np.sign(0.9 * m + 0.1 * g) + 1e-3 * p), s


RULES = [sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad, adadelta, lion]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_twenty_steps_are_the_rule_in_numpy(rule, x64):
    optimizer, rate, *_ = optimizers.resolve(rule.__name__, RATE)
    expected, memory = START, {}
    p = jnp.asarray(START)
    state = optimizer.init(p)
    for t in range(20):
        expected, memory = rule(expected, gradient(expected, t), memory, t)
        updates, state = optimizer.update(jnp.asarray(gradient(np.asarray(p), t)), state, p)
        p = optax.apply_updates(p, rate * updates)
    np.testing.assert_allclose(p, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", jnn.OPTIMIZERS)
def test_every_name_trains_at_its_default_rate(name):
    x = np.linspace(-1, 1, 40)[:, None]
    params = jnn.init_network_params([1, 4, 1], jax.random.key(0))
    result = jnn.fit(params, (x, np.sin(2 * x)), optimizer=name, epochs=1000, progress=False)
    assert result.history["loss"][-1] < 0.9 * result.history["loss"][0]


def test_one_name_is_one_optimizer_and_one_compilation():
    adam = optimizers.resolve("adam").transformation
    assert optimizers.resolve("adam", 0.01).transformation is adam
    assert optimizers.resolve("fromage", 0.1) == optimizers.resolve("fromage", 0.1)


@pytest.mark.slow
def test_the_default_of_fit_is_adam_at_its_default_rate():
    x = np.linspace(-1, 1, 20)[:, None]
    params = jnn.init_network_params([1, 2, 1], jax.random.key(0))
    default = jnn.fit(params, (x, x), epochs=3)
    explicit = jnn.fit(params, (x, x), optimizer=optax.adam(1e-3), batch_size=20, epochs=3)
    for a, b in zip(jax.tree.leaves(default.params), jax.tree.leaves(explicit.params), strict=True):
        np.testing.assert_allclose(
            a, b, rtol=1e-5
        )  # the rate is applied inside of the one, outside of the other


def test_a_schedule_is_a_learning_rate():
    """η = 0.1, 0.05, 0, … of a linear model: parameters stand still from the third step on."""
    x = np.linspace(-1, 1, 20)[:, None]
    run = partial(
        jnn.fit, jnn.init_network_params([1, 1], jax.random.key(0)), (x, x), batch_size=20
    )
    schedule = optax.linear_schedule(0.1, 0.0, 2)
    result = run(optimizer="sgd", learning_rate=schedule, epochs=4)
    np.testing.assert_allclose(result.history["learning_rate"], [0.05, 0, 0, 0], atol=1e-9)
    whole = run(optimizer=optax.sgd(schedule), epochs=4)
    np.testing.assert_allclose(result.history["loss"], whole.history["loss"], rtol=1e-6)
    assert "learning_rate" not in whole.history


def test_other_optimizers_of_optax_go_by_their_name_there():
    assert hasattr(optimizers.resolve("fromage", 0.1).transformation, "update")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ("adm",),
            ValueError,
            "unknown optimizer 'adm'; known: sgd, momentum, .*, or an optax transformation",
        ),
        (("chain", 0.1), ValueError, "unknown optimizer 'chain'"),
        (("fromage",), ValueError, "optimizer 'fromage' needs a learning_rate"),
        (("sgd", 0.0), ValueError, "learning_rate is 0.0; it must be finite and above 0"),
        (("sgd", -1), ValueError, "learning_rate is -1; it must be finite and above 0"),
        (("sgd", float("nan")), ValueError, "learning_rate is nan"),
        (
            ("sgd", "0.1"),
            TypeError,
            "learning_rate is '0.1'; it must be a number: .* or an optax schedule",
        ),
        (("sgd", True), TypeError, "learning_rate is True; it must be a number"),
        (("sgd", [0.1]), TypeError, r"learning_rate is \[0.1\]; it must be a number"),
        ((optax.sgd(0.1), 0.1), ValueError, "learning_rate belongs to an optimizer's name"),
        (("bfgs", 0.1), ValueError, "bfgs finds the length of each step itself"),
        ((None,), TypeError, "optimizer is None; it must be a name or an optax transformation"),
    ],
)
def test_wrong_optimizers_are_refused(arguments, error, message, as_a_user):
    with pytest.raises(error, match=message):
        optimizers.resolve(*arguments)
