"""Random estimators: what is pickled in another process, cloned or fitted anew is equal to the bit.

And nothing that a user holds is changed: X, y, parameters, JAX's configuration, NumPy's generator.
"""

import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sklearn.base import clone

from jnn.sklearn import MLPClassifier, MLPRegressor

GENERATOR = np.random.mtrand._rand  # NumPy's own, of np.random.seed

OTHER = """
import pickle, struct, sys, warnings
warnings.simplefilter("ignore")
from tests.sklearn.test_base import go_on
while size := sys.stdin.buffer.read(8):
    data = sys.stdin.buffer.read(struct.unpack("q", size)[0])
    answer = pickle.dumps(go_on(*pickle.loads(data)))
    sys.stdout.buffer.write(struct.pack("q", len(answer)) + answer)
    sys.stdout.buffer.flush()
"""


def weights(estimator: Any) -> list[np.ndarray]:
    members = getattr(estimator, "estimators_", [estimator])
    return [a for member in members for a in member.coefs_ + member.intercepts_]


def go_on(estimator: Any, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> list[Any]:
    """What an estimator predicts, and its weights, after each of three calls."""
    found = [weights(estimator), estimator.predict(X)]
    if hasattr(estimator, "partial_fit") and not estimator.early_stopping:
        estimator.partial_fit(X, y, w)
        found += [weights(estimator), estimator.predict(X)]
    again = clone(estimator).fit(X, y, w)
    found += [weights(again), again.predict(X)]
    estimator.fit(X, y, w)
    return [*found, weights(estimator), estimator.predict(X)]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Any]:
    """Ask another process to go on with what is pickled here."""
    command = [sys.executable, "-c", OTHER]
    paths = [".", *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        into: Any = process.stdin
        out: Any = process.stdout

        def ask(*what: Any) -> Any:
            data = pickle.dumps(what)
            into.write(struct.pack("q", len(data)) + data)
            into.flush()
            return pickle.loads(out.read(struct.unpack("q", out.read(8))[0]))

        yield ask
        into.close()


SHARED = {
    "hidden_layer_sizes": st.sampled_from([(), (3,), [4, 4], 5]),
    "activation": st.sampled_from(["relu", "tanh", "logistic", "identity", "gelu"]),
    "solver": st.sampled_from(["adam", "adam", "sgd", "lbfgs", "lamb"]),
    "alpha": st.sampled_from([0, 1e-4, 1.0]),
    "batch_size": st.sampled_from(["auto", 8]),
    "learning_rate": st.sampled_from(["constant", "adaptive", "cosine"]),
    "max_iter": st.integers(1, 4),
    "shuffle": st.booleans(),
    "random_state": st.integers(0, 9),
    "early_stopping": st.booleans(),
    "standardize": st.booleans(),
    "n_ensemble": st.sampled_from([1, 1, 2]),
    "dtype": st.sampled_from([None, None, "float32"]),
}
BOLD = {"dropout": st.sampled_from([0, 0.5]), "l1_ratio": st.sampled_from([0, 0.5]),
        "clip_norm": st.sampled_from([None, 1.0])}  # fmt: skip
TARGETS = ["numbers", "two columns", "quantile", "counts", "classes", "two names", "labels"]


@st.composite
def tasks(draw: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray | None]:
    """An estimator, X, y and weights."""
    parameters = {name: draw(values) for name, values in SHARED.items()}
    if parameters["solver"] != "lbfgs":
        parameters |= {name: draw(values) for name, values in BOLD.items()}
    random = np.random.default_rng(draw(st.integers(0, 99)))
    n = draw(st.sampled_from([24, 37]))
    X = random.normal(size=(n, 3)).astype(draw(st.sampled_from(["d", "f", "i"])))
    if X.dtype.kind == "f" and draw(st.booleans()):
        X = np.asfortranarray(X)
    z = random.normal(size=(n, 2))
    kind = draw(st.sampled_from(TARGETS))
    y: Any = {
        "numbers": z[:, 0], "quantile": z[:, 0], "two columns": z,
        "counts": np.floor(z[:, 0] ** 2), "classes": np.arange(n) % 3,
        "two names": np.where(np.arange(n) % 2, "yes", "no"),
        "labels": (z > 0).astype(int),
    }[kind]  # fmt: skip
    if kind in ("classes", "two names", "labels"):
        more = {"label_smoothing": draw(st.sampled_from([0, 0.1]))}
        if kind != "labels":
            more["class_weight"] = draw(st.sampled_from([None, "balanced"]))
        if more.get("class_weight"):  # partial_fit does not see all rows
            parameters["early_stopping"] = True
        estimator: Any = MLPClassifier(**parameters, **more)
    else:
        loss = {"quantile": "quantile", "counts": "poisson"}.get(kind, "squared_error")
        estimator = MLPRegressor(loss=loss, quantile=[0.1, 0.9], **parameters)
    w = draw(st.sampled_from([None, np.linspace(0.5, 2, n)]))
    return estimator, X, y, w


def same(one: Any, other: Any) -> None:
    for a, b in zip(one, other, strict=True):
        for c, d in zip(a, b, strict=True):
            np.testing.assert_array_equal(c, d, strict=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_random_estimators_are_equal_to_the_bit_wherever_they_go_on(count, elsewhere):
    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(tasks())
    def runs(task):
        estimator, X, y, w = task
        parameters = estimator.get_params()
        copies = pickle.dumps((X, y, w, parameters))
        before = dict(jax.config.values), GENERATOR.get_state()
        estimator.fit(X, y, w)
        # the generator that a fit would go on with is drawn from random_state, a number
        theirs = elsewhere(estimator, X, y, w)
        same(go_on(estimator, X, y, w), theirs)
        after = dict(jax.config.values), GENERATOR.get_state()
        assert before[0] == after[0]
        np.testing.assert_array_equal(before[1][1], after[1][1])
        assert before[1][2:] == after[1][2:]
        assert estimator.get_params() == parameters
        assert pickle.dumps((X, y, w, parameters)) == copies

    runs()
