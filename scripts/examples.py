"""Classic small problems, trained and measured over seeds.

scripts/examples                  all of them
scripts/examples ripple           a noisy line with a ripple, by methods of first and second order; a picture
scripts/examples ten_features     linear regression by a network: settings as published, and recommended ones
scripts/examples iris digits      classification: accuracy, confusion matrix, precision, recall, F1
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jnn
from jnn import data, figures

NOISE = 0.0025  # of the ripple: what no fit should be asked to go far below

RIPPLE = {
    "steepest descent": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 100, "epochs": 30_000},
    "minibatch SGD": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 10, "epochs": 3_000},
    "BFGS": {"optimizer": "bfgs", "epochs": 150},
    "L-BFGS": {"optimizer": "lbfgs", "epochs": 150},
    "Levenberg–Marquardt": {"optimizer": "levenberg_marquardt", "epochs": 50},
}


class Reached(NamedTuple):
    """The run, and the first iteration whose loss is at most NOISE, or None."""

    fit: jnn.Fit
    iteration: int | None


def ripple_run(method: str, seed: int) -> Reached:
    """One hidden layer of 10 tanh units on 100 points; an iteration is one update."""
    key = jax.random.key(seed)
    x, y = data.ripple(key)
    params = jnn.init_network_params([1, 10, 1], key)
    result = jnn.fit(params, (x, y), loss="mse", key=key, progress=False, **RIPPLE[method])
    below = np.flatnonzero(result.history["loss"] <= NOISE)
    updates = -(-len(x) // RIPPLE[method].get("batch_size", len(x)))  # an epoch
    return Reached(result, int(below[0] + 1) * updates if below.size else None)


def ripple(seeds: int, out: Path) -> None:
    """How many seeds reach the noise, in how many iterations, and one seed's losses in a picture."""
    print(f"ripple: mean squared error ≤ {NOISE}, {seeds} seeds")
    print(f"{'':<22}{'reached by':>11}{'iterations':>12}{'most':>8}{'µs each':>10}")
    lines = {}
    for method, options in RIPPLE.items():
        runs = [ripple_run(method, seed) for seed in range(seeds)]
        iterations = [run.iteration for run in runs if run.iteration is not None]
        fit = runs[0].fit
        updates = fit.epochs * (-(-100 // options.get("batch_size", 100)))
        each = 1e6 * min(run.fit.run_seconds for run in runs) / updates
        middle, most = (f"{f(iterations):.0f}" if iterations else "–" for f in (np.median, np.max))
        print(f"{method:<22}{f'{len(iterations)} of {seeds}':>11}{middle:>12}{most:>8}{each:>10.1f}")
        loss = np.repeat(fit.history["loss"], updates // fit.epochs)
        lines[method] = (loss, fit.run_seconds)
    figure = figures.convergence(lines, floor=1 / 401, title="Ripple: one hidden layer of 10 tanh units")
    out.mkdir(parents=True, exist_ok=True)
    print(f"written: {', '.join(str(path) for path in figures.save(figure, out / 'ripple'))}\n")


# As published: features as they are, relu, Glorot, Adam. Recommended: standardised, a smooth activation, and L-BFGS.
PUBLISHED = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 50, "epochs": 50}
RECOMMENDED = {"optimizer": "lbfgs", "epochs": 500}


def ten_features_run(seed: int, recommended: bool) -> tuple[float, float]:
    """Training and test mean squared error, in the units of y."""
    key = jax.random.key(seed)
    (x, y), (test_x, test_y) = data.split(data.ten_features(key), (0.85, 0.15), jax.random.fold_in(key, 1))
    if not recommended:
        params = jnn.init_network_params([10, 100, 1], key, activation="relu", init="glorot_uniform")
        result = jnn.fit(params, (x, y), loss="mse", key=key, progress=False, **PUBLISHED)

        def predict(x: Any) -> Any:
            return jnn.predict(result.params, x)

    else:
        of_x, of_y = data.standardization(x), data.standardization(y)
        params = jnn.init_network_params([10, 100, 1], key, activation="tanh")
        train = data.standardize(of_x, x), data.standardize(of_y, y)
        result = jnn.fit(params, train, loss="mse", key=key, progress=False, **RECOMMENDED)

        def predict(x: Any) -> Any:
            return data.unstandardize(of_y, np.asarray(jnn.predict(result.params, data.standardize(of_x, x))))

    train_error, test_error = (float(np.mean((predict(x) - y) ** 2)) for x, y in ((x, y), (test_x, test_y)))
    return train_error, test_error


def ten_features(seeds: int) -> None:
    """Training and test errors by both settings."""
    print(f"ten features: mean squared error, median (largest) of {seeds} seeds")
    for name, recommended in (("as published", False), ("recommended", True)):
        errors = np.array([ten_features_run(seed, recommended) for seed in range(seeds)])
        cells = [
            f"{part} {np.median(e):.4g} ({e.max():.4g})" for part, e in zip(("training", "test"), errors.T, strict=True)
        ]
        print(f"{name:<14}{', '.join(cells)}")
    print()


class Classification(NamedTuple):
    """A bundled data set of scikit-learn's and how to train on it."""

    hidden: tuple[int, ...]
    options: dict[str, Any]


CLASSIFICATIONS = {
    "iris": Classification((16,), {"learning_rate": 1e-2, "epochs": 200, "batch_size": 16}),
    "digits": Classification((100,), {"learning_rate": 3e-3, "epochs": 60, "batch_size": 64, "dropout_rate": 0.2}),
}


def classify(name: str, seed: int) -> tuple[jnn.ClassificationReport, np.ndarray, np.ndarray]:
    """The report on a fifth of the rows, held back; with it their labels and the predicted ones."""
    from sklearn import datasets

    bundle: Any = getattr(datasets, f"load_{name}")()
    x, labels, key = bundle.data.astype(np.float32), bundle.target, jax.random.key(seed)
    (x, y), (test_x, test_y) = data.split((x, labels), (0.8, 0.2), jax.random.fold_in(key, 1), stratify=labels)
    scaling = data.standardization(x)
    hidden, options = CLASSIFICATIONS[name]
    params = jnn.init_network_params(
        [x.shape[1], *hidden, len(bundle.target_names)], key, activation="relu", init="he_normal"
    )
    train = data.standardize(scaling, x), y
    result = jnn.fit(params, train, loss="cross_entropy", key=key, progress=False, **options)
    predicted = np.asarray(jnn.predict(result.params, data.standardize(scaling, test_x))).argmax(axis=1)
    names = [str(label) for label in bundle.target_names]
    return jnn.classification_report(test_y, predicted, labels=names), test_y, predicted


def classification(name: str, seeds: int) -> None:
    """Test accuracies over seeds, and the whole report of the first."""
    reports = [classify(name, seed)[0] for seed in range(seeds)]
    accuracies = [report.accuracy for report in reports]
    print(f"{name}: test accuracy, median {np.median(accuracies):.4f}, least {min(accuracies):.4f}, of {seeds} seeds")
    print(f"{reports[0]}\n")


EXAMPLES: dict[str, Callable[[int, Path], None]] = {
    "ripple": ripple,
    "ten_features": lambda seeds, _: ten_features(seeds),
    "iris": lambda seeds, _: classification("iris", seeds),
    "digits": lambda seeds, _: classification("digits", seeds),
}


def main() -> None:
    """Run the examples asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="*", metavar="example", help=f"of {', '.join(EXAMPLES)}; none means all")
    parser.add_argument("--seeds", type=int, default=10, help="how many (10)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where pictures go (out/)")
    arguments = parser.parse_args()
    if unknown := set(arguments.examples) - set(EXAMPLES):
        parser.error(f"unknown example {min(unknown)!r}; known: {', '.join(EXAMPLES)}")
    for name in arguments.examples or EXAMPLES:
        EXAMPLES[name](arguments.seeds, arguments.out)


if __name__ == "__main__":
    main()
