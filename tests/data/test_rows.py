"""Rows split off for validation: every class in both parts, whatever form its targets have."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import losses
from jnn.data.rows import Rows, check_rows, minibatch, validation_split

X = np.random.default_rng(0).normal(size=(200, 3))


def squares(prediction, target):
    return (prediction[0] - target / 2000) ** 2


FORMS = {
    "one output": (1, "binary_cross_entropy", lambda y: y[:, None]),
    "one output, true or false": (1, "binary_cross_entropy", lambda y: y[:, None] > 0),
    "one probability": (1, "binary_log_loss", lambda y: y[:, None]),
    "one output in squares": (1, "mse", lambda y: y[:, None]),
    "one-hot": (2, "cross_entropy", lambda y: np.eye(2)[y]),
    "one-hot, both binary": (2, "binary_cross_entropy", lambda y: np.eye(2)[y]),
    "one-hot in squares": (2, "half_mse", lambda y: np.eye(2)[y]),
    "labels": (2, "cross_entropy", lambda y: y),
    "labels, smoothed": (2, losses.smoothed("cross_entropy", 0.1), lambda y: y),
    "labels of a loss of one's own": (1, squares, lambda y: y),
}
OUTPUTS = {"binary_log_loss": "sigmoid"}


def rows(form, y):
    n_out, loss, make = FORMS[form]
    output = OUTPUTS.get(loss, "identity") if isinstance(loss, str) else "identity"
    params = jnn.init_network_params([3, n_out], jax.random.key(0), output=output)
    return check_rows(params, (X[: len(y)], make(y)), loss), loss


def positives(part):
    return int(np.sum(part.y[:, -1] if part.y.ndim == 2 else part.y))


@pytest.mark.parametrize("count", [2, 4, 11])
@pytest.mark.parametrize("form", FORMS)
def test_no_part_is_without_a_positive_whatever_the_key(form, count):
    data, loss = rows(form, np.repeat([1, 0], [count, 200 - count]))
    for seed in range(40):
        parts = validation_split(data, 0.2, jax.random.key(seed), loss)
        found = [positives(part) for part in parts]
        assert min(found) > 0
        assert sum(found) == count
        assert abs(found[1] - 0.2 * count) <= 1


@pytest.mark.parametrize("form", FORMS)
def test_a_single_positive_is_refused_where_it_is_a_class_for_certain(form):
    data, loss = rows(form, np.repeat([1, 0], [1, 49]))
    if losses.resolve(loss).chance is None:  # it may be a number
        train, held = validation_split(data, 0.2, jax.random.key(0), loss)
        assert positives(train) + positives(held) == 1
        return
    with pytest.raises(
        ValueError, match=r"label 1(\.0)? has only 1 .* validation arrays"
    ) as raised:
        validation_split(data, 0.2, jax.random.key(0), loss)
    assert "leave stratify out" not in str(raised.value)  # which `fit` has not


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (squares, np.random.default_rng(1).integers(1950, 2020, 200)),
        ("mse", np.linspace(0, 1, 200)[:, None]),
        ("binary_cross_entropy", np.linspace(0, 1, 200)[:, None]),
        ("poisson", np.random.default_rng(1).poisson(3.0, (200, 1))),
    ],
    ids=["years", "numbers", "probabilities", "counts"],
)
def test_numbers_are_split_as_numbers(loss, y):
    data = check_rows(oracles.network([3, 1]), (X, y), loss)
    found = [validation_split(data, 0.2, jax.random.key(0), f) for f in (loss, "half_mse")]
    plain = validation_split(Rows(data.x, data.x, None), 0.2, jax.random.key(0))
    for parts in found:
        assert [len(part.x) for part in parts] == [160, 40]
        np.testing.assert_array_equal(parts[1].x, plain[1].x)


def test_a_run_validates_on_positives():
    def seen(predictions, targets):
        return jnp.sum(targets)

    y = np.zeros((200, 1))
    y[:2] = 1
    run = jnn.fit(
        oracles.network([3, 1]), (X, y), loss="binary_cross_entropy", validation=0.2, epochs=1,
        metrics=seen,
    )  # fmt: skip
    assert run.history["validation_seen"].tolist() == [1.0]


@pytest.mark.parametrize("visits", [None, np.random.default_rng(0).permutation(12)])
@pytest.mark.parametrize("start", [0, 3, 8])
@pytest.mark.parametrize("jitted", [False, True])
def test_a_minibatch(visits, start, jitted):
    rows = Rows(np.arange(24.0).reshape(12, 2), np.arange(12), np.linspace(0.1, 1, 12))
    rows = jax.tree.map(jnp.asarray, rows)
    visits = None if visits is None else jnp.asarray(visits)
    take = jax.jit(minibatch, static_argnums=3) if jitted else minibatch
    found = take(rows, visits, start, 4)
    places = (np.arange(12) if visits is None else np.asarray(visits))[start : start + 4]
    for some, column in zip(found, rows, strict=True):
        np.testing.assert_array_equal(some, np.asarray(column)[places])
