"""A layer's own activation, and outputs that are probabilities: by every method, and by hand."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import outputs
from jnn.triangular.dense import linear_system

EXACT = 1e-12
METHODS = ("autodiff", "dense", "substitution", "parallel", "fused")
MIXED = ["relu", "tanh", "tanh", "gelu"]
ln2, ln3 = np.log(2), np.log(3)


def slow(*row):
    return pytest.param(*row, marks=pytest.mark.slow)


def network(sizes, activation, output, residual=False, seed=0):
    rng = np.random.default_rng([seed, *sizes])
    pairs = [
        (rng.standard_normal((o, i)) / np.sqrt(i), 0.1 * rng.standard_normal(o))
        for i, o in pairwise(sizes)
    ]
    return jnn.from_layers(pairs, activation=activation, output=output, residual=residual)


def by_a_loop(layers, activation, output, residual, x):
    """The network once more, as a plain loop in jax.nn's names."""
    *hidden, (w, b) = layers
    for (w_l, b_l), name in zip(hidden, activation, strict=True):
        y = oracles.ACTIVATIONS[name](w_l @ x + b_l)
        x = y + x if residual and w_l.shape[0] == w_l.shape[1] else y
    last = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid, "identity": lambda z: z}
    return last[output](w @ x + b)


@pytest.mark.parametrize(
    ("output", "residual"),
    [
        ("softmax", True), slow("sigmoid", False), slow("softmax", False), slow("sigmoid", True),
        slow("identity", False), slow("identity", True),
    ],
)  # fmt: skip
def test_every_method_gives_value_and_gradients_of_the_loop(output, residual, x64):
    params = network([3, 4, 4, 4, 5, 3], MIXED, output, residual)
    x, c = oracles.example(3), jnp.array([1.0, -2.0, 0.5])
    layers = jnn.layers(params)

    def reference(layers, x):
        return jnp.vdot(c, by_a_loop(layers, MIXED, output, residual, x))

    expected, by_loop = jax.jit(jax.value_and_grad(reference, (0, 1)))(layers, x)
    for method in METHODS:

        def value(params, x, method=method):
            return jnp.vdot(c, jnn.forward(params, x, backprop=method))

        actual, (of_params, of_x) = jax.jit(jax.value_and_grad(value, (0, 1)))(params, x)
        assert oracles.apart(expected, actual) < EXACT, method
        assert oracles.apart(by_loop, (jnn.layers(of_params), of_x)) < EXACT, method


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_rows(method, output, x64):
    params = network([3, *[4] * 5, 2], ["tanh"] * 4 + ["relu"], output)
    X = jnp.asarray(np.random.default_rng(1).standard_normal((5, 3)))
    together = jnn.predict(params, X, backprop=method)
    alone = [jnn.forward(params, x, backprop=method) for x in X]
    assert oracles.apart(jnp.stack(alone), together) < EXACT
    if output == "softmax":
        np.testing.assert_allclose(jnp.sum(together, axis=1), 1, rtol=EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_crosscheck_and_higher_derivatives(output, residual, x64):
    params = network([2, 3, 3, 2], ["tanh", "gelu"], output, residual)
    loss = {"softmax": "log_loss", "sigmoid": "binary_log_loss"}[output]
    y = jnp.array([1.0, 0.0])
    report = jnn.crosscheck(params, oracles.example(2), y, loss=loss)
    assert report.ok, report

    def value(params, method):
        return (
            jnn.losses.resolve(loss)
            .each(jnn.forward(params, oracles.example(2), backprop=method), y)
            .sum()
        )

    def curvature(params, method):
        f = jax.grad(lambda p: value(p, method))
        return jax.jvp(f, (params,), (params,))[1]

    curvatures = [jax.jit(curvature, static_argnums=1)(params, m) for m in METHODS[:4]]
    for other in curvatures[1:]:
        assert oracles.apart(curvatures[0], other) < 1e-10


# ---- by hand: relu, tanh, softmax ----

BY_HAND = [
    ([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [0.0, -1.0, 0.0]),  # z = (1, 1, −3), x = (1, 1, 0)
    ([[ln2, 0.0, 5.0], [0.0, -ln2, 7.0]], [0.0, 0.0]),  # z = ±ln 2, x = ±3/5, slopes 16/25
    ([[1.0, 1.0], [0.0, 0.0]], [ln3, 0.0]),  # z = (ln 3, 0), p = (3/4, 1/4)
]
X = jnp.array([1.0, 2.0])


def test_a_network_worked_by_hand(x64):
    params = jnn.from_layers(BY_HAND, activation=["relu", "tanh"], output="softmax")
    z, x = jnn.forward_pass(params, X)
    expected = [[1, 1, -3], [ln2, -ln2], [ln3, 0]], [[1, 2], [1, 1, 0], [0.6, -0.6], [0.75, 0.25]]
    for actual, values in zip((*z, *x), (*expected[0], *expected[1]), strict=True):
        np.testing.assert_allclose(actual, values, atol=1e-15)
    # label 1: ℓ = ln 4, ∂ℓ/∂z₃ = p − (0, 1), and back through 16/25 and the slopes of relu
    μ_3, μ_2, μ_1 = [0.75, -0.75], [0.48, 0.48], [0.48 * ln2, -0.48 * ln2, 0.0]
    by_hand = [
        (np.outer(μ, x_before), np.array(μ))
        for μ, x_before in ((μ_1, [1, 2]), (μ_2, [1, 1, 0]), (μ_3, [0.6, -0.6]))
    ]
    for method in METHODS:

        def loss(params, method=method):
            p = jnn.forward(params, X, backprop=method)
            return jnn.LOSSES["log_loss"].each(p, jnp.array(1))

        value, gradient = jax.jit(jax.value_and_grad(loss))(params)
        np.testing.assert_allclose(value, np.log(4), rtol=1e-14)
        for (w, b), (w_hand, b_hand) in zip(jnn.layers(gradient), by_hand, strict=True):
            np.testing.assert_allclose(w, w_hand, atol=1e-14)
            np.testing.assert_allclose(b, b_hand, atol=1e-14)


def test_the_dense_system_shows_the_matrix_of_softmax(x64):
    params = jnn.from_layers(BY_HAND, activation=["relu", "tanh"], output="softmax")
    _, slopes, L, D = linear_system(params, X)
    S = np.array([[3, -3], [-3, 3]]) / 16  # diag(p) − p pᵀ
    np.testing.assert_allclose(slopes[-1], S, atol=1e-15)
    np.testing.assert_allclose(L[5:, 3:5], S @ np.array([[1.0, 1.0], [0.0, 0.0]]), atol=1e-15)
    np.testing.assert_allclose(D[5:, -2:], S, atol=1e-15)
    solved = np.linalg.solve(np.eye(7) - L, D)

    def every(params):
        return jnp.concatenate(jnn.forward_pass(params, X).states[1:])

    jacobian = jax.jit(jax.jacrev(every))(params)
    by_layer = [leaf.reshape(7, -1) for s in jacobian for leaf in (s.w, s.b)]
    np.testing.assert_allclose(solved, np.concatenate(by_layer, axis=1), atol=1e-13)


# ---- building, training, keeping ----


def test_equal_neighbours_share_a_stack():
    activation = ["relu", "relu", "tanh", "tanh", "tanh", "sigmoid"]
    params = jnn.init_network_params([4] * 8, jax.random.key(0), activation=activation)
    assert [(s.depth, s.activation) for s in params] == [
        (2, "relu"), (3, "tanh"), (1, "sigmoid"), (1, "identity")
    ]  # fmt: skip
    same = jnn.init_network_params([4] * 4, jax.random.key(0), activation="tanh", output="tanh")
    assert [(s.depth, s.activation) for s in same] == [(3, "tanh")]


def test_none_chooses_the_start_by_each_layers_activation():
    """He's for relu, Glorot's for tanh: the bound of a uniform law tells which."""
    activation = ["relu", "tanh", "selu"]
    params = jnn.init_network_params(
        [400, 400, 400, 400, 400], jax.random.key(0), activation=activation, output="softmax"
    )
    largest = [float(jnp.max(jnp.abs(w))) for w, _ in jnn.layers(params)]
    he, glorot = np.sqrt(6 / 400), np.sqrt(6 / 800)
    np.testing.assert_allclose(
        [largest[0], largest[1], largest[3]], [he, glorot, glorot], rtol=1e-3
    )
    assert float(jnp.std(jnn.layers(params)[2][0])) == pytest.approx(1 / 20, rel=0.02)  # LeCun


@pytest.mark.slow
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("init", [*jnn.INITIALIZERS])
def test_every_initializer_follows_the_layers(init, output):
    residual = init in ("fixup", "rezero")
    activation = ["relu", "relu"] if init == "looks_linear" else ["tanh", "tanh"]
    params = jnn.init_network_params(
        [3, 4, 4, 2], jax.random.key(0), activation=activation, output=output, init=init,
        residual=residual,
    )  # fmt: skip
    assert np.isfinite(jnn.predict(params, jnp.ones((2, 3)))).all()


def test_a_softmax_network_trains_as_its_logits_do(x64):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 2)), rng.integers(0, 3, 30)
    logits = network([2, 5, 4, 3], ["tanh", "relu"], "identity")
    ends = network([2, 5, 4, 3], ["tanh", "relu"], "softmax")
    options = {
        "epochs": 5,
        "validation": (x[:10], y[:10]),
        "metrics": "accuracy",
        "progress": False,
    }
    a = jnn.fit(logits, (x, y), loss="cross_entropy", **options)
    b = jnn.fit(ends, (x, y), loss="log_loss", **options)
    for name, column in a.history.items():
        np.testing.assert_allclose(b.history[name], column, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(jnn.predict(b.params, x), jnn.probabilities(a.params, x), rtol=1e-9)
    np.testing.assert_array_equal(jnn.probabilities(b.params, x), jnn.predict(b.params, x))


@pytest.mark.slow
def test_a_sigmoid_network_trains_as_its_logits_do(x64):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 2)), rng.integers(0, 2, (30, 1)).astype(float)
    ends = network([2, 5, 1], ["tanh"], "sigmoid")
    logits = network([2, 5, 1], ["tanh"], "identity")
    options = {"epochs": 5, "metrics": ("accuracy", "balanced_accuracy"), "progress": False}
    a = jnn.fit(logits, (x, y), loss="binary_cross_entropy", **options)
    b = jnn.fit(ends, (x, y), loss="binary_log_loss", **options)
    for name, column in a.history.items():
        np.testing.assert_allclose(b.history[name], column, rtol=1e-9, err_msg=name)
    p = jnn.probabilities(a.params, x, loss="binary_cross_entropy")
    np.testing.assert_allclose(jnn.predict(b.params, x), p, rtol=1e-9)
    np.testing.assert_array_equal(jnn.probabilities(a.params, x), p)  # of one output


def test_probabilities_of_several_labels_are_sigmoids(x64):
    params = network([2, 3, 3], ["tanh"], "identity")
    x = np.ones((2, 2))
    each = jnn.probabilities(params, x, loss="binary_cross_entropy")
    np.testing.assert_allclose(each, jax.nn.sigmoid(jnn.predict(params, x)), rtol=1e-14)
    smoothed = jnn.losses.smoothed("cross_entropy", 0.1)
    one = jnn.probabilities(params, x, loss=smoothed)
    np.testing.assert_allclose(one, jax.nn.softmax(jnn.predict(params, x)), rtol=1e-14)
    with pytest.raises(ValueError, match="it must be cross_entropy or binary_cross_entropy"):
        jnn.probabilities(params, x, loss="mse")


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
def test_saved_and_loaded(output, tmp_path):
    params = jnn.init_network_params(
        [2, 3, 3, 3, 2], jax.random.key(0), activation=["relu", "tanh", "tanh"], output=output
    )
    jnn.save(tmp_path / "net", params)
    again = jnn.load(tmp_path / "net")
    assert jax.tree.structure(again) == jax.tree.structure(params)
    assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(params)))


@pytest.mark.slow
def test_the_laboratory_follows():
    params = jnn.init_network_params(
        [2] + [8] * 12 + [2], jax.random.key(0), activation=["relu"] * 6 + ["tanh"] * 6,
        output="softmax",
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((6, 2))
    report = str(jnn.diagnose(params, x, np.arange(6) % 2, loss="log_loss"))
    assert "relu" in report
    assert "tanh" in report
    assert len(jnn.diagnostics.variances(params).sigma_w2) == 13
    solved = jnn.solve_states(params, x)
    assert len(solved) == len(params)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"activation": ["relu"]}, ValueError, "activation has 1 entries; expected one for each "
         "hidden layer, 2"),
        ({"activation": ["relu", "reluu"]}, ValueError, "unknown activation 'reluu'"),
        ({"activation": ["relu", 3]}, TypeError, "activation is 3; it must be a name or"),
        ({"activation": "softmax"}, ValueError, 'for the readout, output="softmax"'),
        ({"activation": ["softmax", "tanh"]}, ValueError, 'for the readout, output="softmax"'),
        ({"output": "softmx"}, ValueError, "unknown output 'softmx'; known: identity"),
        ({"output": jax.nn.softmax}, ValueError, "must act on each entry by itself"),
        ({"output": 3}, TypeError, "it must be a name or a function"),
    ],
)  # fmt: skip
def test_wrong_activations_are_refused(options, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.init_network_params([2, 3, 3, 1], jax.random.key(0), **options)
    layers = [
        (np.ones((3, 2)), np.ones(3)),
        (np.ones((3, 3)), np.ones(3)),
        (np.ones((1, 3)), [1.0]),
    ]
    with pytest.raises(error, match=message):
        jnn.from_layers(layers, **options)


def test_a_softmax_within_a_network_is_refused():
    stack = jnn.Stack(jnp.ones((1, 2, 2)), jnp.ones((1, 2)), "softmax")
    with pytest.raises(
        ValueError, match="stack 0 of depth 1 has activation 'softmax', which mixes"
    ):
        jnn.predict((stack, stack), jnp.ones((1, 2)))


@pytest.mark.parametrize(
    ("output", "loss", "y", "message"),
    [
        ("softmax", "cross_entropy", [0, 1], "takes logits, but the network's output, softmax"),
        ("sigmoid", "binary_cross_entropy", [[0, 1], [1, 0]], "takes logits, but .* sigmoid"),
        ("identity", "log_loss", [0, 1], "takes a distribution, but .* identity, gives numbers"),
        ("sigmoid", "log_loss", [0, 1], "takes a distribution, but .* sigmoid, gives probab"),
        ("softmax", "binary_log_loss", [[0, 1], [1, 0]], "takes probabilities, but .* softmax"),
        ("softmax", "poisson", [[0, 1], [1, 0]], "takes log rates, but .* softmax"),
    ],
)
def test_a_loss_and_an_output_that_do_not_go_together_are_refused(
    output, loss, y, message, as_a_user
):
    params = jnn.init_network_params([2, 3, 2], jax.random.key(0), output=output)
    x, y = np.ones((2, 2)), np.array(y)
    calls = (
        lambda: jnn.fit(params, (x, y), loss=loss),
        lambda: jnn.crosscheck(params, x[0], y[0], loss=loss),
        lambda: jnn.evaluate(params, (x, y), loss),
        lambda: jnn.diagnose(params, x, y, loss=loss),
        lambda: jnn.diagnostics.gradient_norms(params, x, y, loss=loss),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.slow
def test_the_remedy_of_the_message_works(as_a_user):
    """What `check_output` names, followed."""
    x, y = np.ones((2, 2)), np.array([0, 1])
    for output, loss in (("identity", "cross_entropy"), ("softmax", "log_loss")):
        params = jnn.init_network_params([2, 3, 2], jax.random.key(0), output=output)
        assert jnn.fit(params, (x, y), loss=loss, epochs=1, progress=False).epochs == 1
        assert jnn.probabilities(params, x).shape == (2, 2)
    assert outputs.kind_of_output(oracles.bent) is None
