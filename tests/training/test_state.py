"""What a run carries: parameters of half precision in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn

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
