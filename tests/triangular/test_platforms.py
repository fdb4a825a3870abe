"""Other platforms: what a CPU can show of them, by lowering for them and by being told of them."""

import contextlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax import export

import jnn
from jnn.training import compiled
from jnn.triangular import method as methods

PLATFORMS = ("cuda", "rocm", "tpu")
KINDS = ("forward", "gradient")
ACCELERATED = ("auto", "parallel", "fused")  # where the platforms differ
EXACT = 1e-12

# JAX announces that it gives up Triton
pytestmark = pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")

X = jnp.asarray(np.random.default_rng(0).standard_normal((5, 2)), jnp.float32)


def computation(kind, method):
    """What predict gives, or its gradient."""

    def outputs(params, x):
        return jnn.predict(params, x, backprop=method)

    def loss(params, x):
        return jnp.sum(jnp.sin(outputs(params, x)).astype(jnp.float32))

    return outputs if kind == "forward" else jax.grad(loss)


def shapes(sizes, activation="tanh", dtype="float32", batch=5):
    """A network and a batch, of which nothing but the shapes is needed."""
    params = jax.eval_shape(
        lambda: jnn.init_network_params(
            sizes, jax.random.key(0), activation=activation, dtype=dtype
        )
    )
    return params, jax.ShapeDtypeStruct((batch, sizes[0]), dtype)


@contextlib.contextmanager
def a_gpu():
    """A device to lower Triton's kernels for, which newer versions of JAX ask for."""
    gpu = jax.sharding.AbstractDevice("NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=gpu)):
        yield


def lowered(f, *args, platform, **options):
    with contextlib.nullcontext() if platform == "tpu" else a_gpu():
        return jax.jit(f, **options).trace(*args).lower(lowering_platforms=(platform,)).as_text()


# ---- lowered for accelerators ----


FAST = {("fused", "gelu", "gradient", "bfloat16")} | {
    (method, "tanh", "gradient", "float32") for method in jnn.METHODS if method != "fused"
}
EVERY = itertools.product(jnn.METHODS, jnn.ACTIVATIONS, KINDS, ("float32", "bfloat16"))


def mark(i, row):
    """Of the others every fifth row, which meets all values of each column, is CI's."""
    if row in FAST:
        return []
    return pytest.mark.exhaustive if i % 5 else pytest.mark.slow


@pytest.mark.parametrize(
    ("method", "activation", "kind", "dtype"),
    [pytest.param(*row, marks=mark(i, row)) for i, row in enumerate(EVERY)],
)
def test_every_method_is_lowered_for_every_platform(method, activation, kind, dtype):
    args = shapes([4, 4, 4, 4], activation, dtype)
    for platform in PLATFORMS:
        assert lowered(computation(kind, method), *args, platform=platform)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "batch", "dtype"),
    [
        ([8] * 101, 32, "float32"),  # in parallel
        ([1] * 101, 4, "bfloat16"),
        ([16] * 10_001, 32, "float32"),  # whose states leave a CPU's cache
        ([64] * 4, 7, "bfloat16"),  # by the matrix units
        ([130] * 4, 16, "float32"),  # too wide for a kernel
    ],
)
@pytest.mark.parametrize("method", ACCELERATED)
def test_other_shapes_are_lowered_for_every_platform(method, sizes, batch, dtype):
    args = shapes(sizes, dtype=dtype, batch=batch)
    for platform in PLATFORMS:
        assert lowered(computation("gradient", method), *args, platform=platform)


class CapturedError(Exception):
    """The program of a run, in place of running it."""


@pytest.mark.parametrize(
    "method", ["auto", *(pytest.param(m, marks=pytest.mark.slow) for m in jnn.METHODS[1:])]
)
def test_the_whole_run_of_fit_is_lowered_for_every_platform(method, monkeypatch):
    run = compiled.run

    def capture(*args):
        raise CapturedError(*args)

    monkeypatch.setattr(compiled, "run", capture)
    params = oracles.network([2, 4, 4, 4, 1])
    data = (X, X[:, :1])
    with pytest.raises(CapturedError) as captured:
        jnn.fit(params, data, validation=data, epochs=2, batch_size=2, backprop=method)
    for platform in PLATFORMS:
        with contextlib.nullcontext() if platform == "tpu" else a_gpu():
            traced = run.trace(*captured.value.args)
            assert traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("activation", "kernels"), [("tanh", 2), pytest.param("gelu", 1, marks=pytest.mark.slow)]
)
def test_a_gpu_has_the_fused_kernels_and_no_other_platform(activation, kernels):
    """One for the pass, where Triton knows the activation, and one for back substitution."""
    args = shapes([4] * 4, activation)
    counts = {
        platform: lowered(computation("gradient", "fused"), *args, platform=platform).count(
            "__gpu$xla.gpu.triton"
        )
        for platform in PLATFORMS
    }
    assert counts == {"cuda": kernels, "rocm": kernels, "tpu": 0}


def test_a_deep_network_goes_in_parallel_on_accelerators_alone():
    """Its Jacobians are assembled there: chunk × chunks × batch × width × width numbers."""
    args = shapes([4] * 101, batch=8)
    cpu, cuda = (
        lowered(computation("gradient", "auto"), *args, platform=platform)
        for platform in ("cpu", "cuda")
    )
    assert "8x13x8x4x4x" in cuda
    assert "8x13x8x4x4x" not in cpu
    assert cpu.count("stablehlo.while") == 2
    assert cuda.count("stablehlo.while") > 2


# ---- one program for several platforms ----


def branches(jaxpr):
    """How often a program branches, in all that it calls."""
    count = 0
    for equation in jaxpr.eqns:
        count += equation.primitive.name == "cond"
        for part in jax.tree.leaves(equation.params, is_leaf=lambda part: hasattr(part, "eqns")):
            count += branches(part) if hasattr(part, "eqns") else 0
    return count


@pytest.mark.parametrize(
    ("sizes", "batch", "some"),
    [
        ([16] * 17, 32, False),
        ([16] * 17, 10, False),
        ([1, 1, 1, 1], 4, False),
        ([64] * 200, 32, False),
        ([8] * 101, 32, True),
    ],
)
def test_ordinary_networks_are_traced_once(sizes, batch, some):
    for kind in KINDS:
        traced = jax.make_jaxpr(computation(kind, "auto"))(*shapes(sizes, batch=batch))
        assert bool(branches(traced)) == (some and kind == "gradient")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "parallel"])
def test_one_export_serves_several_platforms(method):
    params, x = oracles.network([2, *[3] * 70, 1]), X
    f = jax.jit(computation("gradient", method))
    exported = export.export(f, platforms=("cpu", "cuda", "tpu"))(params, x)
    assert oracles.apart(exported.call(params, x), f(params, x)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("width", "leave"), [(3, False), (3, True), (1, False)])
def test_what_branches_is_transformed_as_what_does_not(width, leave, monkeypatch, x64):
    """Derivatives to second order, batches of networks: by "auto" and by autodiff."""
    monkeypatch.setattr(methods, "states_leave_the_cache", lambda *_: leave)

    def h(z):  # of its own each time: nothing traced before is taken again
        return jnp.tanh(z)

    params, tangents = (oracles.network([width] * 71, h, seed=seed) for seed in (0, 1))
    x = jnp.asarray(X[:, :1] + np.arange(width), float)
    several = jax.tree.map(lambda p, t: jnp.stack([p, p + 0.1 * t]), params, tangents)

    def results(backprop):
        gradient = computation("gradient", backprop)
        return jax.jit(
            lambda p, t: {
                "jvp": jax.jvp(computation("forward", backprop), (p, x), (t, x)),
                "gradient": gradient(p, x),
                "second order": jax.jvp(lambda p: gradient(p, x), (p,), (t,)),
                "by reverse mode twice": jax.grad(lambda p: jnp.vdot(gradient(p, x)[0].w, t[0].w))(
                    p
                ),
                "networks": jax.vmap(gradient, (0, None))(several, x),
            }
        )(params, tangents)

    expected, actual = results("autodiff"), results("auto")
    for name, value in expected.items():
        assert oracles.apart(value, actual[name]) < 1e-11, name


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3])
def test_deep_maps_of_any_layer_branch_where_they_are_deep(size, x64):
    rng = np.random.default_rng(1)
    p, x = jnp.asarray(rng.standard_normal((70, size, size))), jnp.ones(size)

    def gradient(backprop, p, x):
        network = jnn.deep(lambda p, x: jnp.tanh(p @ x), backprop=backprop)
        return jax.grad(lambda p, x: jnp.sum(jnp.sin(network(p, x))), (0, 1))(p, x)

    assert branches(jax.make_jaxpr(lambda *args: gradient("auto", *args))(p, x))
    expected, actual = gradient("autodiff", p, x), gradient("auto", p, x)
    assert oracles.apart(expected, actual) < EXACT
    for platform in PLATFORMS:
        assert lowered(lambda *args: gradient("auto", *args), p, x, platform=platform)


# ---- told of another platform, the arrays on a CPU ----


@pytest.mark.parametrize(
    ("kind", "depth", "names"),
    [
        ("gradient", 2, ("auto", "fused")),
        pytest.param("gradient", 2, jnn.METHODS, marks=pytest.mark.slow),
        pytest.param("forward", 2, jnn.METHODS, marks=pytest.mark.slow),
        pytest.param("gradient", 70, ACCELERATED, marks=pytest.mark.slow),
    ],
)
def test_nothing_asks_for_the_default_backend(kind, depth, names, monkeypatch, x64):
    x = jnp.asarray(X, float)

    def numbers():
        # a function of its own each time: nothing traced before is taken again
        params = oracles.network([2, *[3] * (depth + 1), 1], lambda z: jnp.tanh(z))
        compute = [computation(kind, name) for name in names]
        return jax.tree.leaves(jax.jit(lambda p, x: [f(p, x) for f in compute])(params, x))

    expected = numbers()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert oracles.apart(expected, numbers()) == 0
