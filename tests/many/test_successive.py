"""Successive halving: who goes on, and that nobody's bits depend on who was left out."""

import math

import jax
import numpy as np
import pytest

import jnn
from jnn.many import compiled

pytestmark = pytest.mark.table

X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
HELD = (X[::3], Y[::3])


def drawn(count, sizes=(1, 6, 1), **options):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.vmap(lambda key: jnn.init_network_params(sizes, key, **options))(keys)


def assert_same(a, b):
    """To the bit."""
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


def rung_by_rung(losses, rungs, keep):
    """(M,) epochs that each runs, from the losses (M, epochs) that all would have, ranked anew."""
    members, epochs = losses.shape
    run = np.full(members, epochs)
    left = list(range(members))
    for i, epoch in enumerate(rungs):
        ranked = sorted(left, key=lambda m, epoch=epoch: losses[m, epoch - 1])
        left = sorted(ranked[: math.ceil(members * keep ** (i + 1) - 1e-9)])
        run[[m for m in ranked if m not in left]] = epoch
    return run


CASES = {
    "halves": (11, {"keep": 0.5, "epochs": 16}, (2, 4, 8), {}),
    "a third": (10, {"keep": 1 / 3, "first": 2, "epochs": 20}, (2, 6, 18), {}),
    "validation": (8, {"keep": 0.5, "first": 3, "epochs": 9}, (3, 6), {"validation": HELD}),
    "rates, orders of their own": (
        9,
        {"keep": 0.25, "first": 2, "epochs": 10},
        (2, 8),
        {
            "learning_rate": np.geomspace(1e-3, 1e-1, 9),
            "key": jax.random.split(jax.random.key(1), 9),
        },
    ),
    "all but a few": (6, {"keep": 0.9, "first": 5, "epochs": 7}, (5, 6), {}),
    "a list of two structures": (8, {"first": 4, "epochs": 12}, (4, 8), {}),
}


def test_rungs_may_fall_on_one_epoch():
    """Each leaves as many as it says, whichever others end in the same epoch."""
    fits = jnn.halving(drawn(40), (X, Y), epochs=4, progress=False)
    rungs = fits.numbers["rung"]
    assert np.unique(rungs[fits.epochs == 1]).tolist() == [0]
    for passed in np.unique(rungs):
        assert (rungs >= passed).sum() == math.ceil(40 * 0.5**passed)
    assert np.sum(fits.epochs == 1) > 20


@pytest.mark.parametrize("case", CASES)
def test_the_best_go_on_and_all_have_the_bits_of_as_many_epochs(case):
    members, asked, rungs, options = CASES[case]
    start = drawn(members)
    if case == "a list of two structures":
        wide = drawn(4, (1, 5, 5, 1))
        start = [jax.tree.map(lambda leaf, m=m: leaf[m], net) for m in range(4)
                 for net in (start, wide)]  # fmt: skip
    options = options | {"progress": False}
    fits = jnn.halving(start, (X, Y), **asked, **options)
    whole = jnn.fit_many(start, (X, Y), epochs=asked["epochs"], **options)
    monitored = "validation_loss" if "validation" in options else "loss"
    losses, keep = whole.history[monitored], asked.get("keep", 0.5)
    expected = rung_by_rung(losses, rungs, keep)
    assert fits.epochs.tolist() == expected.tolist()
    on = expected == asked["epochs"]
    assert set(fits.stopped[on]) == {"epochs"}
    assert set(fits.stopped[~on]) == {"halved"}
    assert fits.numbers["rung"].tolist() == [sum(e > r for r in rungs) for e in expected]
    assert_same(fits[on].params, whole[on].params)
    for epochs in set(expected):
        there = expected == epochs
        short = jnn.fit_many(start, (X, Y), epochs=int(epochs), **options)
        assert_same(fits[there].params, short[there].params)
        for name, column in short.history.items():
            np.testing.assert_array_equal(fits.history[name][there][:, :epochs], column[there])


def test_with_patience_the_best_epochs_judge_and_members_may_end_by_themselves():
    options = {"validation": HELD, "patience": 1, "learning_rate": 0.5, "progress": False}
    start = drawn(8)
    fits = jnn.halving(start, (X, Y), first=4, epochs=16, **options)
    whole = jnn.fit_many(start, (X, Y), epochs=16, **options)
    assert "patience" in fits.stopped
    assert set(fits.stopped) <= {"patience", "halved", "epochs"}
    halved = fits.stopped == "halved"
    assert_same(fits[~halved].params, whole[~halved].params)
    # of those that were left out at the first rung, none was among the four best there
    until = np.where(np.isnan(whole.history["validation_loss"]), np.inf,
                     whole.history["validation_loss"])[:, :4].min(1)  # fmt: skip
    out = halved & (fits.epochs == 4)
    assert np.all(until[out] >= np.sort(until)[3])


def test_one_that_diverges_does_not_go_on():
    rates = np.array([1e-2, 1e20, 1e-2, 1e-2])
    options = {"optimizer": "sgd", "learning_rate": rates, "progress": False}
    with pytest.warns(RuntimeWarning, match="1 of 4 members diverged"):
        fits = jnn.halving(drawn(4), (X, Y), first=8, epochs=10, **options)
    assert fits.stopped[1] == "diverged"
    assert sorted(fits.stopped[[0, 2, 3]]) == ["epochs", "epochs", "halved"]


def test_a_checkpoint_goes_on_between_rungs(tmp_path, an_epoch_at_a_time):
    """Ended after an epoch, three times, by its progress function, and begun again."""
    asked = {"first": 2, "epochs": 8, "keep": 0.5}
    whole = jnn.halving(drawn(8), (X, Y), progress=False, **asked)
    for stops in (True, True, True, False):
        part = jnn.halving(
            drawn(8), (X, Y), checkpoint=str(tmp_path), progress=lambda _, s=stops: s, **asked
        )
    assert part.stopped.tolist() == whole.stopped.tolist()
    assert_same(part.params, whole.params)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep": 1.0}, ValueError, "keep is 1.0; it must be above 0 and below 1"),
        ({"keep": 0}, ValueError, "keep is 0; it must be above 0"),
        ({"keep": "half"}, TypeError, "keep is 'half'"),
        ({"first": 0}, ValueError, "first is 0; it must be an integer from 1 to 100"),
        ({"first": 101}, ValueError, "first is 101"),
        ({"first": 2.5}, TypeError, "first is 2.5"),
        ({"epochs": 0}, ValueError, "epochs is 0; it must be an integer of at least 1"),
        ({"executor": 3}, ValueError, "workers of an executor do not know of each other"),
        ({"learning_rate": [0.1, 0.2]}, ValueError, r"learning_rate is an array of shape \(2,\)"),
    ],
)
def test_bad_input_is_named_before_anything_is_computed(
    options, error, message, as_a_user, monkeypatch
):
    monkeypatch.setattr(compiled, "on", None)
    with pytest.raises(error, match=message):
        jnn.halving(drawn(4), (X, Y), **options)
