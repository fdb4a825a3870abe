"""A search by Optuna: it proposes many networks at a time, and one call trains them all.

`Study.ask` gives a trial to be judged, `Study.tell` takes its loss. Between them nobody minds how
many trials there are, nor how they are trained: here 64 at a time, each in five folds.
"""
# Optuna and scikit-learn are extras of this example
# pyright: reportMissingImports=false

import warnings
from typing import Any

import jax
import numpy as np

import jnn
from jnn import data

TRIALS = 64  # asked for at a time
ROUNDS = 4
FOLDS = 5
EPOCHS = 40


def search(seed: int, *, rounds: int = ROUNDS, trials: int = TRIALS, epochs: int = EPOCHS) -> Any:
    """Learning rate and penalty of a network on diabetes; Optuna's study.

    A trial's loss is the mean over folds of half the squared error of standardised targets.
    """
    import optuna
    from sklearn.datasets import load_diabetes

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar is experimental, says Optuna
        # trials that are not told yet count as bad ones: 64 do not propose the same
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    x, y = (np.asarray(column) for column in load_diabetes(return_X_y=True))
    key = jax.random.key(seed)
    folds = data.folds(len(x), FOLDS, jax.random.fold_in(key, 1))
    for i in range(rounds):
        asked = [study.ask() for _ in range(trials)]
        rates = [trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True) for trial in asked]
        strengths = [trial.suggest_float("l2", 1e-4, 1.0, log=True) for trial in asked]
        fits = jnn.cross_validate(
            _drawn(jax.random.split(jax.random.fold_in(key, 2 + i), trials)),
            (x, y[:, None]),
            folds,
            standardize="xy",
            learning_rate=rates,
            penalty=jnn.penalties.l2(np.array(strengths)),
            epochs=epochs,
            progress=False,
        )
        for trial, loss in zip(asked, fits.by("member")["mean_validation_loss"], strict=True):
            if np.isfinite(loss):
                study.tell(trial, loss)
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return study


@jax.jit
def _drawn(keys: Any) -> jnn.Params:
    return jax.vmap(lambda key: jnn.init_network_params([10, 16, 16, 1], key))(keys)


def print_searches(seeds: int) -> None:
    """Of each seed the best loss after every round, and what it was found with."""
    print(f"search: diabetes, {ROUNDS} × {TRIALS} trials of Optuna's in {FOLDS} folds, 1 − R²")
    for seed in range(seeds):
        study = search(seed)
        # half the squared error of targets of variance 1 is (1 − R²) / 2
        losses = 2 * np.array([np.inf if t.value is None else t.value for t in study.trials])
        best = np.minimum.accumulate(losses)[TRIALS - 1 :: TRIALS]
        found = ", ".join(f"{name} {value:.3g}" for name, value in study.best_params.items())
        print(f"{' → '.join(f'{loss:.4f}' for loss in best)}   {found}", flush=True)
    print()
