"""Classic small problems, trained and measured over seeds.

scripts/examples                  all of them
scripts/examples ripple           a noisy line with a ripple, by methods of first and second order;
                                  a picture
scripts/examples ten_features     linear regression by a network: settings as published, and
                                  recommended ones
scripts/examples iris digits      classification: accuracy, confusion matrix, precision, recall, F1
scripts/examples search           a search by Optuna, 64 networks at a time, each in five folds
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jnn
from jnn import data, figures
from studies import search, shared

Options = dict[str, Any]  # keywords of jnn.fit

NOISE = 0.0025  # of the ripple: what no fit should be asked to go far below
POINTS = 100  # of the ripple

DESCENT: Options = {"optimizer": "sgd", "learning_rate": 0.1}
RIPPLE: dict[str, Options] = {
    "steepest descent": {**DESCENT, "batch_size": POINTS, "epochs": 30_000},
    "minibatch SGD": {**DESCENT, "batch_size": 10, "epochs": 3_000},
    "BFGS": {"optimizer": "bfgs", "epochs": 150},
    "L-BFGS": {"optimizer": "lbfgs", "epochs": 150},
    "Levenberg–Marquardt": {"optimizer": "levenberg_marquardt", "epochs": 50},
}

# Of the ten features. As published: features as they are, relu, Glorot, Adam. Recommended:
# standardised, a smooth activation, and L-BFGS.
PUBLISHED: Options = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 50, "epochs": 50}
RECOMMENDED: Options = {"optimizer": "lbfgs", "epochs": 500}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the examples asked for; the exit code."""
    options = parse(arguments)
    for name in options.examples or EXAMPLES:
        EXAMPLES[name](options.seeds, options.out)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = shared.Parser("examples", __doc__ or "")
    parser.add_argument(
        "examples",
        nargs="*",
        metavar="example",
        help=f"of {', '.join(EXAMPLES)}; none means all",
    )
    parser.add_seeds(10, "how many (default 10)")
    parser.add_out()
    options = parser.parse_args(arguments)
    for name in options.examples:
        if name not in EXAMPLES:
            parser.error(f"unknown example {name!r}; known: {', '.join(EXAMPLES)}")
    return options


# ---- a ripple ----


class Reached(NamedTuple):
    """A run on the ripple."""

    fit: jnn.Fit
    iteration: int | None  # the first whose loss is at most NOISE, where there is one


def ripple_run(method: str, seed: int) -> Reached:
    """One hidden layer of 10 tanh units on 100 points; an iteration is one update."""
    key = jax.random.key(seed)
    x, y = data.ripple(key, POINTS)
    params = jnn.init_network_params([1, 10, 1], key)
    fit = jnn.fit(params, (x, y), loss="mse", key=key, progress=False, **RIPPLE[method])
    below = np.flatnonzero(fit.history["loss"] <= NOISE)
    iteration = int(below[0] + 1) * _updates_per_epoch(method) if below.size else None
    return Reached(fit, iteration)


def _updates_per_epoch(method: str) -> int:
    return -(-POINTS // RIPPLE[method].get("batch_size", POINTS))


def ripple(seeds: int, out: Path) -> None:
    """How many seeds reach the noise, in how many iterations; one seed's losses in a picture."""
    print(f"ripple: mean squared error ≤ {NOISE}, {seeds} seeds")
    print(f"{'':<22}{'reached by':>11}{'iterations':>12}{'most':>8}{'µs each':>10}")
    lines = {}
    for method in RIPPLE:
        runs = [ripple_run(method, seed) for seed in range(seeds)]
        print(_ripple_row(method, runs))
        fit = runs[0].fit
        loss = np.repeat(fit.history["loss"], _updates_per_epoch(method))
        lines[method] = (loss, fit.run_seconds)
    title = "Ripple: one hidden layer of 10 tanh units"
    shared.write_picture(figures.convergence(lines, floor=1 / 401, title=title), out / "ripple")
    print()


def _ripple_row(method: str, runs: Sequence[Reached]) -> str:
    iterations = [run.iteration for run in runs if run.iteration is not None]
    reached = f"{len(iterations)} of {len(runs)}"
    middle = f"{np.median(iterations):.0f}" if iterations else "–"
    most = f"{max(iterations):.0f}" if iterations else "–"
    updates = runs[0].fit.epochs * _updates_per_epoch(method)
    each = 1e6 * min(run.fit.run_seconds for run in runs) / updates
    return f"{method:<22}{reached:>11}{middle:>12}{most:>8}{each:>10.1f}"


# ---- ten features ----


def ten_features_run(seed: int, recommended: bool) -> tuple[float, float]:
    """Training and test mean squared error, in the units of y."""
    key = jax.random.key(seed)
    rows = data.ten_features(key)
    train, test = data.split(rows, (0.85, 0.15), jax.random.fold_in(key, 1))
    predict = _recommended(train, key) if recommended else _published(train, key)
    return _error(predict, *train), _error(predict, *test)


def _published(train: tuple[np.ndarray, ...], key: jax.Array) -> Callable[[Any], Any]:
    params = jnn.init_network_params([10, 100, 1], key, activation="relu", init="glorot_uniform")
    fit = jnn.fit(params, train, loss="mse", key=key, progress=False, **PUBLISHED)
    return lambda x: jnn.predict(fit.params, x)


def _recommended(train: tuple[np.ndarray, ...], key: jax.Array) -> Callable[[Any], Any]:
    x, y = train
    of_x = data.standardization(x)
    of_y = data.standardization(y)
    params = jnn.init_network_params([10, 100, 1], key, activation="tanh")
    scaled = data.standardize(of_x, x), data.standardize(of_y, y)
    fit = jnn.fit(params, scaled, loss="mse", key=key, progress=False, **RECOMMENDED)

    def predict(x: Any) -> Any:
        prediction = jnn.predict(fit.params, data.standardize(of_x, x))
        return data.unstandardize(of_y, np.asarray(prediction))

    return predict


def _error(predict: Callable[[Any], Any], x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((predict(x) - y) ** 2))


def ten_features(seeds: int) -> None:
    """Training and test errors by both settings."""
    print(f"ten features: mean squared error, median (largest) of {seeds} seeds")
    for name, recommended in (("as published", False), ("recommended", True)):
        errors = np.array([ten_features_run(seed, recommended) for seed in range(seeds)])
        cells = [
            f"{part} {np.median(column):.4g} ({column.max():.4g})"
            for part, column in zip(("training", "test"), errors.T, strict=True)
        ]
        print(f"{name:<14}{', '.join(cells)}")
    print()


# ---- classification ----


class Classification(NamedTuple):
    """How to train on a bundled data set of scikit-learn's."""

    hidden: tuple[int, ...]
    options: Options


CLASSIFICATIONS = {
    "iris": Classification((16,), {"learning_rate": 1e-2, "epochs": 200, "batch_size": 16}),
    "digits": Classification(
        (100,), {"learning_rate": 3e-3, "epochs": 60, "batch_size": 64, "dropout_rate": 0.2}
    ),
}


def classify(name: str, seed: int) -> tuple[jnn.ClassificationReport, np.ndarray, np.ndarray]:
    """The report on a fifth of the rows, held back; their labels, and the predicted ones."""
    from sklearn import datasets  # an extra

    bundle: Any = getattr(datasets, f"load_{name}")()
    names = [str(label) for label in bundle.target_names]
    rows = bundle.data.astype(np.float32), bundle.target
    key = jax.random.key(seed)
    (x, y), (test_x, test_y) = data.split(
        rows, (0.8, 0.2), jax.random.fold_in(key, 1), stratify=bundle.target
    )
    scaling = data.standardization(x)
    hidden, options = CLASSIFICATIONS[name]
    sizes = [x.shape[1], *hidden, len(names)]
    params = jnn.init_network_params(sizes, key, activation="relu", init="he_normal")
    train = data.standardize(scaling, x), y
    fit = jnn.fit(params, train, loss="cross_entropy", key=key, progress=False, **options)
    logits = jnn.predict(fit.params, data.standardize(scaling, test_x))
    predicted = np.asarray(logits).argmax(axis=1)
    return jnn.classification_report(test_y, predicted, labels=names), test_y, predicted


def classification(name: str, seeds: int) -> None:
    """Test accuracies over seeds, and the whole report of the first."""
    reports = [classify(name, seed)[0] for seed in range(seeds)]
    accuracies = [report.accuracy for report in reports]
    print(
        f"{name}: test accuracy, median {np.median(accuracies):.4f}, "
        f"least {min(accuracies):.4f}, of {seeds} seeds"
    )
    print(f"{reports[0]}\n")


EXAMPLES: dict[str, Callable[[int, Path], None]] = {
    "ripple": ripple,
    "ten_features": lambda seeds, _: ten_features(seeds),
    "iris": lambda seeds, _: classification("iris", seeds),
    "digits": lambda seeds, _: classification("digits", seeds),
    "search": lambda seeds, _: search.print_searches(seeds),
}


if __name__ == "__main__":
    shared.run("examples", main)
