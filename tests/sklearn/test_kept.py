"""Estimators in files, by safetensors and by pickle: equal to the bit, and so is what follows."""

import io
import json
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from jnn.files import sealed
from jnn.sklearn import MLPClassifier, MLPRegressor
from jnn.sklearn.kept import FORMAT, VERSION

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
ESTIMATORS = {
    "adam": (MLPClassifier(max_iter=4, random_state=0), IRIS, SPECIES),
    "names": (MLPClassifier(max_iter=4, random_state=0), IRIS, NAMES),
    "objects": (MLPClassifier(max_iter=4, random_state=0), IRIS, NAMES.astype(object)),
    "early": (MLPClassifier(max_iter=9, early_stopping=True, random_state=0), IRIS, SPECIES > 0),
    "sgd": (MLPRegressor(solver="sgd", max_iter=4, random_state=0), IRIS[:, :2], IRIS[:, 2:]),
    "lbfgs": (MLPRegressor(solver="lbfgs", max_iter=4, random_state=0), IRIS[:, :2], IRIS[:, 2]),
    "float32": (MLPClassifier([5, 5], max_iter=4, random_state=0), IRIS.astype("f"), SPECIES),
    "a generator": (
        MLPClassifier((5,), max_iter=4, random_state=np.random.RandomState(3)), IRIS, SPECIES
    ),
    "weights": (
        MLPClassifier(max_iter=3, class_weight={0: 1.0, 1: 2, 2: 0.5}, n_iter_no_change=np.inf),
        IRIS, SPECIES,
    ),
}  # fmt: skip


def through_a_file(estimator, tmp_path, **options):
    estimator.save(tmp_path / "net.safetensors", **options)
    return type(estimator).load(tmp_path / "net.safetensors", **options)


def by_joblib(estimator, tmp_path):
    joblib.dump(estimator, tmp_path / "net.joblib")
    return joblib.load(tmp_path / "net.joblib")


def by_pickle(estimator, tmp_path):
    return pickle.loads(pickle.dumps(estimator))


def by_cloudpickle(estimator, tmp_path):
    return cloudpickle.loads(cloudpickle.dumps(estimator))


WAYS = [through_a_file, by_pickle, by_joblib, by_cloudpickle]


def same(one, other):
    """Whether everything in two estimators is equal to the bit: their pickles are."""
    one, other = dict(vars(one)), dict(vars(other))
    assert one.keys() == other.keys()
    for name in one:
        assert _plain(one[name]) == _plain(other[name]), name


def _plain(value):
    if isinstance(value, np.random.RandomState):
        value = value.get_state()
    stream = io.StringIO()
    with np.printoptions(threshold=10**6, floatmode="unique"):
        print(repr(value), file=stream)
    return stream.getvalue()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_all_is_there_again_and_what_follows_is_equal(name, way, tmp_path):
    estimator, X, y = ESTIMATORS[name]
    found = clone(estimator).fit(X, y)
    again = way(found, tmp_path)
    same(found, again)
    np.testing.assert_array_equal(found.predict(X), again.predict(X))
    for follows in ("partial_fit", "fit"):
        epochs = found.solver != "lbfgs" and not found.early_stopping
        if found.random_state is not None and (epochs or follows == "fit"):
            getattr(found, follows)(X, y)
            getattr(again, follows)(X, y)
            same(found, again)


def test_one_that_is_not_fitted_has_its_parameters(tmp_path):
    again = through_a_file(MLPRegressor(alpha=0.5, hidden_layer_sizes=[3]), tmp_path)
    assert again.alpha == 0.5
    assert again.hidden_layer_sizes == [3]
    assert not hasattr(again, "coefs_")


def test_names_of_columns_survive(tmp_path):
    found = MLPClassifier(max_iter=2).fit(IRIS, SPECIES)
    found.feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)
    again = through_a_file(found, tmp_path)
    assert again.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert again.feature_names_in_.dtype == object


@pytest.mark.parametrize("at", [0, 9, 200, -1, -40])
def test_a_file_tampered_with_is_refused(at, tmp_path):
    path = tmp_path / "net"
    MLPClassifier((3,), max_iter=2).fit(IRIS, SPECIES).save(path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not whole"):
        MLPClassifier.load(path)


def test_a_file_of_another_class_or_kind_is_refused(tmp_path):
    path = tmp_path / "net"
    MLPClassifier((3,), max_iter=2).fit(IRIS, SPECIES).save(path)
    with pytest.raises(ValueError, match="holds a MLPClassifier, not a MLPRegressor"):
        MLPRegressor.load(path)
    path.write_bytes(sealed.seal({}, {"format": "jnn", "version": "2"}))
    with pytest.raises(ValueError, match="of the format jnn, version 2"):
        MLPClassifier.load(path)
    content = {"class": "MLPClassifier", "parameters": {"_init__": []}, "state": {"dict": []}}
    texts = {"format": FORMAT, "version": VERSION, "estimator": json.dumps(content)}
    path.write_bytes(sealed.seal({}, texts))
    with pytest.raises(ValueError, match="does not know"):
        MLPClassifier.load(path)


def bent(z):
    return z**2


def test_functions_are_named_not_kept(tmp_path):
    found = MLPClassifier((3,), activation=bent, max_iter=2).fit(IRIS, SPECIES)
    with pytest.raises(TypeError, match=r"functions=\{'bent': bent\}"):
        found.save(tmp_path / "net")
    again = through_a_file(found, tmp_path, functions={"bent": bent})
    np.testing.assert_array_equal(found.predict_proba(IRIS), again.predict_proba(IRIS))
    with pytest.raises(ValueError, match="uses a function 'bent'"):
        MLPClassifier.load(tmp_path / "net.safetensors")
    with pytest.raises(TypeError, match="a file cannot hold"):
        MLPClassifier(alpha=object()).save(tmp_path / "net")


def test_cloudpickle_keeps_functions_of_the_users():
    found = MLPClassifier((3,), activation=lambda z: z**2, max_iter=2).fit(IRIS, SPECIES)
    again = by_cloudpickle(found, None)
    np.testing.assert_array_equal(found.predict_proba(IRIS), again.predict_proba(IRIS))
