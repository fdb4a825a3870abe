"""Programs are shared: counted by JAX's own events, of every program that XLA is given."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from jnn.sklearn import MLPClassifier, MLPRegressor, program

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
EVENT = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds of every compilation since the test began."""
    seconds: list[float] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == EVENT:
            seconds.append(duration)

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seconds
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_unequal_folds_share_one_program(compiled, solver):
    rows = 413  # 330 or 331 to train on, 83 or 82 to score
    network = MLPClassifier((6,), solver=solver, random_state=0, max_iter=3)
    folds = [len(train) for train, _ in KFold(5).split(X[:rows])]
    assert len(set(folds)) == 2
    cross_val_score(network, X[:rows], Y[:rows], cv=KFold(5))
    assert len(compiled) == 1


@pytest.mark.parametrize(
    ("fixed", "others"),
    [
        ({}, {"alpha": 0.3, "tol": 0.1, "random_state": 7, "max_iter": 5, "n_iter_no_change": 2,
              "learning_rate_init": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
        ({"solver": "sgd"}, {"momentum": 0.5, "nesterovs_momentum": False, "power_t": 0.3,
                             "learning_rate": "adaptive", "learning_rate_init": 0.1}),
        ({"early_stopping": True}, {"validation_fraction": 0.11, "warm_start": True}),
        ({"solver": "lbfgs"}, {"alpha": 1.0, "tol": 0.1, "max_fun": 3, "max_iter": 2}),
        ({"dropout": 0.5, "l1_ratio": 0.5, "label_smoothing": 0.1, "clip_norm": 1.0},
         {"dropout": 0.2, "l1_ratio": 1.0, "label_smoothing": 0.3, "clip_norm": 0.1,
          "class_weight": "balanced", "n_ensemble": 3}),
        ({"learning_rate": "cosine"}, {"max_iter": 9, "learning_rate_init": 0.1}),
    ],
)  # fmt: skip
def test_another_number_compiles_nothing(compiled, fixed, others):
    defaults: dict[str, Any] = {"random_state": 0, "max_iter": 4}
    MLPClassifier((6,), **defaults | fixed).fit(X[:400], Y[:400])
    before = len(compiled)
    assert before == 1
    for name, value in others.items():
        network = MLPClassifier((6,), **defaults | fixed | {name: value}).fit(X[:397], Y[:397])
        network.predict(X[: len(name)])
        network.predict_proba(X[10:400])
    assert len(compiled) == before


def test_partial_fit_goes_on_with_the_program_of_its_rows(compiled):
    network = MLPRegressor(hidden_layer_sizes=(6,), random_state=0)
    for n in (150, 149, 152, 151, 160):
        network.partial_fit(X[:n], Y[:n] / 10.0)
    assert len(compiled) == 1


def test_a_search_compiles_once_an_architecture(compiled):
    search = GridSearchCV(
        MLPClassifier(max_iter=3, random_state=0),
        {"hidden_layer_sizes": [(4,), (4, 4)], "activation": ["relu", "tanh"], "alpha": [0.1, 1]},
        cv=KFold(3),
    )
    search.fit(X[:500], Y[:500])
    assert len(compiled) == 4  # the refit to all rows shares them


def test_nothing_is_left_of_double_precision():
    MLPClassifier((3,), max_iter=2).set_params(tol=np.float64(1)).fit(X[:50], Y[:50] > 4)
    assert not jax.config.jax_enable_x64
    assert jax.numpy.zeros(1).dtype == np.float32


def test_another_quantile_compiles_nothing(compiled):
    parameters = {"loss": "quantile", "max_iter": 3, "hidden_layer_sizes": (6,)}
    MLPRegressor(quantile=[0.1, 0.9], **parameters).fit(X[:400], Y[:400] / 5)
    assert len(compiled) == 1
    MLPRegressor(quantile=[0.3, 0.6], **parameters).fit(X[:400], Y[:400] / 5)
    assert len(compiled) == 1


def test_nor_does_another_rate_of_a_solver_of_jnns(compiled):
    for rate in (0.01, 0.1):
        network = MLPClassifier((6,), solver="lamb", learning_rate_init=rate, max_iter=3)
        network.fit(X[:400], Y[:400])
        assert len(compiled) == 2  # its state at the start, and the run


def test_an_option_that_xla_lacks_is_left_out(monkeypatch):
    monkeypatch.setitem(program.QUICKLY, "xla_no_such_option", 1)
    doubled = program.quickly(lambda x, static: static * x, ("static",))
    assert float(doubled(3.0, 2)) == 6.0
