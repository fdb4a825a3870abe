"""Every public call within JAX's transformations, and on parameters as other programs hand them."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from surroundings.calls import EXAMPLE, NETWORKS, OF_PARAMS, STARTS, X, Y, bent, numbers
from surroundings.test_switches import assert_close

import jnn
from jnn.training import Plan

TRACEABLE = {name: call for name, call in OF_PARAMS.items() if call.traceable}
QUICK = ("predict", "solve_readout")


def rows(names):
    """Those that are QUICK as a rule; of the others CI runs every third."""
    found = []
    for i, name in enumerate(names):
        mark = pytest.mark.exhaustive if i % 3 else pytest.mark.slow
        found.append(pytest.param(name, marks=() if name in QUICK else mark))
    return found


def params_of(call):
    return NETWORKS[OF_PARAMS[call].network]()


# ---- programs ----


@pytest.mark.parametrize("call", rows(TRACEABLE))
def test_jit_changes_no_number(call):
    of, params = TRACEABLE[call].of, params_of(call)
    found = jax.jit(of)(params)
    assert_close(numbers(found), numbers(of(params)))
    assert jax.tree.map(lambda a: (a.shape, a.dtype), jax.eval_shape(of, params)) == (
        jax.tree.map(lambda a: (a.shape, a.dtype), found)
    )


@pytest.mark.parametrize("call", rows(TRACEABLE))
def test_an_ensemble_is_mapped_over(call):
    of, one = TRACEABLE[call].of, params_of(call)
    other = jax.tree.map(lambda a: 0.5 * a, one)
    found = jax.vmap(of)(jax.tree.map(lambda *pair: jnp.stack(pair), one, other))
    for i, params in enumerate((one, other)):
        assert_close(numbers(jax.tree.map(lambda a, i=i: a[i], found)), numbers(of(params)))


@pytest.mark.parametrize("call", rows(n for n in TRACEABLE if n != "solve_states"))
def test_gradients_agree_with_differences(call):
    of, params = TRACEABLE[call].of, params_of(call)
    if call == "predict, in another dtype":
        pytest.skip("float16 is too coarse for differences")
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: a.astype(jnp.float64), params)

        def total(t):
            moved = jax.tree.map(lambda a: a + t * jnp.cos(jnp.arange(a.size)).reshape(a.shape),
                                 params)  # fmt: skip
            leaves = jax.tree.leaves(of(moved))
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves)

        t, h = jnp.float64(0.01), 1e-5  # beside relu's kinks, where biases are 0
        slope = float(jax.grad(total)(t))
        difference = float((total(t + h) - total(t - h)) / (2 * h))
    assert slope == pytest.approx(difference, rel=1e-5, abs=1e-7)


# ---- parameters as others hand them ----


@pytest.mark.parametrize("call", rows(n for n in OF_PARAMS if n != "fit, every optimizer"))
def test_numpy_leaves_are_taken(call):
    of, params = OF_PARAMS[call].of, params_of(call)
    assert_close(numbers(of(jax.device_get(params))), numbers(of(params)))


@pytest.mark.parametrize("call", rows(n for n in OF_PARAMS if n != "fit, every optimizer"))
def test_float64_of_numpy_is_float32_where_x64_is_off(call):
    """As np.load and literals give it; a warning of JAX's would be an error here."""
    of, params = OF_PARAMS[call].of, params_of(call)
    if call.startswith("save and load"):
        pytest.skip("a file keeps float64, and load says so")
    wide = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    assert_close(numbers(of(wide)), numbers(of(params)))


@pytest.mark.parametrize("call", rows(n for n in OF_PARAMS if n != "sizes"))
def test_a_deleted_array_is_named(call):
    params = params_of(call)
    params[-1].w.delete()
    with pytest.raises((ValueError, RuntimeError), match="deleted"):
        jax.block_until_ready(OF_PARAMS[call].of(params))


def test_donated_parameters_are_told_what_happened():
    params = NETWORKS["plain"]()
    halved = jax.jit(lambda p: jax.tree.map(lambda a: 0.5 * a, p), donate_argnums=0)(params)
    message = r"stack 0 holds an array that was deleted, .* \(donate_argnums\)"
    with pytest.raises(ValueError, match=message):
        jnn.predict(params, X)
    assert jnn.predict(halved, X).shape == (len(X), 1)


# ---- first use under jit ----


@pytest.mark.parametrize(
    "start",
    [pytest.param(name, marks=() if name == "init rezero" else pytest.mark.slow)
     for name in STARTS],
)  # fmt: skip
def test_initial_parameters_are_the_same_under_jit(start):
    """To rounding. What is known of an activation is worked out on first use, here in a program."""
    for cached in (jnn.initializers._critical_variances, jnn.structure._found):
        cached.cache_clear()
    found = jax.jit(STARTS[start])()
    for a, b in zip(numbers(found), numbers(STARTS[start]()), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(np.abs(b), initial=1e-3))


@pytest.mark.slow
def test_keys_are_mapped_over_within_jit():
    def start(key):
        return jnn.init_network_params([3, 4, 4, 1], key, activation=bent, init="critical")

    keys = jax.random.split(jax.random.key(0), 3)
    found = jax.jit(jax.vmap(start))(keys)
    for i in range(3):
        alone = numbers(start(keys[i]))
        mapped = numbers(jax.tree.map(lambda a, i=i: a[i], found))
        for a, b in zip(mapped, alone, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(np.abs(b), initial=1e-3))


# ---- export and meshes ----


@pytest.mark.parametrize(
    "network",
    ["plain", *(pytest.param(n, marks=pytest.mark.slow)
                for n in ("residual", "own", "softmax", "deep", "line"))],
)  # fmt: skip
def test_predict_is_exported_for_any_number_of_rows(network):
    params = NETWORKS[network]()
    n_0 = jnn.sizes(params)[0]
    (rows,) = jax.export.symbolic_shape("rows")
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), params)
    batch = jax.ShapeDtypeStruct((rows, n_0), jnp.float32)
    exported = jax.export.export(jax.jit(jnn.predict))(shapes, batch)
    for n in (1, 5, 12):
        x = np.cos(np.arange(n * n_0, dtype=np.float32)).reshape(n, n_0)
        np.testing.assert_allclose(
            exported.call(params, x), jnn.predict(params, x), rtol=1e-5, atol=1e-6
        )


# ---- equality, copies ----

RESULTS = {
    "parameters": lambda: NETWORKS["own"](),
    "forward_pass": lambda: jnn.forward_pass(NETWORKS["plain"](), EXAMPLE),
    "gradient_norms": lambda: jnn.diagnostics.gradient_norms(NETWORKS["plain"](), X, Y),
    "diagnose": lambda: jnn.diagnose(NETWORKS["plain"](), X, Y),
    "fit": lambda: jnn.fit(NETWORKS["plain"](), (X, Y), epochs=1, progress=False),
    "standardization": lambda: jnn.data.standardization(X),
    "classification_report": lambda: jnn.classification_report([0, 1], [0, 1]),
    "Stop": lambda: jnn.Stop(target=1.0),
    "Method": lambda: jnn.Method("dense"),
    "Penalty": lambda: jnn.penalties.l1(0.1),
}


@pytest.mark.parametrize("result", RESULTS)
def test_what_is_copied_or_pickled_is_equal(result):
    made = RESULTS[result]()
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
        assert (again == made) is True
        assert (again != made) is False
    assert (made == "something else") is False


@pytest.mark.parametrize(
    "change",
    [
        lambda p: jax.tree.map(lambda a: a + 1e-7, p),
        lambda p: p[:-1],
        lambda p: jax.tree.map(lambda a: a.astype(jnp.float16), p),
        lambda p: (copy.replace(p[0], activation="relu") if hasattr(copy, "replace")
                   else jnn.Stack(p[0].w, p[0].b, "relu"), *p[1:]),
    ],
    ids=["numbers", "layers", "dtype", "activation"],
)  # fmt: skip
def test_other_parameters_are_unequal(change):
    params = NETWORKS["plain"]()
    assert (change(params) == params) is False
    assert (change(params) != params) is True


def test_nan_is_the_same_as_nan_and_parameters_have_no_hash():
    params = jax.tree.map(lambda a: a * jnp.nan, NETWORKS["plain"]())
    assert params == jax.tree.map(jnp.copy, params)
    with pytest.raises(TypeError, match="unhashable"):
        hash(params)


def test_a_plan_is_pickled_and_copied():
    plan = Plan(optimizer="adam", learning_rate=0.5, stop=jnn.Stop(target=0.1))
    assert plan.rule.rate == 0.5
    for again in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):
        assert again.stop == plan.stop
        assert again.rule.transformation is plan.rule.transformation
        assert (jax.random.key_data(again.key) == jax.random.key_data(plan.key)).all()
