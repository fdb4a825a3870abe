"""The recipe: which penalty it takes, from which rows, and that its network is what it says."""

import jax
import numpy as np
import pytest

import jnn
from jnn.sklearn import recommended
from jnn.sklearn.recommended import Training, not_told_from_best, recommended_network

QUICK = Training(hidden=(6,), epochs=30)


@pytest.mark.parametrize(
    ("losses", "places"),
    [
        ([[1, 1, 1], [0, 0, 0], [2, 2, 2]], [1]),  # of equal rows no difference is luck
        ([[1, 1, 1], [0, 0, 0], [0, 0, 0]], [1, 2]),  # nor is there one between equals
        ([[0, 0, 0, 0], [1, -1, 1, -0.9], [5, 5, 5, 5]], [0, 1]),  # mean 0.025, error 0.56
        ([[0, 0, 0, 0], [3, 3, 3, 3.1], [1, -1, 1, -0.9]], [0, 2]),
        ([[0, 0, 0, 0], [1, 1, 0, 0]], [0, 1]),  # mean 0.5, error 0.29
        ([[0, 0, 0, 0], [1, 1, 0.5, 0.5]], [0]),  # mean 0.75, error 0.14
    ],
)
def test_penalties_that_are_not_two_standard_errors_worse(losses, places):
    assert not_told_from_best(np.array(losses, float)).tolist() == places


def folds(n, classes=None):
    return recommended._folds(n, classes, jax.random.key(0))


@pytest.mark.parametrize("n", [8, 10, 101])
def test_each_row_is_held_out_once(n):
    parts = folds(n)
    assert len(parts) == recommended.FOLDS
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))


@pytest.mark.parametrize("rare", [1, 3, 4, 9])
def test_folds_have_all_classes_where_there_are_rows_enough(rare):
    labels = np.repeat([0, 1], [40, rare])
    parts = folds(len(labels), np.eye(2)[labels])
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    if rare >= recommended.FOLDS:
        assert all(set(labels[rows]) == {0, 1} for rows in parts)


def data(output, n=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)) * [1, 10, 0.1] + [0, 50, 3]
    score = x[:, 0] + (x[:, 1] - 50) / 10
    if output == "softmax":
        return x, np.eye(3)[np.digitize(score, [-1, 1])]
    if output == "logistic":
        return x, np.stack([score > 0, score > 1], axis=1)
    return x, np.stack([100 + 20 * score, score**2], axis=1)


def plain(network, x):
    for w, b in network[:-1]:
        z = x @ w.T + b
        x = z / (1 + np.exp(-z))
    w, b = network[-1]
    return x @ w.T + b


@pytest.mark.parametrize("output", recommended.LOSSES)
def test_the_network_is_the_mean_of_eight_trained_by_fit(output):
    x, y = data(output)
    found = recommended_network(x, y, output, 3, QUICK)
    of_x = jnn.data.standardization(x)
    of_y = jnn.data.standardization(y) if output == "identity" else None
    z = y if of_y is None else jnn.data.standardize(of_y, y)
    _, of_members, _ = jax.random.split(jax.random.key(3), 3)
    x32, z32 = (np.asarray(a, np.float32) for a in (jnn.data.standardize(of_x, x), z))
    keys = jax.random.split(of_members, recommended.MEMBERS)
    every = [
        factor
        * jnn.predict(
            recommended._trained(x32, z32, recommended.LOSSES[output], alpha, key, QUICK)[0], x32
        )
        for alpha, factor, key in zip(found.alphas, found.factors, keys, strict=True)
    ]
    mean = np.mean(every, axis=0)
    if of_y is None:
        assert set(found.factors) <= set(np.sqrt(recommended.FACTORS))
    else:
        assert set(found.factors) == {1}
        mean = jnn.data.unstandardize(of_y, mean)
    np.testing.assert_allclose(plain(found.layers, x), mean, rtol=1e-4, atol=1e-4)
    assert found.history.shape == (QUICK.epochs,)


def test_the_recipe_is_the_same_in_other_units_and_for_the_same_seed():
    x, y = data("identity")
    other = x * [1, 1e3, 1e-2] - 7
    one, again, scaled = (
        recommended_network(*rows, "identity", 5, QUICK)
        for rows in ((x, y), (x, y), (other, 1e4 * y + 1))
    )
    for (w, b), (w_again, b_again) in zip(one.layers, again.layers, strict=True):
        np.testing.assert_array_equal(w, w_again)
        np.testing.assert_array_equal(b, b_again)
    assert scaled.alphas == one.alphas
    expected = 1e4 * plain(one.layers, x) + 1
    found = plain(scaled.layers, other)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("loss", recommended.CALIBRATED)
@pytest.mark.parametrize("factor", [0.25, 1.0, 4.0])
def test_of_true_logits_in_other_units_the_factor_goes_half_of_the_way(loss, factor):
    """Labels drawn with softmax(z) or sigmoid(z), and outputs z / factor."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(5_000, 3))
    if loss == "cross_entropy":
        y = np.eye(3)[np.argmax(z + rng.gumbel(size=z.shape), axis=1)]
    else:
        y = (z + rng.logistic(size=z.shape) > 0) * 1.0
    outputs = np.tile(z / factor, (len(recommended.ALPHAS), 1, 1)).astype(np.float32)
    factors, each = recommended._judged(outputs, y.astype(np.float32), loss)
    np.testing.assert_allclose(factors, np.sqrt(factor), rtol=0.05)  # the next is 4 % away
    z = z / np.sqrt(factor)
    if loss == "cross_entropy":
        expected = np.log(np.exp(z).sum(axis=1)) - (z * y).sum(axis=1)
    else:
        expected = np.logaddexp(0, np.where(y > 0, -z, z)).mean(axis=1)
    assert each.shape == (len(recommended.ALPHAS), 5_000)
    np.testing.assert_allclose(each.mean(), expected.mean(), rtol=1e-2)


def test_noise_gets_a_larger_penalty_than_a_rule():
    x = np.random.default_rng(0).normal(size=(60, 4))
    noise, rule = (
        recommended_network(x[:, :3], y[:, None], "identity", 0, QUICK)
        for y in (x[:, 3], x[:, 0] - x[:, 1])
    )
    assert max(noise.alphas) > max(rule.alphas)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="X has 7 rows; alpha='held-out' needs at least 8"):
        recommended_network(np.ones((7, 2)), np.ones((7, 1)), "identity", 0)
