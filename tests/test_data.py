"""Data: splits are partitions, standardisation is undone, targets are their formulas, bad input is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn import data

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
    assert np.all(np.abs(share - 0.5) < 5 * np.sqrt(0.25 / 50))  # five standard deviations of a fair coin


def test_raw_keys_and_jax_arrays_are_taken():
    (train,), (test,) = data.split([jnp.arange(10)], [0.8, 0.2], jax.random.PRNGKey(3))
    assert sorted([*train, *test]) == list(range(10))


@pytest.mark.parametrize("fractions", [(0.85, 0.15), (0.7, 0.15, 0.15), (0.29, 0.71), (0.4, 0.3, 0.2, 0.1)])
@pytest.mark.parametrize("counts", [(50, 50, 50), (15,) * 10, (97, 5, 4, 11), (4,) * 30, (1000, 7)])
def test_stratified_parts_have_each_label_in_proportion(counts, fractions, rng):
    labels = rng.permutation(np.repeat([f"label {c}" for c in range(len(counts))], counts))
    rows, f = np.arange(len(labels)), np.array(fractions)
    parts = data.split((rows, labels), fractions, KEY, stratify=labels)
    plain = data.split((rows,), fractions, KEY)
    assert [len(part[0]) for part in parts] == [len(part[0]) for part in plain]
    assert sorted(np.concatenate([part[0] for part in parts])) == list(rows)
    for (_, dealt), share in zip(parts, f, strict=True):
        for c, count in enumerate(counts):
            assert abs(np.sum(dealt == f"label {c}") - count * share) <= 1 + 1e-9


def test_stratified_parts_are_not_in_the_order_of_the_labels():
    labels = np.repeat([0, 1, 2], 30)
    for (dealt,) in data.split((labels,), (0.5, 0.5), KEY, stratify=labels):
        assert any(dealt != np.sort(dealt))


def test_any_table_of_counts_keeps_both_margins(rng):
    for _ in range(300):
        counts, f = rng.integers(1, 40, rng.integers(1, 12)), rng.dirichlet(np.ones(rng.integers(1, 6)))
        table = data._deal(counts, f)
        assert table.min() >= 0
        assert list(table.sum(axis=1)) == list(counts)
        assert list(table.sum(axis=0)) == list(data._deal(counts.sum(keepdims=True), f)[0])
        assert np.all(np.abs(table - np.outer(counts, f)) <= 1 + 1e-9)


X, Y = np.ones((6, 2)), np.ones((6, 1))
BAD_SPLITS = {
    "unequal lengths": (((X, Y[:5]), (0.5, 0.5), KEY), {}, ValueError, r"shapes \[\(6, 2\), \(5, 1\)\]"),
    "no rows": (((X[:0], Y[:0]), (0.5, 0.5), KEY), {}, ValueError, "rows, one or more"),
    "no arrays": (((), (0.5, 0.5), KEY), {}, ValueError, "expected at least one"),
    "a scalar": (((X, 1.0), (0.5, 0.5), KEY), {}, ValueError, r"shapes \[\(6, 2\), \(\)\]"),
    "one array": ((X, (0.5, 0.5), KEY), {}, TypeError, r"got ndarray; one array goes as \(x,\)"),
    "sum below 1": (((X,), (0.5, 0.4), KEY), {}, ValueError, r"fractions are \(0.5, 0.4\); .* sum 1"),
    "negative": (((X,), (1.5, -0.5), KEY), {}, ValueError, "positive numbers"),
    "zero": (((X,), (1.0, 0.0), KEY), {}, ValueError, "positive numbers"),
    "nan": (((X,), (float("nan"), 1.0), KEY), {}, ValueError, "positive numbers"),
    "no fractions": (((X,), (), KEY), {}, ValueError, "positive numbers"),
    "a number": (((X,), 0.5, KEY), {}, ValueError, "fractions are 0.5"),
    "an empty part": (((X,), (0.98, 0.02), KEY), {}, ValueError, r"6 rows in .* a part empty, \[6, 0\]"),
    "more parts than rows": (((X[:2],), (0.4, 0.3, 0.3), KEY), {}, ValueError, "a part empty"),
    "a seed for a key": (((X,), (0.5, 0.5), 7), {}, TypeError, "key must be one JAX key.*got 7"),
    "many keys": (((X,), (0.5, 0.5), jax.random.split(KEY)), {}, TypeError, "one JAX key"),
    "labels too few": (((X,), (0.5, 0.5), KEY), {"stratify": [0, 1]}, ValueError, r"stratify has shape \(2,\)"),
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


# columns that are hard on rounding; the first rows hold zeros where a column has any
RNG = np.random.default_rng(0)
COLUMNS = {
    "normal": RNG.normal(size=500),
    "far from zero": 1e4 + RNG.normal(size=500),
    "lognormal": np.exp(3 * RNG.normal(size=500)),
    "pixels": RNG.integers(0, 17, 500),
    "sparse": np.where(RNG.random(500) < 0.9, 0.0, RNG.normal(size=500) + 3),
    "decimals": RNG.integers(1, 80, 500) / 10,
    "huge": 1e30 * RNG.normal(size=500),
    "tiny": 1e-30 * RNG.normal(size=500),
    "subnormal in float32": np.where(np.arange(500) < 250, 1e-44, 3e-44),
    "constant": np.full(500, 0.1),
    "zero": np.zeros(500),
    "two values": np.where(np.arange(500) < 1, 0.3, 0.1),
    "one ulp apart": np.where(np.arange(500) < 250, 1.0, np.nextafter(np.float32(1), np.float32(2))),
}
TABLE = np.stack([*COLUMNS.values()], axis=1)
NAMES = list(COLUMNS)


def test_mean_and_scale_are_the_moments():
    s = data.standardization(TABLE)
    np.testing.assert_allclose(s.mean, TABLE.mean(axis=0), rtol=1e-12)
    constant = np.array([name in ("constant", "zero") for name in NAMES])
    np.testing.assert_allclose(s.scale, np.where(constant, 1, TABLE.std(axis=0)), rtol=1e-12)
    assert s.mean[NAMES.index("constant")] == 0.1
    z = data.standardize(s, TABLE)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)  # 1e4 in units of σ = 1, summed
    np.testing.assert_allclose(z.std(axis=0), np.where(constant, 0, 1), atol=1e-9)
    assert np.all(z[:, constant] == 0)


def test_float32_data_come_back_bit_for_bit():
    x = TABLE.astype(np.float32)
    s = data.standardization(x)
    back = data.unstandardize(s, data.standardize(s, x))
    assert s.mean.dtype == s.scale.dtype == back.dtype == np.float32
    covered = (x == 0) | (np.abs(x) > 2.0**-25 * np.abs(s.mean))
    assert covered.mean() > 0.99
    np.testing.assert_array_equal(back[covered], x[covered])


def test_float32_just_above_the_stated_limit_come_back_and_far_below_it_do_not():
    x = np.array([1.0] * 7 + [2.0**-25 * 1.01], np.float32)
    s = data.standardization(x)
    assert data.unstandardize(s, data.standardize(s, x))[-1] == x[-1]
    x[-1] = 2.0**-40 / 3
    s = data.standardization(x)
    assert data.unstandardize(s, data.standardize(s, x))[-1] != x[-1]


def test_float64_data_come_back_within_the_stated_bound_and_zeros_exactly():
    s = data.standardization(TABLE)
    back = data.unstandardize(s, data.standardize(s, TABLE))
    bound = 2.0**-53 * (2 * np.abs(TABLE - s.mean) + np.abs(s.mean) + 2 * np.abs(TABLE)) * (1 + 2.0**-50)
    assert np.all(np.abs(back - TABLE) <= bound)
    assert np.all(back[TABLE == 0] == 0)
    assert np.all(back[:, NAMES.index("constant")] == 0.1)
    assert back.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_comes_back_as_zero_whatever_the_mean(dtype, rng):
    x = (rng.normal(size=(5, 2000)) + rng.normal(size=2000)).astype(dtype)
    x[0] = 0
    s = data.standardization(x)
    assert np.all(data.unstandardize(s, data.standardize(s, x))[0] == 0)
    np.testing.assert_allclose(s.scale, x.astype(float).std(axis=0), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("form", ["eager", "jit", "vmap", "closed over"])
def test_jax_arrays_give_the_same_to_their_precision(form):
    x = TABLE[:, :6].astype(np.float32)
    s = data.standardization(x)
    functions = {
        "eager": lambda f, a: f(s, a),
        "jit": lambda f, a: jax.jit(f)(s, a),
        "vmap": lambda f, a: jax.vmap(f, in_axes=(None, 0))(s, a),
        "closed over": lambda f, a: jax.jit(lambda a: f(s, a))(a),
    }
    z = functions[form](data.standardize, jnp.asarray(x))
    back = functions[form](data.unstandardize, z)
    assert isinstance(z, jax.Array)
    assert z.dtype == back.dtype == jnp.float32
    np.testing.assert_allclose(z, data.standardize(s, x), rtol=1e-6, atol=1e-6)
    bound = 2.0**-24 * (3 * np.abs(x - s.mean) + 2 * np.abs(s.mean) + 2 * np.abs(x)) * (1 + 2.0**-20)
    assert np.all(np.abs(np.asarray(back, float) - x) <= bound)


def test_float64_on_the_device(x64):
    s = data.standardization(TABLE)
    z = jax.jit(data.standardize)(s, jnp.asarray(TABLE))
    assert z.dtype == jnp.float64
    np.testing.assert_allclose(z, data.standardize(s, TABLE), rtol=1e-15, atol=1e-15)


def test_a_standardization_is_a_pytree_and_differentiable():
    s = data.standardization(TABLE[:, :3].astype(np.float32))
    leaves, structure = jax.tree.flatten(s)
    assert [leaf.shape for leaf in leaves] == [(3,), (3,)]
    assert isinstance(jax.tree.unflatten(structure, leaves), data.Standardization)
    slope = jax.jacobian(lambda z: data.unstandardize(s, z))(jnp.zeros(3))
    np.testing.assert_allclose(slope, np.diag(s.scale), rtol=1e-6)


def test_weights_count_as_repeated_rows(rng):
    x, times = rng.normal(size=(30, 4)) + 5, rng.integers(0, 4, 30)
    weighted, repeated = data.standardization(x, weights=times), data.standardization(np.repeat(x, times, axis=0))
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-14)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-13)


def test_a_row_of_weight_zero_does_not_make_a_column_vary():
    s = data.standardization([[1.0], [0.1], [0.1], [0.1]], weights=[0, 1, 1, 1])
    assert (s.mean, s.scale) == ([0.1], [1.0])


def test_examples_of_any_shape_integers_and_bfloat16(rng):
    images = rng.integers(0, 17, (20, 4, 3))
    s = data.standardization(images)
    assert s.mean.shape == (4, 3)
    assert s.mean.dtype == np.float64
    np.testing.assert_allclose(data.unstandardize(s, data.standardize(s, images)), images, rtol=1e-15, atol=1e-15)
    numbers = data.standardization(np.array([1.0, 2.0, 4.0], jnp.bfloat16))
    assert numbers.mean.shape == ()
    assert numbers.mean.dtype == np.float32
    assert data.standardize(s, jnp.asarray(images)).dtype == jnp.float32


BAD_STANDARDIZATIONS = {
    "nan": (([[1.0], [np.nan]],), {}, ValueError, "NaN or infinity, first in row 1"),
    "infinity": (([np.inf, 1.0],), {}, ValueError, "first in row 0"),
    "empty": ((np.ones((0, 3)),), {}, ValueError, r"shape \(0, 3\)"),
    "a number": ((3.0,), {}, ValueError, r"shape \(\)"),
    "words": ((["a", "b"],), {}, TypeError, "expected real numbers"),
    "complex": (([1j],), {}, TypeError, "complex128"),
    "few weights": (([1.0, 2.0],), {"weights": [1.0]}, ValueError, r"weights of shape \(1,\) must be \(2,\)"),
    "negative weights": (([1.0, 2.0],), {"weights": [1.0, -1.0]}, ValueError, "not negative"),
    "nan weights": (([1.0, 2.0],), {"weights": [1.0, np.nan]}, ValueError, "finite"),
    "zero weights": (([1.0, 2.0],), {"weights": [0.0, 0.0]}, ValueError, "not all zero"),
}


@pytest.mark.parametrize("case", BAD_STANDARDIZATIONS)
def test_bad_data_are_not_standardised(case):
    arguments, keywords, error, message = BAD_STANDARDIZATIONS[case]
    with pytest.raises(error, match=message):
        data.standardization(*arguments, **keywords)


@pytest.mark.parametrize("shape", [(6,), (6, 2), (1, 4), ()])
@pytest.mark.parametrize("f", [data.standardize, data.unstandardize])
def test_other_shapes_do_not_broadcast(f, shape):
    s = data.standardization(np.ones((5, 1, 3)) if shape == (1, 4) else np.ones((5, 1)))
    for x in (np.ones(shape), jnp.ones(shape)):
        with pytest.raises(ValueError, match=r"the standardization is of examples of shape \(1,"):
            f(s, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, bool])
def test_one_hot_is_the_identity_indexed(dtype, rng):
    labels = rng.integers(0, 5, (4, 6))
    rows = data.one_hot(labels, 5, dtype)
    np.testing.assert_array_equal(rows, np.eye(5, dtype=dtype)[labels])
    assert rows.dtype == dtype
    np.testing.assert_array_equal(data.one_hot(jnp.asarray(labels), 5), jax.nn.one_hot(labels, 5))


def test_one_hot_counts_the_classes_or_is_told():
    assert data.one_hot(np.array([0, 2], np.uint8)).shape == (2, 3)
    assert data.one_hot(3, 7).shape == (7,)
    assert data.one_hot([], 4).shape == (0, 4)


BAD_LABELS = {
    "negative": (([0, -1],), ValueError, "run from -1 to 0; 1 classes are 0 … 0"),
    "all negative": (([-2, -1],), ValueError, "n_classes is 0; expected at least 1"),
    "too large": (([0, 3], 3), ValueError, "run from 0 to 3; 3 classes are 0 … 2"),
    "float": (([0.0, 1.0],), TypeError, r"float64; expected integers: labels.astype\(int\)"),
    "bool": (([True, False],), TypeError, "bool; expected integers"),
    "names": ((["a"],), TypeError, "expected integers"),
    "none": (([],), ValueError, "give n_classes"),
    "no classes": (([0], 0), ValueError, "n_classes is 0"),
    "half a class": (([0], 1.5), TypeError, "n_classes is 1.5; expected an integer"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_refused(case, as_a_user):
    arguments, error, message = BAD_LABELS[case]
    with pytest.raises(error, match=message):
        data.one_hot(*arguments)


def test_ripple_is_a_standardised_line_with_noise_of_variance_1_in_401():
    x, y = data.ripple(KEY, n=20_000, dtype=np.float64)
    grid = np.linspace(-np.sqrt(3), np.sqrt(3), 20_000)[:, None]  # the uniform distribution of variance 1, on a grid
    np.testing.assert_allclose(x, grid, rtol=2e-4)
    g = y - 0.5 * np.sin(4 * x)
    assert abs(g.mean()) < 1e-13
    assert g.std() == pytest.approx(1, rel=1e-13)
    noise = g - 20 / np.sqrt(401) * x
    assert noise.var() == pytest.approx(1 / 401, rel=5 * np.sqrt(2 / 20_000))  # five standard deviations of a variance


def test_ten_features_are_the_formula():
    x, y = data.ten_features(KEY, n=5000, dtype=np.float64)
    rows = np.concatenate([x, np.ones((5000, 1))], axis=1)
    coefficients, *_ = np.linalg.lstsq(rows, y[:, 0], rcond=None)
    np.testing.assert_allclose(coefficients, [1, 10, -7, 2, 3, -14, 1, 3, -1, 11, -40], atol=5 * 0.02 / np.sqrt(5000))
    assert np.std(y[:, 0] - rows @ coefficients) == pytest.approx(0.02, rel=5 / np.sqrt(2 * 5000))
    np.testing.assert_allclose(np.cov(x.T), np.eye(10), atol=0.1)
    assert np.var(y) == pytest.approx(491, rel=0.1)


def test_the_lectures_targets():
    grid = [0.5 + 2.5 * i / 199 for i in range(200)]
    for (x, y), f in ((data.line(), lambda t: -3 * t + 2), (data.logarithm(), np.log)):
        np.testing.assert_allclose(x[:, 0], grid, rtol=1e-7)
        np.testing.assert_allclose(y[:, 0], [f(t) for t in grid], rtol=1e-6, atol=1e-6)


TARGETS = {
    "ripple": (lambda **k: data.ripple(KEY, **k), (100, 1)),
    "ten_features": (lambda **k: data.ten_features(KEY, **k), (1000, 10)),
    "line": (data.line, (200, 1)),
    "logarithm": (data.logarithm, (200, 1)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_have_their_shapes_and_dtypes_and_refuse_others(name, as_a_user):
    target, shape = TARGETS[name]
    for dtype in (np.float32, np.float64, jnp.bfloat16):
        x, y = target(dtype=dtype)
        assert (x.shape, y.shape) == (shape, (shape[0], 1))
        assert x.dtype == y.dtype == dtype
    assert len(target(n=17)[0]) == 17
    np.testing.assert_array_equal(target()[1], target()[1])
    with pytest.raises(TypeError, match="floating-point"):
        target(dtype=int)
    with pytest.raises(ValueError, match="n is 0; expected at least"):
        target(n=0)
    with pytest.raises(TypeError, match=r"n is 2\.5; expected an integer"):
        target(n=2.5)


@pytest.mark.parametrize("target", [data.ripple, data.ten_features])
def test_random_targets_follow_their_key(target, as_a_user):
    assert np.any(target(jax.random.key(1))[1] != target(jax.random.key(2))[1])
    with pytest.raises(TypeError, match="key must be one JAX key"):
        target(0)
