"""The network as a function: every method against a plain Python loop, and the laws."""

import os
import subprocess
import sys
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn

pytestmark = pytest.mark.table

EXACT = 1e-12  # relative, in float64
RULES = ("dense", "substitution", "parallel", "fused")


def sizes_of(depth, width, unequal):
    """Depth hidden layers and a readout; unequal ones change their width on the way."""
    if not unequal:
        return [width] * (depth + 2)
    return [3, *[width] * (depth - depth // 2), *[width + 1] * (depth // 2), 2]


# Every activation twice; depths, widths, residual and unequal sizes run through in cycles of
# coprime length.
ACTIVATIONS = [*oracles.ACTIVATIONS, oracles.bent]
TABLE = [
    (
        (1, 2, 4, 7, 16, 33, 64)[i % 7],
        (1, 2, 3, 8, 16)[i % 5],
        ACTIVATIONS[i % 16],
        (i // 3) % 2 == 1,
        (i // 2) % 2 == 1,
    )
    for i in range(32)
]


def named(value):
    return getattr(value, "__name__", None)


def loss(params, x, y, backprop):
    f = oracles.forward if backprop == "loop" else lambda p, x: jnn.forward(p, x, backprop=backprop)
    return 0.5 * jnp.sum((f(params, x) - y) ** 2)


def problem(sizes, activation, residual):
    params = oracles.network(sizes, activation, residual, gain=0.8 if residual else 1.0)
    return params, oracles.example(sizes[0]), oracles.example(sizes[-1], seed=2)


def test_the_table_covers_depths_widths_residual_and_sizes():
    for column, count in zip(zip(*TABLE, strict=True), (7, 5, 16, 2, 2), strict=True):
        assert len(set(column)) == count
    assert len({(row[0], row[3]) for row in TABLE}) == 14
    assert len({(row[1], row[3]) for row in TABLE}) == 10
    assert len({(row[3], row[4]) for row in TABLE}) == 4


@pytest.mark.parametrize(
    ("depth", "width", "activation", "residual", "unequal"),
    [
        pytest.param(*row, marks=pytest.mark.exhaustive if i >= 16 else ())
        for i, row in enumerate(TABLE)
    ],
    ids=named,
)
def test_value_and_gradient_by_every_method(depth, width, activation, residual, unequal, x64):
    params, x, y = problem(sizes_of(depth, width, unequal), activation, residual)
    gradient = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=3)
    reference = gradient(params, x, y, "loop" if depth <= 4 else "autodiff")
    methods = [
        "substitution",
        *(["dense"] if depth <= 4 else []),
        *(["autodiff"] if depth == 4 else []),
    ]
    for method in methods:
        assert oracles.apart(reference, gradient(params, x, y, method)) < EXACT, method


@pytest.mark.slow
def test_autodiff_of_a_deep_network_is_that_of_the_loop(x64):
    params, x, y = problem(sizes_of(64, 3, False), "tanh", True)
    gradient = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=3)
    unrolled = gradient(params, x, y, "loop")
    for method in ("autodiff", "substitution"):
        assert oracles.apart(unrolled, gradient(params, x, y, method)) < EXACT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "width", "activation", "residual", "unequal"),
    [
        pytest.param(*row, marks=pytest.mark.slow if row[0] > 7 else ())
        for row in TABLE
        if row[0] in (7, 64)
    ],
    ids=named,
)
def test_hessian_vector_product_by_substitution(depth, width, activation, residual, unequal, x64):
    params, x, y = problem(sizes_of(depth, width, unequal), activation, residual)
    direction = oracles.network(list(jnn.sizes(params)), activation, residual, seed=3)

    def hvp(p, v, method):
        return jax.jvp(jax.grad(lambda p: loss(p, x, y, method)), (p,), (v,))[1]

    hvp = jax.jit(hvp, static_argnums=2)
    expected = hvp(params, direction, "autodiff")
    # curvature of saturated or nearly linear layers cancels: an error counts against the size of
    # the gradient as well
    size = max(
        float(jnp.max(jnp.abs(leaf)))
        for leaf in jax.tree.leaves(jax.grad(loss)(params, x, y, "autodiff"))
    )
    actual = hvp(params, direction, "substitution")
    errors = [
        float(jnp.max(jnp.abs(a - b)))
        for a, b in zip(*map(jax.tree.leaves, (expected, actual)), strict=True)
    ]
    curvature = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected))
    assert max(errors) < EXACT * max(curvature, size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "width", "activation", "residual"),
    [(16, 16, "gelu", True), (64, 1, "sigmoid", False)],
)
def test_the_dense_solve_of_a_deep_network(depth, width, activation, residual, x64):
    params, x, y = problem(sizes_of(depth, width, True), activation, residual)
    gradient = jax.jit(jax.grad(loss, (0, 1)), static_argnums=3)
    assert (
        oracles.apart(gradient(params, x, y, "autodiff"), gradient(params, x, y, "dense")) < EXACT
    )


# ---- every transformation of JAX ----


def transformations(f, params, x, dparams, dx, y):
    """All of them, by name."""

    def objective(p, x):
        return 0.5 * jnp.sum((f(p, x) - y) ** 2)

    def along(tree):
        return sum(
            jnp.vdot(a, b)
            for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves((dparams, dx)), strict=True)
        )

    gradient = jax.grad(objective, (0, 1))
    X = jnp.stack([x, -x, 2 * x])
    P = jax.tree.map(lambda a, b: jnp.stack([a, b, a + b]), params, dparams)
    return {
        "grad": gradient(params, x),
        "jvp": jax.jvp(f, (params, x), (dparams, dx)),
        "vjp": jax.vjp(f, params, x)[1](y),
        "forward over reverse": jax.jvp(gradient, (params, x), (dparams, dx))[1],
        "reverse over reverse": jax.grad(lambda p, x: along(gradient(p, x)), (0, 1))(params, x),
        "reverse over forward": jax.grad(lambda p: jax.jvp(objective, (p, x), (dparams, dx))[1])(
            params
        ),
        "jacfwd": jax.jacfwd(f, (0, 1))(params, x),
        "jacrev": jax.jacrev(f, (0, 1))(params, x),
        "vmap of grad over examples": jax.vmap(gradient, (None, 0))(params, X),
        "vmap of grad over networks": jax.vmap(gradient, (0, None))(P, x),
        "vmap of a Hessian-vector product": jax.vmap(
            lambda x: jax.jvp(gradient, (params, x), (dparams, dx))[1]
        )(X),
    }


NAMES = [
    "grad",
    "jvp",
    "vjp",
    "forward over reverse",
    "reverse over reverse",
    "reverse over forward",
    "jacfwd",
    "jacrev",
    "vmap of grad over examples",
    "vmap of grad over networks",
    "vmap of a Hessian-vector product",
]


@cache
def transformed(method, activation, residual):
    sizes = [2, 3, 3, 3, 2]
    params, x, y = problem(sizes, activation, residual)
    dparams, dx = oracles.network(sizes, activation, residual, seed=3), oracles.example(2, seed=4)
    f = oracles.forward if method == "loop" else lambda p, x: jnn.forward(p, x, backprop=method)
    return jax.jit(lambda *given: transformations(f, *given))(params, x, dparams, dx, y)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "method",
    [
        "dense",
        "substitution",
        pytest.param("parallel", marks=pytest.mark.slow),
        pytest.param("fused", marks=pytest.mark.slow),
    ],
)
def test_every_transformation(method, name, x64):
    expected, actual = transformed("loop", "tanh", True), transformed(method, "tanh", True)
    assert list(expected) == sorted(NAMES)
    assert oracles.apart(expected[name], actual[name]) < EXACT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "residual"),
    [("gelu", True), ("elu", False), ("identity", True), (oracles.bent, False)],
    ids=named,
)
@pytest.mark.parametrize("method", ["substitution", "parallel"])
def test_every_transformation_of_other_networks(method, activation, residual, x64):
    expected, actual = (
        transformed("loop", activation, residual),
        transformed(method, activation, residual),
    )
    for name, value in expected.items():
        assert oracles.apart(value, actual[name]) < EXACT, name


@pytest.mark.parametrize("method", jnn.METHODS)
def test_jit_is_eager(method, x64):
    params, x, y = problem([2, 3, 3, 1], "tanh", True)
    eager = jax.value_and_grad(loss)(params, x, y, method)
    assert (
        oracles.apart(
            eager, jax.jit(jax.value_and_grad(loss), static_argnums=3)(params, x, y, method)
        )
        < EXACT
    )


@pytest.mark.parametrize("activation", ["identity", "tanh"])
@pytest.mark.parametrize("part", ["w", "b", "x"])
@pytest.mark.parametrize("method", ["dense", "substitution"])
def test_derivatives_by_one_part_alone(method, part, activation, x64):
    """Partial zero tangents: derivatives to third order by weights, biases or x alone."""
    params, x, y = problem([2, 2, 2, 1], activation, True)
    stack = params[0]
    start = x if part == "x" else getattr(stack, part)

    def objective(t, method):
        value = start * t  # one number moves the whole part
        if part == "x":
            return loss(params, value, y, method) ** 2
        changed = type(stack)(**{**vars(stack), part: value})
        return loss((changed, *params[1:]), x, y, method) ** 2

    def derivatives(t, method):
        first = jax.grad(objective)
        second = jax.grad(first)
        forward_over_reverse = jax.jvp(lambda t: first(t, method), (t,), (t,))[1]
        return (
            first(t, method),
            second(t, method),
            jax.grad(second)(t, method),
            forward_over_reverse,
        )

    derivatives = jax.jit(derivatives, static_argnums=1)
    t = jnp.asarray(1.0)
    for expected, actual in zip(derivatives(t, "loop"), derivatives(t, method), strict=True):
        assert oracles.apart(expected, actual) < EXACT


@pytest.mark.parametrize("activation", ["identity", "tanh"])
@pytest.mark.parametrize("part", ["w", "b"])
def test_mixed_derivatives_by_the_readout_and_a_stack(part, activation, x64):
    """The adjoint of the stack varies, the stack itself does not."""
    params, x, y = problem([2, 2, 2, 1], activation, True)

    def objective(s, t, method):
        changed = [
            type(stack)(**{**vars(stack), part: getattr(stack, part) * scale})
            for stack, scale in zip(params, (s, t), strict=True)
        ]
        return loss(tuple(changed), x, y, method) ** 2

    for first, second in ((0, 1), (1, 0)):
        mixed = jax.jit(jax.grad(jax.grad(objective, first), second), static_argnums=2)
        assert oracles.apart(mixed(1.0, 1.0, "autodiff"), mixed(1.0, 1.0, "substitution")) < EXACT


@pytest.mark.slow
def test_substitution_at_depth_10_000(x64):
    params = jnn.init_network_params([8] * 10_001, jax.random.key(0), init="orthogonal")
    x, y = oracles.example(8), oracles.example(8, seed=2)
    gradient = jax.jit(jax.grad(loss, (0, 1)), static_argnums=3)
    expected = gradient(params, x, y, "autodiff")
    assert oracles.apart(expected, gradient(params, x, y, "substitution")) < 1e-10
    # the gradient has come all the way down
    assert float(jnp.max(jnp.abs(expected[0][0].w[0]))) > 1e-12


# that one is for small systems
@pytest.mark.parametrize("method", [m for m in jnn.METHODS if m != "dense"])
def test_depth_costs_no_compilation(method):
    """Compile times are measured by `scripts/bench depth`; here programs are equally long."""

    def instructions(depth):
        params = jax.eval_shape(
            lambda: jnn.init_network_params([8] * (depth + 1), jax.random.key(0))
        )
        gradient = jax.jit(jax.grad(loss), static_argnums=3)
        return (
            gradient.lower(params, jnp.ones(8), jnp.zeros(8), method)
            .compile()
            .as_text()
            .count(" = ")
        )

    assert instructions(10_000) == pytest.approx(instructions(100), rel=0.01)


# ---- laws ----


@pytest.mark.parametrize("method", jnn.METHODS)
@pytest.mark.parametrize(("sizes", "residual"), [([1, 1, 1, 1], False), ([3, 4, 4, 4, 2], True)])
def test_predict_is_forward_on_every_row(sizes, residual, method, x64):
    params = oracles.network(sizes, "tanh", residual)
    X = jnp.asarray(np.random.default_rng(0).standard_normal((3, sizes[0])))
    loop = jnp.stack([oracles.forward(params, x) for x in X])
    assert oracles.apart(loop, jnn.predict(params, X, backprop=method)) < EXACT
    assert (
        oracles.apart(loop, jnp.stack([jnn.forward(params, x, backprop=method) for x in X])) < EXACT
    )
    mapped = jax.vmap(lambda x: jnn.forward(params, x, backprop=method))(X)
    assert oracles.apart(loop, mapped) < EXACT
    assert jnn.predict(params, X[:0], backprop=method).shape == (0, sizes[-1])


@pytest.mark.slow
@pytest.mark.parametrize("batch", [4, 5, 7, 9])
@pytest.mark.parametrize(("residual", "every"), [(False, None), (True, None), (False, 3)])
def test_columns_that_fill_up_a_batch_leave_no_trace(batch, residual, every, x64):
    """Substitution computes 8 columns for 5; nothing may know of the others."""
    params = oracles.network([3, *[4] * 8, 2], "tanh", residual)
    X = jnp.asarray(np.random.default_rng(0).standard_normal((batch, 3)))

    def loss(predict, params, X):
        y = predict(params, X)
        return jnp.sum(jnp.cos(y) * jnp.arange(1.0, batch + 1)[:, None]), y

    rows = jax.vmap(partial(jnn.forward, backprop="autodiff"), (None, 0))
    columns = partial(jnn.predict, backprop="substitution", recompute_every=every)
    by_rows, by_columns = (
        jax.jit(jax.value_and_grad(partial(loss, how), (0, 1), has_aux=True))(params, X)
        for how in (rows, columns)
    )
    assert oracles.apart(by_rows, by_columns) < EXACT


def test_columns_that_fill_up_a_batch_bring_no_state_of_their_own(x64):
    """h = √|z| has no slope at z = 0, where zeros in those columns would put it."""
    weights = oracles.network([4, *[4] * 5])
    params = tuple(
        jnn.Stack(s.w, jnp.zeros_like(s.b), lambda z: jnp.sqrt(jnp.abs(z)), False) for s in weights
    )
    X = jnp.asarray(np.random.default_rng(0).standard_normal((5, 4)))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(jnn.predict(p, X))))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("method", jnn.METHODS)
def test_hidden_states_are_those_of_the_loop(method, x64):
    params, x = oracles.network([2, 3, 3, 3, 2, 1], "tanh", True), oracles.example(2)
    states = jnn.hidden_states(params, x, backprop=method)
    assert [s.shape for s in states] == [(1, 3), (2, 3), (1, 2), (1, 1)]
    expected = jnp.concatenate(oracles.states(params, x))
    assert oracles.apart(expected, jnp.concatenate([s.ravel() for s in states])) < EXACT


@pytest.mark.parametrize("method", RULES)
def test_gradient_of_a_function_of_all_states(method, x64):
    params, x, _ = problem([2, 3, 3, 3, 1], "tanh", True)

    def energy(p, x):
        return sum(jnp.sum(jnp.sin(s)) for s in jnn.hidden_states(p, x, backprop=method))

    def by_loop(p, x):
        return sum(jnp.sum(jnp.sin(s)) for s in oracles.states(p, x))

    expected = jax.jit(jax.grad(by_loop, (0, 1)))(params, x)
    assert oracles.apart(expected, jax.jit(jax.grad(energy, (0, 1)))(params, x)) < EXACT


@pytest.mark.parametrize("method", jnn.METHODS)
def test_identity_networks_are_affine(method, x64):
    params, a = oracles.network([3, 4, 4, 2], "identity"), oracles.example(3)
    b = oracles.example(3, seed=2)
    f = lambda x: jnn.forward(params, x, backprop=method)  # noqa: E731
    np.testing.assert_allclose(f(2 * a - b), 2 * f(a) - f(b), rtol=1e-12, atol=1e-13)
    W, c = np.eye(3), np.zeros(3)
    for w, bias in jnn.layers(params):
        W, c = np.asarray(w) @ W, np.asarray(w) @ c + np.asarray(bias)
    np.testing.assert_allclose(f(a), W @ np.asarray(a) + c, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", jnn.METHODS)
def test_jvp_and_vjp_are_linear_and_adjoint(method, x64):
    params, x, u = problem([2, 3, 3, 2], "tanh", False)
    v = oracles.network([2, 3, 3, 2], "tanh", seed=5)
    f = lambda p: jnn.forward(p, x, backprop=method)  # noqa: E731
    pushed, twice = (
        jax.jvp(f, (params,), (jax.tree.map(lambda a, k=k: k * a, v),))[1] for k in (1.0, 2.0)
    )
    np.testing.assert_allclose(twice, 2 * pushed, rtol=1e-13)
    pulled = jax.vjp(f, params)[1](u)[0]
    inner = sum(
        jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(pulled), jax.tree.leaves(v), strict=True)
    )
    np.testing.assert_allclose(jnp.vdot(u, pushed), inner, rtol=1e-12)


@pytest.mark.parametrize("method", jnn.METHODS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtype_follows_the_parameters(dtype, method):
    params = jnn.init_network_params(
        [2, 3, 3, 1], jax.random.key(0), activation="gelu", dtype=dtype
    )
    x = jnp.ones(2, "float32")
    value, gradient = jax.jit(
        jax.value_and_grad(lambda p: jnp.sum(jnn.forward(p, x, backprop=method)))
    )(params)
    assert {leaf.dtype for leaf in jax.tree.leaves((value, gradient))} == {jnp.dtype(dtype)}
    expected = jnn.forward(jax.tree.map(lambda a: a.astype("float32"), params), x)
    np.testing.assert_allclose(
        np.float32(value), expected[0], rtol=0.05 if dtype == "bfloat16" else 1e-6, atol=0.01
    )


@pytest.mark.slow
def test_auto_chooses_a_known_method_and_agrees(x64):
    for sizes in ([1] * 5, [8] * 5, [2, 8, 8, 8, 1]):
        params, x, y = problem(sizes, "tanh", False)
        gradient = jax.jit(jax.grad(loss), static_argnums=3)
        assert oracles.apart(gradient(params, x, y, "loop"), gradient(params, x, y, "auto")) < EXACT


@pytest.mark.parametrize("method", jnn.METHODS)
@pytest.mark.parametrize("activation", ["elu", "selu", "hard_tanh", "relu", "softsign"])
def test_the_methods_agree_on_kinks_too(activation, method, x64):
    """Zero weights into zero, and a saturated unit at exactly 1: what zero biases bring about."""
    w = jnp.array([[1.0, 0.0], [0.0, 0.0]])
    params = jnn.from_layers([(w, jnp.zeros(2))] * 3, activation=activation)
    gradient = jax.jit(
        jax.grad(lambda p: jnp.sum(jnn.forward(p, jnp.array([1.0, 0.0]), backprop=method)))
    )(params)
    expected = jax.grad(lambda p: jnp.sum(oracles.forward(p, jnp.array([1.0, 0.0]))))(params)
    assert oracles.apart(expected, gradient) < EXACT


# ---- wrong input ----

PARAMS = oracles.network([2, 3, 1])


@pytest.mark.parametrize("function", [jnn.forward, jnn.hidden_states], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), r"x has shape \(3,\); one example for this network is \(2,\)"),
        (
            np.zeros((5, 2)),
            r"x has shape \(5, 2\); one example .* is \(2,\); for a batch use predict, or "
            r"jax\.vmap",
        ),
        (1.0, r"x has shape \(\); one example"),
    ],
)
def test_x_that_is_no_example_is_refused(function, x, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        function(PARAMS, x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros(2),
            r"x has shape \(2,\); a batch for this network is \(batch, 2\); for one example use "
            r"forward",
        ),
        (np.zeros((5, 3)), r"x has shape \(5, 3\); a batch for this network is \(batch, 2\)"),
        (np.zeros((1, 5, 2)), r"x has shape \(1, 5, 2\)"),
    ],
)
def test_x_that_is_no_batch_is_refused(x, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        jnn.predict(PARAMS, x)


@pytest.mark.parametrize(
    "function", [jnn.forward, jnn.hidden_states, jnn.predict], ids=lambda f: f.__name__
)
def test_an_unknown_method_lists_the_known_ones(function):
    x = jnp.zeros((1, 2)) if function is jnn.predict else jnp.zeros(2)
    with pytest.raises(
        ValueError, match="unknown backprop 'backslash'; known: auto, autodiff, dense, substitution"
    ):
        function(PARAMS, x, backprop="backslash")


def test_numpy_arrays_and_integers_are_accepted(as_a_user):
    expected = np.asarray(jnn.predict(PARAMS, jnp.ones((3, 2))))
    for x in (np.ones((3, 2)), np.ones((3, 2), int)):
        np.testing.assert_array_equal(jnn.predict(PARAMS, x), expected)
    np.testing.assert_allclose(jnn.forward(PARAMS, np.ones(2)), expected[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            jnn.layers(PARAMS),
            TypeError,
            "params must be a tuple of stacks.*; got a list: use from_layers",
        ),
        ((), TypeError, "got an empty tuple"),
        (None, TypeError, "got a NoneType"),
        (PARAMS[0], TypeError, "got a Stack"),
        (
            jax.tree.map(lambda leaf: leaf[None], PARAMS),
            ValueError,
            "go to fit_many",
        ),
        (PARAMS[::-1], ValueError, "the stacks do not chain"),
    ],
    ids=["layers", "empty", "none", "stack", "ensemble", "reversed"],
)
def test_what_is_no_network_is_refused(params, error, message, as_a_user):
    for function, x in ((jnn.forward, np.zeros(2)), (jnn.predict, np.zeros((3, 2)))):
        with pytest.raises(error, match=message):
            function(params, x)


@pytest.mark.parametrize(
    "x", [np.array([1j, 0]), np.array(["a", "b"]), np.array([None, 1])], ids=str
)
def test_x_that_holds_no_real_numbers_is_refused(x, as_a_user):
    with pytest.raises(TypeError, match="x must hold numbers, got dtype"):
        jnn.forward(PARAMS, x)


@pytest.mark.slow
def test_batches_spread_over_devices():
    """Four forced host devices, data along the mesh, in a process: devices are counted once."""
    code = """
import jax, jax.numpy as jnp, numpy as np, jnn
from jax.sharding import NamedSharding, PartitionSpec
mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
x = jnp.linspace(-1, 1, 32).reshape(16, 2)
spread = jax.device_put(x, NamedSharding(mesh, PartitionSpec("batch")))
for sizes in ([2, 1], [2, 4, 4, 4, 1], [2, 40, 40, 40, 1], [2, 1, 1, 1]):
    params = jnn.init_network_params(sizes, jax.random.key(0))
    f = jax.jit(jax.value_and_grad(lambda p, x: jnp.mean(jnn.predict(p, x) ** 2)))
    pairs = zip(jax.tree.leaves(f(params, x)), jax.tree.leaves(f(params, spread)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=1e-6)
print(len(jax.devices()))
"""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "4", done.stderr
