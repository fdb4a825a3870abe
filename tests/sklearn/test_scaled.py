"""Columns of X and targets, standardised inside, against scikit-learn's scalers outside."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jnn
from jnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

WINE, KIND = load_wine(return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
WEIGHTS = np.linspace(0.5, 2, 178)


@pytest.mark.parametrize("more", [{}, {"solver": "lbfgs"}, {"early_stopping": True}])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_of_a_classifier_it_is_a_standard_scaler_before_it(more, weights):
    parameters = {"max_iter": 15, "random_state": 0} | more
    found = MLPClassifier(standardize=True, **parameters).fit(WINE, KIND, weights)
    outside = StandardScaler().fit(WINE, sample_weight=weights)
    expected = MLPClassifier(**parameters).fit(outside.transform(WINE), KIND, weights)
    np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0], rtol=1e-7, atol=1e-9)
    p = expected.predict_proba(outside.transform(WINE))
    np.testing.assert_allclose(found.predict_proba(WINE), p, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("several", [False, True])
def test_of_a_regressor_y_is_scaled_too(several):
    y = np.stack([PROGRESS, PATIENTS[:, 2] * 1e4], axis=1) if several else PROGRESS
    parameters = {"max_iter": 15, "random_state": 0}
    found = MLPRegressor(standardize=True, **parameters).fit(PATIENTS, y)
    outside = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(**parameters)), transformer=StandardScaler()
    ).fit(PATIENTS, y)
    np.testing.assert_allclose(found.predict(PATIENTS), outside.predict(PATIENTS), rtol=1e-9)


def test_without_it_diabetes_is_not_learnt_with_it_it_is():
    plain, found = (MLPRegressor(standardize=s, random_state=0).fit(PATIENTS, PROGRESS)
                    for s in (False, True))  # fmt: skip
    assert plain.score(PATIENTS, PROGRESS) < 0
    assert found.score(PATIENTS, PROGRESS) > 0.5


@pytest.mark.parametrize("sizes", [(), (6,), (5, 5)])
@pytest.mark.parametrize("task", ["classes", "numbers", "counts"])
def test_scales_are_folded_into_the_network(sizes, task, x64):
    X = IRIS * [1, 100, 0.01, 1] + [1e3, 0, 0, 5]
    kind, y, more = {
        "classes": (MLPClassifier, SPECIES, {}),
        "numbers": (MLPRegressor, IRIS[:, :2] * 1e3 + 7, {}),
        "counts": (MLPRegressor, SPECIES, {"loss": "poisson"}),
    }[task]
    more |= {"hidden_layer_sizes": sizes, "max_iter": 5, "random_state": 0}
    found = kind(standardize=True, **more)
    found.fit(X, y)
    predict = "predict_proba" if kind is MLPClassifier else "predict"
    expected = getattr(found, predict)(X)
    p = np.asarray(jnn.predict(found.to_params(), X)).reshape(expected.shape)
    np.testing.assert_allclose(p, expected, rtol=1e-9)
    again = kind.from_params(found.to_params())
    np.testing.assert_allclose(getattr(again, predict)(X), expected, rtol=1e-9)


def test_sparse_columns_keep_their_zero():
    X = scipy.sparse.random(200, 30, 0.1, format="csr", random_state=0) * 50
    y = np.asarray(X.sum(axis=1)).ravel()
    found = MLPRegressor(standardize=True, random_state=0, max_iter=10).fit(X, y)
    outside = StandardScaler(with_mean=False).fit(X)
    expected = MLPRegressor(random_state=0, max_iter=10)
    expected.fit(outside.transform(X), (y - y.mean()) / y.std())
    z = expected.predict(outside.transform(X)) * y.std() + y.mean()
    np.testing.assert_allclose(found.predict(X), z, rtol=1e-8)
    np.testing.assert_allclose(found.predict(X.toarray()), z, rtol=1e-8)


def test_a_dense_fit_predicts_sparse_rows():
    found = MLPClassifier(standardize=True, max_iter=5, random_state=0).fit(WINE, KIND)
    p = found.predict_proba(scipy.sparse.csr_matrix(WINE))
    np.testing.assert_array_equal(p, found.predict_proba(WINE))


def test_the_scales_are_those_of_the_first_call():
    found = MLPClassifier(standardize=True, random_state=0)
    found.partial_fit(WINE[::2], KIND[::2], classes=[0, 1, 2])
    scales = found.scales_
    found.partial_fit(WINE + 5, KIND)
    assert found.scales_ is scales
    assert found.fit(WINE, KIND).scales_ is not scales
    np.testing.assert_allclose(found.scales_["X"][0], WINE.mean(axis=0))


def test_float32_columns_far_from_zero_are_learnt():
    X = (IRIS + 1e4).astype(np.float32)
    found = MLPClassifier(standardize=True, random_state=0).fit(X, SPECIES)
    assert found.predict_proba(X).dtype == np.float32
    assert found.score(X, SPECIES) > 0.9
    assert MLPClassifier(random_state=0).fit(X, SPECIES).score(X, SPECIES) < 0.7
