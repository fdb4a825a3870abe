"""Loops in C, compiled when they are asked for: the limit that the contestants are held to."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_FLAGS = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]


def function(source: Path, name: str, **sizes: int) -> Any:
    """A function of a file of C, compiled for this machine with these sizes as macros.

    Raises:
      ImportError: there is no compiler, or it fails.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise ImportError("there is no C compiler cc")
    macros = [f"-D{macro}={size}" for macro, size in sizes.items()]
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/{source.stem}.so"
        command = [compiler, *_FLAGS, *macros, str(source), "-o", library, "-lm"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            why = next((line for line in made.stderr.splitlines() if "error" in line), made.stderr)
            raise ImportError(f"cc failed: {why}")
        found = getattr(ctypes.CDLL(library), name)
    found.restype = None
    return found


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Uninitialized float32, aligned to 64 bytes."""
    size = 4 * int(np.prod(shape))
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(np.float32).reshape(shape)
