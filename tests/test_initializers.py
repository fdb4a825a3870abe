"""Initializers: variances, orthogonality, independence of layers, and what None chooses."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import initializers
from jnn.outputs import OUTPUTS
from jnn.theory import mean_field

IN, OUT = 400, 300  # 120,000 draws: the variance is known to 0.4% (one σ); the table allows 2%
VARIANCES = {
    "normal": 1.0,
    "lecun_normal": 1 / IN,
    "lecun_uniform": 1 / IN,
    "glorot_normal": 2 / (IN + OUT),
    "glorot_uniform": 2 / (IN + OUT),
    "he_normal": 2 / IN,
    "he_uniform": 2 / IN,
}


@pytest.mark.table
@pytest.mark.parametrize("name", VARIANCES)
def test_weights_have_the_variance_of_the_scheme(name):
    w, b = jnn.layers(jnn.init_network_params([IN, OUT], jax.random.key(0), init=name))[0]
    assert w.shape == (OUT, IN)
    assert float(jnp.var(w)) == pytest.approx(VARIANCES[name], rel=0.02)
    assert abs(float(jnp.mean(w))) < 4 * np.sqrt(VARIANCES[name] / w.size)
    if name == "normal":
        assert float(jnp.var(b)) == pytest.approx(1, rel=0.3)
    else:
        assert not np.any(b)
    if name.endswith("uniform"):
        assert float(jnp.max(jnp.abs(w))) <= np.sqrt(3 * VARIANCES[name]) * (1 + 1e-6)


PLACED = {  # and what each is for
    "critical": {"activation": "tanh"},
    "critical_orthogonal": {"activation": "tanh"},
    "asymmetric": {"activation": "relu"},
    "fixup": {"activation": "tanh", "residual": True},
    "rezero": {"activation": "tanh", "residual": True},
    "looks_linear": {"activation": "relu"},
}


@pytest.mark.table
@pytest.mark.parametrize(("n_in", "n_out"), [(8, 8), (5, 3), (3, 5)])
def test_orthogonal_preserves_length(n_in, n_out):
    params = jnn.init_network_params([n_in, n_out], jax.random.key(1), init="orthogonal")
    w, b = jnn.layers(params)[0]
    gram = w @ w.T if n_out <= n_in else w.T @ w
    np.testing.assert_allclose(gram, np.eye(min(n_in, n_out)), atol=1e-6)
    assert not np.any(b)


def test_every_name_is_tested():
    assert {*VARIANCES, "orthogonal", *PLACED} == set(initializers.INITIALIZERS)


@pytest.mark.table
@pytest.mark.parametrize(
    ("activation", "name"),
    [
        *((h, "he_uniform") for h in ("relu", "leaky_relu", "elu", "gelu", "silu", "mish")),
        ("selu", "lecun_normal"),
        *(
            (h, "glorot_uniform")
            for h in ("identity", "sigmoid", "tanh", "softplus", "erf", "sin", jnp.tanh)
        ),
    ],
)
def test_none_chooses_by_activation(activation, name):
    (chosen,) = initializers.resolve(None, [(activation, False)])
    (named,) = initializers.resolve(name, [(activation, False)])
    assert chosen is named


@pytest.mark.table
@pytest.mark.parametrize("name", [name for name in initializers.INITIALIZERS if name != "rezero"])
def test_layers_are_independent_and_keys_reproduce(name):
    sizes, options = [4, 4, 4, 4], PLACED.get(name, {})
    params = jnn.init_network_params(sizes, jax.random.key(0), init=name, **options)
    again = jnn.init_network_params(sizes, jax.random.key(0), init=name, **options)
    other = jnn.init_network_params(sizes, jax.random.key(1), init=name, **options)
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))
    drawn = [np.asarray(w) for p in (params, other) for w, _ in jnn.layers(p)]
    assert len({w.tobytes() for w in drawn}) == 6


def test_none_reads_the_record_of_a_new_activation(monkeypatch):
    record = jnn.ACTIVATIONS["tanh"]._replace(start="orthogonal")
    monkeypatch.setitem(jnn.ACTIVATIONS, "new", record)
    (orthogonal,) = initializers.resolve("orthogonal", [("tanh", False)])
    assert initializers.default("new") is orthogonal


@pytest.mark.parametrize("name", [None, *initializers.INITIALIZERS])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_readout_that_mixes_entries_starts_as_a_linear_one(output, name):
    options = {"activation": "tanh", "residual": False, **PLACED.get(name, {})}
    hidden = [(options["activation"], options["residual"])] * 2
    mixing = initializers.resolve(name, [*hidden, (output, False)])
    assert mixing == initializers.resolve(name, [*hidden, ("identity", False)])


def test_a_function_of_the_users():
    def ramp(key, shape, dtype):
        del key
        return jnp.arange(shape[0] * shape[1], dtype=dtype).reshape(shape)

    w, b = jnn.layers(jnn.init_network_params([2, 3], jax.random.key(0), init=ramp))[0]
    np.testing.assert_array_equal(w, [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(b, np.zeros(3))


def test_a_function_of_the_wrong_shape_is_refused():
    def flat(key, shape, dtype):
        return jnp.zeros(shape[1], dtype)

    message = r"init returned weights of shape \(3,\); expected .* \(2, 3\)"
    with pytest.raises(ValueError, match=message):
        jnn.init_network_params([2, 3], jax.random.key(0), init=flat)


def test_unknown_name_lists_the_known_ones():
    message = r"unknown init 'xavier'; known: normal, lecun_normal.*, or a function"
    with pytest.raises(ValueError, match=message):
        jnn.init_network_params([1, 1], jax.random.key(0), init="xavier")


def test_neither_name_nor_function(as_a_user):
    with pytest.raises(TypeError, match=r"init is 3; it must be a name, a function .* or None"):
        jnn.init_network_params([1, 1], jax.random.key(0), init=3)


# ---- what theory suggests ----


def test_the_reference_section():
    """Constants and variances of theory.json: lecun, glorot and he stand in VARIANCES."""
    theory = json.loads((Path(__file__).parent / "reference" / "theory.json").read_text())
    table = theory["initializers"]
    selu, lecun = jnn.ACTIVATIONS["selu"], jnn.ACTIVATIONS["lecun_tanh"]
    assert float(selu.value(jnp.array(1.0))) == pytest.approx(table["selu"]["lambda"], rel=1e-6)
    limit = -table["selu"]["lambda"] * table["selu"]["alpha"]
    assert float(selu.value(jnp.array(-50.0))) == pytest.approx(limit, rel=1e-6)
    assert table["lecun_tanh"] == "1.7159 tanh(2x/3)"
    assert float(lecun.value(jnp.array(0.7))) == pytest.approx(1.7159 * np.tanh(1.4 / 3), rel=1e-6)
    # He's variance for a slope is the critical one
    for slope, activation in ((0.0, "relu"), (0.01, "leaky_relu")):
        critical = initializers.critical_variances(activation)
        assert critical.sigma_w2 == pytest.approx(2 / (1 + slope**2), rel=1e-12)


@pytest.mark.table
@pytest.mark.parametrize("name", ["critical", "critical_orthogonal"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "erf", "sigmoid"])
def test_critical_weights_have_critical_variances(name, activation):
    params = jnn.init_network_params(
        [40, 300, 300, 300], jax.random.key(0), activation=activation, init=name
    )
    σ_w2, σ_b2 = initializers.critical_variances(activation)
    for (w, b), width in zip(jnn.layers(params)[:2], (40, 300), strict=True):
        assert float(jnp.mean(w**2)) * width == pytest.approx(σ_w2, rel=0.03)
        assert float(jnp.mean(b**2)) == pytest.approx(σ_b2, rel=0.3)
    if activation == "gelu":  # whose critical point is no stable length
        assert (σ_w2, σ_b2) == mean_field.critical_point("gelu")[:2]
    else:
        limits = mean_field.limits(activation, sigma_w2=σ_w2, sigma_b2=σ_b2)
        assert limits.chi_1 == pytest.approx(1, abs=1e-8)
    if name == "critical_orthogonal":
        w = params[1].w[0]
        np.testing.assert_allclose(w @ w.T, σ_w2 * np.eye(300), atol=2e-5 * σ_w2)


def test_an_initializer_with_biases_of_a_size():
    start = initializers.critical("tanh", sigma_b2=0.05)
    w, b = jnn.layers(jnn.init_network_params([300, 300, 1], jax.random.key(0), init=start))[0]
    assert float(jnp.mean(w**2)) * 300 == pytest.approx(1.760955, rel=0.02)
    assert float(jnp.mean(b**2)) == pytest.approx(0.05, rel=0.3)
    assert initializers.critical("tanh", sigma_b2=0.05) is start  # so that nothing is compiled anew


@pytest.mark.slow
def test_asymmetric_rows_hold_one_positive_entry_and_seldom_die():
    params = jnn.init_network_params(
        [50, 4000, 1], jax.random.key(0), activation="relu", init="asymmetric"
    )
    w, b = jnn.layers(params)[0]
    rows = np.concatenate([w, b[:, None]], 1)
    gaussian = 0.6007**2 / 50
    # E Beta(2, 1)² = ½
    assert np.mean(rows**2) * 51 == pytest.approx(50 * gaussian + 0.5, rel=0.02)

    def alive(init):
        def one(key):
            params = jnn.init_network_params([1, *[2] * 9, 1], key, activation="relu", init=init)
            x = jnp.linspace(-3, 3, 9)[:, None]
            return jnp.ptp(jax.vmap(lambda x: jnn.forward(params, x))(x)) > 0

        return float(jnp.mean(jax.lax.map(one, jax.random.split(jax.random.key(1), 200))))

    assert alive("he_normal") < 0.2
    assert alive("asymmetric") > 0.55


@pytest.mark.table
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("name", ["fixup", "rezero"])
def test_residual_layers_keep_their_size_at_any_depth(name, activation):
    if (name, activation) == ("rezero", "relu"):
        return
    params = jnn.init_network_params(
        [16] * 3_002, jax.random.key(0), activation=activation, residual=True, init=name
    )
    x = jax.random.normal(jax.random.key(1), (20, 16))
    states = jax.jit(jax.vmap(lambda x: jnn.hidden_states(params, x)[0][-1]))(x)
    assert 0.3 < float(jnp.std(states)) < 4
    if name == "rezero":
        np.testing.assert_array_equal(states, x)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnn.forward(params, x))))(x[0])
    assert 0.03 < float(jnp.linalg.norm(gradient)) < 30


@pytest.mark.slow
@pytest.mark.table
@pytest.mark.parametrize("sizes", [[3, 8, 8, 8, 2], [6, 6, 6], [2, 4, 10, 4, 1], [2, 3]])
def test_looks_linear_is_linear(sizes):
    params = jnn.init_network_params(
        sizes, jax.random.key(0), activation="relu", init="looks_linear"
    )
    x = jax.random.normal(jax.random.key(1), (2, sizes[0]))
    f = lambda x: jnn.forward(params, x)  # noqa: E731
    np.testing.assert_allclose(f(2 * x[0] - x[1]), 2 * f(x[0]) - f(x[1]), atol=2e-6)
    assert float(jnp.linalg.norm(f(x[0]))) > 0


def test_a_stack_may_start_in_different_ways():
    """The first layer of a stack is not mirrored on its input side, the others are."""
    params = jnn.init_network_params(
        [6, 6, 6, 6, 1], jax.random.key(0), activation="relu", init="looks_linear"
    )
    assert [stack.depth for stack in params] == [3, 1]
    w = params[0].w
    np.testing.assert_allclose(w[0, :3], -w[0, 3:])
    np.testing.assert_allclose(w[1, :, :3], -w[1, :, 3:])


@pytest.mark.table
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "fixup"}, "residual=True"),
        ({"init": "rezero", "residual": True, "activation": "relu"}, 'init="fixup"'),
        ({"init": "fixup", "residual": True, "activation": "sigmoid"}, r"h\(0\) = 0"),
        ({"init": "looks_linear"}, "for relu"),
        ({"init": "looks_linear", "activation": "relu"}, "even"),
        ({"init": "critical", "activation": "softplus"}, "no critical network"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jnn.init_network_params([3, 3, 3, 3], jax.random.key(0), **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: initializers.fixup_variance("tanh", 0), ValueError, "depth is 0"),
        (lambda: initializers.fixup_variance("tanh", 2.5), TypeError, "depth is 2.5"),
        (lambda: initializers.critical("tanh", orthogonal=1), TypeError, "orthogonal is 1"),
        (lambda: initializers.critical("tanh", sigma_b2=-1), ValueError, "sigma_b2 is -1"),
        (lambda: initializers.critical("tanh", sigma_b2="a"), TypeError, "sigma_b2 is 'a'"),
        (lambda: initializers.default("swish"), ValueError, "unknown activation"),
        (lambda: initializers.default(3), TypeError, "activation is 3"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
