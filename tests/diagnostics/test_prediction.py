"""What is predicted, of networks and of remedies, against what is then measured."""

import jax
import numpy as np
import pytest
from diagnostics.networks import X, Y, network

import jnn
from jnn.diagnostics import prediction


@pytest.mark.slow
@pytest.mark.table
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


@pytest.mark.slow
def test_each_layer_is_predicted_by_its_own_activation():
    activations = 5 * ["tanh"] + 5 * ["gelu"] + 5 * ["sigmoid"]
    found = jnn.diagnose(network(300, 15, activations, "lecun_normal"), X, Y)
    np.testing.assert_allclose(found.log_gradients[:-1], found.predicted[:-1], atol=0.7)
    steps = np.diff(found.predicted[:-1])
    assert steps[-1] > 1.2 > steps[0] + 1  # a sigmoid lets ¼ through at most, tanh nearly all


def test_a_weight_of_zero_lets_nothing_through():
    params = jnn.from_layers([(1.0, 0.0), (0.0, 0.0), (1.0, 0.0)], activation="tanh")
    factors, law = prediction.log_factors(params[:1], 1.0, 0.0)
    assert np.isfinite(factors).tolist() == [True, False]
    assert law == "at most: a chain of width one"


@pytest.mark.slow
@pytest.mark.table
@pytest.mark.parametrize(
    ("activation", "init"), [("tanh", "glorot_uniform"), ("sigmoid", None), ("gelu", None)]
)
def test_the_remedies_do_what_they_say(activation, init):
    """In a wide network, where mean-field theory holds."""
    depth = 60 if activation == "tanh" else 20
    found = jnn.diagnose(network(100, depth, activation, jax.nn.initializers.zeros), X, Y)
    assert found.verdict == "dead"  # zero weights
    for remedy in found.remedies:
        options = dict(part.split("=") for part in remedy.change.split(", "))
        start = network(
            100,
            depth,
            options.get("activation", activation).strip('"'),
            options["init"].strip('"'),
            "residual" in options,
        )
        after = jnn.diagnose(start, X, Y)
        assert after.verdict == "healthy", remedy
        assert after.log_ratio == pytest.approx(remedy.log_ratio, abs=1.0)
    assert any("critical" in remedy.change for remedy in found.remedies)


@pytest.mark.slow
def test_the_remedies_of_mixed_layers_keep_their_activations():
    activations = 10 * ["tanh"] + 10 * ["gelu"]
    found = jnn.diagnose(network(100, 20, activations, jax.nn.initializers.zeros), X, Y)
    by_change = {remedy.change: remedy.log_ratio for remedy in found.remedies}
    assert {'init="critical_orthogonal"', 'activation="tanh", init="critical_orthogonal"'} <= {
        *by_change
    }
    for init in ("critical_orthogonal", "fixup"):
        residual = init == "fixup"
        change = ("residual=True, " if residual else "") + f'init="{init}"'
        after = jnn.diagnose(network(100, 20, activations, init, residual), X, Y)
        assert after.log_ratio == pytest.approx(by_change[change], abs=1.0)
