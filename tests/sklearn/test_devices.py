"""Where an estimator computes, and in what precision."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from sklearn.datasets import load_iris

from jnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lamb"])
def test_float32_is_computed_in_whatever_comes(solver):
    found = MLPClassifier(dtype="float32", solver=solver, max_iter=15, random_state=0)
    found.fit(IRIS, SPECIES)
    assert all(a.dtype == np.float32 for a in found.coefs_ + found.intercepts_)
    assert found.predict_proba(IRIS).dtype == np.float32
    expected = MLPClassifier(solver=solver, max_iter=15, random_state=0)
    expected.fit(IRIS.astype(np.float32), SPECIES)
    p, q = (each.predict_proba(IRIS) for each in (found, expected))
    np.testing.assert_allclose(p, q, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("device", ["cpu", jax.local_devices()[0]])
def test_the_cpu_is_the_default(device):
    found, expected = (MLPRegressor(device=at, max_iter=5, random_state=0).fit(IRIS, SPECIES)
                       for at in (device, None))  # fmt: skip
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])


def test_another_device_takes_the_work():
    """Of two that XLA makes of a CPU, in a process of its own."""
    code = """
import jax, numpy as np
from jnn.sklearn import MLPClassifier, epochs, program
X = np.random.default_rng(0).normal(size=(60, 4))
y = X[:, 0] > 0
seen = []
run = program.run
def look(form, state, numbers, data, *rest):
    seen.append(data.x.devices())
    return run(form, state, numbers, data, *rest)
program.run = look
other = jax.devices()[1]
a = MLPClassifier(device=other, max_iter=3, random_state=0, activation="gelu").fit(X, y)
b = MLPClassifier(max_iter=3, random_state=0, activation="gelu").fit(X, y)
assert seen[0] == {other} and seen[-1] == {jax.devices()[0]}, seen
assert (a.predict_proba(X) == b.predict_proba(X)).all()
print("done")
"""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    environment = dict(os.environ) | {"XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu', which JAX does not have here"),
        ({"device": 1}, "'device' parameter"),
        ({"dtype": "float16"}, "'dtype' parameter"),
    ],
)
def test_what_is_not_there_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(max_iter=1, **parameters).fit(IRIS, SPECIES)
