"""Sparse matrices that are not made dense: the numbers are those of the dense ones."""

import numpy as np
import pytest
import scipy.sparse

from jnn import memory
from jnn.sklearn import MLPClassifier, MLPRegressor, filling, parts

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X = scipy.sparse.random(431, 60, 0.1, format="csr", random_state=0)
Y = np.asarray(X[:, :30].sum(axis=1) > X[:, 30:].sum(axis=1)).ravel()


@pytest.fixture
def small(monkeypatch):
    """A machine that holds nothing, and parts of two minibatches."""
    monkeypatch.setattr(filling, "fits", lambda *_: False)
    monkeypatch.setattr(parts, "_BYTES", 2 * 50 * 60 * 8)


@pytest.mark.parametrize(
    "more",
    [{}, {"shuffle": False}, {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1},
     {"early_stopping": True, "n_iter_no_change": 2}, {"dropout": 0.5}, {"standardize": True},
     {"early_stopping": True, "scoring": "neg_log_loss"}, {"batch_size": 431}],
)  # fmt: skip
@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, 431)])
def test_part_by_part_is_all_at_once(more, weights, request):
    parameters = {"hidden_layer_sizes": (8,), "batch_size": 50, "max_iter": 8} | more
    expected = MLPClassifier(random_state=0, **parameters).fit(X, Y, weights)
    request.getfixturevalue("small")
    found = MLPClassifier(random_state=0, **parameters).fit(X, Y, weights)
    for a, b in zip(found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_,
                    strict=True):  # fmt: skip
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10)
    assert found.n_iter_ == expected.n_iter_
    assert found.t_ == expected.t_
    if expected.validation_scores_:
        np.testing.assert_allclose(found.validation_scores_, expected.validation_scores_)


def test_partial_fit_and_generators_go_on_alike(small, monkeypatch):
    found, expected = (
        MLPRegressor(hidden_layer_sizes=(8,), batch_size=50, random_state=np.random.RandomState(0))
        for _ in range(2)
    )
    for _ in range(2):
        found.partial_fit(X, Y * 1.0)
    monkeypatch.undo()
    for _ in range(2):
        expected.partial_fit(X, Y * 1.0)
    np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0], rtol=1e-8, atol=1e-10)
    assert found.random_state.random_sample() == expected.random_state.random_sample()


def test_weights_that_sum_to_zero_are_named(small):
    w = np.ones(431)
    w[50:100] = 0
    with pytest.raises(ZeroDivisionError, match="minibatch 2 of 9 in epoch 1"):
        MLPClassifier(batch_size=50, shuffle=False).fit(X, Y, w)


def test_what_the_machine_does_not_hold_is_never_dense(monkeypatch):
    """400 MB as dense numbers, on a machine that is said to have 1 GB: parts are of 64 MiB."""
    n, columns = 1_000, 50_000
    random = np.random.default_rng(0)
    index = random.integers(0, columns, (n, 10))
    y = random.integers(0, 2, n)
    index[:, 0] = y  # the first two columns tell the class
    starts = np.arange(0, 10 * n + 1, 10)
    big = scipy.sparse.csr_matrix((np.ones(10 * n), index.ravel(), starts), (n, columns))
    monkeypatch.setattr(memory, "_of_the_machine", lambda: 10**9)
    dense = []
    one = parts.RunOfParts._part

    def seen(self, index):
        part = one(self, index)
        dense.append(part.x.nbytes)
        return part

    monkeypatch.setattr(parts.RunOfParts, "_part", seen)
    found = MLPClassifier((2,), max_iter=3, batch_size=50, learning_rate_init=0.05, random_state=0)
    assert found.fit(big, y).score(big, y) > 0.9
    assert len(dense) == 3 * -(-n // 150)
    assert max(dense) <= 2**26
