"""The verdict: what it is, where, and how fast."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.networks import X, Y, chain, network

import jnn


@pytest.mark.slow
@pytest.mark.table
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


@pytest.mark.table
@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ((50, 20, "sigmoid", None), "vanishing"),
        ((50, 60, "tanh", "critical_orthogonal"), "healthy"),
        (
            (50, 100, "tanh", jax.nn.initializers.variance_scaling(6.0, "fan_in", "normal")),
            "exploding",
        ),
        ((3, 60, "relu", "he_uniform"), "dead"),
    ],
)
def test_verdicts(given, verdict):
    found = jnn.diagnose(network(*given), X, Y)
    assert found.verdict == verdict
    assert str(found).startswith(verdict)
    assert bool(found.remedies) == (verdict != "healthy")


@pytest.mark.slow
def test_states_that_overflow_are_named():
    found = jnn.diagnose(network(8, 300, "relu", "he_uniform", residual=True), X, Y)
    assert found.verdict == "exploding"
    assert found.overflow is not None
    assert "leave the range of float32" in str(found)


@pytest.mark.slow
def test_a_dead_layer_is_named():
    params = jnn.from_layers([(1.0, 0.0), (1.0, -9.0), (1.0, 1.0), (1.0, 0.0)], activation="relu")
    found = jnn.diagnose(params, X, Y)
    assert (found.verdict, found.blocked, found.dead) == ("dead", 2, 1)
    assert "no gradient passes layer 2" in str(found)


@pytest.mark.slow
def test_each_run_of_layers_is_named_by_its_own_activation():
    def wave(z):
        return jnp.sin(z)

    mixed = network(5, 5, ["relu", "relu", "tanh", wave, wave], None)
    words = "2 relu layers of width 5, 1 tanh layer of width 5, 2 wave layers of width 5, "
    assert words in str(jnn.diagnose(mixed, X, Y))
    nameless = network(5, 1, partial(jnp.clip, min=-1, max=1), None)
    assert "1 custom layer of width 5" in str(jnn.diagnose(nameless, X, Y))


def test_a_network_of_one_stack_and_bad_input():
    found = jnn.diagnose(jnn.from_layers([(0.5, 0.0)] * 30, activation="identity"), X, Y)
    assert found.verdict == "vanishing"
    assert found.rate == pytest.approx(np.log(0.5))
    assert found.units == 29  # the readout stands in the same stack
    assert "29 identity layers of width 1" in str(found)
    with pytest.raises(ValueError, match="no hidden layer"):
        jnn.diagnose(jnn.from_layers([(0.5, 0.0)]), X, Y)
    with pytest.raises(ValueError, match="shape"):
        jnn.diagnose(network(3, 3, "tanh", None), X[:, 0], Y)
