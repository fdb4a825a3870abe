"""Networks of several structures in one call."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn.many import members

X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
SIZES = [(1, 3, 1), (1, 4, 4, 1), (1, 3, 1), (1, 1), (1, 4, 4, 1), (1, 3, 1)]
RATES = np.geomspace(1e-3, 1e-1, len(SIZES))


def networks(dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(3), len(SIZES))
    return [
        jnn.init_network_params(sizes, key, dtype=dtype)
        for sizes, key in zip(SIZES, keys, strict=True)
    ]


def assert_same(a, b):
    """To the bit."""
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("own", [False, True], ids=["one order", "orders of their own"])
def test_each_member_is_what_fit_makes_of_it(own, x64):
    members = networks(jnp.float64)
    keys = jax.random.split(jax.random.key(5), len(SIZES)) if own else jax.random.key(5)
    fits = jnn.fit_many(
        members, (X, Y), epochs=8, learning_rate=RATES, key=keys, validation=0.2, patience=3,
        watch="state_std", progress=False,
    )  # fmt: skip
    for m, member in enumerate(members):
        alone = jnn.fit(
            member, (X, Y), epochs=8, learning_rate=RATES[m].item(), key=keys[m] if own else keys,
            validation=0.2, patience=3, watch="state_std", progress=False,
        )  # fmt: skip
        found = fits[m]
        assert (found.stopped, found.epochs) == (alone.stopped, alone.epochs)
        assert oracles.apart(found.params, alone.params) < 1e-11
        for name, column in alone.history.items():
            mine = found.history[name]
            if column.ndim == 2:  # of as many layers as the deepest network has
                assert np.isnan(mine[:, column.shape[1] :]).all()
                mine = mine[:, : column.shape[1]]
            np.testing.assert_allclose(mine, column, rtol=1e-11, atol=1e-11, err_msg=name)


def test_parts_of_a_result():
    fits = jnn.fit_many(networks(), (X, Y), epochs=3, learning_rate=RATES, progress=False)
    assert isinstance(fits.params, list)
    few = fits[[1, 4]]
    assert [len(few), len(few.params)] == [2, 2]
    assert_same(few[1].params, fits[4].params)
    mean, _ = fits.predict(X)
    outputs = np.stack([jnn.predict(params, X) for params in fits.params])
    np.testing.assert_allclose(mean, outputs.mean(0), rtol=1e-6)
    assert fits.best().history["loss"][-1] == fits.history["loss"][:, -1].min()
    again = jnn.fit_many(fits.params, (X, Y), epochs=1, progress=False)
    assert len(again) == len(fits)


def test_a_structure_is_one_program(an_epoch_at_a_time):
    compiled = []

    def listen(event, duration, **of):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(str(of.get("fun_name")))

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    for rate in (1e-3, 1e-2):
        jnn.fit_many(networks(), (X, Y), epochs=3, learning_rate=rate, progress=False)
    jax.monitoring.unregister_event_duration_listener(listen)
    assert sum("run" in name for name in compiled) == len(set(SIZES))


def test_structures_of_the_same_arrays_begin_by_one_program():
    """Of five activations the optimizer's states are alike."""
    networks = [
        jnn.init_network_params([1, 5, 1], jax.random.key(0), activation=activation)
        for activation in ("tanh", "sigmoid", "relu", "gelu", "silu")
    ]
    before = members._begun._cache_size()
    jnn.fit_many(networks, (X, Y), epochs=0, progress=False)
    assert members._begun._cache_size() == before + 1


@pytest.mark.parametrize("kind", [object, int, complex, bool, str])
def test_members_that_are_no_floats_are_named(kind):
    params = jax.vmap(lambda key: jnn.init_network_params([1, 4, 1], key))(
        jax.random.split(jax.random.key(0), 3)
    )
    members = jax.tree.map(lambda leaf: np.asarray(leaf).astype(kind), params)
    with pytest.raises(TypeError, match=r"stack 0 holds .*; parameters must be of float16"):
        jnn.fit_many(members, (X, Y), epochs=1, progress=False)
