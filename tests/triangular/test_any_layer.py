"""Deep maps of any layer: normalised, gated, recurrent; the rule against autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn

pytestmark = pytest.mark.table

N, n = 60, 4
RNG = np.random.default_rng(0)


def weights(*shape):
    return jnp.asarray(RNG.standard_normal((N, *shape)) / np.sqrt(n))


def layer_norm(p, x):
    z = p["w"] @ x + p["b"]
    return jnp.tanh(p["gain"] * (z - z.mean()) / jnp.sqrt(z.var() + 1e-5))


def rms_norm(p, x):
    return x + 0.3 * jnp.tanh(p["w"] @ (x / jnp.sqrt(jnp.mean(x**2) + 1e-6)))


def highway(p, x):
    t = jax.nn.sigmoid(p["gate"] @ x - 1)
    return t * jnp.tanh(p["w"] @ x) + (1 - t) * x


def gru(u, h, shared):
    reset, update = jax.nn.sigmoid(shared["gates"] @ jnp.concatenate([h, u])).reshape(2, n)
    new = jnp.tanh(shared["new"] @ jnp.concatenate([reset * h, u]))
    return (1 - update) * h + update * new


LAYERS = {
    "layer norm": (
        layer_norm,
        lambda: ({"w": weights(n, n), "b": weights(n), "gain": jnp.ones((N, n))},),
    ),
    "RMS norm": (rms_norm, lambda: ({"w": weights(n, n)},)),
    "highway": (highway, lambda: ({"w": weights(n, n), "gate": weights(n, n)},)),
    "recurrent": (
        gru,
        lambda: (weights(3), {"gates": weights(2 * n, n + 3)[0], "new": weights(n, n + 3)[0]}),
    ),
}


def problem(name):
    layer, draw = LAYERS[name]
    p, *shared = draw()
    return layer, (p, jnp.asarray(RNG.standard_normal(n)), *shared)


def objective(layer, backprop, *given, **options):
    return jnp.sum(jnp.sin(jnn.deep(layer, backprop=backprop, **options)(*given)))


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_by_every_method(name, states, x64):
    layer, given = problem(name)
    everything = tuple(range(len(given)))
    gradients = [
        jax.jit(jax.grad(lambda *g, b=b: objective(layer, b, *g, all_states=states), everything))(
            *given
        )
        for b in ("autodiff", "substitution", "parallel", "auto")
    ]
    for gradient in gradients[1:]:
        assert oracles.apart(gradients[0], gradient) < 1e-11


@pytest.mark.parametrize("name", LAYERS)
def test_a_finite_difference(name, x64):
    layer, given = problem(name)
    direction = jax.tree.map(lambda a: jnp.asarray(RNG.standard_normal(a.shape)), given)
    f = jax.jit(
        lambda t: objective(layer, "auto", *jax.tree.map(lambda a, d: a + t * d, given, direction))
    )
    step = 1e-6
    np.testing.assert_allclose(jax.grad(f)(0.0), (f(step) - f(-step)) / (2 * step), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backprop", ["substitution", "parallel"])
def test_second_derivatives_forward_mode_and_batches(backprop, x64):
    layer, (p, x) = problem("highway")
    X = jnp.stack([x, -x, 2 * x])

    def everything(b):
        f = lambda x: objective(layer, b, p, x)  # noqa: E731
        return (
            jax.hessian(f)(x),
            jax.jacfwd(f)(x),
            jax.grad(lambda x: jax.jvp(f, (x,), (x,))[1])(x),
            jax.vmap(f)(X),
        )

    expected, actual = (jax.jit(everything, static_argnums=0)(b) for b in ("autodiff", backprop))
    assert oracles.apart(expected, actual) < 1e-11


def test_a_state_may_be_a_tree(x64):
    def lstm(u, state, w):
        h, c = state
        i, f, o, new = (w @ jnp.concatenate([h, u])).reshape(4, n)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(new)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    given = weights(2), (jnp.zeros(n), jnp.ones(n)), weights(4 * n, n + 2)[0]
    gradients = [
        jax.jit(
            jax.grad(lambda *g, b=b: jnp.sum(jnn.deep(lstm, backprop=b)(*g)[0] ** 2), (0, 1, 2))
        )(*given)
        for b in ("autodiff", "substitution", "parallel")
    ]
    assert oracles.apart(gradients[0], gradients[1]) < 1e-11
    assert oracles.apart(gradients[0], gradients[2]) < 1e-11


def test_a_second_call_compiles_nothing():
    traced = []

    def layer(p, x):
        traced.append(1)
        return jnp.tanh(p * x)

    f = jnn.deep(layer, backprop="substitution")
    p, x = jnp.ones((50, 3)), jnp.ones(3)
    jax.jit(f)(p, x)
    before = len(traced)
    program = jax.jit(jax.grad(lambda p: f(p, x).sum()))
    program(p)
    after = len(traced)
    program(2 * p)
    assert len(traced) == after > before


def test_the_dense_layer_is_the_stack(x64):
    params, x = oracles.network([5] * 21, "tanh"), oracles.example(5)
    (hidden, _), dense = params, jnn.deep(lambda p, x: jnp.tanh(p[0] @ x + p[1]))
    expected = jnn.hidden_states(params, x)[0][-1]
    np.testing.assert_allclose(dense((hidden.w, hidden.b), x), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: jnn.deep(layer_norm, backprop="dense"),
            "unknown backprop 'dense'; known: auto, autodiff",
        ),
        (
            lambda: jnn.deep(lambda p, x: x[:2])(jnp.ones((3, 1)), jnp.ones(4)),
            "makes a state of 2 numbers",
        ),
        (
            lambda: jnn.deep(lambda p, x: x)({"a": jnp.ones(3), "b": jnp.ones(2)}, jnp.ones(4)),
            r"leaves of shapes \[\(3,\), \(2,\)\]; expected .* of one depth",
        ),
        (lambda: jnn.deep(lambda p, x: x)({}, jnp.ones(4)), "of one depth"),
        (lambda: jnn.deep(lambda p, x: x)(jnp.ones((0, 2)), jnp.ones(4)), "depth 0"),
    ],
)
def test_wrong_calls_are_refused(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()


def test_wrong_kinds_are_refused(as_a_user):
    with pytest.raises(TypeError, match=r"layer is .*; it must be a function"):
        jnn.deep("tanh")
    with pytest.raises(TypeError, match="x must hold floating-point numbers"):
        jnn.deep(lambda p, x: x)(jnp.ones(3), jnp.arange(3))
