"""Outputs, targets and losses: what goes together, and what is refused with which remedy."""

import numpy as np
import pytest

from jnn import losses, targets
from jnn.activations import ACTIVATIONS
from jnn.outputs import OUTPUTS


@pytest.mark.parametrize(
    ("loss", "y", "n_out", "message"),
    [
        (
            "mse",
            np.zeros(5),
            1,
            r"\(5,\) do not match predictions of shape \(5, 1\): reshape them, y\[:, None\]",
        ),
        ("mse", np.zeros(5), 5, r"targets have shape \(5,\); the network predicts \(5, 5\)"),
        (
            "huber",
            np.zeros((5, 1)),
            2,
            r"targets have shape \(5, 1\); the network predicts \(5, 2\)",
        ),
        ("mse", np.zeros((5, 1, 1)), 1, r"targets have shape \(5, 1, 1\)"),
        ("mse", np.zeros(()), 1, r"targets have shape \(\); the network predicts \(n, 1\)"),
        (
            "cross_entropy",
            np.array([0.0, 1.0]),
            2,
            r"labels must be integers, got float64: use y.astype\(int\)",
        ),
        ("cross_entropy", np.array([0, 3]), 3, r"labels run from 0 to 3; 3 outputs need 0 … 2"),
        ("cross_entropy", np.array([-1, 1]), 3, r"labels run from -1 to 1"),
        (
            "cross_entropy",
            -np.ones((2, 3)),
            3,
            "targets of cross_entropy must be labels, or rows of probabilities",
        ),
        (
            "binary_cross_entropy",
            np.array([[0.0], [5.0]]),
            1,
            "must be between 0 and 1; got values from 0.0 to 5.0",
        ),
        ("poisson", np.array([[-1.0]]), 1, "targets of poisson must be counts of at least 0"),
        ("log_loss", np.array([0, 3]), 3, r"labels run from 0 to 3; 3 outputs need 0 … 2"),
        (
            "log_loss",
            np.ones((2, 3)),
            3,
            "targets of log_loss must be labels, or rows of probabilities",
        ),
        (
            "binary_log_loss",
            np.array([[2.0]]),
            1,
            "targets of binary_log_loss must be between 0 and 1",
        ),
        (max, np.array([0.5, 1.0]), 3, r"targets have shape \(2,\); the network predicts \(2, 3\)"),
    ],
)
def test_targets_that_do_not_match_are_refused(loss, y, n_out, message):
    with pytest.raises(ValueError, match=message):
        targets.check_targets(loss, y, n_out)


@pytest.mark.parametrize(
    ("loss", "y", "n_out"),
    [
        ("mse", np.zeros((5, 1)), 1),
        ("cross_entropy", np.full((5, 3), 1 / 3), 3),
        ("cross_entropy", np.array([0, 2]), 3),
        ("log_loss", np.array([0, 2]), 3),
        ("log_loss", np.full((5, 3), 1 / 3), 3),
        ("binary_log_loss", np.full((5, 1), 0.3), 1),
        (losses.smoothed("log_loss", 0.1), np.array([0, 2]), 3),
        (max, np.array([0, 7]), 3),
        (max, np.full((5, 3), 7.0), 3),
    ],
)
def test_targets_that_match_are_let_through(loss, y, n_out):
    targets.check_targets(loss, y, n_out)


# ---- what goes with the network's output ----

PROBABILITIES = ("sigmoid",)
DISTRIBUTIONS = ("softmax",)
NUMBERS = tuple(ACTIVATIONS.keys() - set(PROBABILITIES))
# what the loss takes, and the remedy where it does not get that; None: it takes anything
TAKES = {
    "cross_entropy": (NUMBERS, r"takes logits, .* build it with output=.identity"),
    "binary_cross_entropy": (NUMBERS, r"takes logits, .* build it with output=.identity"),
    "poisson": (NUMBERS, r"takes log rates, .* build it with output=.identity"),
    "log_loss": (DISTRIBUTIONS, r"takes a distribution, .* build it with output=.softmax"),
    "binary_log_loss": (PROBABILITIES, r"takes probabilities, .* build it with output=.sigmoid"),
}
EVERY = sorted(PROBABILITIES + DISTRIBUTIONS + NUMBERS)


def test_every_output_is_tried():
    assert set(EVERY) == ACTIVATIONS.keys() | OUTPUTS.keys()


@pytest.mark.parametrize("output", EVERY)
@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_loss_goes_with_what_it_takes(name, output):
    allowed, remedy = TAKES.get(name, (EVERY, ""))
    for loss in (name, losses.resolve(name)):
        if output in allowed:
            targets.check_output(loss, output)
            continue
        with pytest.raises(ValueError, match=f"loss {name} {remedy}"):
            targets.check_output(loss, output)


def test_a_smoothed_loss_takes_what_the_plain_one_takes():
    targets.check_output(losses.smoothed("log_loss", 0.1), "softmax")
    with pytest.raises(ValueError, match="takes logits, but the network's output, sigmoid, gives"):
        targets.check_output(losses.smoothed("cross_entropy", 0.1), "sigmoid")


@pytest.mark.parametrize("name", losses.LOSSES)
def test_functions_of_the_users_go_with_everything(name):
    targets.check_output(name, lambda z: z)
    targets.check_output(lambda p, y: p - y, "softmax")
    targets.check_output(lambda p, y: p - y, "identity")
