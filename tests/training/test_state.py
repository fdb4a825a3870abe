"""What a run carries: parameters of half precision in float32, the optimizer's first state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest

import jnn
from jnn.training import compiled, state

pytestmark = pytest.mark.table


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [n for n, o in jnn.OPTIMIZERS.items() if o.learning_rate])
def test_every_optimizer_trains_half_precision(name, dtype):
    """A weight whose gradient is exactly 0 stays: its step is not 0/0."""
    x = np.c_[np.linspace(-1, 1, 64), np.zeros(64)]
    y = np.sin(3 * x[:, :1])
    losses = {}
    for kind in (dtype, "float32"):
        params = jnn.init_network_params([2, 16, 1], jax.random.key(0), dtype="float32")
        params = jax.tree.map(lambda a, kind=kind: a.astype(kind), params)
        result = jnn.fit(params, (x, y), optimizer=name, epochs=20, progress=False)
        assert result.stopped == "epochs"
        assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {jnp.dtype(kind)}
        losses[kind] = result.history["loss"][-1]
    assert losses[dtype] == pytest.approx(losses["float32"], rel=0.05)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.sgd(0.1, momentum=0.9), optax.adam(0.1), optax.adagrad(0.1),
        optax.chain(optax.clip_by_global_norm(1.0), optax.rmsprop(0.1)),
        optax.adam(optax.cosine_decay_schedule(0.1, 10)),
        optax.chain(optax.ema(0.9), optax.trace(0.5)),
        optax.contrib.schedule_free_adamw(0.1),  # keeps a copy of the parameters
    ],
    ids=range(7),
)  # fmt: skip
def test_an_optimizer_begins_on_the_host_as_in_a_program(optimizer):
    p = np.arange(5, dtype=np.float32)
    found, expected = state._first(optimizer, p), optimizer.init(jnp.asarray(p))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "levenberg_marquardt"])
def test_a_run_compiles_one_program(optimizer):
    compiled_before, begun_before = compiled.run._cache_size(), state._init._cache_size()
    params = oracles.network([3, 7, 1])
    x = np.linspace(-1, 1, 21).reshape(7, 3)
    jnn.fit(params, (x, x[:, :1]), optimizer=optimizer, epochs=2)
    assert compiled.run._cache_size() == compiled_before + 1
    assert state._init._cache_size() == begun_before
