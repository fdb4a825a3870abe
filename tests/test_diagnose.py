"""The verdict: what it is, where, how fast, and whether what it suggests does help."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn

X = np.linspace(-1, 1, 32)[:, None]
Y = np.sin(3 * X)


def network(width, depth, activation, init, residual=False, seed=1):
    sizes = [1] + [width] * depth + [1]
    return jnn.init_network_params(sizes, jax.random.key(seed), activation=activation, init=init, residual=residual)


def chain(depth, dtype):
    stack = jnn.Stack(jnp.ones((depth, 1, 1), dtype), jnp.full((depth, 1), -0.5, dtype), "sigmoid")
    return stack, jnn.Stack(jnp.ones((1, 1, 1), dtype), jnp.zeros((1, 1), dtype))


@pytest.mark.parametrize(("dtype", "last"), [("float32", 63), ("float64", 511)])
def test_a_sigmoid_chain_is_found_out_exactly(dtype, last, x64):
    for depth in (last, last + 1, 2 * last):
        found = jnn.diagnose(chain(depth, dtype), [[0.5]], [[-0.5]])
        assert found.verdict == "vanishing"
        assert found.zeros == tuple(range(1, depth - last + 1))
        assert found.last_depth == last
        assert np.exp(found.rate) == pytest.approx(0.25, rel=1e-9)
        assert found.predicted_rate == pytest.approx(np.log(0.25), rel=1e-9)
        np.testing.assert_allclose(found.log_gradients[:-1], found.predicted[:-1], rtol=1e-9)
    assert f"gradients end {last} layers below" in str(found)
    assert f"exactly 0 in {last} of" in str(found)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ((50, 20, "sigmoid", None), "vanishing"),
        ((50, 60, "tanh", "critical_orthogonal"), "healthy"),
        ((50, 100, "tanh", jax.nn.initializers.variance_scaling(6.0, "fan_in", "normal")), "exploding"),
        ((3, 60, "relu", "he_uniform"), "dead"),
    ],
)
def test_verdicts(given, verdict):
    found = jnn.diagnose(network(*given), X, Y)
    assert found.verdict == verdict
    assert str(found).startswith(verdict)
    assert bool(found.remedies) == (verdict != "healthy")


@pytest.mark.parametrize(
    ("width", "activation", "init"),
    [
        (200, "tanh", "lecun_normal"),
        (200, "gelu", "he_normal"),
        (300, "sigmoid", "lecun_normal"),
        (50, "relu", "he_normal"),
    ],
)
def test_the_prediction_is_near_what_is_measured(width, activation, init):
    found = jnn.diagnose(network(width, 15, activation, init), X, Y)
    assert found.rate == pytest.approx(found.predicted_rate, abs=0.06)


def test_states_that_overflow_are_named():
    found = jnn.diagnose(network(8, 300, "relu", "he_uniform", residual=True), X, Y)
    assert found.verdict == "exploding"
    assert found.overflow is not None
    assert "leave the range of float32" in str(found)


def test_a_dead_layer_is_named():
    params = jnn.from_layers([(1.0, 0.0), (1.0, -9.0), (1.0, 1.0), (1.0, 0.0)], activation="relu")
    found = jnn.diagnose(params, X, Y)
    assert (found.verdict, found.blocked, found.dead) == ("dead", 2, 1)
    assert "no gradient passes layer 2" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "init"), [("tanh", "glorot_uniform"), ("sigmoid", None), ("gelu", None)])
def test_the_remedies_do_what_they_say(activation, init):
    """In a wide network, where mean-field theory holds."""
    found = jnn.diagnose(network(100, 60 if activation == "tanh" else 20, activation, jax.nn.initializers.zeros), X, Y)
    assert found.verdict == "dead"  # zero weights
    for remedy in found.remedies:
        options = dict(part.split("=") for part in remedy.change.split(", "))
        start = network(
            100,
            60 if activation == "tanh" else 20,
            options.get("activation", activation).strip('"'),
            options["init"].strip('"'),
            "residual" in options,
        )
        after = jnn.diagnose(start, X, Y)
        assert after.verdict == "healthy", remedy
        assert after.log_ratio == pytest.approx(remedy.log_ratio, abs=1.0)
    assert any("critical" in remedy.change for remedy in found.remedies)


def test_a_network_of_one_stack_and_bad_input():
    found = jnn.diagnose(jnn.from_layers([(0.5, 0.0)] * 30, activation="identity"), X, Y)
    assert found.verdict == "vanishing"
    assert found.rate == pytest.approx(np.log(0.5))
    with pytest.raises(ValueError, match="no hidden layer"):
        jnn.diagnose(jnn.from_layers([(0.5, 0.0)]), X, Y)
    with pytest.raises(ValueError, match="shape"):
        jnn.diagnose(network(3, 3, "tanh", None), X[:, 0], Y)
