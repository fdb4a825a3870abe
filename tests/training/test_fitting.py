"""Training: the compiled run against a plain loop, the order of visits, divergence."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
from scipy.special import log_softmax

import jnn
from jnn.training import compiled, epochs as loops

pytestmark = pytest.mark.table

EXACT = 1e-12  # relative, in float64
N = 12
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
SGD = optax.sgd(0.1)
OPTIMIZERS = {"sgd": SGD, "momentum": optax.sgd(0.05, momentum=0.9), "adam": optax.adam(0.01)}
fit = partial(jnn.fit, progress=False)


def same(a, b):
    """Whether two trees agree to the last bit."""
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b))
    )


def visits(n, epochs, **options):
    """The order in which `fit` visits n examples, (epochs, n), as the optimiser sees it.

    Example i has the gradient i (its target) in every bias; update number k writes it into bias k.
    """

    def write(gradient, count, _=None):
        def place(g):
            hit = jnp.arange(n * epochs) == count
            return jnp.where(hit, g, 0.0) if g.ndim == 1 else jnp.zeros_like(g)

        return jax.tree.map(place, gradient), count + 1

    recorder = optax.GradientTransformation(lambda _: jnp.zeros((), jnp.int32), write)
    start = jax.tree.map(
        jnp.zeros_like, jnn.init_network_params([1, n * epochs], jax.random.key(0))
    )
    y = np.tile(np.arange(n)[:, None], (1, n * epochs))
    found = fit(
        start,
        (np.zeros((n, 1)), y),
        loss=lambda p, y: jnp.sum(p * y),
        optimizer=recorder,
        epochs=epochs,
        batch_size=1,
        **options,
    )
    return np.asarray(found.params[0].b).reshape(epochs, n).astype(int)


def by_hand(params, x, y, order, size, optimizer):
    """Single updates in a Python loop: parameters, and each epoch's mean loss as visited."""

    def objective(p, x, y):
        return jnp.mean(0.5 * (jax.vmap(oracles.forward, (None, 0))(p, x) - y) ** 2)

    step = jax.jit(jax.value_and_grad(objective))
    state, history = optimizer.init(params), []
    update = jax.jit(optimizer.update)
    for epoch in order:
        total = 0.0
        for first in range(0, len(epoch), size):
            index = epoch[first : first + size]
            value, gradient = step(params, x[index], y[index])
            updates, state = update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            total += len(index) * float(value)
        history.append(total / len(epoch))
    return params, np.array(history)


@pytest.mark.parametrize("size", [1, 4, 5, 12])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_compiled_run_is_the_plain_loop(optimizer, size, x64):
    params = oracles.network([2, 3, 3, 1])
    x, y = jnp.asarray(X), jnp.asarray(Y)
    order = np.tile(np.arange(N), (4, 1))
    expected, history = by_hand(params, x, y, order, size, OPTIMIZERS[optimizer])
    result = fit(
        params, (X, Y), optimizer=OPTIMIZERS[optimizer], epochs=4, batch_size=size, shuffle=False
    )
    assert oracles.apart(expected, result.params) < EXACT
    np.testing.assert_allclose(result.history["loss"], history, rtol=EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("method", ["dense", "substitution"])
def test_the_shuffled_run_is_the_plain_loop_in_the_order_seen(method, size, x64):
    params, key = oracles.network([2, 3, 3, 3, 1], residual=True), jax.random.key(3)
    order = visits(N, 3, key=key)
    expected, history = by_hand(params, jnp.asarray(X), jnp.asarray(Y), order, size, SGD)
    result = fit(params, (X, Y), optimizer=SGD, epochs=3, batch_size=size, key=key, backprop=method)
    assert oracles.apart(expected, result.params) < EXACT
    np.testing.assert_allclose(result.history["loss"], history, rtol=EXACT)


def test_without_shuffling_the_order_is_that_of_the_data():
    np.testing.assert_array_equal(visits(5, 3, shuffle=False), np.tile(np.arange(5), (3, 1)))


@pytest.mark.slow
def test_every_epoch_is_a_new_permutation_reproducible_from_the_key():
    n, epochs = 9, 8
    order = visits(n, epochs, key=jax.random.key(0))
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(n), (epochs, 1)))
    assert len({row.tobytes() for row in order}) == epochs
    np.testing.assert_array_equal(order, visits(n, epochs, key=jax.random.key(0)))
    np.testing.assert_array_equal(order, visits(n, epochs))  # the key that None stands for
    other = visits(n, epochs, key=jax.random.key(1))
    assert not {row.tobytes() for row in order} & {row.tobytes() for row in other}


@pytest.mark.slow
def test_permutations_are_uniform():
    """Each of the 6 orders of 3 examples, 100 expected, four standard deviations (9.1) allowed."""
    order = visits(3, 600, key=jax.random.key(0))
    counts = np.unique(order, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert np.all(np.abs(counts - 100) < 37)


def test_orders_handed_over_in_parts_are_those_handed_over_at_once(monkeypatch):
    params = oracles.network([2, 3, 1])
    whole = fit(params, (X, Y), optimizer=SGD, epochs=10, batch_size=5)
    monkeypatch.setattr(loops, "_ORDER_ENTRIES", 3 * N)  # three epochs a part
    parts = fit(params, (X, Y), optimizer=SGD, epochs=10, batch_size=5)
    assert same(whole.params, parts.params)
    assert same(whole.history, parts.history)


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_progress_bar_changes_nothing(shuffle, capsys):
    run = partial(
        jnn.fit,
        oracles.network([2, 3, 1]),
        (X, Y),
        optimizer=SGD,
        epochs=50,
        batch_size=5,
        shuffle=shuffle,
    )
    silent = run(progress=False)
    assert capsys.readouterr().err == ""
    shown = run(progress=True)
    assert "50/50" in capsys.readouterr().err
    assert same(silent.params, shown.params)
    assert same(silent.history, shown.history)
    run(progress=None)  # standard error is no terminal here
    assert capsys.readouterr().err == ""


def test_no_epochs_give_the_parameters_back():
    params = oracles.network([2, 3, 1])
    result = fit(params, (X, Y), epochs=0, batch_size=3)
    assert same(params, result.params)
    assert result.history["loss"].shape == (0,)
    assert result.diverged is None
    assert "no epochs" in str(result)


def test_one_compilation_serves_every_number_of_epochs():
    params = oracles.network([2, 3, 1])
    run = partial(fit, params, (X, Y), optimizer=SGD, batch_size=4)
    first = run(epochs=1)
    before = compiled.run._cache_size()
    for epochs in (0, 2, 7, 300):
        assert len(run(epochs=epochs).history["loss"]) == epochs
    assert compiled.run._cache_size() == before
    np.testing.assert_array_equal(first.history["loss"], run(epochs=7).history["loss"][:1])


def test_the_parameters_given_are_not_changed_and_training_lowers_the_loss():
    params = oracles.network([2, 8, 8, 1])
    before = [np.array(leaf) for leaf in jax.tree.leaves(params)]
    result = fit(params, (X, Y), optimizer=optax.adam(0.01), epochs=300, batch_size=4)
    assert all(map(np.array_equal, before, jax.tree.leaves(params)))
    assert result.history["loss"][-1] < 0.05 * result.history["loss"][0]
    assert result.compile_seconds > 0
    assert result.run_seconds > 0
    assert str(result).startswith("300 epochs, loss ")


def test_a_linear_model_reaches_the_least_squares_solution(x64):
    y = X @ [[2.0], [-1.0]] + 0.5 + 0.1 * RNG.standard_normal((N, 1))
    A = np.column_stack([X, np.ones(N)])
    exact = np.linalg.lstsq(A, y, rcond=None)[0].ravel()
    result = fit(
        oracles.network([2, 1]), (X, y), optimizer=optax.sgd(0.3), epochs=2000, batch_size=N
    )
    w, b = jnn.layers(result.params)[0]
    np.testing.assert_allclose([*w[0], b[0]], exact, rtol=1e-10)


# ---- losses by name ----

P3 = RNG.standard_normal((N, 3))
LABELS = RNG.integers(0, 3, N)
CASES = {
    "half_mse": (P3, lambda p, y: (p - y) ** 2 / 2),
    "mse": (P3, lambda p, y: (p - y) ** 2),
    "mae": (P3, lambda p, y: np.abs(p - y)),
    "rmse": (P3, lambda p, y: (p - y) ** 2),
    "huber": (
        3 * P3,
        lambda p, y: np.where(np.abs(p - y) <= 1, (p - y) ** 2 / 2, np.abs(p - y) - 0.5),
    ),
    "log_cosh": (P3, lambda p, y: np.log(np.cosh(p - y))),
    "cross_entropy": (np.eye(3)[LABELS], lambda p, y: -np.sum(y * log_softmax(p, axis=1), axis=1)),
    "binary_cross_entropy": ((P3 > 0).astype(float), lambda p, y: np.logaddexp(0, p) - y * p),
    "poisson": (LABELS[:, None] + np.zeros((1, 3)), lambda p, y: np.exp(p) - y * p),
}
# losses of probabilities: the same formulas of the logits, for networks that end in …
OUTPUTS = {"log_loss": "softmax", "binary_log_loss": "sigmoid"}
CASES |= {"log_loss": CASES["cross_entropy"], "binary_log_loss": CASES["binary_cross_entropy"]}


def test_every_loss_is_tested():
    assert set(CASES) == set(jnn.LOSSES)


@pytest.mark.parametrize("name", CASES)
def test_one_epoch_by_every_loss_is_its_formula_and_its_gradient(name, x64):
    """A linear network, batches of 7 and 5, one step each, against finite differences.

    The root of all examples' mean is taken along its line through the mean of those before.
    """
    y, formula = CASES[name]
    rate, θ = 0.1, RNG.standard_normal(9)
    output = OUTPUTS.get(name, "identity")
    start = jnn.from_layers([(θ[:6].reshape(3, 2), θ[6:])], output=output)

    def value(θ, rows):
        return np.mean(formula(X[rows] @ θ[:6].reshape(3, 2).T + θ[6:], y[rows]))

    total, before = 0.0, None
    for rows in (slice(0, 7), slice(7, 12)):
        mean = value(θ, rows)
        total += mean * (rows.stop - rows.start)
        before = before or mean
        slope = 0.5 / np.sqrt(before) if name == "rmse" else 1.0
        steps = 1e-6 * np.eye(9)
        change = np.array([(value(θ + e, rows) - value(θ - e, rows)) / 2e-6 for e in steps])
        θ = θ - rate * slope * change
    total = np.sqrt(total / N) * N if name == "rmse" else total
    result = fit(start, (X, y), loss=name, optimizer=SGD, epochs=1, batch_size=7, shuffle=False)
    w, b = jnn.layers(result.params)[0]
    assert float(result.history["loss"][0]) == pytest.approx(total / N, rel=1e-8)
    np.testing.assert_allclose(np.concatenate([np.ravel(w), b]), θ, rtol=1e-7, atol=1e-8)
    if name in ("cross_entropy", "log_loss"):
        by_label = fit(
            start, (X, LABELS), loss=name, optimizer=SGD, epochs=1, batch_size=7, shuffle=False
        )
        assert oracles.apart(result.params, by_label.params) < EXACT


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtype_follows_the_parameters(dtype):
    params = jnn.init_network_params([2, 3, 3, 1], jax.random.key(0), dtype=dtype)
    result = fit(params, (X, Y), optimizer=SGD, epochs=3, batch_size=5)
    assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {jnp.dtype(dtype)}
    assert result.history["loss"].dtype == np.float32


# ---- divergence ----

WARNING = r"stopped being finite in epoch {}: training ended there, with the parameters from before"


@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize("rate", [50.0, 1e4, 1e30])
def test_divergence_is_reported_and_the_last_finite_parameters_are_returned(rate, progress):
    start, optimizer = oracles.network([2, 1]), optax.sgd(rate)
    run = partial(jnn.fit, start, (X, Y), optimizer=optimizer, batch_size=4, progress=progress)
    with pytest.warns(RuntimeWarning, match="stopped being finite in epoch") as caught:
        result = run(epochs=1000)
    epoch = result.diverged
    assert epoch is not None
    assert WARNING.format(epoch).split("with")[0] in str(caught[0].message)
    assert "smaller learning rate" in str(caught[0].message)
    assert len(result.history["loss"]) == epoch
    assert np.all(np.isfinite(result.history["loss"][:-1]))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(result.params))
    assert f"stopped in epoch {epoch}: loss or parameters were no longer finite" in str(result)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stopped = run(epochs=epoch - 1)  # one epoch earlier all is well
    assert same(stopped.params, result.params)
    if rate == 1e30:
        assert epoch == 1
        assert same(start, result.params)
    if rate == 50.0:
        assert epoch > 2


# ---- wrong input ----

BAD_X, BAD_Y = X.copy(), Y.copy()
BAD_X[3, 1], BAD_Y[2, 0] = np.nan, np.inf
WRONG_DATA = [
    ((X[:, :1], Y), r"x of data has shape \(12, 1\); this network takes \(n, 2\)"),
    ((X[0], Y), r"x of data has shape \(2,\); this network takes \(n, 2\)"),
    (
        (X, Y[:, 0]),
        r"targets of shape \(12,\) do not match predictions of shape \(12, 1\): reshape them, "
        r"y\[:, None\]",
    ),
    ((X, np.tile(Y, 2)), r"targets have shape \(12, 2\); the network predicts \(12, 1\)"),
    ((X, Y[:-1]), r"x and y of data differ in length: x has 12 rows, y has shape \(11, 1\)"),
    ((X, 3.0), r"x and y of data differ in length"),
    ((X[:0], Y[:0]), r"data: there are no rows, x has shape \(0, 2\)"),
    (
        (BAD_X, Y),
        r"x of data holds NaN or infinity \(as float32\) in 1 of 12 rows, first in row 3: remove "
        r"or fill them",
    ),
    (
        (X, BAD_Y),
        r"y of data holds NaN or infinity \(as float32\) in 1 of 12 rows, first in row 2: remove "
        r"or fill them",
    ),
    ((X,), r"data must be \(x, y\) or \(x, y, weights\), got tuple of length 1"),
    ((X, Y, Y, Y), r"data must be \(x, y\) or \(x, y, weights\), got tuple of length 4"),
    (X, r"data must be \(x, y\) or \(x, y, weights\), got ndarray"),
    (None, r"data must be \(x, y\) or \(x, y, weights\), got NoneType"),
    ((X * 1e300, Y), r"x of data holds NaN or infinity \(as float32\) in 12 of 12 rows"),
]
WRONG_OPTIONS = [
    (
        {"batch_size": 0},
        "batch_size is 0; it must be an integer of at least 1",
    ),
    ({"batch_size": 13}, "batch_size is 13; it must be an integer from 1 to 12"),
    ({"epochs": -1}, "epochs is -1; it must be an integer of at least 0"),
    ({"loss": "msee"}, "unknown loss 'msee'; known: half_mse"),
    ({"backprop": "slash"}, "unknown backprop 'slash'; known: auto, autodiff"),
]


@pytest.mark.parametrize(("data", "message"), WRONG_DATA, ids=range(len(WRONG_DATA)))
def test_wrong_data_are_refused(data, message, nothing_runs):
    params = oracles.network([2, 1])
    before = [np.array(leaf) for leaf in jax.tree.leaves(params)]
    with pytest.raises(ValueError, match=message):
        fit(params, data, batch_size=1)
    assert all(map(np.array_equal, before, jax.tree.leaves(params)))


def test_one_column_of_x_is_not_guessed(nothing_runs):
    with pytest.raises(
        ValueError,
        match=r"x of data has shape \(12,\); this network takes \(n, 1\): reshape it, x\[:, None\]",
    ):
        fit(oracles.network([1, 1]), (X[:, 0], Y))


@pytest.mark.parametrize(
    ("options", "message"), WRONG_OPTIONS, ids=[str(o) for o, _ in WRONG_OPTIONS]
)
def test_wrong_options_are_refused(options, message, nothing_runs):
    with pytest.raises(ValueError, match=message):
        fit(oracles.network([2, 1]), (X, Y), **{"batch_size": 4, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": 0}, "key is 0; it must be one JAX key"),
        ({"batch_size": 2.0}, "batch_size is 2.0; it must be an integer of at least 1"),
        ({"batch_size": True}, "batch_size is True; it must be an integer"),
        ({"epochs": 1.5}, "epochs is 1.5; it must be an integer of at least 0"),
        (
            {"optimizer": 0.1},
            r"optimizer is 0\.1; it must be a name or an optax transformation, optax\.adam\(1e-3\)",
        ),
        ({"loss": 3}, "loss is 3; it must be a name or a function"),
    ],
)
def test_things_of_the_wrong_kind_are_refused(options, message, nothing_runs):
    with pytest.raises(TypeError, match=message):
        fit(oracles.network([2, 1]), (X, Y), **{"batch_size": 4, **options})


@pytest.mark.parametrize(
    "bad", [np.array([["a"], ["b"]]), np.array([[1j], [2j]]), np.array([[None], [1]])]
)
def test_data_that_are_no_numbers_are_refused(bad, nothing_runs):
    with pytest.raises(TypeError, match="y of data must hold numbers, got dtype"):
        fit(oracles.network([2, 1]), (X[:2], bad), batch_size=1)


def test_a_dense_system_too_large_is_refused():
    with pytest.raises(
        ValueError, match=r'more than the limit of 16,777,216: use backprop="substitution"'
    ):
        fit(
            oracles.network([8] * 200),
            (np.zeros((1, 8)), np.zeros((1, 8))),
            batch_size=1,
            backprop="dense",
        )


def test_labels_out_of_range_are_refused(nothing_runs):
    with pytest.raises(ValueError, match="labels run from 0 to 3; 3 outputs need 0 … 2"):
        fit(oracles.network([2, 3]), (X, np.arange(N) % 4), loss="cross_entropy", batch_size=4)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda p, y: None, "must return floating-point numbers for one example, got None"),
        (lambda p, y: (p, y), "must return floating-point numbers for one example"),
        (lambda p: p, "could not be called on one prediction and target: TypeError"),
        (lambda p, y: p > y, "must return floating-point numbers for one example"),
        (lambda p, y: p[:0], "must return floating-point numbers for one example"),
    ],
    ids=["none", "tuple", "one argument", "bool", "empty"],
)
def test_functions_that_are_no_loss_are_refused(loss, message, nothing_runs):
    with pytest.raises(ValueError, match=message):
        fit(oracles.network([2, 1]), (X, Y), loss=loss, batch_size=4)


def test_parameters_that_are_not_finite_are_refused(nothing_runs):
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, oracles.network([2, 1]))
    with pytest.raises(ValueError, match="params hold NaN or infinity before any step"):
        fit(params, (X, Y), batch_size=4)


def test_numpy_integers_are_the_same_program(as_a_user):
    params, before = oracles.network([2, 2, 1]), compiled.run._cache_size()
    fit(params, (X, Y), optimizer=SGD, epochs=2, batch_size=4)
    once = compiled.run._cache_size()
    fit(params, (X, Y), optimizer=SGD, epochs=np.int64(3), batch_size=np.int32(4))
    assert compiled.run._cache_size() == once <= before + 1


def test_an_optimizer_that_wants_the_loss_gets_it():
    result = fit(oracles.network([2, 1]), (X, Y), optimizer=optax.lbfgs(), epochs=20, batch_size=N)
    assert result.history["loss"][-1] < 1e-2 * result.history["loss"][0] + 0.5 * float(np.var(Y))


def test_labels_for_a_function_of_the_users():
    def likelihood(logits, label):
        return -jax.nn.log_softmax(logits)[label]

    labels = np.arange(N) % 3
    by_name = fit(
        oracles.network([2, 3]),
        (X, labels),
        loss="cross_entropy",
        optimizer=SGD,
        epochs=3,
        batch_size=4,
    )
    by_function = fit(
        oracles.network([2, 3]), (X, labels), loss=likelihood, optimizer=SGD, epochs=3, batch_size=4
    )
    np.testing.assert_allclose(by_name.history["loss"], by_function.history["loss"], rtol=1e-5)
