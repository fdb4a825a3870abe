"""Export: pages that open offline, pictures where Chrome is found, and nothing half written."""

import errno
import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from jnn import figures
from jnn.figures import export

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def no_chrome(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Chrome: kaleido looks where BROWSER_PATH says, and nowhere else."""
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent/chrome")
    monkeypatch.setattr(
        "choreographer.browsers.chromium.get_chrome_download_path", lambda **_: None
    )
    monkeypatch.setattr(
        "choreographer.browsers.chromium.get_old_chrome_download_path", lambda **_: None
    )
    # a Chrome that an earlier test started lives on, but is not found here
    export._chrome.cache_clear()


def chrome() -> str | None:
    """The Chrome that kaleido would start."""
    from choreographer.browsers.chromium import Chromium

    return Chromium.find_browser(skip_local=False)


def figure():
    return figures.matrix(np.eye(2), title="A <b> & I − L")


@pytest.mark.parametrize("name", ["picture", "picture.html"])
def test_page_is_self_contained(tmp_path: Path, name):
    (written,) = figures.save(figure(), tmp_path / "deep" / "down" / name, png=False)
    assert written == tmp_path / "deep" / "down" / "picture.html"
    page = written.read_text()
    assert 'class="jnn-figure"' in page
    assert "Plotly.react" in page
    assert len(page) > 1_000_000  # plotly.js is inside
    assert "<script src" not in page  # and nothing is fetched
    assert "MathJax.js" not in page.rpartition("</script>")[2]
    assert "<title>A &lt;b&gt; &amp; I − L</title>" in page


def test_pages_of_a_folder_share_one_plotly(tmp_path: Path):
    for name in ("a", "b"):
        (written,) = figures.save(figure(), tmp_path / f"{name}.html", shared_js=True)
        assert written.stat().st_size < 50_000
    (program,) = tmp_path.glob("*.js")
    assert f'<script src="{program.name}">' in written.read_text()
    assert get_plotlyjs_version() in program.name
    assert program.read_text() == get_plotlyjs()


@pytest.mark.parametrize("suffix", [".jpg", ".PS", ".webp"])
def test_another_suffix_is_refused(tmp_path: Path, suffix):
    with pytest.raises(ValueError, match=rf"as '{suffix}'.*: give \.html, \.png, \.svg or \.pdf"):
        figures.save(figure(), tmp_path / "deep" / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_point_in_the_name_is_no_suffix(tmp_path: Path):
    assert [p.name for p in figures.save(figure(), str(tmp_path / "rate_0.5"), png=False)] == [
        "rate_0.5.html"
    ]


@pytest.mark.usefixtures("no_chrome")
def test_without_chrome_the_page_alone(tmp_path: Path):
    assert [p.name for p in figures.save(figure(), tmp_path / "a")] == ["a.html"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert "\n" not in figures.png_hint()
    assert "Chrome" in figures.png_hint()


@pytest.mark.usefixtures("no_chrome")
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_without_chrome_a_picture_that_was_asked_for_is_an_error(tmp_path: Path, suffix):
    with pytest.raises(RuntimeError, match=r"cannot draw a\..*: install Chrome"):
        figures.save(figure(), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(chrome() is None, reason="needs Chrome")
@pytest.mark.parametrize(("suffix", "start"), [(".png", PNG), (".svg", b"<svg"), (".pdf", b"%PDF")])
def test_with_chrome_the_suffix_says_the_format(tmp_path: Path, suffix, start):
    (written,) = figures.save(figure(), tmp_path / f"a{suffix}", scale=1.0)
    assert written == tmp_path / f"a{suffix}"
    assert written.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [written]


@pytest.mark.skipif(chrome() is None, reason="needs Chrome")
def test_a_picture_has_the_size_of_its_figure(tmp_path: Path):
    (written,) = figures.save(figure(), tmp_path / "a.png", scale=1.0)
    assert struct.unpack(">II", written.read_bytes()[16:24]) == (760, 720)


@pytest.mark.skipif(chrome() is None, reason="needs Chrome")
def test_with_chrome_the_picture_too(tmp_path: Path):
    for name in ("a", "b"):  # the second is drawn by the same Chrome
        written = figures.save(figure(), tmp_path / name, scale=1.0)
        assert [p.name for p in written] == [f"{name}.html", f"{name}.png"]
        assert written[1].read_bytes().startswith(PNG)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.png", "b.html", "b.png"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a stand-in for a Chrome that dies at once")
def test_a_broken_chrome_is_reported_and_the_page_stands(tmp_path: Path):
    code = (
        "import numpy as np, jnn.figures as f\n"
        f"print([p.name for p in f.save(f.matrix(np.eye(2)), {str(tmp_path / 'a')!r})])"
    )
    environment = os.environ | {
        "BROWSER_PATH": "/bin/false",
        "HOME": str(tmp_path / "home"),
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "['a.html']"
    assert "RuntimeWarning: Chrome was found but failed to draw the PNG" in done.stderr


def test_a_failed_write_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.html").write_text("the old page")

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"cannot write .*a\.html: No space left on device"):
        figures.save(figure(), tmp_path / "a", png=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "the old page"


def test_a_page_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch):
    """Or a crash of the machine could leave the name on an empty file."""
    done = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("sync"), sync(file)))
    monkeypatch.setattr(Path, "replace", lambda *a: (done.append("replace"), replace(*a))[1])
    figures.save(figure(), tmp_path / "a", png=False)
    assert done == ["sync", "replace"]


def test_threads_may_write_the_same_page(tmp_path: Path):
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(figures.save, figure(), tmp_path / "a", png=False) for _ in range(8)]
        assert all(call.result() == [tmp_path / "a.html"] for call in calls)
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text().endswith("</html>\n")


def test_a_directory_where_a_page_should_be(tmp_path: Path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(OSError, match=r"cannot write .*a\.html: it is not a regular file"):
        figures.save(figure(), tmp_path / "a", png=False)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_a_directory_should_be(tmp_path: Path, below):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(
        NotADirectoryError, match=r"cannot write pictures into .*: .*out is a file, not a directory"
    ):
        figures.save(figure(), tmp_path / "out" / below / "a", png=False)


def test_an_unwritable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(PermissionError, match=r"cannot write pictures into .*: permission denied"):
        figures.make_directory(tmp_path)


def test_jax_arrays_reach_the_page(tmp_path: Path):
    x: Array = jnp.linspace(0.0, 1.0, 3)
    (page,) = figures.save(figures.curves(x, {"line": x}, data=(x, x)), tmp_path / "a", png=False)
    assert page.stat().st_size > 1_000_000
