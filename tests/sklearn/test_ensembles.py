"""Several networks in one estimator, against as many estimators."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.preprocessing import scale

from jnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
LABELLED, LABELS = make_multilabel_classification(150, 4, n_classes=3, random_state=0)
TASKS = {
    "classes": (MLPClassifier, IRIS, np.array(["c", "a", "b"])[SPECIES]),
    "two classes": (MLPClassifier, IRIS, np.array(["no", "yes"])[(SPECIES > 0) * 1]),
    "labels": (MLPClassifier, LABELLED, LABELS),
    "numbers": (MLPRegressor, scale(PATIENTS), scale(PROGRESS)),
}


def singles(ensemble, X, y):
    """As many estimators, with the seeds that the ensemble drew."""
    parameters = ensemble.get_params() | {"n_ensemble": 1}
    seeds = [member.random_state for member in ensemble.estimators_]
    assert len({*seeds}) == ensemble.n_ensemble
    return [type(ensemble)(**parameters | {"random_state": seed}).fit(X, y) for seed in seeds]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("more", [{}, {"solver": "lbfgs"}, {"standardize": True}])
def test_eight_are_the_mean_of_eight_single_fits_to_the_bit(task, more):
    kind, X, y = TASKS[task]
    found = kind(n_ensemble=8, max_iter=6, random_state=0, **more).fit(X, y)
    predict = "predict" if kind is MLPRegressor else "predict_proba"
    each = [getattr(single, predict)(X) for single in singles(found, X, y)]
    np.testing.assert_array_equal(getattr(found, predict)(X), np.mean(each, axis=0))
    again = kind(n_ensemble=8, max_iter=6, random_state=0, **more).fit(X, y)
    np.testing.assert_array_equal(found.predict(X), again.predict(X))
    if task == "classes":
        expected = found.classes_[found.predict_proba(X).argmax(axis=1)]
    elif task == "two classes":
        expected = np.where(found.predict_proba(X)[:, 1] > 0.5, "yes", "no")
    elif task == "labels":
        expected = found.predict_proba(X) > 0.5
    else:
        expected = found.predict(X)
    np.testing.assert_array_equal(found.predict(X), expected)


def test_the_spread_grows_outside_of_the_data():
    X = np.linspace(-1, 1, 200)[:, None]
    found = MLPRegressor(n_ensemble=8, random_state=0, solver="lbfgs", activation="tanh")
    found.fit(X, np.sin(3 * X[:, 0]))
    mean, inside = found.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, found.predict(X))
    each = [member.predict(X) for member in found.estimators_]
    np.testing.assert_array_equal(inside, np.std(each, axis=0))
    outside = found.predict([[-3.0], [3.0]], return_std=True)[1]
    assert outside.min() > 10 * inside.max()
    with pytest.raises(ValueError, match="n_ensemble >= 2"):
        MLPRegressor(max_iter=1).fit(X, X[:, 0]).predict(X, return_std=True)


def test_each_network_can_be_taken_out():
    found = MLPClassifier(n_ensemble=3, max_iter=3, random_state=0).fit(IRIS, SPECIES)
    assert len(found.estimators_params_) == 3
    p = [MLPClassifier.from_params(params).predict_proba(IRIS)
         for params in found.estimators_params_]  # fmt: skip
    np.testing.assert_array_equal(found.predict_proba(IRIS), np.mean(p, axis=0))
    with pytest.raises(ValueError, match="estimators_params_ has each network"):
        found.to_params()
    assert not hasattr(MLPClassifier().fit(IRIS, SPECIES), "estimators_params_")


def test_they_go_on_together_and_survive_a_file(tmp_path):
    found = MLPClassifier(n_ensemble=3, random_state=0)
    found.partial_fit(IRIS[:80], SPECIES[:80], classes=[0, 1, 2])
    found.save(tmp_path / "net")
    again = MLPClassifier.load(tmp_path / "net")
    for estimator in (found, again):
        estimator.partial_fit(IRIS[50:], SPECIES[50:])
    np.testing.assert_array_equal(found.predict_proba(IRIS), again.predict_proba(IRIS))
    assert found.estimators_[1].t_ == 180

    warm = MLPClassifier(n_ensemble=2, max_iter=4, warm_start=True, random_state=0)
    first = warm.fit(IRIS, SPECIES).estimators_
    warm.set_params(alpha=5.0).fit(IRIS, SPECIES)
    assert warm.estimators_ is first
    assert all(len(member.loss_curve_) == 8 and member.alpha == 5 for member in first)
