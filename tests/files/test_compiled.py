"""Programs that are kept compiled: a second process compiles none."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jnn

PROGRAM = """
import sys, numpy as np, jax, jnn
kept = jnn.keep_compiled(sys.argv[1])
params = jnn.init_network_params([1, 3, 1], jax.random.key(0))
fit = jnn.fit(params, (np.ones((5, 1)), np.ones((5, 1))), epochs=2)
print(kept, fit.history["loss"])
"""


@pytest.fixture
def as_before():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs",
             "jax_persistent_cache_min_entry_size_bytes")  # fmt: skip
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def run(directory):
    """What the program prints, and the programs that are kept then."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(directory)],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    return done.stdout, {file.name for file in Path(directory).glob("*-cache")}


def test_a_second_process_finds_every_program(tmp_path):
    first, kept = run(tmp_path / "made")
    assert any(name.startswith("jit_run") for name in kept)
    assert run(tmp_path / "made") == (first, kept)


def test_old_programs_are_deleted(tmp_path, as_before):
    for name, days in (("old-cache", 31), ("new-cache", 29), ("note", 31)):
        (tmp_path / name).write_text("")
        then = (tmp_path / name).stat().st_mtime - days * 86_400
        os.utime(tmp_path / name, (then, then))
    jnn.keep_compiled(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"new-cache", "note"}


def test_it_lies_in_the_users_folder_of_caches(tmp_path, as_before, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jnn.keep_compiled() == tmp_path / "jnn"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "jnn")


@pytest.mark.parametrize(
    ("directory", "error", "said"),
    [
        (3, TypeError, "must be a path"),
        (__file__, ValueError, "not a file"),
        (f"{__file__}/within", OSError, "Not a directory: give keep_compiled another directory"),
    ],
)
def test_what_is_no_directory_is_refused(directory, error, said):
    with pytest.raises(error, match=said):
        jnn.keep_compiled(directory)
