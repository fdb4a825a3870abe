"""Each file of docs/migration runs as a process; it asserts that both libraries agree."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jnn

ROOT = Path(__file__).parents[2]
FILES = {  # and what it needs, of the dependency groups `peers` and `export`
    "from_sklearn": ("sklearn",),
    "from_keras": ("keras",),
    "from_pytorch": ("torch",),
    "from_equinox": ("equinox",),
    "from_flax": ("flax",),
    "to_onnx": ("jax2onnx", "onnxruntime"),
    "to_jax_export": ("flatbuffers",),
}


def test_every_file_is_run() -> None:
    paths = (ROOT / "docs" / "migration").glob("*.py")
    assert {path.stem for path in paths} == {"task", *FILES}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ([1, *[8] * 20, 1], {"activation": "gelu"}),
        ([3] * 6, {"residual": True}),
        ([1, 16, 16, 3], {"activation": ["relu", "tanh"], "output": "softmax"}),
    ],
    ids=["deep", "residual", "an output of its own"],
)
@pytest.mark.parametrize(("rows", "backprop"), [("n", "auto"), (7, "autodiff")])
def test_onnx_of_other_networks(
    sizes: list[int], options: dict[str, Any], rows: Any, backprop: str
) -> None:
    jax2onnx = pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    params = jnn.init_network_params(sizes, jax.random.key(0), **options)
    x = np.linspace(-1, 1, 7 * sizes[0], dtype=np.float32).reshape(7, -1)
    model = jax2onnx.to_onnx(
        lambda x: jnn.predict(params, x, backprop=backprop), [(rows, sizes[0])]
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (given,) = session.get_inputs()
    (found,) = session.run(None, {given.name: x})
    np.testing.assert_allclose(found, jnn.predict(params, x), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_file_runs_and_agrees(name: str) -> None:
    missing = [module for module in FILES[name] if find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, str(ROOT / "docs" / "migration" / f"{name}.py")],
        check=True,
        env={**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "jax"},
        timeout=300,
    )
