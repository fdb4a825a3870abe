"""Building: how layers become stacks, what is static, the way back, wrong sizes refused."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import building
from jnn.checks import sizes as check_sizes

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("sizes", "depths"),
    [
        ([1, 1], [1]),
        ([1, 1, 1], [1, 1]),
        ([1] * 11, [9, 1]),
        ([64, 100, 10], [1, 1]),
        ([2] + [8] * 1000 + [1], [1, 999, 1]),
        ([2, 3, 3, 3, 4, 4, 1], [1, 2, 1, 1, 1]),
        ([5, 4, 3, 2, 1], [1, 1, 1, 1]),
    ],
)
def test_runs_of_equal_layers_become_one_stack(sizes, depths):
    params = jnn.init_network_params(
        sizes, KEY, init="orthogonal" if len(sizes) < 100 else "glorot_uniform"
    )
    assert [stack.depth for stack in params] == depths
    assert jnn.sizes(params) == tuple(sizes)
    assert [w.shape for w, _ in jnn.layers(params)] == list(zip(sizes[1:], sizes[:-1], strict=True))
    assert [b.shape for _, b in jnn.layers(params)] == [(n,) for n in sizes[1:]]
    assert {stack.activation for stack in params[:-1]} <= {"tanh"}
    assert params[-1].activation == "identity"


@pytest.mark.parametrize(("platform", "loops"), [("cpu", True), ("cuda", False)])
def test_layers_are_drawn_in_a_loop_on_a_cpu_and_at_once_elsewhere(platform, loops):
    """Under jit; it is chosen where the program is lowered."""
    start = jax.jit(partial(jnn.init_network_params, [3, 5, 5, 5, 5, 1], init="he_uniform"))
    lowered = start.trace(KEY).lower(lowering_platforms=(platform,))
    assert ("stablehlo.while" in lowered.as_text()) == loops


def test_nothing_is_compiled_for_a_key_at_hand(monkeypatch):
    def compiled(*_):
        raise AssertionError("compiled")

    expected = jax.jit(partial(jnn.init_network_params, [3, 5, 5, 1], activation="relu"))(KEY)
    monkeypatch.setattr(building, "_compiled", compiled)
    found = jnn.init_network_params([3, 5, 5, 1], KEY, activation="relu")
    assert oracles.apart(found, expected) < 1e-6
    with pytest.raises(AssertionError, match="compiled"):
        jnn.init_network_params([3, 5, 5, 1], jax.random.key(0, impl="rbg"))


@pytest.mark.parametrize("residual", [False, True])
def test_only_hidden_layers_that_keep_their_width_are_residual(residual):
    params = jnn.init_network_params([2, 3, 3, 3, 1, 1], KEY, residual=residual)
    assert [stack.residual for stack in params] == [False, residual, False, False]


def test_numpy_integers_and_tuples_are_sizes(as_a_user):
    assert check_sizes((np.int32(2), np.int64(3))) == (2, 3)
    assert check_sizes(np.array([2, 3])) == (2, 3)
    assert check_sizes(range(1, 4)) == (1, 2, 3)


@pytest.mark.parametrize("sizes", [[1, 1], [2, 3, 3, 3, 1], [4, 4, 4]])
@pytest.mark.parametrize("residual", [False, True])
def test_from_layers_undoes_layers(sizes, residual):
    params = jnn.init_network_params(sizes, KEY, activation="relu", residual=residual)
    again = jnn.from_layers(jnn.layers(params), activation="relu", residual=residual)
    assert jax.tree.structure(params) == jax.tree.structure(again)
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))


def test_from_layers_can_be_differentiated():
    def output(w):
        return jnn.forward(
            jnn.from_layers([(w, 1.0), (2.0, w), (3.0, 0.0)], activation="identity"), jnp.ones(1)
        )[0]

    assert output(5.0) == 3 * (2 * (5 + 1) + 5)
    assert jax.grad(output)(5.0) == jax.jit(jax.grad(output))(5.0) == 9


def test_from_layers_takes_the_wider_precision():
    layers = [
        (jnp.ones((1, 1), dtype), jnp.ones(1, dtype))
        for dtype in (jnp.bfloat16, jnp.float16, jnp.bfloat16)
    ]
    hidden, readout = jnn.from_layers(layers)
    assert (hidden.w.dtype, hidden.b.dtype, readout.w.dtype) == (
        jnp.float32,
        jnp.float32,
        jnp.bfloat16,
    )


def test_from_layers_takes_lists_and_plain_numbers():
    params = jnn.from_layers([([[1.0, 2.0]], [0.5]), (2.0, 1.0)], activation="identity")
    assert jnn.sizes(params) == (2, 1, 1)
    assert params[0].w.dtype == jnp.float32


@pytest.mark.parametrize(
    "change",
    [{"activation": "relu"}, {"activation": jnp.tanh}, {"residual": True}],
    ids=["name", "function", "residual"],
)
def test_what_is_static_is_part_of_the_tree_structure(change):
    stack = jnn.init_network_params([3, 3, 3, 3], KEY)[0]
    other = dataclasses.replace(stack, **change)
    assert jax.tree.structure(stack) != jax.tree.structure(other)
    assert len(jax.tree.leaves(stack)) == 2

    traces = []

    @jax.jit
    def activation_of(stack):
        traces.append(stack.activation)
        return jnp.sum(stack.w)

    for s in (stack, other, stack, other):
        activation_of(s)
    assert traces == [stack.activation, other.activation]


def test_trees_are_rebuilt_with_leaves_that_are_no_arrays():
    params = jnn.init_network_params([3, 3, 1], KEY)
    names = jax.tree.map(lambda leaf: str(leaf.shape), params)
    assert names[0].w == "(1, 3, 3)"
    assert jax.tree.map(lambda _: None, params)[0].w is None


def test_a_stack_is_frozen():
    stack = jnn.init_network_params([1, 1], KEY)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        stack.w = None


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float16", jnp.float32])
def test_dtype(dtype):
    params = jnn.init_network_params([2, 3, 1], KEY, dtype=dtype, init="normal")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype or "float32")}


def test_float64_by_default_under_x64(x64):
    assert jnn.init_network_params([2, 1], KEY)[0].w.dtype == jnp.float64


def test_raw_keys_are_accepted():
    assert jnn.sizes(jnn.init_network_params([2, 1], jax.random.PRNGKey(0))) == (2, 1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([], r"sizes \[\] have 0 entries; a network needs at least n_0 and n_1, as in \[1, 1\]"),
        ([3], r"sizes \[3\] have 1 entries; a network needs at least"),
        (
            [1, 0, 1],
            r"layer size n_1 is 0 in sizes \[1, 0, 1\]; every size must be a positive integer",
        ),
        ([-2, 1], r"layer size n_0 is -2 .* positive integer"),
        ([1, 2.0, 1], r"layer size n_1 is 2.0 .* positive integer"),
        ([1, True], r"layer size n_1 is True .* positive integer"),
        ([1, "2"], r"layer size n_1 is '2' .* positive integer"),
        ([1, None], r"layer size n_1 is None .* positive integer"),
        ([1] * 20 + [0], r"layer size n_20 is 0 in sizes of 21 layers"),
        ("11", r"sizes is '11'; it must be a sequence of layer sizes, \[2, 8, 1\]"),
        (3, r"sizes is 3; it must be a sequence of layer sizes, \[2, 8, 1\]"),
    ],
)
def test_wrong_sizes_are_refused(sizes, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        jnn.init_network_params(sizes, KEY)


@pytest.mark.parametrize("key", [0, None, np.zeros(2, np.uint32), jnp.zeros(2), "key"])
def test_what_is_no_key_is_refused(key, as_a_user):
    with pytest.raises(
        TypeError, match=r"key is .*; it must be one JAX key, jax\.random\.key\(seed\)"
    ):
        jnn.init_network_params([1, 1], key)


def test_several_keys_are_refused():
    with pytest.raises(TypeError, match="it must be one JAX key"):
        jnn.init_network_params([1, 1], jax.random.split(KEY))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"activation": "swishh"},
            ValueError,
            "unknown activation 'swishh'; known: identity, sigmoid",
        ),
        ({"activation": jax.nn.softmax}, ValueError, "must act on each entry by itself"),
        ({"init": "kaiming"}, ValueError, "unknown init 'kaiming'; known: normal, lecun_normal"),
        (
            {"dtype": "float64"},
            ValueError,
            r"float64 needs x64: call jax\.config\.update\('jax_enable_x64', True\)",
        ),
        (
            {"dtype": "int32"},
            TypeError,
            "dtype is 'int32'; it must be float16, bfloat16, float32 or float64",
        ),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        jnn.init_network_params([2, 2, 1], KEY, **options)


W22, B2 = np.zeros((2, 2)), np.zeros(2)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, r"no layers given: a network needs at least one pair \(W, b\)"),
        (
            [(W22, B2), (np.zeros((1, 3)), np.zeros(1))],
            ValueError,
            "layer 1 gives 2 values, but layer 2 takes 3",
        ),
        (
            [(W22, np.zeros(3))],
            ValueError,
            r"layer 1 has W \(2, 2\) and b \(3,\); expected W \(n_out, n_in\)",
        ),
        ([(W22, B2), (B2, B2)], ValueError, r"layer 2 has W \(2,\) and b \(2,\)"),
        ([(np.zeros((0, 2)), np.zeros(0))], ValueError, r"layer 1 has W \(0, 2\)"),
        ([(W22,)], TypeError, r"layer 1 must be a pair of arrays \(W, b\)"),
        ([3.0], TypeError, r"layer 1 must be a pair of arrays \(W, b\)"),
        (
            [(np.zeros((1, 1), int), np.zeros(1, int))],
            TypeError,
            "layer 1 holds int32; parameters must be float",
        ),
    ],
)
def test_layers_that_are_no_network_are_refused(given, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.from_layers(given)
