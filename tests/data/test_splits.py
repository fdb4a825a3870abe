"""Splits: partitions of the sizes asked for, decided by the key; bad input is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import data
from jnn.data import splits

KEY = jax.random.key(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# n, fractions, sizes by largest remainder, worked out by hand
SIZES = [
    (10, (1.0,), [10]),
    (100, (0.85, 0.15), [85, 15]),
    (1000, (0.7, 0.15, 0.15), [700, 150, 150]),
    (20, (0.7, 0.15, 0.15), [14, 3, 3]),
    (100, (0.29, 0.71), [29, 71]),  # 100 · 0.29 is less than 29 in floating point
    (10, (1 / 3, 1 / 3, 1 / 3), [4, 3, 3]),  # of equal remainders the first
    (7, (0.6, 0.25, 0.15), [4, 2, 1]),  # 4.2, 1.75, 1.05
    (3, (0.5, 0.25, 0.25), [1, 1, 1]),  # 1.5, 0.75, 0.75
]


@pytest.mark.parametrize(("n", "fractions", "sizes"), SIZES)
def test_parts_are_a_partition_of_these_sizes(n, fractions, sizes, rng):
    x, y = rng.normal(size=(n, 2)), np.arange(n)
    parts = data.split((x, y), fractions, KEY)
    assert [len(part_y) for _, part_y in parts] == sizes
    assert sorted(np.concatenate([part_y for _, part_y in parts])) == list(range(n))
    for part_x, part_y in parts:
        np.testing.assert_array_equal(part_x, x[part_y])  # rows stay together


def test_the_key_decides_and_every_row_goes_everywhere():
    rows = np.arange(40)
    firsts = [data.split((rows,), (0.5, 0.5), jax.random.key(seed))[0][0] for seed in range(50)]
    again = data.split((rows,), (0.5, 0.5), jax.random.key(0))[0][0]
    np.testing.assert_array_equal(firsts[0], again)
    assert any(firsts[0] != firsts[1])
    assert any(firsts[0] != np.sort(firsts[0]))  # shuffled within the part too
    share = np.bincount(np.concatenate(firsts), minlength=40) / 50
    assert np.all(
        np.abs(share - 0.5) < 5 * np.sqrt(0.25 / 50)
    )  # five standard deviations of a fair coin


def test_raw_keys_and_jax_arrays_are_taken():
    (train,), (test,) = data.split([jnp.arange(10)], [0.8, 0.2], jax.random.PRNGKey(3))
    assert sorted([*train, *test]) == list(range(10))


@pytest.mark.parametrize(
    "fractions", [(0.85, 0.15), (0.7, 0.15, 0.15), (0.29, 0.71), (0.4, 0.3, 0.2, 0.1)]
)
@pytest.mark.parametrize("counts", [(50, 50, 50), (15,) * 10, (97, 5, 4, 11), (4,) * 30, (1000, 7)])
def test_stratified_parts_have_each_label_in_proportion(counts, fractions, rng):
    labels = rng.permutation(np.repeat([f"label {c}" for c in range(len(counts))], counts))
    rows, f = np.arange(len(labels)), np.array(fractions)
    parts = data.split((rows, labels), fractions, KEY, stratify=labels)
    plain = data.split((rows,), fractions, KEY)
    assert [len(part[0]) for part in parts] == [len(part[0]) for part in plain]
    assert sorted(np.concatenate([part[0] for part in parts])) == list(rows)
    names = [f"label {c}" for c in range(len(counts))]
    table = np.array([[np.sum(dealt == name) for _, dealt in parts] for name in names])
    shares = np.outer(counts, f)
    room = table.sum(axis=0) >= len(counts)
    assert table[:, room].all()
    # a row of each label in each part may cost others a second one
    moved = not splits._deal(np.array(counts), f)[:, room].all()
    assert np.all(np.abs(table - shares) <= (1.5 if moved else 1 + 1e-9))


def test_stratified_parts_are_not_in_the_order_of_the_labels():
    labels = np.repeat([0, 1, 2], 30)
    for (dealt,) in data.split((labels,), (0.5, 0.5), KEY, stratify=labels):
        assert any(dealt != np.sort(dealt))


def test_any_table_of_counts_keeps_both_margins(rng):
    for _ in range(300):
        counts, f = (
            rng.integers(1, 40, rng.integers(1, 12)),
            rng.dirichlet(np.ones(rng.integers(1, 6))),
        )
        table = splits._deal(counts, f)
        assert table.min() >= 0
        assert list(table.sum(axis=1)) == list(counts)
        assert list(table.sum(axis=0)) == list(splits._deal(counts.sum(keepdims=True), f)[0])
        assert np.all(np.abs(table - np.outer(counts, f)) <= 1 + 1e-9)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.35])
@pytest.mark.parametrize("positives", [2, 3, 4, 11])
def test_a_rare_class_is_in_every_part_whatever_the_key(positives, fraction):
    y = np.repeat([0, 1], [200 - positives, positives])
    for seed in range(40):
        for targets in (y, y[:, None], np.eye(2)[y], np.array(["no", "yes"])[y]):
            parts = data.split(
                (y,), (1 - fraction, fraction), jax.random.key(seed), stratify=targets
            )
            assert all(part.any() for (part,) in parts)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_every_label_in_every_part_keeps_both_margins(parts, rng):
    for _ in range(100):
        counts = rng.integers(parts, 30, rng.integers(2, 9))
        f = rng.dirichlet(np.full(parts, 5.0))
        dealt = splits._deal(counts, f)
        table = splits._everywhere(dealt, np.outer(counts, f))
        assert list(table.sum(axis=1)) == list(counts)
        assert list(table.sum(axis=0)) == list(dealt.sum(axis=0))
        room = table.sum(axis=0) >= len(counts)
        assert table.min() >= 0
        assert (table[:, room] > 0).sum() >= (dealt[:, room] > 0).sum()


X, Y = np.ones((6, 2)), np.ones((6, 1))
BAD_SPLITS = {
    "unequal lengths": (
        ((X, Y[:5]), (0.5, 0.5), KEY),
        {},
        ValueError,
        r"shapes \[\(6, 2\), \(5, 1\)\]",
    ),
    "no rows": (((X[:0], Y[:0]), (0.5, 0.5), KEY), {}, ValueError, "rows, one or more"),
    "no arrays": (((), (0.5, 0.5), KEY), {}, ValueError, "expected at least one"),
    "a scalar": (((X, 1.0), (0.5, 0.5), KEY), {}, ValueError, r"shapes \[\(6, 2\), \(\)\]"),
    "one array": (
        (X, (0.5, 0.5), KEY),
        {},
        TypeError,
        r"arrays is of type ndarray; .* one array goes as \(x,\)",
    ),
    "sum below 1": (
        ((X,), (0.5, 0.4), KEY),
        {},
        ValueError,
        r"fractions are \(0.5, 0.4\); .* sum 1",
    ),
    "negative": (((X,), (1.5, -0.5), KEY), {}, ValueError, "positive numbers"),
    "zero": (((X,), (1.0, 0.0), KEY), {}, ValueError, "positive numbers"),
    "nan": (((X,), (float("nan"), 1.0), KEY), {}, ValueError, "positive numbers"),
    "no fractions": (((X,), (), KEY), {}, ValueError, "positive numbers"),
    "a number": (((X,), 0.5, KEY), {}, ValueError, "fractions are 0.5"),
    "an empty part": (
        ((X,), (0.98, 0.02), KEY),
        {},
        ValueError,
        r"6 rows in .* a part empty, \[6, 0\]",
    ),
    "more parts than rows": (((X[:2],), (0.4, 0.3, 0.3), KEY), {}, ValueError, "a part empty"),
    "a seed for a key": (((X,), (0.5, 0.5), 7), {}, TypeError, "key is 7; it must be one JAX key"),
    "many keys": (((X,), (0.5, 0.5), jax.random.split(KEY)), {}, TypeError, "one JAX key"),
    "labels too few": (
        ((X,), (0.5, 0.5), KEY),
        {"stratify": [0, 1]},
        ValueError,
        r"stratify has shape \(2,\)",
    ),
    "soft rows": (
        ((X,), (0.5, 0.5), KEY),
        {"stratify": np.full((6, 2), 0.5)},
        ValueError,
        r"must be one-hot to be classes: .* np.argmax\(stratify, axis=1\)",
    ),
    "a rare label": (
        ((X,), (0.5, 0.5), KEY),
        {"stratify": ["a"] * 5 + ["b"]},
        ValueError,
        "label b has only 1 of the 2 rows that 2 parts need",
    ),
}


@pytest.mark.parametrize("case", BAD_SPLITS)
def test_a_bad_split_is_refused(case, as_a_user):
    arguments, keywords, error, message = BAD_SPLITS[case]
    with pytest.raises(error, match=message):
        data.split(*arguments, **keywords)


@pytest.mark.parametrize(("n", "count"), [(10, 3), (43, 5), (7, 7), (150, 10)])
@pytest.mark.parametrize("classes", [None, 3])
def test_folds_hold_out_every_row_once_and_classes_evenly(n, count, classes):
    labels = None if classes is None else np.arange(n * count) % classes
    n = n if labels is None else len(labels)
    folds = data.folds(n, count, jax.random.key(1), stratify=labels)
    assert len(folds) == count
    np.testing.assert_array_equal(
        np.sort(np.concatenate([test for _, test in folds])), np.arange(n)
    )
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1
    if labels is not None:
        of_class = np.array([np.bincount(labels[test], minlength=classes) for _, test in folds])
        assert (of_class.max(0) - of_class.min(0) <= 1).all()
    again = data.folds(n, count, jax.random.key(1), stratify=labels)
    other = data.folds(n, count, jax.random.key(2), stratify=labels)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))
    assert any(
        (a[1] != b[1]).any() for a, b in zip(folds, other, strict=True) if len(a[1]) == len(b[1])
    )


@pytest.mark.parametrize(
    ("asked", "options", "error", "message"),
    [
        ((10, 1), {}, ValueError, "count is 1; it must be an integer from 2 to 10"),
        ((10, 11), {}, ValueError, "count is 11; .* each fold holds out a row at least"),
        ((1, 2), {}, ValueError, "n is 1"),
        ((10.0, 2), {}, TypeError, "n is 10.0"),
        ((6, 3), {"stratify": [0, 0, 0, 0, 1, 1]}, ValueError,
         "label 1 has only 2 of the 3 rows that 3 parts need"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be_dealt_out_are_named(asked, options, error, message, as_a_user):
    with pytest.raises(error, match=message):
        data.folds(*asked, jax.random.key(0), **options)
