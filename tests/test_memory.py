"""Sizes that cannot be had are refused with the number of bytes, before anything is allocated."""

import gc
import re
from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import data, diagnostics, memory, theory

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 20)[:, None]
NET = jnn.init_network_params([1, 8, 1], KEY)  # 25 parameters


def fit(optimizer):
    return jnn.fit(NET, (X[:16], X[:16]), epochs=1, optimizer=optimizer, progress=False)


# a call, what it names, and its bytes
SMALL = {
    "a network": (lambda: jnn.init_network_params([20, 20], KEY), "420 parameters", 4 * 420),
    "bfgs": (lambda: fit("bfgs"), "the inverse Hessian of 25 parameters", 4 * 25**2),
    "levenberg_marquardt": (
        lambda: fit("levenberg_marquardt"),
        "the Jacobian of 16 residuals by 25 parameters",
        4 * 16 * 25,
    ),
    "a report": (
        lambda: jnn.classification_report([0, 19], [0, 1]),
        "the confusion matrix of 20 classes",
        8 * 20**2,
    ),
    "one-hot rows": (lambda: data.one_hot([0, 499]), "2 labels of 500 classes", 4 * 2 * 500),
    "rows": (lambda: data.line(100), "100 rows", 8 * 3 * 100),
    "kernels": (lambda: theory.kernels.infinite_width(X, hidden=1), "400 pairs", 32 * 400),
    "a tangent kernel": (lambda: diagnostics.empirical_ntk(NET, X), "20 and 20", 4 * 400),
    "Lanczos": (
        lambda: diagnostics.top_eigenvalues(NET, X, X),
        "25 vectors of 25 parameters",
        4 * 25**2,
    ),
    "a phase diagram": (
        lambda: theory.mean_field.phase_diagram("tanh", [1.0], [0.1]),
        "the scan of 1 pairs",
        8 * 1201,
    ),
    "least squares": (
        lambda: jnn.solve_readout(NET, (X, X), l2=0.1),
        "8 features",
        8 * (20 + 8) * 8,
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_what_exceeds_the_memory_is_refused_with_its_bytes(name, monkeypatch):
    call, what, n_bytes = SMALL[name]
    monkeypatch.setattr(memory, "_of_the_machine", lambda: n_bytes - 1)
    with pytest.raises(ValueError, match=rf"{what}.* would take {n_bytes:,} bytes, more than this"):
        call()
    monkeypatch.setattr(memory, "_of_the_machine", lambda: n_bytes)
    call()


@pytest.mark.parametrize(
    ("call", "n_bytes"),
    [
        (lambda: jnn.init_network_params([10**6, 10**6], KEY), 4 * (10**12 + 10**6)),
        (lambda: jnn.classification_report([0, 10**7], [0, 1]), 8 * (10**7 + 1) ** 2),
        (lambda: data.one_hot([0, 10**15]), 8 * (10**15 + 1)),
        (lambda: data.ten_features(KEY, 10**15), 8 * 24 * 10**15),
        (lambda: theory.mean_field.phase_diagram(points=10**6), 8 * 1201 * 10**12),
    ],
)
def test_no_machine_has_terabytes(call, n_bytes):
    with pytest.raises(ValueError, match=re.escape(f"{n_bytes:,} bytes, more than this machine's")):
        call()


def test_the_optimizers_refuse_what_grows_with_the_square_of_a_million_parameters():
    """Before anything is compiled, and whoever calls `init`."""
    params = jnp.zeros(10**6)
    with pytest.raises(ValueError, match=r"4,000,000,000,000 bytes, .*; take optimizer=.lbfgs"):
        jnn.optimizers.bfgs.optimizer().init(params)


def test_shapes_alone_take_no_memory():
    shapes = jax.eval_shape(lambda key: jnn.init_network_params([10**6, 10**6], key), KEY)
    assert shapes[0].w.shape == (1, 10**6, 10**6)


def test_a_system_that_does_not_say_what_it_has(monkeypatch):
    monkeypatch.delattr("os.sysconf")
    memory.check("a tebibyte", 2**40, "give less")
    with pytest.raises(ValueError, match="eight tebibytes would take"):
        memory.check("eight tebibytes", 2**43, "give less")


def test_what_a_device_has_counts_too(monkeypatch):
    class Device:
        def memory_stats(self):
            return {"bytes_limit": 2**50}

    monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
    memory.check("what the device holds", 2**49, "give less")


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_afterwards_what_it_was(collects):
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with suppress(KeyError), memory.uncollected():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
