"""Cross-validation: every network in every fold is what `fit` makes of it on the fold's rows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from sklearn.model_selection import ShuffleSplit, TimeSeriesSplit

import jnn
from jnn.data import standardization, standardize
from jnn.many import compiled

pytestmark = pytest.mark.table

M = 2
N = 43  # in five folds: 34 or 35 rows to train on
X = np.linspace(0.1, 3, 2 * N).reshape(N, 2)
Y = np.log(X.sum(1, keepdims=True))
LABELS = np.arange(N) % 3
WEIGHTS = 1.0 + np.arange(N) % 3
RATES = np.array([5e-3, 1e-2])
KEYS = jax.random.split(jax.random.key(7), M)
SHUFFLED = list(ShuffleSplit(3, random_state=0).split(X))


def drawn(count=M, sizes=(2, 5, 1), **options):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.vmap(lambda key: jnn.init_network_params(sizes, key, **options))(keys)


# by what it turns on: (network, data, folds, what is standardised, options)
CASES = {
    "batches": ({}, (X, Y), 5, None, {"batch_size": 8, "learning_rate": RATES}),
    "full batches": ({}, (X, Y), 5, None, {"optimizer": "sgd", "batch_size": None}),
    "standardised": ({}, (X, Y), 5, "xy", {"batch_size": 8, "penalty": jnn.penalties.l2(RATES)}),
    "labels": (
        {"sizes": (2, 6, 3), "activation": "relu"},
        (X, LABELS),
        4,
        "x",
        {"loss": "cross_entropy", "metrics": "accuracy", "batch_size": 9},
    ),
    "steps of two numbers": ({}, (X, Y), 5, None, {"batch_size": 17}),  # 34 and 35 rows
    "orders of their own": ({}, (X, Y), 5, None, {"key": KEYS, "batch_size": 8}),
    "weights": ({}, (X, Y, WEIGHTS), 3, "xy", {"metrics": "r2", "batch_size": 10}),
    "dropout": ({}, (X, Y), 5, None, {"dropout_rate": 0.3, "batch_size": 8, "key": KEYS}),
    "patience": ({}, (X, Y), 5, None, {"patience": np.array([1, 3]), "learning_rate": 0.3}),
    "scikit-learn's": ({}, (X, Y), SHUFFLED, "x", {"batch_size": 8}),
    "growing": ({}, (X, Y), TimeSeriesSplit(3).split(X), "x", {"shuffle": False}),
    "a step of all in some": ({}, (X, Y), 4, None, {"batch_size": 32}),  # of 32 and 33 rows
    "numbers of records": (
        {},
        (X, Y),
        3,
        None,
        {
            "stop": jnn.Stop(target=np.array([0.3, 0.0])),
            "plateau": jnn.Plateau(patience=np.array([1, 2])),
            "clip_norm": RATES,
        },
    ),
    "lbfgs": ({}, (X, Y), 5, "xy", {"optimizer": "lbfgs"}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_is_what_fit_makes_of_its_fold(case, x64):
    network, data, folds, scaled, options = CASES[case]
    if not isinstance(folds, int):
        folds = list(folds)
    members = drawn(**network, dtype=jnp.float64)
    common = {"epochs": 6, "progress": False}
    fits = jnn.cross_validate(members, data, folds, standardize=scaled, **options, **common)
    if isinstance(folds, int):
        key = jax.random.fold_in(options.get("key", [jax.random.key(0)])[0], 1)
        labels = data[1] if data[1].ndim == 1 else None
        folds = jnn.data.folds(N, folds, key, stratify=labels)
    K = len(folds)
    assert len(fits) == M * K
    np.testing.assert_array_equal(fits.numbers["member"], np.repeat(np.arange(M), K))
    np.testing.assert_array_equal(fits.numbers["fold"], np.tile(np.arange(K), M))
    tolerance = 1e-7 if case == "lbfgs" else 1e-10
    for i, found in enumerate(fits):
        m, k = divmod(i, K)
        train, test = (tuple(column[rows] for column in data) for rows in folds[k])
        weights = train[2] if len(data) == 3 else None
        for at, name in enumerate("xy"):
            if name in (scaled or ""):
                s = standardization(train[at], weights=weights)
                train, test = (
                    (*p[:at], standardize(s, p[at]), *p[at + 1 :]) for p in (train, test)
                )
        alone = jnn.fit(
            jax.tree.map(lambda leaf, m=m: leaf[m], members), train, validation=test,
            **of_member(options, m), **common,
        )  # fmt: skip
        for name in ("stopped", "epochs", "best_epoch"):
            assert getattr(found, name) == getattr(alone, name), (i, name)
        assert found.history.keys() == alone.history.keys()
        for name, column in alone.history.items():
            np.testing.assert_allclose(
                found.history[name], column, rtol=tolerance, atol=tolerance, err_msg=f"{i} {name}"
            )
        for part in ("params", "last_params", "best_params"):
            assert oracles.apart(getattr(found, part), getattr(alone, part)) < tolerance, (i, part)


def of_member(options, m):
    """The options of `fit` for one member."""

    def one(value):
        if dataclasses.is_dataclass(value):
            return dataclasses.replace(value, **{name: one(v) for name, v in vars(value).items()})
        if isinstance(value, np.ndarray):
            return value[m].item()
        return value[m] if isinstance(value, jax.Array) else value

    return {name: one(value) for name, value in options.items()}


@pytest.fixture
def programs():
    """The names of all programs that are compiled."""
    names = []

    def listen(event, duration, **of):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(of.get("fun_name")))

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def test_folds_of_two_sizes_are_one_program(programs):
    """34 and 35 rows: in batches of 8, and of 17, where the numbers of steps differ, too."""
    for rows, batch in ((N, 8), (N, 17), (N - 1, 17)):
        data = (X[:rows], Y[:rows])
        jnn.cross_validate(drawn(), data, epochs=2, batch_size=batch, progress=False)
    assert sum("run" in name for name in programs) == 2  # one a batch size


@pytest.mark.parametrize("place", [np.asarray, jnp.asarray])
def test_nothing_else_is_compiled(place, programs):
    """What is done to members on the host has no programs, of which a new shape costs some each."""
    members = jax.tree.map(place, drawn())
    programs.clear()
    jnn.cross_validate(members, (X, Y), SHUFFLED, epochs=2, batch_size=8, progress=False)
    assert len(programs) == 2  # the optimizer's first states, and the run


def test_means_and_spreads_over_folds_are_numpys():
    options = {"learning_rate": RATES, "epochs": 3, "progress": False}
    fits = jnn.cross_validate(drawn(), (X, Y), 4, **options)
    table = fits.by("member")
    assert table["member"].tolist() == [0, 1]
    np.testing.assert_array_equal(table["learning_rate"], RATES)
    assert table["members"].tolist() == [4, 4]
    last = fits.history["validation_loss"][:, -1].reshape(M, 4)
    np.testing.assert_allclose(table["mean_validation_loss"], last.mean(1), rtol=1e-6)
    np.testing.assert_allclose(table["std_validation_loss"], last.std(1), rtol=1e-4)
    assert "fold" not in table
    assert "mean_fold" not in table


class Splitter:
    """As one of scikit-learn."""

    def split(self, x, y):
        raise AssertionError("it is not asked")


@pytest.mark.parametrize(
    ("data", "folds", "options", "error", "message"),
    [
        ((X, Y), [(range(9), [])], {}, ValueError, r"test of fold 0 has shape \(0,\)"),
        ((X, Y), [([0, 1], [2]), ([], [3])], {}, ValueError, "train of fold 1 has shape"),
        ((X, Y), [([0, 1, 2], [2, 3])], {}, ValueError,
         "fold 0 has 1 rows both in train and in test, the first of them row 2"),
        ((X, Y), [([0, 1], [N])], {}, ValueError,
         f"test of fold 0 holds row {N}; data have rows 0 to {N - 1}"),
        ((X, Y), [([0, -1], [3])], {}, ValueError, "train of fold 0 holds row -1"),
        ((X, Y), [(np.arange(N) > 5, np.arange(N) < 6)], {}, TypeError,
         "train of fold 0 holds bool; it must hold indices of rows: np.flatnonzero"),
        ((X, Y), [np.arange(N)], {}, TypeError,
         r"fold 0 is of type ndarray; it must be a pair \(train, test\)"),
        ((X, Y), [], {}, ValueError, "folds are empty"),
        ((X, Y), 1, {}, ValueError, "folds is 1; it must be an integer from 2 to 43"),
        ((X, Y), N + 1, {}, ValueError, "folds is 44"),
        ((X, Y), 2.5, {}, TypeError, r"folds is 2.5; .*; or give pairs \(train, test\) of rows"),
        ((X, Y), Splitter(), {}, TypeError, r"a Splitter; .* folds=splitter.split\(x, y\)"),
        ((X, np.where(np.arange(N) < 3, 2, LABELS % 2)), 5, {"loss": "cross_entropy"}, ValueError,
         "folds=5 cannot be dealt out: label 2 has only 3 of the 5 rows"),
        ((X, LABELS), 5, {"loss": "cross_entropy", "standardize": "y"}, ValueError,
         "standardize is 'y', but y are labels"),
        ((X, Y), 5, {"standardize": True}, ValueError, "unknown columns to standardize True"),
        ((X, Y), 5, {"validation": 0.2}, TypeError, "leave validation out"),
        ((X, Y), 5, {"learning_rate": np.ones(M * 5)}, ValueError,
         r"learning_rate is an array of shape \(10,\); it must be one number, or \(2,\)"),
        ((X, Y), 5, {"watch": "state_std"}, ValueError, "folds have 34 to 35 rows to train on"),
        ((X, Y), 5, {"dropout_rate": 0.5, "batch_size": 34}, ValueError,
         "need a batch_size below 34, got 34"),
        ((X, Y), 5, {"batch_size": 35}, ValueError, "fold 0: batch_size is 35"),
        ((X, Y[1:]), 5, {}, ValueError, "x and y of data differ in length"),
        ((X,), 5, {}, ValueError, r"data must be \(x, y\)"),
        (lambda epoch: [(X, Y)], 5, {}, TypeError, "a stream has no rows to deal out"),
        ((X, Y, np.where(np.arange(N) < 9, 0.0, 1.0)), [(range(9, 20), range(9))], {}, ValueError,
         "fold 0: weights of validation must be finite"),
    ],
)  # fmt: skip
def test_bad_input_is_named_before_anything_is_computed(
    data, folds, options, error, message, as_a_user, monkeypatch
):
    monkeypatch.setattr(compiled, "on", None)
    output = {"sizes": (2, 5, 3)} if "loss" in options else {}
    with pytest.raises(error, match=message):
        jnn.cross_validate(drawn(**output), data, folds, **options)
