"""Figures from plain arrays: what stands in them, what they refuse, and how they become files."""

import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from jnn import figures
from jnn.figures import files

X = jnp.linspace(0.5, 3.0, 7)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def no_chrome(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Chrome: kaleido looks where BROWSER_PATH says, and nowhere else."""
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent/chrome")
    monkeypatch.setattr("choreographer.browsers.chromium.get_chrome_download_path", lambda **_: None)
    monkeypatch.setattr("choreographer.browsers.chromium.get_old_chrome_download_path", lambda **_: None)
    files._chrome.cache_clear()  # a Chrome that an earlier test started lives on, but is not found here


def chrome() -> str | None:
    """The Chrome that kaleido would start."""
    from choreographer.browsers.chromium import Chromium

    return Chromium.find_browser(skip_local=False)


# ---- what stands in them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7,), (7, 1)])
@pytest.mark.parametrize(
    "kind", [jnp.asarray, np.asarray, lambda a: np.asarray(a).tolist(), lambda a: a.astype(jnp.bfloat16)]
)
def test_curves_take_any_array(shape, kind):
    x = kind(X.reshape(shape))
    figure = figures.curves(x, {"2 layers": x, "3 layers": x}, data=(x, x), title="a title")
    assert [trace.name for trace in figure.data] == ["data", "2 layers", "3 layers"]
    assert [trace.mode for trace in figure.data] == ["markers", "lines", "lines"]
    for trace in figure.data:
        np.testing.assert_allclose(trace.y, X, rtol=1e-2)
    assert figure.layout.title.text == "a title"


def test_curves_are_drawn_from_left_to_right():
    x = np.array([2.0, 0.0, 1.0])
    trace = figures.curves(x, {"line": 10 * x}).data[0]
    assert trace.x.tolist() == [0, 1, 2]
    assert trace.y.tolist() == [0, 10, 20]


@pytest.mark.parametrize("count", [1, 6, 7, 20])
def test_lines_differ_in_colour(count):
    figure = figures.curves(X, {str(i): X for i in range(count)})
    assert len({trace.line.color for trace in figure.data}) == count


def test_losses_by_epoch():
    figure = figures.losses({"long": jnp.array([1.0, 0.1, 0.0]), "short": [0.5]})
    assert [trace.x.tolist() for trace in figure.data] == [[1, 2, 3], [1]]
    np.testing.assert_array_equal(figure.data[0].y, [1.0, np.float64(np.float32(0.1)), np.nan])  # 0 is on no log axis
    assert figure.layout.yaxis.type == "log"
    linear = figures.losses({"long": [1.0, 0.1, 0.0]}, log_y=False)
    assert linear.data[0].y.tolist() == [1.0, 0.1, 0.0]
    assert linear.layout.yaxis.type is None


def test_errors_by_depth():
    figure = figures.errors_by_depth(
        [3, 1, 2], {"jnn": jnp.array([3.0, 1.0, 2.0]), "the lecture": [np.nan, 1, 2]}, baseline=4.7
    )
    by_name = {trace.name: trace for trace in figure.data}
    assert by_name["jnn"].x.tolist() == by_name["jnn"].y.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(by_name["the lecture"].y, [1, 2, np.nan])
    assert by_name["predicting the mean"].y.tolist() == [4.7, 4.7]
    assert by_name["predicting the mean"].line.dash == "dash"
    assert figure.layout.yaxis.type == "log"


@pytest.mark.parametrize("errors", [[0.0, 0.0], [1e-300, 1e300], [1.0, 1.0], [np.nan, np.nan]])
def test_errors_of_any_size_have_an_axis(errors):
    figures.errors_by_depth([1, 2], errors).to_json()


def test_matrix_leaves_zeros_blank_and_centres_its_colours():
    M = np.array([[1.0, 0.0], [-4.0, 1e-9]])
    heat = figures.matrix(jnp.asarray(M), labels=["x₁", "x₂"], blocks=[1, 1]).data[0]
    assert np.isnan(heat.z).tolist() == [[False, True], [False, False]]
    assert heat.text.tolist() == [["1", ""], ["−4", "1e−09"]]
    assert (heat.zmin, heat.zmax) == (-4, 4)
    assert heat.colorscale[1] == (0.5, "#e6e6e6")  # a small entry is grey, only an exact zero is white


def test_matrix_stands_as_it_is_written():
    figure = figures.matrix(np.tril(np.ones((3, 3))), labels=["a", "b", "c"])
    low, high = figure.layout.yaxis.range
    assert low > high  # the first row on top
    assert figure.layout.yaxis.scaleanchor == "x"  # square cells
    assert figure.layout.xaxis.ticktext == figure.layout.yaxis.ticktext == ("a", "b", "c")


def test_matrix_of_logarithms():
    heat = figures.matrix([[1.0, 0.0], [-1e-30, 100.0]], log=True).data[0]
    np.testing.assert_allclose(heat.z, [[0, np.nan], [-30, 2]])


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (11, 11), (64, 64)])
def test_matrix_of_any_size(shape):
    figure = figures.matrix(np.ones(shape))
    assert (figure.data[0].text is None) == (max(shape) > 10)
    assert len(figure.layout.xaxis.tickvals) <= 16


def test_matrix_of_zeros_is_blank():
    assert np.isnan(figures.matrix(np.zeros((2, 2))).data[0].z).all()


def test_blocks_are_parted_by_lines():
    assert len(figures.matrix(np.eye(6), blocks=[1, 2, 3]).layout.shapes) == 4


# ---- what they refuse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: figures.curves(X, {"net": X[:3]}),
            r"the prediction 'net' has shape \(3,\); expected \(7,\) or \(7, 1\)",
        ),
        (lambda: figures.curves(jnp.ones((7, 2)), {}), r"x has shape \(7, 2\); expected \(n,\) or \(n, 1\)"),
        (lambda: figures.curves(X, {}, data=(X, X[:2])), r"data\[1\] has shape \(2,\); expected \(7,\)"),
        (lambda: figures.curves(["a", "b"], {}), r"x must be an array of numbers: dtype <U1"),
        (lambda: figures.curves([[1.0], [1.0, 2.0]], {}), r"x must be an array of numbers"),
        (lambda: figures.losses({"loss": jnp.ones((2, 2))}), r"the loss 'loss' has shape \(2, 2\); expected \(n,\)"),
        (lambda: figures.losses({"loss": []}), r"the loss 'loss' has shape \(0,\)"),
        (lambda: figures.errors_by_depth([1, 2], [1.0]), r"errors has shape \(1,\); expected \(2,\)"),
        (lambda: figures.matrix(X), r"M has shape \(7,\); expected a matrix \(rows, columns\)"),
        (lambda: figures.matrix([[np.nan, np.inf]]), r"M holds NaN or infinity in 2 of 2 entries"),
        (lambda: figures.matrix(np.eye(3), labels=["a"]), r"1 labels for M of shape \(3, 3\); expected 3"),
        (lambda: figures.matrix(np.ones((2, 3)), labels=["a", "b"]), r"for a square matrix; M has shape \(2, 3\)"),
        (lambda: figures.matrix(np.eye(3), blocks=[1, 1]), r"blocks \[1, 1\] must be positive and sum to 3"),
        (lambda: figures.matrix(np.eye(3), blocks=[3, 0]), r"blocks \[3, 0\] must be positive and sum to 3"),
    ],
)
def test_wrong_arrays_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- files -----------------------------------------------------------------------------------------------------------


def figure():
    return figures.matrix(np.eye(2), title="A <b> & I − L")


@pytest.mark.parametrize("name", ["picture", "picture.png", "picture.html"])
def test_page_is_self_contained(tmp_path: Path, name):
    (written,) = figures.save(figure(), tmp_path / "deep" / "down" / name, png=False)
    assert written == tmp_path / "deep" / "down" / "picture.html"
    page = written.read_text()
    assert "Plotly.newPlot" in page
    assert len(page) > 1_000_000  # plotly.js is inside
    assert "<script src" not in page  # and nothing is fetched
    assert "MathJax.js" not in page.rpartition("</script>")[2]
    assert "<title>A &lt;b&gt; &amp; I − L</title>" in page


def test_a_point_in_the_name_is_no_suffix(tmp_path: Path):
    assert [p.name for p in figures.save(figure(), str(tmp_path / "rate_0.5"), png=False)] == ["rate_0.5.html"]


@pytest.mark.usefixtures("no_chrome")
def test_without_chrome_the_page_alone(tmp_path: Path):
    assert [p.name for p in figures.save(figure(), tmp_path / "a")] == ["a.html"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert "\n" not in figures.png_hint()
    assert "Chrome" in figures.png_hint()


@pytest.mark.skipif(chrome() is None, reason="needs Chrome")
def test_with_chrome_the_picture_too(tmp_path: Path):
    for name in ("a", "b"):  # the second is drawn by the same Chrome
        written = figures.save(figure(), tmp_path / name, scale=1.0)
        assert [p.name for p in written] == [f"{name}.html", f"{name}.png"]
        assert written[1].read_bytes().startswith(PNG)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.png", "b.html", "b.png"]


@pytest.mark.skipif(os.name != "posix", reason="a stand-in for a Chrome that dies at once")
def test_a_broken_chrome_is_reported_and_the_page_stands(tmp_path: Path):
    code = (
        "import numpy as np, jnn.figures as f\n"
        f"print([p.name for p in f.save(f.matrix(np.eye(2)), {str(tmp_path / 'a')!r})])"
    )
    environment = os.environ | {"BROWSER_PATH": "/bin/false", "HOME": str(tmp_path / "home"), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "['a.html']"
    assert "RuntimeWarning: Chrome was found but failed to draw the PNG" in done.stderr


def test_a_failed_write_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.html").write_text("the old page")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"cannot write .*a\.html: No space left on device"):
        figures.save(figure(), tmp_path / "a", png=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "the old page"


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_a_directory_should_be(tmp_path: Path, below):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotADirectoryError, match=r"cannot write pictures into .*: .*out is a file, not a directory"):
        figures.save(figure(), tmp_path / "out" / below / "a", png=False)


def test_an_unwritable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(PermissionError, match=r"cannot write pictures into .*: permission denied"):
        figures.make_directory(tmp_path)


def test_jax_arrays_reach_the_page(tmp_path: Path):
    x: Array = jnp.linspace(0.0, 1.0, 3)
    (page,) = figures.save(figures.curves(x, {"line": x}, data=(x, x)), tmp_path / "a", png=False)
    assert page.stat().st_size > 1_000_000
