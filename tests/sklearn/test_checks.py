"""scikit-learn's own checks of an estimator, all of them: none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

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


SGD = [
    pytest.param(*pair, id=f"{type(pair[0]).__name__}-{pair[1].func.__name__}")
    for Estimator in (MLPClassifier, MLPRegressor)
    for pair in estimator_checks_generator(Estimator(solver="sgd"))
    if "sample_weight" in pair[1].func.__name__
]


@pytest.mark.parametrize(("estimator", "check"), SGD)
def test_with_sgd_a_weight_is_a_repeated_row(estimator, check):
    assert len(SGD) >= 14
    check(estimator)
