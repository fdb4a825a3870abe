"""Losses, quantiles, dropout, l1, label smoothing, clipping, activations, schedules."""

import warnings

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.linear_model import ElasticNet
from sklearn.metrics import d2_pinball_score, log_loss
from sklearn.preprocessing import scale

import jnn
from jnn import losses
from jnn.sklearn import MLPClassifier, MLPRegressor, options

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
PATIENTS, PROGRESS = scale(PATIENTS), scale(PROGRESS)


def same(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return all((a == b).all() for a, b in pairs)


def classifier(**parameters):
    return MLPClassifier(**{"random_state": 0, "max_iter": 10} | parameters).fit(IRIS, SPECIES)


def regressor(X=PATIENTS, y=PROGRESS, **parameters):
    return MLPRegressor(**{"random_state": 0, "max_iter": 10} | parameters).fit(X, y)


# ---- off ----


@pytest.mark.parametrize(
    "off", [{"dropout": 0}, {"l1_ratio": 0}, {"label_smoothing": 0}, {"clip_norm": None},
            {"clip_norm": 1e30}, {"standardize": False}, {"n_ensemble": 1}],
)  # fmt: skip
def test_what_is_off_changes_no_bit(off):
    assert same(classifier(), classifier(**off))


# ---- dropout ----


def test_dropout_is_drawn_from_random_state_and_only_where_it_is_asked_for():
    assert same(classifier(dropout=0.3), classifier(dropout=0.3))
    assert not same(classifier(dropout=0.3), classifier(dropout=0.4))
    assert not same(classifier(dropout=0.3), classifier())


def test_dropout_generalises_where_there_are_few_rows():
    X, y = make_classification(600, 20, n_informative=5, flip_y=0.2, random_state=0)
    train, test = slice(0, 100), slice(100, None)
    lost = []
    for rate in (0.0, 0.5):
        found = MLPClassifier((100,), dropout=rate, random_state=0, max_iter=300)
        found.fit(X[train], y[train])
        lost.append(log_loss(y[test], found.predict_proba(X[test])))
    assert lost[1] < 0.75 * lost[0]


def test_dropout_goes_on_where_partial_fit_left_it():
    """Two epochs by two calls, without orders: masks differ from step to step, and go on."""
    parameters = {"dropout": 0.5, "shuffle": False, "random_state": 0}
    found = MLPClassifier(**parameters)
    for _ in range(2):
        found.partial_fit(IRIS, SPECIES, classes=[0, 1, 2])
    assert same(found, MLPClassifier(max_iter=2, **parameters).fit(IRIS, SPECIES))


# ---- penalties and gradients ----


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_without_hidden_layers_l1_is_an_elastic_net(ratio):
    n = len(PATIENTS)
    found = regressor(
        hidden_layer_sizes=(), l1_ratio=ratio, alpha=0.1 * n, learning_rate="cosine", tol=0,
        learning_rate_init=0.05, batch_size=n, max_iter=2000, n_iter_no_change=np.inf,
    )  # fmt: skip
    expected = ElasticNet(alpha=0.1, l1_ratio=ratio, tol=1e-10, max_iter=10**5)
    expected.fit(PATIENTS, PROGRESS)
    np.testing.assert_allclose(found.coefs_[0].ravel(), expected.coef_, atol=1e-4)


@pytest.mark.parametrize("longest", [1e-3, 0.1])
def test_a_long_gradient_is_shortened_to_its_limit(longest):
    parameters = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5, "max_iter": 1}
    found = regressor(clip_norm=longest, batch_size=442, **parameters)
    start = regressor(batch_size=442, **parameters | {"learning_rate_init": 1e-300})
    pairs = zip(found.coefs_ + found.intercepts_, start.coefs_ + start.intercepts_, strict=True)
    steps = [((a - b) ** 2).sum() for a, b in pairs]
    assert np.sqrt(sum(steps)) == pytest.approx(0.5 * longest, rel=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_smoothed_labels_are_what_a_network_of_no_inputs_predicts(classes, solver):
    y = np.repeat(np.arange(classes), [60, 30, 10][:classes])
    X = np.zeros((len(y), 1))
    found = MLPClassifier((), label_smoothing=0.3, alpha=0, random_state=0, solver=solver, tol=1e-9,
                          learning_rate_init=0.1, learning_rate="cosine", max_iter=500,
                          n_iter_no_change=np.inf).fit(X, y)  # fmt: skip
    expected = 0.7 * np.bincount(y) / len(y) + 0.3 / classes
    np.testing.assert_allclose(found.predict_proba(X[:1])[0], expected, atol=1e-5)


# ---- losses ----

RNG = np.random.default_rng(0)


def test_quantiles_hold_their_share_of_rows():
    """Noise of known spread: between the quantiles 0.1 and 0.9 lie 80 % of new rows."""
    X = RNG.uniform(-1, 1, (14_000, 1))
    spread = 0.2 + 0.3 * (X[:, 0] + 1)
    y = np.sin(3 * X[:, 0]) + spread * RNG.normal(size=len(X))
    train, test = slice(0, 4_000), slice(4_000, None)
    found = MLPRegressor(loss="quantile", quantile=[0.1, 0.9], random_state=0, max_iter=100)
    low, high = found.fit(X[train], y[train]).predict(X[test]).T
    assert 0.76 <= np.mean((low < y[test]) & (y[test] < high)) <= 0.84
    # and by parts, since the spread is not the same everywhere
    for part in np.array_split(np.argsort(X[test, 0]), 4):
        inside = (low[part] < y[test][part]) & (y[test][part] < high[part])
        assert 0.72 <= np.mean(inside) <= 0.88
    expected = np.sin(3 * X[test, 0]) + spread[test] * norm.ppf(0.9)
    assert np.abs(high - expected).mean() < 0.1
    pinball = [d2_pinball_score(y[test], p, alpha=q) for p, q in ((low, 0.1), (high, 0.9))]
    assert found.score(X[test], y[test]) == pytest.approx(np.mean(pinball))


@pytest.mark.parametrize(("level", "expected"), [(0.5, 3.0), (0.2, 1.0)])
def test_a_quantile_of_a_constant_input_is_that_of_y(level, expected):
    y = np.repeat([1.0, 3.0, 9.0], [30, 40, 30])
    found = MLPRegressor(loss="quantile", quantile=level, hidden_layer_sizes=(), alpha=0, tol=0,
                         learning_rate="cosine", learning_rate_init=0.05, max_iter=1000,
                         n_iter_no_change=np.inf, random_state=0)  # fmt: skip
    assert found.fit(np.zeros((100, 1)), y).predict([[0.0]])[0] == pytest.approx(expected, abs=0.02)


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="quantile is 1"):
        MLPRegressor(loss="quantile", quantile=[0.5, 1.0]).fit(PATIENTS, PROGRESS)
    with pytest.raises(ValueError, match="2 columns and quantile 2 levels"):
        MLPRegressor(loss="quantile", quantile=[0.1, 0.9]).fit(PATIENTS, PATIENTS[:, :2])
    two = MLPRegressor(loss="quantile", quantile=0.9, max_iter=3).fit(PATIENTS, PATIENTS[:, :2])
    assert two.predict(PATIENTS).shape == (442, 2)


@pytest.mark.parametrize("name", options.LOSSES)
def test_the_loss_at_the_start_is_jnns(name):
    """Before a step, without a penalty: minimal rates leave the network as it was drawn."""
    found = regressor(loss=name, alpha=0, learning_rate_init=1e-300, max_iter=1, batch_size=442)
    loss = losses.mean_loss(
        losses.resolve(name), jnp.asarray(found.predict(PATIENTS)[:, None]),
        jnp.asarray(PROGRESS[:, None]),
    )  # fmt: skip
    assert found.loss_ == pytest.approx(float(loss), rel=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert regressor(loss=name, max_iter=100).loss_ < 0.8 * found.loss_


def squares(p, y):
    return 0.5 * (p - y) ** 2


def test_losses_of_ones_own_are_as_good():
    expected = regressor()
    for loss in (squares, "half_mse", losses.resolve("half_mse")):
        found = regressor(loss=loss)
        for a, b in zip(found.coefs_, expected.coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# ---- activations ----


@pytest.mark.parametrize("name", jnn.ACTIVATIONS)
def test_each_activation_of_jnns_is_one_of_an_estimator(name, x64):
    found = classifier(activation=name)
    p = np.asarray(jnn.predict(found.to_params(), IRIS))
    np.testing.assert_allclose(found.predict_proba(IRIS), p, rtol=1e-11)


def test_and_so_is_a_function():
    a, b = (classifier(activation=h).predict_proba(IRIS) for h in ("sin", jnp.sin))
    np.testing.assert_allclose(a, b, rtol=1e-10)
    assert same(classifier(activation="sigmoid"), classifier(activation="logistic")) is False
    a, b = (classifier(activation=h) for h in ("gelu", "gelu"))
    assert same(a, b)


# ---- schedules ----


def test_a_schedule_is_a_rate_by_step():
    constant = classifier(learning_rate_init=0.01)
    assert same(constant, classifier(learning_rate=optax.constant_schedule(0.01)))
    by_optax = optax.cosine_decay_schedule(0.01, 10 * 2)
    found = [classifier(learning_rate=rate, learning_rate_init=0.01, batch_size=100)
             for rate in (by_optax, "cosine")]  # fmt: skip
    for a, b in zip(*(each.coefs_ for each in found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    assert not same(found[0], constant)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"dropout": 0.5, "solver": "lbfgs"}, "dropout is 0.5, but solver='lbfgs'"),
        ({"l1_ratio": 0.5, "solver": "lbfgs"}, "l1_ratio is 0.5"),
        ({"clip_norm": 1.0, "solver": "bfgs"}, "clip_norm is 1.0"),
        ({"clip_norm": 0.0}, "'clip_norm' parameter"),
        ({"label_smoothing": 1.0}, "'label_smoothing' parameter"),
        ({"learning_rate": "cosines"}, "'learning_rate' parameter"),
        ({"learning_rate": "cosine", "solver": optax.sgd(0.1)}, "a rate of its own"),
        ({"solver": "levenberg_marquardt"}, "sums of squares"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters)
