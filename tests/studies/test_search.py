"""The search of `scripts/examples`: Optuna asks, one call trains all, and Optuna is told."""

import numpy as np
import pytest
from studies import search

optuna = pytest.importorskip(
    "optuna", reason="Optuna, of the dependency group examples, is missing"
)


def test_every_trial_is_told_its_loss_and_the_best_are_found_again():
    study, again = (search.search(0, rounds=2, trials=4, epochs=3) for _ in range(2))
    losses = [trial.value for trial in study.trials]
    assert len(losses) == 8
    assert np.isfinite(losses).all()
    assert losses == [trial.value for trial in again.trials]
    assert study.best_value == min(losses)
    assert set(study.best_params) == {"learning_rate", "l2"}
