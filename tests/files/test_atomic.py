"""Writing: whole or not at all, whatever interrupts it; and what a killed writer leaves goes."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jnn.files import atomic
from jnn.files.atomic import remove_leftovers, sync_directory, write_atomically

ROOT = Path(__file__).parents[2]


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good"
    path.write_bytes(b"good")
    return path


def test_bytes_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / "data", b"\0\r\n\xff")
    assert (tmp_path / "data").read_bytes() == b"\0\r\n\xff"


@pytest.mark.parametrize("name", ["net", "net.safetensors", "a.b.c", "n" * 255, "ñ δ λ"])
def test_the_name_is_kept_as_given(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_atomically(name, b"data")
    assert os.listdir() == [name]  # noqa: PTH208


def test_a_directory_that_is_missing_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no directory .*runs; make it first, Path\(…\)\.mkdir"
    ):
        write_atomically(tmp_path / "runs" / "net", b"")


def test_a_directory_is_not_a_file(tmp_path):
    for path in (tmp_path, ""):
        with pytest.raises(ValueError, match=r"is not a regular file; pass the path of a file"):
            write_atomically(path, b"")


def test_a_device_is_left_alone():
    if not Path("/dev/null").is_char_device():
        pytest.skip("there is no /dev/null")
    with pytest.raises(ValueError, match="/dev/null is not a regular file"):
        write_atomically("/dev/null", b"")
    assert Path("/dev/null").is_char_device()


def test_a_link_is_followed_and_rights_are_the_default_ones(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    try:
        (tmp_path / "link").symlink_to(tmp_path / "net")
    except OSError:
        pytest.skip("no links here")
    write_atomically(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "net").read_bytes() == b"data"
    assert (tmp_path / "net").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("at", ["os.replace", "os.rename", "os.fsync", "write"])
@pytest.mark.parametrize(
    "error", [OSError("disk full"), KeyboardInterrupt()], ids=["full", "ctrl-c"]
)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(good, monkeypatch, at, error):
    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        if at == "write":
            opened = Path.open

            def half(self, *args, **options):
                file = opened(self, *args, **options)
                if "x" in args[0]:
                    file.write(b"half")
                    file.close()
                    raise error
                return file

            patch.setattr(Path, "open", half)
        elif at == "os.rename":
            patch.setattr(Path, "replace", fail)
        else:
            patch.setattr(at, fail)
        with pytest.raises(type(error)):
            write_atomically(good, b"new")
    assert good.read_bytes() == b"good"
    assert list(good.parent.iterdir()) == [good]
    write_atomically(good, b"new")
    assert good.read_bytes() == b"new"


# A process that is killed when the bytes are written, and the name is not changed yet.
KILLED = """
import os, sys
from jnn.files.atomic import write_atomically
os.fsync = lambda _: os._exit(9)
write_atomically(sys.argv[1], b"new")
"""


def killed(path):
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 9


def test_a_killed_write_leaves_the_old_file(good):
    killed(good)
    assert good.read_bytes() == b"good"


def test_threads_may_write_the_same_file(tmp_path):
    contents = [bytes([i]) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda data: write_atomically(tmp_path / "a", data), contents))
    assert (tmp_path / "a").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# What killed writers leave.


def test_leftovers_go_once_they_are_old(good):
    old, young = (good.with_name(f".{digit * 16}.tmp") for digit in "ab")
    ages = {old: 2 * atomic.STALE_SECONDS, young: atomic.STALE_SECONDS / 2}
    for leftover, age in ages.items():
        leftover.write_bytes(b"half")
        os.utime(leftover, (time.time() - age,) * 2)
    remove_leftovers(good)
    assert {path.name for path in good.parent.iterdir()} == {"good", young.name}


@pytest.mark.slow
def test_what_a_killed_writer_leaves_is_known_as_a_leftover(good):
    killed(good)
    (leftover,) = (path for path in good.parent.iterdir() if path != good)
    os.utime(leftover, (0, 0))
    remove_leftovers(good)
    assert [path.name for path in good.parent.iterdir()] == ["good"]


def test_what_is_not_a_leftover_stays(good):
    names = ["my.tmp", ".abc.tmp", ".0123456789ABCDEF.tmp", ".0123456789abcdef.tmp.x"]
    for name in names:
        good.with_name(name).write_bytes(b"mine")
        os.utime(good.with_name(name), (0, 0))
    remove_leftovers(good)
    assert {path.name for path in good.parent.iterdir()} == {"good", *names}


def test_a_file_that_is_gone_by_now_is_no_error(tmp_path):
    remove_leftovers(tmp_path / "gone")
    sync_directory(tmp_path)
    sync_directory(tmp_path / "gone")
