"""The cross-check: agrees on right networks, says so when a rule is wrong, names what is out."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import activations
from jnn.triangular import dense
from jnn.triangular.comparison import FINITE_DIFFERENCES, Difference, Report

pytestmark = pytest.mark.table


@pytest.mark.parametrize(
    ("sizes", "activation", "residual", "loss"),
    [
        ([1, 1, 1, 1], "sigmoid", False, "half_mse"),
        ([2, 4, 4, 4, 3], "gelu", True, "cross_entropy"),
    ],
)
def test_all_pairs_agree(sizes, activation, residual, loss):
    params = oracles.network(sizes, activation, residual)
    y = jnp.array(1) if loss == "cross_entropy" else jnp.ones(sizes[-1])
    report = jnn.crosscheck(params, oracles.example(sizes[0]), y, loss=loss)
    assert report.ok
    # six pairs of four methods for the Jacobian, ten of five for the gradient
    assert len(report.errors) == 16
    names = {name for e in report.errors for name in (e.first, e.second)}
    assert names == {"autodiff", "dense", "substitution", "parallel", FINITE_DIFFERENCES}
    assert "all pairs agree; furthest apart: " in str(report)
    assert report.furthest.relative == max(e.relative for e in report.errors)
    assert params[0].w.dtype == jnp.float32  # not changed; nor is the precision of what follows
    assert jnp.zeros(1).dtype == jnp.float32


def test_a_large_network_leaves_dense_out_and_says_so(monkeypatch):
    monkeypatch.setattr(dense, "LIMIT", 1000)
    report = jnn.crosscheck(oracles.network([8] * 10), oracles.example(8), jnp.ones(8))
    assert report.ok
    assert {e.quantity for e in report.errors} == {"gradient of the loss"}
    assert "left out as too large" in str(report)


@pytest.mark.slow
def test_a_wrong_slope_shows(monkeypatch):
    right = activations.ACTIVATIONS["tanh"]
    wrong = right._replace(slope=lambda z: 1.001 * right.slope(z), slope_of_value=None)
    monkeypatch.setitem(activations.ACTIVATIONS, "tanh", wrong)
    jax.clear_caches()
    report = jnn.crosscheck(oracles.network([2, 3, 3, 1]), oracles.example(2), jnp.ones(1))
    jax.clear_caches()
    assert not report.ok
    assert "NOT all pairs agree" in str(report)
    agreeing = {(e.first, e.second) for e in report.errors if e.ok}
    assert ("autodiff", FINITE_DIFFERENCES) in agreeing
    assert ("autodiff", "substitution") not in agreeing


def test_a_nan_is_no_agreement():
    report = Report(
        (Difference("q", "a", "b", np.nan, np.nan), Difference("q", "a", "c", 1.0, 1.0))
    )
    assert not report.ok
    assert report.furthest.second == "b"


@pytest.mark.parametrize(
    ("x", "y", "loss", "message"),
    [
        (
            np.zeros(3),
            np.zeros(1),
            "mse",
            r"x has shape \(3,\); one example for this network is \(2,\)",
        ),
        (np.zeros((5, 2)), np.zeros(1), "mse", "for a batch use predict"),
        (
            np.zeros(2),
            np.zeros(2),
            "mse",
            r"y has shape \(2,\); the target of one example is \(1,\)",
        ),
        (
            np.zeros(2),
            np.zeros(()),
            "mse",
            r"y has shape \(\); the target of one example is \(1,\)",
        ),
        (np.array([0, np.nan]), np.zeros(1), "mse", "x holds NaN or infinity"),
        (np.zeros(2), np.array([np.inf]), "mse", "y holds NaN or infinity"),
        (np.zeros(2), np.zeros(1), "mze", "unknown loss 'mze'; known: half_mse"),
    ],
)
def test_wrong_input_is_refused(x, y, loss, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        jnn.crosscheck(oracles.network([2, 3, 1]), x, y, loss=loss)


@pytest.mark.slow
def test_a_kink_is_named():
    params = jnn.init_network_params([2, 4, 4, 1], jax.random.key(0), activation="relu")
    # zero biases, zero input: every z is exactly 0
    report = jnn.crosscheck(params, np.zeros(2), np.ones(1))
    assert not report.ok
    assert "at a kink there is no derivative" in str(report)
    smooth = jnn.crosscheck(params, np.array([0.3, -0.7]), np.ones(1))
    assert smooth.ok
    assert not smooth.notes
