"""scikit-learn's own checks of an estimator, all of them: none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from jnn.sklearn import MLPClassifier, MLPRegressor

# networks that are not trained to the end, data that are not scaled: the checks do not mind
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@parametrize_with_checks(
    [Estimator(**options) for Estimator in (MLPClassifier, MLPRegressor)
     for options in ({}, {"solver": "lbfgs"})]
)  # fmt: skip
def test_the_checks_of_an_estimator(estimator, check):
    check(estimator)


@parametrize_with_checks([MLPClassifier(solver="sgd"), MLPRegressor(solver="sgd")])
def test_with_sgd_a_weight_is_a_repeated_row(estimator, check):
    if "sample_weight" in check.func.__name__:
        check(estimator)
