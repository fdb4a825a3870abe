"""scikit-learn's estimators `MLPClassifier` and `MLPRegressor`: the same numbers, sooner.

Changing the import is the whole migration. With the same `random_state` on the same data they give
scikit-learn's own network, weight for weight up to rounding. What the definitions of `jnn.fit` and
those of scikit-learn differ in, and this chapter therefore has its own program for:

                 scikit-learn, and here                        `jnn.fit`
    Adam         ε is not corrected for bias                   optax's
    penalty      ½ α Σ w² / Σ weights of the minibatch         of one strength
    sgd          the velocity carries the rate                 the rate outside
    losses       summed over classes and labels                averaged
    weights      rows of weight 0 stay, weights may be < 0     left out; refused
    stopping     when no epoch was better by tol for more      by patience and the watched loss
                 than n_iter_no_change epochs
    validation   by accuracy or R²                             by loss
    divergence   trains on, then a ValueError                  ends with a RuntimeWarning
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "jnn.sklearn needs scikit-learn, the extra [sklearn]: in a checkout of jnn, "
        'pip install ".[sklearn]"; or pip install scikit-learn'
    ) from error

from jnn import files as _files
from jnn.sklearn.classifier import MLPClassifier as MLPClassifier
from jnn.sklearn.regressor import MLPRegressor as MLPRegressor

compilation_cache = _files.keep_compiled  # programs kept for the next process, by one call
