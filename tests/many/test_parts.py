"""Members spread over the devices of a mesh: the same bits as on one.

Devices are counted once in a process, so that the runs are in one of its own, of this file.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jnn
from jnn.many import groups

ROOT = Path(__file__).parents[2]
M = 21
X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
RATES = np.geomspace(1e-3, 1e-2, M)
KEYS = jax.random.split(jax.random.key(7), M)

CASES = {
    "rates": {"learning_rate": RATES},
    "keys": {"key": KEYS, "dropout_rate": 0.2, "batch_size": 7},
    "splits": {"key": KEYS, "validation": 0.2, "patience": np.arange(1, M + 1)},
    "numbers": {
        "penalty": jnn.penalties.l2(RATES),
        "plateau": jnn.Plateau(patience=1),
        "stop": jnn.Stop(target=0.3),
        "metrics": ["r2"],
    },
    "lbfgs": {"optimizer": "lbfgs", "epochs": 3},
}


def drawn(count=M):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.vmap(lambda key: jnn.init_network_params([1, 6, 6, 1], key))(keys)


def run(mesh, options, members=None):
    members = drawn() if members is None else members
    return jnn.fit_many(members, (X, Y), mesh=mesh, progress=False, **{"epochs": 8, **options})


def check(found, expected):
    for name in ("params", "last_params", "best_params", "epochs", "best_epoch", "stopped",
                 "history", "optimizer_state"):  # fmt: skip
        one, other = (jax.tree.leaves(getattr(fits, name)) for fits in (found, expected))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def check_all():
    """Every case on meshes of eight devices; those that fail are named."""
    groups._GROUP = 2  # of two, and 11 of them: more than there are devices
    meshes = [
        jax.make_mesh((8,), ("a",), axis_types=(kind,))
        for kind in AxisType
        if kind.name in ("Auto", "Explicit")
    ]
    meshes.append(jax.make_mesh((2, 4), ("a", "b"), axis_types=(AxisType.Auto,) * 2))
    for name, options in CASES.items():
        expected = run(None, options)
        for mesh in meshes if name == "rates" else meshes[:2]:
            try:
                check(run(mesh, options), expected)
            except Exception as error:  # noqa: BLE001
                print(name, mesh, type(error).__name__, str(error)[:500])
    rates = CASES["rates"]
    seven = jax.make_mesh((7,), ("a",), axis_types=(AxisType.Auto,))
    elsewhere = NamedSharding(seven, PartitionSpec("a"))  # M is 21
    for place in (jax.devices()[1], elsewhere):
        check(run(None, rates, jax.device_put(drawn(), place)), run(None, rates))
    networks = [jnn.init_network_params([1, 3 + i % 2, 1], jax.random.key(i)) for i in range(5)]
    check(run(meshes[0], {}, networks), run(None, {}, networks))
    print("done")


def test_a_mesh_of_one_device():
    mesh = jax.make_mesh((1,), ("a",), axis_types=(AxisType.Auto,))
    check(run(mesh, {"epochs": 2}, drawn(3)), run(None, {"epochs": 2}, drawn(3)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mesh": 8}, TypeError, "mesh is 8; it must be a jax.sharding.Mesh"),
        (
            {"mesh": jax.make_mesh((1,), ("a",)), "executor": type("E", (), {"submit": print})()},
            ValueError,
            "mesh spreads members over this process's devices, executor over others'",
        ),
    ],
)
def test_what_is_no_mesh_is_named(options, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.fit_many(drawn(3), (X, Y), **options)


@pytest.mark.slow
def test_eight_devices_change_no_bit(monkeypatch):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.stdout == "done\n", done.stdout + done.stderr[-2000:]


if __name__ == "__main__":
    check_all()
