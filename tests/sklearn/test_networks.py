"""Estimators as networks of jnn's and back, weight for weight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification

import jnn
from jnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)
LABELLED, LABELS = make_multilabel_classification(150, 4, n_classes=3, random_state=0)
TASKS = {
    "classes": (MLPClassifier, IRIS, np.array(["c", "a", "b"])[SPECIES]),
    "two classes": (MLPClassifier, IRIS, SPECIES > 0),
    "labels": (MLPClassifier, LABELLED, LABELS),
    "numbers": (MLPRegressor, IRIS[:, :2], IRIS[:, 2]),
    "several numbers": (MLPRegressor, IRIS[:, :2], IRIS[:, 2:]),
}
FORMS = [{}, {"hidden_layer_sizes": ()}, {"hidden_layer_sizes": (4, 4, 5), "activation": "tanh"},
         {"activation": "logistic"}, {"activation": "gelu"}, {"activation": jnp.sin}]  # fmt: skip


def same(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    assert all((a == b).all() and a.dtype == b.dtype for a, b in pairs)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("form", FORMS)
def test_there_and_back_not_a_bit_is_lost(task, form, x64):
    kind, X, y = TASKS[task]
    found = kind(max_iter=5, random_state=0, **form).fit(X, y)
    params = found.to_params()
    options = {}
    if task in ("classes", "two classes"):
        options = {"classes": found.classes_}
    again = kind.from_params(params, **options)
    same(found, again)
    predict = "predict" if kind is MLPRegressor else "predict_proba"
    ours, theirs = getattr(found, predict)(X), getattr(again, predict)(X)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.predict(X), again.predict(X))
    # jnn's own forward pass gives the same, probabilities included
    p = np.asarray(jnn.predict(params, X))
    if task == "two classes":
        ours = ours[:, 1:]
    np.testing.assert_allclose(p, ours.reshape(len(X), -1), rtol=1e-12, atol=1e-14)
    jax.tree.map(np.testing.assert_array_equal, again.to_params(), params)


def test_counts_end_in_an_exponential(x64):
    found = MLPRegressor(loss="poisson", max_iter=5, random_state=0).fit(IRIS, SPECIES)
    again = MLPRegressor.from_params(found.to_params())
    assert again.loss == "poisson"
    np.testing.assert_array_equal(again.predict(IRIS), found.predict(IRIS))


def test_a_network_of_jnns_predicts_without_a_fit_and_goes_on_from_there():
    params = jnn.init_network_params([4, 8, 3], jax.random.key(0), activation="relu")
    found = MLPClassifier.from_params(params, warm_start=True, random_state=0, max_iter=60)
    assert found.hidden_layer_sizes == (8,)
    assert found.classes_.tolist() == [0, 1, 2]
    logits = np.asarray(jnn.predict(params, IRIS.astype(np.float32)))
    np.testing.assert_array_equal(found.predict(IRIS.astype(np.float32)), logits.argmax(1))
    before = found.score(IRIS, SPECIES)
    assert clone(found).fit(IRIS, SPECIES).loss_curve_[0] != found.fit(IRIS, SPECIES).loss_curve_[0]
    assert found.score(IRIS, SPECIES) > before
    again = MLPClassifier.from_params(params)
    again.partial_fit(IRIS, SPECIES)
    assert again.n_iter_ == 1


def test_weights_written_by_hand_are_a_network():
    """Exclusive or, by two units."""
    layers = [([[1.0, 1.0], [1.0, 1.0]], [0.0, -1.0]), ([[2.0, -4.0]], [-1.0])]
    params = jnn.from_layers(layers, activation="relu")
    found = MLPClassifier.from_params(params, classes=["no", "yes"])
    assert found.predict([[0, 0], [0, 1], [1, 0], [1, 1]]).tolist() == ["no", "yes", "yes", "no"]


def network(sizes, **options):
    return jnn.init_network_params(sizes, jax.random.key(0), **options)


@pytest.mark.parametrize(
    ("kind", "params", "options", "message"),
    [
        (MLPRegressor, network([2, 2, 2, 1], residual=True), {}, "residual"),
        (MLPRegressor, network([2, 3, 4, 1], activation=["relu", "tanh"]), {}, "has one"),
        (MLPRegressor, network([2, 3, 1], output="sigmoid"), {}, "ends in 'sigmoid'"),
        (MLPClassifier, network([2, 3, 1], output="tanh"), {}, "ends in 'tanh'"),
        (MLPClassifier, network([2, 3, 2]), {"classes": ["a", "b"]}, "must have 1"),
        (MLPClassifier, network([2, 3, 3]), {"classes": ["a", "b", "b"]}, "must ascend"),
        (MLPClassifier, network([2, 3, 3]), {"classes": ["b", "a", "c"]}, "must ascend"),
        (MLPClassifier, network([2, 3, 4]), {"classes": ["a", "b", "c"]}, "must have 3"),
    ],
)
def test_what_no_estimator_can_be_is_refused(kind, params, options, message):
    with pytest.raises(ValueError, match=message):
        kind.from_params(params, **options)
    with pytest.raises(TypeError):
        kind.from_params([1, 2])
