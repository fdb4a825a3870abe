"""The gate for data: every kind at every function that takes data, taken as it is or refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import scipy.sparse
from holders import Frame, Lazy, Tensor

import jnn
from jnn import figures
from jnn.theory import approximation, kernels

pytestmark = pytest.mark.usefixtures("as_a_user")
RNG = np.random.default_rng(0)
NETWORK = oracles.network([3, 2, 1])
X = RNG.normal(size=(6, 3)).astype(np.float32)
Y = X @ np.array([[1], [2], [3]], np.float32)
SCALES = jnn.data.standardization(X)


def fit(x, y, *weights, **options):
    data = (x, y, *weights)
    return jnn.fit(NETWORK, data, epochs=1, batch_size=6, **options).params[-1].w


# what takes rows x (6, 3); what it returns is compared
OF_ROWS = {
    "fit": lambda x: fit(x, Y),
    "validation": lambda x: fit(X, Y, validation=(x, Y)),
    "a stream": lambda x: jnn.fit(NETWORK, lambda _: [(x, Y)], epochs=1).params[-1].w,
    "evaluate": lambda x: jnn.evaluate(NETWORK, (x, Y), "mse"),
    "solve_readout": lambda x: jnn.solve_readout(NETWORK, (x, Y)),
    "predict": lambda x: jnn.predict(NETWORK, x),
    "probabilities": lambda x: jnn.probabilities(NETWORK, x),
    "solve_states": lambda x: jnn.solve_states(NETWORK, x),
    "lsuv": lambda x: jnn.lsuv(NETWORK, x),
    "diagnose": lambda x: jnn.diagnose(NETWORK, x, Y).log_ratio,
    "gradient_norms": lambda x: jnn.diagnostics.gradient_norms(NETWORK, x, Y),
    "output_norms": lambda x: jnn.diagnostics.output_norms(NETWORK, x),
    "noise_scale": lambda x: jnn.diagnostics.noise_scale(NETWORK, x, Y),
    "top_eigenvalues": lambda x: jnn.diagnostics.top_eigenvalues(NETWORK, x, Y, k=1),
    "trace": lambda x: jnn.diagnostics.trace(NETWORK, x, Y),
    "statistics": lambda x: jnn.diagnostics.statistics(NETWORK, x),
    "effective_rank": lambda x: jnn.diagnostics.effective_rank(NETWORK, x),
    "mean_squared_singular_values": lambda x: jnn.diagnostics.mean_squared_singular_values(
        NETWORK, x
    ),
    "empirical_ntk": lambda x: jnn.diagnostics.empirical_ntk(NETWORK, x),
    "standardization": lambda x: jnn.data.standardization(x).mean,
    "standardize": lambda x: jnn.data.standardize(SCALES, x),
    "unstandardize": lambda x: jnn.data.unstandardize(SCALES, x),
    "polynomial_features": lambda x: jnn.data.polynomial_features(x, 2),
    "infinite_width": lambda x: kernels.infinite_width(x, hidden=1),
    "a picture": lambda x: figures.matrix(x).data[0]["z"],
    "a metric": lambda x: jnn.METRICS["r2"](x, X, None),  # pyright: ignore
    "a metric's targets": lambda x: jnn.METRICS["mse"](X, x, None),  # pyright: ignore
}
# what takes one example or column (3,)
OF_VECTORS = {
    "forward": lambda x: jnn.forward(NETWORK, x),
    "hidden_states": lambda x: jnn.hidden_states(NETWORK, x),
    "forward_pass": lambda x: jnn.forward_pass(NETWORK, x),
    "linear_system": lambda x: jnn.linear_system(NETWORK, x),
    "crosscheck": lambda x: jnn.crosscheck(NETWORK, x, [1.0]).ok,
    "correlations": lambda x: jnn.diagnostics.correlations(NETWORK, x, X[1]),
    "layer_singular_values": lambda x: jnn.diagnostics.layer_singular_values(NETWORK, x),
    "lyapunov_exponents": lambda x: jnn.diagnostics.lyapunov_exponents(NETWORK, x),
    "sensitivity_map": lambda x: jnn.diagnostics.sensitivity_map(NETWORK, x).log_norms,
    "monotone_floor": lambda x: approximation.monotone_floor(x, [1, 0, 1]),
    "a curve": lambda x: figures.curves(x, {}, data=(x, x)).data[0]["x"],
}
VECTOR = np.array([0.5, 1.0, 2.0], np.float32)


def masked(a):
    hidden = np.zeros(a.shape, bool)
    hidden.flat[1] = True
    return np.ma.array(a, mask=hidden)


TAKEN = {
    "big-endian": lambda a: a.astype(">f4"),
    "objects": lambda a: a.astype(object),
    "a frame of objects": lambda a: Frame(a.astype(np.float64)),
    "nothing masked": lambda a: np.ma.array(a, mask=False),
    "lists": lambda a: a.tolist(),
    "JAX's": jnp.asarray,
}
REFUSED = {
    "masked": (masked, ValueError, "is masked in 1 of"),
    "masked in lists": (lambda a: [*masked(a)], ValueError, "holds masked arrays"),
    "sparse": (scipy.sparse.csr_array, TypeError, r"is a csr_array, not an array: .*\.toarray\(\)"),
    "names": (lambda a: a.astype(str).astype(object) + "a", TypeError, "dtype object: "),
    "text": (lambda a: a.astype(str), TypeError, "dtype <U32: as numbers they are np.asarray"),
    "complex": (lambda a: a + 0j, TypeError, "dtype complex64: give the real parts"),
    "JAX's complex": (lambda a: jnp.asarray(a) + 0j, TypeError, "dtype complex64: "),
    "dates": (lambda a: a.astype("M8[s]"), TypeError, "in seconds, to be standardised"),
    "spans": (lambda a: a.astype("m8[s]"), TypeError, "timedelta64"),
    "missing": (lambda a: np.where(a == a.max(), None, a), TypeError, "1 values are missing"),
    "a tensor": (Tensor, TypeError, r"NumPy cannot read: .*\.detach\(\)\.cpu\(\)\.numpy\(\)"),
    "a query": (Lazy, TypeError, r"is a Lazy, not an array: .*\.collect\(\)"),
    "none": (lambda a: None, TypeError, "is None, not an array"),
    "a generator": (iter, TypeError, r"is a \w+, not an array: list\("),
    "ragged": (lambda a: [*a.tolist()[:-1], [1.0] * 7], ValueError, "ragged|not all of one shape"),
}
CALLS = [(name, call, X) for name, call in OF_ROWS.items()]
CALLS += [(name, call, VECTOR) for name, call in OF_VECTORS.items()]


@pytest.mark.parametrize(("call", "given"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_every_function_refuses_what_it_would_misread(call, given):
    for kind, (make, error, message) in REFUSED.items():
        with pytest.raises((TypeError, ValueError)) as raised:
            call(make(given))
        # pictures say ValueError of everything
        assert isinstance(raised.value, (error, ValueError)), kind
        assert re.search(message, str(raised.value)), (kind, str(raised.value))


# finite differences are compiled anew for each: nine seconds
QUICK = [c for c in CALLS if c[0] != "crosscheck"]


@pytest.mark.parametrize(("call", "given"), [c[1:] for c in QUICK], ids=[c[0] for c in QUICK])
def test_every_function_takes_numbers_in_whatever_holds_them(call, given):
    expected = call(given)
    for make in TAKEN.values():
        found = call(make(given))  # of lists, which are float64, in more digits
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4), found, expected)


# ---- where None is a value, or a list a tree ----


def test_weights_are_looked_at_as_data_are():
    for call in (
        lambda w: fit(X, Y, w),
        lambda w: jnn.evaluate(NETWORK, (X, Y), "mse", weights=w),
        lambda w: jnn.solve_readout(NETWORK, (X, Y), weights=w),
        lambda w: jnn.diagnostics.gradient_norms(NETWORK, X, Y, weights=w),
        lambda w: jnn.data.standardization(X, weights=w),
        lambda w: jnn.data.class_weights([0, 1] * 3, row_weights=w),
        lambda w: jnn.classification_report([0, 1] * 3, [0, 1] * 3, weights=w),
    ):
        with pytest.raises(ValueError, match=r"weights.* is masked in 1 of 6 entries"):
            call(masked(np.arange(6.0)))
        with pytest.raises(TypeError, match=r"weights.* is a coo_array, not an array"):
            call(scipy.sparse.coo_array(np.arange(6.0)))


def test_the_states_of_layers_of_ones_own_are_looked_at():
    network = jnn.deep(lambda p, s: {"a": p * s["a"]})
    with pytest.raises(ValueError, match="x is masked in 1 of 3 entries"):
        network(jnp.ones(2), {"a": masked(VECTOR)})
    np.testing.assert_array_equal(network(jnp.ones(2), {"a": VECTOR.astype(">f4")})["a"], VECTOR)


def test_targets_and_arrays_to_split_are_looked_at():
    for call in (
        lambda y: fit(X, y),
        lambda y: jnn.evaluate(NETWORK, (X, y), "mse"),
        lambda y: jnn.data.split((X, y), (0.5, 0.5), jax.random.key(0)),
        lambda y: jnn.data.split((X,), (0.5, 0.5), jax.random.key(0), stratify=y),
        lambda y: jnn.data.class_weights(y),
        lambda y: jnn.data.one_hot(y),
        lambda y: jnn.classification_report(y, np.zeros((6, 1))),
        lambda y: jnn.classification_report(np.zeros((6, 1)), y),
        lambda y: jnn.metrics.check_metric("mse", 1, y),
    ):
        with pytest.raises(ValueError, match=" is masked in 1 of 6 entries"):
            call(masked(np.zeros((6, 1))))
        with pytest.raises(TypeError, match=r" is a csr_array, not an array: .*\.toarray\(\)"):
            call(scipy.sparse.csr_array(np.zeros((6, 1))))


# ---- traced ----


def test_predictions_are_traced_through():
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda x: jnn.forward(NETWORK, x)))(X), jnn.predict(NETWORK, X), rtol=1e-5
    )
    slopes = jax.grad(lambda x: jnn.predict(NETWORK, x).sum())(X)
    np.testing.assert_allclose(
        slopes[0], jax.grad(lambda x: jnn.forward(NETWORK, x)[0])(X[0]), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: fit(x, Y), "x of data"),
        (lambda x: fit(X, x[:, :1]), "y of data"),
        (lambda x: fit([*x], Y), "x of data"),
        (lambda x: jnn.evaluate(NETWORK, (x, Y), "mse"), "x of data"),
        (lambda x: jnn.solve_readout(NETWORK, (x, Y)), "x of data"),
        (lambda x: jnn.diagnose(NETWORK, x, Y), "x of data"),
        (lambda x: jnn.data.standardization(x), "x"),
        (lambda x: jnn.data.split((x,), (0.5, 0.5), jax.random.key(0)), r"arrays\[0\]"),
        (lambda x: jnn.data.one_hot(x), "labels"),
    ],
)
def test_what_reads_its_data_on_the_host_says_what_is_traced(call, name):
    with pytest.raises(TypeError, match=f"{name} is traced, .* outside of jit, grad and vmap"):
        jax.jit(call)(X)
