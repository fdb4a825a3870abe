"""Every remedy that a message about data names is followed here, as it is written, and works."""

import datetime
from decimal import Decimal

import jax
import numpy as np
import oracles
import pytest
import scipy.sparse
from holders import Frame, Lazy, NAType, Tensor

import jnn

pytestmark = pytest.mark.usefixtures("as_a_user")
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype(np.float32)
Y = X @ np.array([[1], [2], [3]], np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
NAMES = np.array(["cat", "dog", "eel"])[LABELS]
BITS = LABELS % 2
ONE, THREE = oracles.network([3, 1]), oracles.network([3, 3])
IMAGES = RNG.normal(size=(6, 3, 1))


def fit(params, x, y, loss="half_mse"):
    return jnn.fit(params, (x, y), loss=loss, epochs=1)


def classify(y, x=X):
    return fit(THREE, x, y, "cross_entropy")


def report(y, p=LABELS):
    return jnn.classification_report(y, p)


# what is called, with what, by which name; the remedies that the message must hold, each of which
# is evaluated, and given in its place
FOLLOWED = {
    # names
    "names in fit": (classify, NAMES, "y", ["np.unique(y, return_inverse=True)[1]"]),
    "a frame of names": (classify, Frame(NAMES), "y", ["np.unique(y, return_inverse=True)[1]"]),
    "names in one_hot": (
        jnn.data.one_hot, ["cat", "dog"], "labels", ["np.unique(labels, return_inverse=True)[1]"],
    ),
    "names in class_weights": (
        jnn.data.class_weights, NAMES, "y", ["np.unique(y, return_inverse=True)[1]"],
    ),
    "names in the report": (report, NAMES, "y", ["np.unique(y, return_inverse=True)[1]"]),
    "names in strings of any length": (
        classify, NAMES.astype(np.dtypes.StringDType()), "y",
        ["np.unique(y, return_inverse=True)[1]"],
    ),
    "bytes": (classify, NAMES.astype("S"), "y", ["np.unique(y, return_inverse=True)[1]"]),
    # labels
    "labels in a column": (classify, LABELS[:, None], "y", ["y[:, 0]", "np.asarray(y)[:, 0]"]),
    "a list of columns": (classify, LABELS[:, None].tolist(), "y", ["np.asarray(y)[:, 0]"]),
    "floats in a column": (classify, LABELS[:, None] * 1.0, "y", ["y[:, 0].astype(int)"]),
    "labels from 1": (classify, LABELS + 1, "y", ["np.unique(y, return_inverse=True)[1]"]),
    "labels from -1": (classify, LABELS - 1, "y", ["np.unique(y, return_inverse=True)[1]"]),
    "labels that are floats": (
        classify, LABELS * 1.0, "y", ["y.astype(int)", "np.asarray(y).astype(int)"],
    ),
    "a list of floats": (
        jnn.data.one_hot, [0.0, 1.0], "labels", ["np.asarray(labels).astype(int)"],
    ),
    "labels from 1 in the report": (
        report, LABELS - 1, "y", ["np.unique(y, return_inverse=True)[1]"],
    ),
    "labels from -1 in one_hot": (
        jnn.data.one_hot, LABELS - 1, "labels", ["np.unique(labels, return_inverse=True)[1]"],
    ),
    "a column in the report": (report, LABELS[:, None], "y", ["y[:, 0]"]),
    "a column of class_weights": (jnn.data.class_weights, LABELS[:, None], "y", ["y[:, 0]"]),
    "a column of floats in class_weights": (
        jnn.data.class_weights, LABELS[:, None] * 1.0, "y", ["y[:, 0].astype(int)"],
    ),
    "labels for squares": (
        lambda y: fit(THREE, X, y), LABELS, "y", ["jnn.data.one_hot(y, 3)"],
    ),
    "labels of one output": (
        lambda y: fit(ONE, X, y, "binary_cross_entropy"), BITS, "y",
        ["y[:, None]", "np.asarray(y)[:, None]"],
    ),
    "a list of one output": (
        lambda y: fit(ONE, X, y), BITS.tolist(), "y", ["np.asarray(y)[:, None]"],
    ),
    "two classes by sign": (
        lambda y: fit(ONE, X, y, "binary_cross_entropy"), 2 * BITS[:, None] - 1, "y",
        ["np.equal(y, np.max(y))"],
    ),
    "two classes, 1 and 2": (
        lambda y: fit(ONE, X, y, "binary_cross_entropy"), Frame(BITS[:, None] + 1), "y",
        ["np.equal(y, np.max(y))"],
    ),
    # shapes
    "images": (
        lambda x: fit(ONE, x, Y), IMAGES, "x",
        ["x.reshape(len(x), -1)", "np.asarray(x).reshape(len(x), -1)"],
    ),
    "lists of images": (
        lambda x: jnn.predict(ONE, x), IMAGES.tolist(), "x",
        ["np.asarray(x).reshape(len(x), -1)"],
    ),
    "images as targets": (
        lambda y: fit(THREE, X, y), IMAGES, "y", ["y.reshape(len(y), -1)"],
    ),
    "one image": (lambda x: jnn.forward(ONE, x), IMAGES[0], "x", ["x.reshape(-1)"]),
    "one example": (lambda x: jnn.predict(ONE, x), X[0], "x", ["x[None, :]"]),
    "a transposed batch": (lambda x: jnn.predict(ONE, x), X.T, "x", ["x.T", "np.asarray(x).T"]),
    "images of which to take powers": (
        lambda x: jnn.data.polynomial_features(x, 2), IMAGES, "x", ["x.reshape(len(x), -1)"],
    ),
    "weights in a column": (
        lambda weights: jnn.data.standardization(X, weights=weights), np.ones((6, 1)), "weights",
        ["weights[:, 0]"],
    ),
    "weights that are true": (
        lambda weights: jnn.data.standardization(X, weights=weights), [True] * 6, "weights",
        ["np.asarray(weights).astype(float)"],
    ),
    "rows to stratify by": (
        lambda stratify: jnn.data.split(
            (np.arange(6),), (0.5, 0.5), jax.random.key(0), stratify=stratify
        ),
        0.8 * np.eye(2)[BITS] + 0.1, "stratify", ["np.argmax(stratify, axis=1)"],
    ),
    "names of two kinds to stratify by": (
        lambda stratify: jnn.data.split(
            (np.arange(6),), (0.5, 0.5), jax.random.key(0), stratify=stratify
        ),
        Frame(["a", None] * 3),
        "stratify",
        ["[str(name) for name in stratify]"],
    ),
    # what holds them
    "sparse": (
        lambda x: fit(ONE, x, Y), scipy.sparse.csr_matrix(X), "x", ["x.toarray()"],
    ),
    "a query": (lambda x: fit(ONE, x, Y), Lazy(X), "x", ["x.collect()"]),
    "a tensor": (lambda x: fit(ONE, x, Y), Tensor(X), "x", ["x.detach().cpu().numpy()"]),
    "a narrow tensor": (
        lambda x: fit(ONE, x, Y), Tensor(X, "torch.bfloat16"), "x",
        ["x.detach().cpu().float().numpy()"],
    ),
    "a sparse tensor": (
        lambda x: fit(ONE, x, Y), Tensor(X, layout="torch.sparse_csr"), "x",
        ["x.detach().cpu().to_dense().numpy()"],
    ),
    "columns by name": (
        lambda x: fit(ONE, x, Y), dict(zip("abc", X.T, strict=True)), "x",
        ["np.column_stack(list(x.values()))"],
    ),
    "dates": (
        lambda x: jnn.data.standardization(x), np.array(["2020-01-01", "2021-02-03"], "M8[D]"), "x",
        ["np.asarray(x, 'datetime64[s]').astype(float)"],
    ),
    "Python's dates": (
        lambda x: jnn.data.standardization(x), [datetime.datetime(2020, 1, 1, 12)], "x",
        ["np.asarray(x, 'datetime64[s]').astype(float)"],
    ),
    "spans of time": (
        lambda x: jnn.data.standardization(x), [datetime.timedelta(days=2)], "x",
        ["np.asarray(x, 'timedelta64[s]').astype(float)"],
    ),
    "complex": (
        lambda x: jnn.data.standardization(x), X + 1j, "x",
        ["np.real(x)", "np.concatenate([np.real(x), np.imag(x)], axis=-1)"],
    ),
    "numbers as text": (
        lambda x: fit(ONE, x, Y), X.astype(str).tolist(), "x", ["np.asarray(x, float)"],
    ),
    "decimals": (
        lambda x: fit(ONE, x, Y), Frame([[Decimal("1.5")] * 3] * 6), "x", ["np.asarray(x, float)"],
    ),
    "rows of fields": (
        lambda x: fit(ONE, x, Y), np.array([(1.0, 2, 3.0)] * 6, "f4,i4,f4"), "x",
        ["np.array(x.tolist())"],
    ),
    "an array in each entry": (
        lambda x: fit(ONE, x, Y), Frame([None] * 6), "x", ["np.stack([*x])"],
    ),
    "ragged": (
        lambda x: jnn.predict(ONE, x), [[1, 2, 3], [1, 2, 3, 4]], "x", ["[row[:3] for row in x]"],
    ),
    "data in place of x": (lambda x: jnn.predict(ONE, x), (X, Y), "x", ["x[0]"]),
}  # fmt: skip
FOLLOWED["an array in each entry"][1].values[:] = [*X]


@pytest.mark.parametrize("case", FOLLOWED)
def test_a_remedy_works_when_it_is_followed(case):
    call, given, name, remedies = FOLLOWED[case]
    with pytest.raises((TypeError, ValueError)) as raised:
        call(given)
    for remedy in remedies:
        assert remedy in str(raised.value), str(raised.value)
        call(eval(remedy, {"np": np, "jnn": jnn, name: given}))


def masked(a):
    return np.ma.array(a, mask=np.arange(a.size).reshape(a.shape) % 5 == 1)


@pytest.mark.parametrize("given", [X, Y, LABELS, IMAGES], ids=["x", "column", "labels", "images"])
def test_masked_rows_are_left_out_or_filled(given):
    x = masked(given)
    with pytest.raises(ValueError, match="x is masked in ") as raised:
        jnn.data.standardization(x)
    said = str(raised.value).split("keep = ")[1]
    keep = eval(said.split(" and ")[0], {"np": np, "x": x})
    assert len(jnn.data.split((x[keep],), (1.0,), KEY)[0][0]) == keep.sum()
    whole = [~np.ma.getmaskarray(row).any() for row in x]
    np.testing.assert_array_equal(keep, whole)
    assert "x.filled(x.mean())" in said
    jnn.data.standardization(x.filled(x.mean()))


def test_the_case_that_lost_its_mask_now_gives_the_true_weights():
    y = np.ma.array(Y.copy(), mask=False)
    y[::4] = np.ma.masked
    y.data[::4] = -999
    with pytest.raises(ValueError, match="y of data is masked in 2 of 6 entries"):
        jnn.solve_readout(ONE, (X, y))
    keep = ~np.ma.getmaskarray(y).any(axis=1)
    w = jnn.solve_readout(ONE, (X[keep], y[keep]))[0].w
    np.testing.assert_allclose(np.ravel(w), [1, 2, 3], rtol=1e-4)


def test_masks_in_lists_are_kept_by_an_array_of_them():
    rows = [*masked(X)]
    with pytest.raises(ValueError, match=r"x holds masked arrays, .* np.ma.array\(x\)"):
        jnn.predict(ONE, rows)
    with pytest.raises(ValueError, match="x is masked in 4 of 18 entries"):
        jnn.predict(ONE, np.ma.array(rows))


@pytest.mark.parametrize(
    "missing",
    [None, NAType(), float("nan"), np.datetime64("NaT")],
    ids=["none", "NA", "NaN", "NaT"],
)
def test_rows_with_missing_values_are_counted_and_can_be_left_out(missing):
    y = Frame(["cat", "dog", "eel"] * 2)
    y.values[[1, 4]] = [missing, missing]
    with pytest.raises(TypeError, match=r"2 values are missing \(None, NA or NaT\), .* in row 1"):
        classify(y)
    kept = [0, 2, 3, 5]
    with pytest.raises(TypeError, match="they are names"):
        classify(y.values[kept], X[kept])


def test_missing_numbers_are_nan_and_said_to_be():
    labels = np.array([0.0, np.nan, 2, 0, 1, 2])  # pandas' Int64 with NA
    with pytest.raises(ValueError, match=r"in 1 of 6 rows, first in row 1: .* \(NA\) are NaN, too"):
        classify(labels)
    with pytest.raises(TypeError, match=r"labels hold float64; .* missing values \(NA\) become"):
        jnn.data.one_hot(labels)


def test_the_names_of_a_report_are_numbered_together():
    y, p = ["b", "a", "c"], ["b", "c", "c"]
    with pytest.raises(ValueError, match="number the names of both at once") as raised:
        report(y, p)
    remedy = "np.unique([y, p], return_inverse=True)[1]"
    assert f"y, p = {remedy}" in str(raised.value)
    y, p = eval(remedy, {"np": np, "y": y, "p": p})
    assert report(y, p).confusion.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1]]


def test_a_report_of_a_network_says_what_it_takes():
    with pytest.raises(TypeError, match=r"classification_report\(y, jnn.predict\(params, x\)\)"):
        jnn.classification_report(THREE, (X, LABELS))
    assert jnn.classification_report(LABELS, jnn.predict(THREE, X)).support.sum() == 6


def test_a_column_of_names_becomes_columns_of_numbers():
    frame = Frame(np.column_stack([X.astype(object), NAMES]))
    with pytest.raises(TypeError, match="a column of names becomes columns of numbers") as raised:
        jnn.predict(ONE, frame)
    remedy = "jnn.data.one_hot(np.unique(column, return_inverse=True)[1])"
    assert remedy in str(raised.value)
    columns = eval(remedy, {"np": np, "jnn": jnn, "column": NAMES})
    assert jnn.predict(oracles.network([6, 1]), np.hstack([X, columns])).shape == (6, 1)


@pytest.mark.parametrize(
    ("loss", "output", "instead"),
    [
        ("cross_entropy", "identity", {"loss": "binary_cross_entropy"}),
        ("log_loss", "softmax", {"output": "sigmoid", "loss": "binary_log_loss"}),
    ],
)
@pytest.mark.parametrize("y", [BITS, BITS[:, None]], ids=["labels", "a column"])
def test_one_output_tells_two_classes_apart_by_another_loss(loss, output, instead, y):
    params = jnn.init_network_params([3, 1], KEY, output=output)
    with pytest.raises(ValueError, match="one output") as raised:
        fit(params, X, y, loss)
    for option, value in instead.items():
        assert f'{option}="{value}"' in str(raised.value)
    column = eval("y[:, None]") if y.ndim == 1 else y
    params = jnn.init_network_params([3, 1], KEY, output=instead.get("output", output))
    fit(params, X, column, instead["loss"])


def test_labels_of_more_classes_ask_for_more_outputs():
    labels = np.arange(6)
    with pytest.raises(ValueError, match="build the network with 6 outputs"):
        classify(labels)
    fit(oracles.network([3, 6]), X, labels, "cross_entropy")
    with pytest.raises(ValueError, match="with 6 outputs, and number those of all rows at once"):
        classify(labels + 2000)
    years = np.unique(labels + 2000, return_inverse=True)[1]
    fit(oracles.network([3, 6]), X, years, "cross_entropy")


def test_booleans_are_zeros_and_ones():
    for params, y, loss in ((ONE, BITS[:, None], "mse"), (THREE, BITS, "cross_entropy")):
        found, expected = (fit(params, X > 0, a, loss).params for a in (y.astype(bool), y))
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert jnn.data.standardization(X > 0).mean.shape == (3,)
