"""Arrays on a mesh of four devices, their layout in their types or not: the numbers are the same.

Devices are counted once in a process, so that the table runs in one of its own, this file.
"""

import contextlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jnn

ROOT = Path(__file__).parents[2]
X = np.cos(np.arange(24, dtype=np.float32)).reshape(8, 3)
Y = np.sin(X.sum(axis=1, keepdims=True) + np.arange(4, dtype=np.float32))


# ---- the calls: of parameters, x and y ----


def gradient(**method):
    """What predict gives, and derivatives by all that it takes."""

    def total(params, x):
        outputs = jnn.predict(params, x, **method)
        return jnp.sum(outputs**2), outputs

    return lambda params, x, y: jax.jit(jax.grad(total, (0, 1), has_aux=True))(params, x)


def second_order(params, x, y):
    """By forward over reverse mode, nothing around it compiled."""

    def total(params):
        return jnp.sum(jnn.predict(params, x) ** 2)

    return jax.jvp(jax.grad(total), (params,), (params,))


def fit(**options):
    """What a run leaves; its rows are visited in a new order in every epoch."""
    return lambda params, x, y: (
        jnn.fit(
            params, (x, y), **{"epochs": 2, "batch_size": 3, "progress": False, **options}
        ).params
    )


def fit_stream(params, x, y):
    """The same of batches."""
    return jnn.fit(params, lambda _: [(x, y), (2 * x, y)], epochs=2, progress=False).params


PLAIN, WIDE, DEEP = [3, 4, 4, 4, 4], [3, 128, 128, 4], [3, *[4] * 41, 4]
CALLS = {
    **{method: (PLAIN, gradient(backprop=method)) for method in jnn.METHODS},
    "in parallel, deep": (DEEP, gradient(backprop="parallel")),
    "Newton": (DEEP, gradient(states="newton")),
    "recomputed": (PLAIN, gradient(recompute_every=2)),
    "eager": (PLAIN, lambda params, x, y: jnn.predict(params, x)),
    "second order": (PLAIN, second_order),
    "forward": (PLAIN, lambda params, x, y: jnn.forward(params, X[0])),
    "vmap": (PLAIN, lambda params, x, y: jax.vmap(jnn.forward, (None, 0))(params, x)),
    "forward_pass": (PLAIN, lambda params, x, y: jnn.forward_pass(params, X[0]).states),
    "linear_system": (PLAIN, lambda params, x, y: jnn.linear_system(params, X[0]).L),
    "solve_states": (DEEP, lambda params, x, y: jnn.solve_states(params, x)[1].result),
    "evaluate": (
        PLAIN,
        lambda params, x, y: jnn.evaluate(params, (x, y, y[:, 0] ** 2), ("mse", "r2", "max_error")),
    ),
    "mean_loss": (
        PLAIN,
        lambda params, x, y: jnn.losses.mean_loss(jnn.LOSSES["mse"], y, 2 * y, y[:, 0] ** 2),
    ),
    "fit": (PLAIN, fit()),
    "fit, wide": (WIDE, fit(validation=(X, Y), patience=2, dropout_rate=0.2, metrics=["r2"])),
    "fit, all rows": (WIDE, fit(batch_size=None, optimizer="lbfgs")),
    "fit, stream": (WIDE, fit_stream),
}
SOME = ("auto", "eager", "evaluate", "fit, wide")
# JAX itself takes no such derivative unless a mesh is set, and no `vmap` over a mesh axis
# that the parameters are spread along
BY_TYPES = ("eager", "forward", "evaluate", "mean_loss", "fit, wide")

# (kind, whether the mesh is set, how parameters lie): the calls
TABLE = {
    (AxisType.Explicit, True, "on the host"): ("auto", "evaluate"),
    (AxisType.Explicit, True, "replicated"): tuple(CALLS),
    (AxisType.Explicit, True, "spread"): (*SOME, "Newton", "fit, all rows"),
    (AxisType.Explicit, False, "on the host"): ("eager", "fit"),
    (AxisType.Explicit, False, "replicated"): BY_TYPES,
    (AxisType.Explicit, False, "spread"): BY_TYPES,
    (AxisType.Auto, True, "replicated"): SOME,
    (AxisType.Auto, False, "spread"): ("eager", "fit, wide"),
}


def check(kind, is_set, how, name, expected):
    """One row, in this process."""
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(kind,))
    sizes, call = CALLS[name]

    def put(array, *axes):
        return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*axes)))

    def parameter(leaf):
        axis = "rows" if how == "spread" and leaf.shape[-1] % 4 == 0 else None
        return put(leaf, *[None] * (leaf.ndim - 1), axis)

    with jax.set_mesh(mesh) if is_set else contextlib.nullcontext():
        params = jnn.init_network_params(sizes, jax.random.key(0))
        if how != "on the host":
            params = jax.tree.map(parameter, params)
        found = call(params, put(X, "rows"), put(Y, "rows"))
    if name == "eager" and kind is AxisType.Explicit:
        assert found.sharding.spec[0] == "rows"
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def check_call(is_set, name):
    """A public call of the table of calls, of parameters that every device has."""
    from calls import NETWORKS, OF_PARAMS  # beside this file, which runs as a program

    mesh = jax.make_mesh((4,), ("rows",), axis_types=(AxisType.Explicit,))
    call = OF_PARAMS[name]
    params = NETWORKS[call.network]()
    expected = call.of(params)
    with jax.set_mesh(mesh) if is_set else contextlib.nullcontext():
        found = call.of(jax.device_put(params, NamedSharding(mesh, PartitionSpec())))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if isinstance(b, (float, jax.Array, np.ndarray)):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def check_calls(is_set):
    """Every public call of parameters; of derivatives JAX asks that the mesh be set."""
    from calls import OF_PARAMS

    for name in OF_PARAMS:
        if not is_set and name.split(",")[0] in ("gradient", "Hessian"):
            continue
        try:
            check_call(is_set, name)
        except Exception as error:  # noqa: BLE001
            print(name, type(error).__name__, str(error)[:300])
    print("done")


def check_all():
    """Every row; those that fail are named."""
    expected = {}
    for name, (sizes, call) in CALLS.items():
        expected[name] = call(jnn.init_network_params(sizes, jax.random.key(0)), X, Y)
    for (kind, is_set, how), names in TABLE.items():
        for name in names:
            try:
                check(kind, is_set, how, name, expected[name])
            except Exception as error:  # noqa: BLE001
                print(kind.name, is_set, how, name, type(error).__name__, str(error)[:300])
    print("done")


CHECKS = {
    "rows": check_all,
    "calls, mesh not set": partial(check_calls, False),
    "calls, mesh set": partial(check_calls, True),
}


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("rows", marks=pytest.mark.slow),
        pytest.param("calls, mesh not set", marks=pytest.mark.slow),
        pytest.param("calls, mesh set", marks=pytest.mark.exhaustive),
    ],
)
def test_what_lies_on_a_mesh_is_computed_as_what_does_not(table, monkeypatch):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, __file__, table], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.stdout == "done\n", done.stdout + done.stderr[-2000:]


if __name__ == "__main__":
    CHECKS[sys.argv[1]]()
