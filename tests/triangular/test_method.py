"""Ways of computing: what goes together, what "auto" takes, and states that are computed again."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn.triangular import method
from jnn.triangular.method import Method

pytestmark = pytest.mark.table

X = jnp.asarray(np.random.default_rng(0).standard_normal((5, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backprop": "backslash"}, "unknown backprop 'backslash'; known: auto, autodiff, dense"),
        ({"states": "backward"}, "unknown states 'backward'; known: sequential, newton"),
        ({"states": "newton", "backprop": "autodiff"}, 'states "newton" is differentiated by'),
        ({"recompute_every": 0}, "recompute_every is 0; it must be an integer of at least 1"),
        ({"recompute_every": 2.0}, "recompute_every is 2.0; it must be an integer"),
        ({"recompute_every": True}, "recompute_every is True; it must be an integer"),
        ({"recompute_every": 3, "backprop": "dense"}, "leave recompute_every out"),
    ],
)
def test_what_does_not_go_together_is_refused_by_all_that_take_it(options, message, as_a_user):
    params = oracles.network([2, 3, 1])
    for call in (
        lambda: method.check_method(**options),
        lambda: jnn.forward(params, X[0], **options),
        lambda: jnn.predict(params, X, **options),
        lambda: jnn.fit(params, (X, X[:, :1]), backprop=Method(**options)),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            call()


def test_auto_takes_the_rule_where_it_pays():
    deep, single, narrow = (
        oracles.network([n] * (d + 1))[0] for n, d in ((8, 20), (8, 1), (1, 20))
    )
    assert method.chosen(deep, Method(), 1) == Method("substitution")
    assert method.chosen(single, Method(), 1) == Method("autodiff")
    assert method.chosen(single, Method(), 32) == Method("substitution")
    assert method.chosen(narrow, Method(), 1) == Method("autodiff")
    assert method.chosen(deep, Method(states="newton"), 1) == Method("parallel", "newton")
    assert method.chosen(deep, Method("dense"), 1) == Method("dense")


@pytest.mark.parametrize(
    ("depth", "width", "batch", "way"),
    [
        (10_000, 8, 1, "parallel"),
        (10_000, 16, 32, "parallel"),
        (32, 8, 1, "substitution"),
        (10_000, 64, 1, "substitution"),
        (10_000, 8, 100_000, "substitution"),
        (1, 8, 1, "autodiff"),
        (1, 16, 200, "substitution"),
        (1, 100, 50, "substitution"),
        (1, 512, 64, "autodiff"),
    ],
)
def test_on_an_accelerator_the_deep_and_narrow_go_in_parallel(depth, width, batch, way):
    assert method.fastest(depth, width, batch, backend="gpu") == way


def test_states_that_leave_the_cache_are_computed_again():
    deep = oracles.network([8] * 102)[0]
    assert method.chosen(deep, Method(), batch=2**13).recompute_every == 10
    assert method.chosen(deep, Method(recompute_every=7), batch=2**13).recompute_every == 7
    assert method.chosen(deep, Method("substitution"), batch=2**13).recompute_every is None


@pytest.mark.parametrize(
    ("width", "batch", "dtype", "columns"),
    [(8, 0, "float32", 0), (8, 1, "float32", 1), (8, 3, "float32", 3), (8, 4, "float32", 8),
     (8, 8, "float32", 8), (16, 10, "float32", 16), (32, 100, "float32", 104),
     (2, 10, "float32", 10), (64, 10, "float32", 10), (8, 9, "float64", 12), (8, 4, "float64", 4),
     (8, 10, "bfloat16", 16)],
)  # fmt: skip
def test_substitution_fills_vector_registers(width, batch, dtype, columns, x64):
    x = jnp.ones((width, batch), dtype)
    assert method.columns(width, batch, x.dtype) == columns
    assert method.filled(x).shape == (width, columns)


@pytest.mark.parametrize(
    ("backprop", "every", "residual"),
    [("auto", 1, False), ("auto", 4, True), ("auto", 7, False), ("auto", 100, True),
     ("autodiff", 4, False), ("parallel", 4, True)],
)  # fmt: skip
def test_checkpoints_change_no_gradient(backprop, every, residual, x64):
    params = oracles.network([2, *[3] * 13, 1], "gelu", residual, gain=0.7)
    for f in (
        lambda p, **how: jnp.mean(jnp.sin(jnn.predict(p, X, **how))),
        lambda p, **how: jnp.mean(jnp.sin(jnn.forward(p, X[0], **how))),
    ):
        expected = jax.jit(jax.value_and_grad(lambda p, f=f: f(p, backprop="autodiff")))(params)
        actual = jax.jit(
            jax.value_and_grad(lambda p, f=f: f(p, backprop=backprop, recompute_every=every))
        )(params)
        assert oracles.apart(expected, actual) < 1e-12


@pytest.mark.slow
def test_checkpoints_in_training():
    params = jnn.init_network_params([2, *[3] * 20, 1], jax.random.key(0))
    runs = [
        jnn.fit(params, (X, X[:, :1]), epochs=5, progress=False, backprop=Method(recompute_every=k))
        for k in (None, 4)
    ]
    assert oracles.apart(runs[0].params, runs[1].params) < 1e-5


@pytest.mark.slow
def test_checkpoints_take_a_tenth_of_the_memory():
    """Peak memory of the gradient at depth 10,000, width 32, batch 256, as it is planned."""
    stack = jax.eval_shape(
        lambda: jnn.Stack(jnp.zeros((10_000, 32, 32)), jnp.zeros((10_000, 32)), "tanh")
    )
    x = jax.ShapeDtypeStruct((256, 32), jnp.float32)

    def peak(**options):
        def loss(params, x):
            return jnp.mean(jnn.predict(params, x, **options) ** 2)

        planned = jax.jit(jax.grad(loss)).lower((stack,), x).compile().memory_analysis()
        return planned.temp_size_in_bytes + planned.output_size_in_bytes

    assert peak(recompute_every=100) <= 0.1 * peak(backprop="substitution")
