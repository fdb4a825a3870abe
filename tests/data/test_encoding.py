"""Encodings: one-hot rows, polynomials and class weights, against closed forms and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.class_weight import compute_sample_weight

from jnn import data


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
    assert data.one_hot([True, False]).tolist() == [[0, 1], [1, 0]]
    assert data.one_hot([], 4).shape == (0, 4)


BAD_LABELS = {
    "negative": (([0, -1],), ValueError, "run from -1 to 0; 1 classes are 0 … 0"),
    "all negative": (
        ([-2, -1],),
        ValueError,
        "n_classes is 0; it must be an integer of at least 1",
    ),
    "too large": (([0, 3], 3), ValueError, "run from 0 to 3; 3 classes are 0 … 2"),
    "float": (([0.0, 1.0],), TypeError, r"float64; expected integers: use labels.astype\(int\)"),
    "half a label": (([0.5],), TypeError, "expected integers: they are not whole numbers"),
    "a missing label": (([0.0, np.nan],), TypeError, "expected integers: NaN and infinity, which"),
    "names": ((["a"],), TypeError, "expected integers"),
    "none": (([],), ValueError, "give n_classes"),
    "no classes": (([0], 0), ValueError, "n_classes is 0"),
    "half a class": (([0], 1.5), TypeError, "n_classes is 1.5; it must be an integer"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_refused(case, as_a_user):
    arguments, error, message = BAD_LABELS[case]
    with pytest.raises(error, match=message):
        data.one_hot(*arguments)


# ---- polynomials ----


def test_polynomial_features_are_all_monomials_by_degree(rng):
    x = rng.normal(size=(7, 2))
    a, b = x.T
    expected = [a, b, a * a, a * b, b * b, a**3, a * a * b, a * b * b, b**3]
    features = data.polynomial_features(x, 3)
    np.testing.assert_allclose(features, np.stack(expected, axis=1), rtol=1e-14)
    assert data.polynomial_features(x.astype(np.float32), 2).dtype == np.float32
    whole = data.polynomial_features(np.array([[2], [3]]), 3)
    assert whole.tolist() == [[2.0, 4.0, 8.0], [3.0, 9.0, 27.0]]


def test_polynomial_features_are_those_of_scikit_learn(rng):
    x = rng.normal(size=(6, 3))
    expected = PolynomialFeatures(4, include_bias=False).fit_transform(x)
    np.testing.assert_allclose(data.polynomial_features(x, 4), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("x", "degree", "error", "message"),
    [
        (np.ones(3), 2, ValueError, r"x has shape \(3,\); .*reshape it, x\[:, None\]"),
        (
            np.ones((2, 2, 2)),
            2,
            ValueError,
            r"x has shape \(2, 2, 2\); .*: x.reshape",
        ),
        (np.array([["a"]]), 2, TypeError, "x must hold numbers, got dtype <U1: they are names"),
        (np.ones((3, 1)), 0, ValueError, "degree is 0; it must be an integer of at least 1"),
        (np.ones((3, 1)), 2.0, TypeError, "degree is 2.0"),
        (np.ones((3, 1)), True, TypeError, "degree is True"),
        (np.ones((3, 100)), 5, ValueError, "degree 5 of 100 columns makes 96560645 features"),
    ],
)
def test_wrong_features_are_refused(x, degree, error, message, as_a_user):
    with pytest.raises(error, match=message):
        data.polynomial_features(x, degree)


# ---- class weights ----

LABELS = np.array([0] * 6 + [1] * 4 + [2] * 2)
TABLES = {
    "mapping": ({0: 2.0, 2: 0.5}, [2.0, 1.0, 0.5]),
    "mapping by NumPy's integers": ({np.int64(0): 2.0, np.uint8(2): 0.5}, [2.0, 1.0, 0.5]),
    "list": ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
    "array": (jnp.array([1.0, 0.0, 3.0]), [1.0, 0.0, 3.0]),
    "balanced": ("balanced", 12 / (3 * np.array([6, 4, 2]))),
}
FORMS = {
    "labels": LABELS,
    "list": LABELS.tolist(),
    "jax": jnp.asarray(LABELS),
    "one-hot": np.eye(3)[LABELS],
    "soft": 0.9 * np.eye(3)[LABELS] + 0.1 / 3,
    "bfloat16": (0.9 * np.eye(3)[LABELS] + 0.1 / 3).astype(jnp.bfloat16),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("form", FORMS)
def test_a_row_has_the_weight_of_its_class(form, table):
    weights, each = TABLES[table]
    of_rows = data.class_weights(FORMS[form], weights)
    assert of_rows.dtype == np.float32
    np.testing.assert_array_equal(of_rows, np.array(each, np.float32)[LABELS])


@pytest.mark.parametrize("counts", [(6, 4, 2), (1, 1, 1), (100, 1), (3, 0, 5, 0, 1)])
def test_balanced_weights_are_those_of_scikit_learn(counts, rng):
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    expected = compute_sample_weight("balanced", labels)
    np.testing.assert_allclose(data.class_weights(labels), expected, rtol=1e-6)
    # classes that do not occur change nothing
    np.testing.assert_array_equal(
        data.class_weights(labels, n_classes=9), data.class_weights(labels)
    )


@pytest.mark.parametrize("dtype", [bool, int, float, np.float32, np.uint8])
def test_one_column_holds_two_classes(dtype):
    y = np.array([[0], [1], [0], [0]]).astype(dtype)
    np.testing.assert_allclose(data.class_weights(y), [2 / 3, 2, 2 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_array_equal(data.class_weights(y, {1: 3.0}, 2), [1, 3, 1, 1])


def test_labels_that_are_all_zero_are_of_two_classes():
    np.testing.assert_array_equal(data.class_weights([0, 0], [2.0, 3.0]), [2, 2])
    np.testing.assert_array_equal(data.class_weights([0, 0]), [1, 1])


def test_balanced_classes_weigh_the_same_by_rows_and_by_weights(rng):
    w = rng.integers(0, 4, len(LABELS))
    plain = data.class_weights(LABELS)
    np.testing.assert_allclose(np.bincount(LABELS, plain), [4, 4, 4], rtol=1e-6)
    of_rows = w * data.class_weights(LABELS, row_weights=w)
    np.testing.assert_allclose(np.bincount(LABELS, of_rows), [w.sum() / 3] * 3, rtol=1e-6)
    # integer weights are rows given that often
    repeated = data.class_weights(LABELS.repeat(w))
    weighted = data.class_weights(LABELS, row_weights=w)
    np.testing.assert_allclose(weighted.repeat(w), repeated, rtol=1e-6)


def test_a_class_whose_rows_have_no_weight_does_not_count():
    w = np.where(LABELS == 2, 0.0, 1.0)
    expected = np.array([10 / 12, 10 / 8, 1.0], np.float32)
    np.testing.assert_allclose(data.class_weights(LABELS, row_weights=w), expected[LABELS])


def test_without_rows_there_are_no_weights():
    assert data.class_weights(np.zeros(0, int), n_classes=3).shape == (0,)
    assert data.class_weights(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("labels", "weights", "options", "error", "message"),
    [
        (LABELS, "fair", {}, ValueError, "weights is 'fair'; it must be 'balanced'"),
        (
            LABELS,
            {3: 1.0},
            {},
            ValueError,
            r"weights name the labels \[3\]; there are 0 … 2: give n_c",
        ),
        (LABELS, {"1": 1.0}, {}, ValueError, r"weights name the labels \['1'\]"),
        (LABELS, [1.0, 2.0], {}, ValueError, "they must be 3 finite numbers of at least 0"),
        (LABELS, [1.0, -2.0, 0.0], {}, ValueError, "they must be 3 finite numbers of at least 0"),
        (LABELS, {1: np.nan}, {}, ValueError, "they must be 3 finite numbers of at least 0"),
        (LABELS, [1.0] * 3, {"n_classes": 4}, ValueError, "they must be 4 finite numbers"),
        (LABELS, 1.0, {}, ValueError, "they must be 3 finite numbers"),
        (LABELS, [0.0, 0.0, 0.0], {}, ValueError, "they leave no row with a weight above 0"),
        (LABELS, "balanced", {"n_classes": 2}, ValueError, "labels run from 0 to 2; 2 classes are"),
        (LABELS, "balanced", {"n_classes": 3.0}, TypeError, "n_classes is 3.0; it must be an int"),
        (LABELS, "balanced", {"n_classes": 1}, ValueError, "n_classes is 1; it must be an integer"),
        (LABELS - 1, "balanced", {}, ValueError, "labels run from -1 to 1; they start from 0"),
        (LABELS / 2, "balanced", {}, ValueError, "labels must be integers, got float64"),
        (np.eye(3), "balanced", {"n_classes": 4}, ValueError, r"targets have shape \(3, 3\)"),
        (np.eye(3) * 2, "balanced", {}, ValueError, "rows of targets must be one-hot"),
        (np.array([[0.3], [1.0]]), "balanced", {}, ValueError, "must be 0 or 1 to be classes"),
        (np.zeros((2, 2, 2)), "balanced", {}, ValueError, r"targets have shape \(2, 2, 2\)"),
        (np.zeros(0, int), "balanced", {}, ValueError, "there are no labels to count the classes"),
        (
            LABELS,
            "balanced",
            {"row_weights": np.ones(3)},
            ValueError,
            r"row_weights has shape \(3,\)",
        ),
        (
            LABELS,
            "balanced",
            {"row_weights": -np.ones(12)},
            ValueError,
            "row_weights must be finite",
        ),
        (
            LABELS,
            "balanced",
            {"row_weights": ["a"] * 12},
            TypeError,
            "row_weights must hold numbers",
        ),
    ],
)
def test_wrong_class_weights_are_refused(labels, weights, options, error, message, as_a_user):
    with pytest.raises(error, match=message):
        data.class_weights(labels, weights, **options)
