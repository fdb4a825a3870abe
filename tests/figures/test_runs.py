"""Runs: losses by epoch; convergence by iterations and by seconds."""

import jax.numpy as jnp
import numpy as np
import pytest

from jnn import figures


def test_losses_by_epoch():
    figure = figures.losses({"long": jnp.array([1.0, 0.1, 0.0]), "short": [0.5]})
    assert [trace.x.tolist() for trace in figure.data] == [[1, 2, 3], [1]]
    np.testing.assert_array_equal(
        figure.data[0].y, [1.0, np.float64(np.float32(0.1)), np.nan]
    )  # 0 is on no log axis
    assert figure.layout.yaxis.type == "log"
    linear = figures.losses({"long": [1.0, 0.1, 0.0]}, log_y=False)
    assert linear.data[0].y.tolist() == [1.0, 0.1, 0.0]
    assert linear.layout.yaxis.type is None


def test_the_history_of_a_fit_is_train_and_validation_and_where_it_stopped():
    history = {
        "loss": [3.0, 2.0, 1.0],
        "validation_loss": [3.0, 2.5, 2.6],
        "r2": [0.1, 0.2, 0.3],
        "log_gradients": np.ones((3, 4)),
    }
    figure = figures.losses(history, best_epoch=2, stopped="patience")
    train, validation, best, end = figure.data
    assert (train.name, train.y.tolist()) == ("train", [3, 2, 1])
    assert (validation.name, validation.y.tolist()) == ("validation", [3, 2.5, 2.6])
    assert (best.x, best.y.tolist(), best.mode) == ((2,), [2.5], "markers")
    assert (end.name, end.x, end.y.tolist()) == ("stopped: patience", (3,), [2.6])
    assert len(figures.losses(history, best_epoch=0, stopped="epochs").data) == 2


def test_convergence_shares_the_seconds_out():
    figure = figures.convergence({"a": (np.array([1.0, 0.5, 0.0]), 6.0)}, floor=0.1)
    by_count, by_seconds = figure.data
    assert by_count.x.tolist() == [1, 2, 3]
    assert by_seconds.x.tolist() == [2, 4, 6]
    assert by_count.y[:2].tolist() == [1.0, 0.5]
    assert np.isnan(by_count.y[2])  # 0 has no place on a logarithmic axis
    assert len(figure.layout.shapes) == 2


def test_long_runs_are_thinned_as_the_axis_is_and_keep_their_ends():
    loss = 1 / np.arange(1.0, 30_001)
    by_count, _ = figures.convergence({"long": (loss, 3.0)}).data
    assert by_count.x[:50].tolist() == [*range(1, 51)]
    assert by_count.x[-1] == 30_000
    assert len(by_count.x) < 800
    np.testing.assert_allclose(by_count.x * by_count.y, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: figures.losses({"loss": jnp.ones((2, 2))}),
            r"the loss 'loss' has shape \(2, 2\); expected \(n,\)",
        ),
        (lambda: figures.losses({"a": [1.0]}, best_epoch=1), "has no \"loss\", but 'a'"),
        (lambda: figures.losses({"loss": [1.0]}, best_epoch=2), "best_epoch is 2; it must be"),
        (lambda: figures.losses({"loss": []}), r"the loss 'loss' has shape \(0,\)"),
        (
            lambda: figures.convergence({"a": (np.ones(2), 0.0)}),
            r"the seconds of the run 'a' is 0\.0; it must be finite and above 0",
        ),
    ],
)
def test_wrong_arrays_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
