"""Each file of docs/migration runs as a process; it asserts that both libraries agree."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

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
