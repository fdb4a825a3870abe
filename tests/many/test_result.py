"""What is made of many fits: a table for data frames, an ensemble's answer, lines to read."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

import jnn
from jnn.many import ensemble

pytestmark = pytest.mark.table

M = 4
X = np.linspace(0.1, 3, 30)[:, None]
Y = np.log(X)
RATES = np.array([1e-3, 1e-2, 1e-3, 1e-2])


def drawn(sizes, output="identity"):
    keys = jax.random.split(jax.random.key(0), M)
    return jax.vmap(lambda key: jnn.init_network_params(sizes, key, output=output))(keys)


def trained(data=(X, Y), sizes=(1, 4, 1), **options):
    return jnn.fit_many(drawn(sizes), data, epochs=3, progress=False, **options)


@pytest.fixture(scope="module")
def fits():
    options = {"validation": 0.2, "patience": 1, "learning_rate": RATES, "watch": "state_std"}
    return trained(metrics=["r2", "mae"], **options)


def test_a_table_holds_what_differs_how_it_ended_losses_and_metrics(fits):
    table = fits.table()
    assert list(table)[:4] == ["learning_rate", "epochs", "best_epoch", "stopped"]
    assert {"r2", "mae", "validation_r2", "validation_mae", "loss", "least_loss"} <= {*table}
    assert "state_std" not in table  # a number for every layer
    np.testing.assert_array_equal(table["learning_rate"], RATES)  # as given, in float64
    for m, fit in enumerate(fits):
        for name in ("loss", "validation_loss", "r2", "validation_mae"):
            assert table[name][m] == fit.history[name][-1]
        assert table["least_validation_loss"][m] == fit.history["validation_loss"].min()
    assert fits[1:3].table().keys() == table.keys()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_table_is_a_data_frame(fits, library):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    table = fits.table()
    frame = frames.DataFrame(table)
    assert frame.shape == (M, len(table))
    assert list(frame.columns) == list(table)
    for name, column in table.items():
        assert frame[name].to_list() == column.tolist()


LOGITS = {
    "cross_entropy": ((1, 4, 3), "identity", "cross_entropy"),
    "smoothed": ((1, 4, 3), "identity", jnn.losses.smoothed("cross_entropy", 0.1)),
    "binary_cross_entropy": ((1, 4, 2), "identity", "binary_cross_entropy"),
    "softmax": ((1, 4, 3), "softmax", "log_loss"),
}


@pytest.mark.parametrize("case", LOGITS)
def test_an_ensemble_of_classifiers_gives_probabilities(fits, case):
    sizes, output, loss = LOGITS[case]
    fits = dataclasses.replace(fits, params=drawn(sizes, output), loss=loss)
    mean, std = fits.predict(X)
    of = jnn.predict if case == "softmax" else partial(jnn.probabilities, loss=loss)
    members = [jax.tree.map(lambda leaf, m=m: leaf[m], fits.params) for m in range(M)]
    each = np.stack([of(params, X) for params in members])
    np.testing.assert_allclose(mean, each.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, each.std(0), rtol=1e-3, atol=1e-7)
    assert ((mean > 0) & (mean < 1)).all()
    if case != "binary_cross_entropy":
        np.testing.assert_allclose(mean.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("loss", ["poisson", lambda p, y: (p - y) ** 2])
def test_other_losses_give_outputs(fits, loss):
    outputs = np.stack([jnn.predict(fit.params, X) for fit in fits])
    found = dataclasses.replace(fits, loss=loss).predict(X)
    np.testing.assert_allclose(found.mean, outputs.mean(0), rtol=1e-5, atol=1e-6)


def test_a_result_knows_its_loss():
    labels = np.arange(30) % 3
    fits = trained((X, labels), (1, 4, 3), loss="cross_entropy")
    assert fits.loss == fits[:2].loss == "cross_entropy"
    np.testing.assert_allclose(fits.predict(X).mean.sum(1), 1, rtol=1e-5)


def test_what_is_printed(fits):
    first, title, *rows = str(fits).splitlines()
    assert first.startswith("4 networks, up to")
    assert title.split()[:3] == ["least", "validation", "loss"]
    assert [row.split()[0] for row in rows[:3]] == ["all", "learning_rate", "learning_rate"]
    least = fits.history["validation_loss"][:2]
    assert (
        rows[1].split()[4]
        == f"{np.nanmin(np.r_[least[0], fits.history['validation_loss'][2]]):.4g}"
    )


def test_what_is_printed_of_some_that_diverged():
    with pytest.warns(RuntimeWarning, match="1 of 4 members diverged"):
        fits = trained(optimizer="sgd", learning_rate=[0.1, 1e30, 0.1, 0.1])
    assert "least loss" in str(fits)
    assert str(fits).endswith("1 stopped: loss or parameters were no longer finite")
    assert np.isfinite(fits.table()["least_loss"]).sum() >= 3


@pytest.mark.parametrize(
    ("index", "places"),
    [
        (-1, 3), (np.array(1), 1), ([], []), ([2, 0], [2, 0]), ((1, -1), [1, 3]),
        ([True, False, True, False], [0, 2]), (slice(1, None), [1, 2, 3]), (RATES > 1, []),
    ],
    ids=repr,
)  # fmt: skip
def test_members_are_chosen_as_numpy_chooses(fits, index, places):
    chosen = fits[index]
    if isinstance(places, int):
        assert chosen.history["loss"].tolist() == fits.history["loss"][places][:3].tolist()
    else:
        assert len(chosen) == len(places)
        np.testing.assert_array_equal(chosen.history["loss"], fits.history["loss"][places])
        np.testing.assert_array_equal(chosen.params[0].w, np.asarray(fits.params[0].w)[places])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (4, "no member 4 among 4"),
        ([0, -5], "no member -5 among 4"),
        ([[0, 1]], r"int64 of shape \(1, 2\)"),
        (np.True_, r"bool of shape \(\)"),
        ([True], r"a mask \(4,\), got bool of shape \(1,\)"),
        (1.0, "got float64"),
        ("a", "got <U1"),
    ],
)
def test_an_index_that_is_none_is_named(fits, index, message):
    with pytest.raises(IndexError, match=message):
        fits[index]


def test_the_best_is_the_greatest_score():
    labels = (X[:, 0] > 1).astype(int)
    options = {"loss": "cross_entropy", "metrics": "accuracy", "learning_rate": 10 * RATES}
    fits = trained((X, labels), (1, 4, 2), **options)
    assert fits.best("accuracy").history["accuracy"].max() == fits.history["accuracy"].max()
    assert fits.best("loss").history["loss"].min() == fits.history["loss"].min()


def test_the_best_did_not_diverge():
    with pytest.warns(RuntimeWarning, match="1 of 4 members diverged"):
        fits = trained(optimizer="sgd", learning_rate=[1e-3, 1e-3, 1e25, 1e-3])
    assert fits[2].stopped == "diverged"
    sound = dataclasses.replace(fits, history={"loss": np.array([[3.0], [2.0], [0.0], [4.0]])})
    assert sound.best().history["loss"] == 2
    fits.predict(X)  # quietly
    assert fits[2:3].best().stopped == "diverged"


def test_each_of_several_structures_has_the_columns_of_its_layers():
    networks = [jnn.init_network_params(s, jax.random.key(0)) for s in ([1, 4, 1], [1, 4, 4, 1])]
    options = {"watch": ["log_gradients"], "epochs": 2, "progress": False}
    fits = jnn.fit_many(networks, (X, Y), **options)
    for network, fit in zip(networks, fits, strict=True):
        alone = jnn.fit(network, (X, Y), **options)
        assert fit.history["log_gradients"].shape == alone.history["log_gradients"].shape


def test_an_ensemble_in_parts_says_the_same(fits, monkeypatch):
    whole = fits.predict(X)
    monkeypatch.setattr(ensemble, "_AT_ONCE", 3 * 30 * 4)  # three of the four members
    parts = fits.predict(X)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(parts.std, whole.std, rtol=1e-5)


def test_what_cannot_predict_is_named(fits):
    with pytest.raises(ValueError, match="there are no members to predict with"):
        fits[:0].predict(X)
    options = {"epochs": 1, "progress": False}
    folds = jnn.cross_validate(drawn((1, 4, 1)), (X, Y), 3, standardize="xy", **options)
    with pytest.raises(ValueError, match="trained on x and y in the units of its own fold"):
        folds.predict(X)
