"""The page as a reader uses it: mouse, keys, presets, address, training, light and dark."""

import contextlib
import io
import itertools

import pytest

PRESETS = ("critical", "vanishing", "exploding", "orthogonal", "chain", "end")


def state(page):
    return page.evaluate("explorer.state()")


def settled(page):
    """The page, after everything that a move makes it draw."""
    page.wait_for_function("explorer.band && explorer.times.correlations")
    return page


# ---- moves ----


def test_a_slider_moves_by_mouse_and_by_keys(opened):
    page = settled(opened())
    depth = page.locator("#explorer-depth")
    depth.focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["depth"] == 51
    page.keyboard.press("Home")
    assert state(page)["depth"] == 2
    box = depth.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert 90 < state(page)["depth"] < 112
    page.locator("#explorer-residual").press("Space")
    page.locator("#explorer-activation").select_option("relu")
    assert (state(page)["residual"], state(page)["activation"]) == (True, "relu")
    settled(page)
    assert len(page.evaluate("explorer.weights()")) == state(page)["depth"] + 1


def test_the_point_in_the_plane_is_dragged_and_moved_by_keys(opened):
    page = settled(opened())
    point = page.locator("#explorer button.point")
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 40, steps=3)
    page.mouse.up()
    dragged = state(page)
    assert dragged["w2"] > 1.9
    assert dragged["b2"] > 0.15
    page.mouse.move(x, y)
    assert state(page) == dragged
    moved = point.bounding_box()
    assert abs(moved["x"] - box["x"] - 60) < 2
    assert abs(moved["y"] - box["y"] + 40) < 2
    point.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert state(page)["w2"] == pytest.approx(dragged["w2"] + 0.01)
    assert state(page)["b2"] == pytest.approx(dragged["b2"] + 0.1)


def test_everything_is_reached_by_the_tab_key(opened):
    page = settled(opened())
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"
                                  " || document.activeElement.dataset.preset"))  # fmt: skip
    controls = {f"explorer-{name}" for name in
                ("activation", "weights", "depth", "width", "w2", "b2", "draw", "residual")}  # fmt: skip
    assert reached >= controls | {*PRESETS, "point", "train", "copy"}


# ---- presets and the address ----


@pytest.mark.parametrize(
    ("preset", "verdict"),
    [
        ("critical", "healthy"),
        ("vanishing", "vanishing"),
        ("exploding", "exploding"),
        ("orthogonal", "healthy"),
        ("chain", "vanishing"),
        ("end", "vanishing"),
    ],
)
def test_a_preset_tells_its_story(opened, preset, verdict):
    page = settled(opened())
    button = page.locator(f"[data-preset={preset}]")
    page.evaluate("explorer.band = null")
    button.click()
    settled(page)
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("#explorer .verdict strong").inner_text() == verdict
    story = page.locator("#explorer .story").inner_text()
    assert story.count(". ") + story.count(": ") >= 1
    assert ("exactly 0" in page.locator("#explorer .verdict").inner_text()) == (preset == "end")
    page.wait_for_function("document.querySelector('#explorer [role=status]').textContent")
    assert page.locator("#explorer [role=status]").inner_text().startswith(verdict)


def test_the_address_holds_the_state(opened):
    page = settled(opened("#activation=erf&depth=30&width=7&w2=1.25&b2=0.1&residual=true&draw=5"))
    expected = {
        "activation": "erf", "weights": "gaussian", "residual": True, "depth": 30, "width": 7,
        "w2": 1.25, "b2": 0.1, "draw": 5,
    }  # fmt: skip
    assert state(page) == expected
    page.locator("#explorer-width").press("ArrowRight")
    address = page.url
    assert "width=8" in address
    again = settled(opened(address[address.index("#") :]))
    assert state(again) == {**expected, "width": 8}
    assert again.evaluate("explorer.weights()") == page.evaluate("explorer.weights()")


@pytest.mark.parametrize(
    "hash", ["#depth=1e9&width=-3&w2=NaN&b2=&activation=softmax", "#%", "#<b>", "#depth=2.4"]
)
def test_an_address_that_says_nonsense_opens_a_page(opened, hash):
    page = settled(opened(hash))
    assert state(page)["depth"] in (2, 50, 200)
    assert state(page)["activation"] == "tanh"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_in_jnn_runs(shared_page, preset):
    code = shared_page.evaluate(
        "name => explorer.words.python(explorer.settings.PRESETS[name].settings)", preset
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "the same in jnn", "exec"), {})
    s = shared_page.evaluate("name => explorer.settings.PRESETS[name].settings", preset)
    assert f"{s['depth']} {s['activation']} layers of width {s['width']}" in printed.getvalue()
    if preset in ("vanishing", "exploding", "end"):
        assert printed.getvalue().startswith("exploding" if preset == "exploding" else "vanishing")
    assert max(map(len, code.splitlines())) <= 100


# ---- training ----


def test_training_runs_stops_and_is_undone_by_a_move(opened):
    page = settled(opened("#depth=4&width=8"))
    drawn = page.evaluate("explorer.weights()")
    page.locator("#explorer .train").click()
    page.wait_for_function("explorer.shown().losses.length === 200")
    losses = page.evaluate("explorer.shown().losses")
    assert losses[-1] < losses[0] / 10
    assert "After 200 steps" in page.locator("#explorer .loss").inner_text()
    assert page.evaluate("explorer.weights()") != drawn
    page.locator("#explorer-depth").press("ArrowRight")
    page.locator("#explorer-depth").press("ArrowLeft")
    page.wait_for_function("explorer.shown().losses.length === 0")
    assert page.evaluate("explorer.weights()") == drawn


# ---- looks ----

CONTRAST = """() => {
    const light = text => {
        const [r, g, b] = text.match(/[\\d.]+/g).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (!/, 0\\)$/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const faint = [];
    for (const e of document.querySelectorAll("#explorer *")) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        if (!own || !e.getClientRects().length) continue;
        const svg = e instanceof SVGElement, style = getComputedStyle(e);
        const [a, b] = [svg ? style.fill : style.color, behind(e)].map(light);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5 || parseFloat(style.fontSize) < 9)
            faint.push([e.textContent.slice(0, 30), ratio]);
    }
    return faint;
}"""


@pytest.mark.parametrize(("width", "scheme"), [*itertools.product((1280, 390), ("light", "dark"))])
def test_it_fits_and_can_be_read(opened, width, scheme):
    page = settled(opened(viewport={"width": width, "height": 900}, color_scheme=scheme))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    for plot in page.locator("#explorer .plot").all():
        box = plot.locator(".main-svg").first.bounding_box()
        assert 300 < box["width"] <= width


def test_the_switch_of_the_book_is_followed(opened):
    page = settled(opened(color_scheme="light"))
    ink = "getComputedStyle(document.querySelector('#explorer .xtick text')).fill"
    light = page.evaluate(ink)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{ink} !== '{light}'")
    assert page.evaluate(CONTRAST.replace("#explorer *", "#explorer p")) == []


def test_without_javascript_the_static_picture_stands(opened):
    page = opened(java_script_enabled=False)
    picture = page.locator("#explorer noscript img, #explorer img")
    assert picture.count() == 1
    assert picture.bounding_box()["width"] > 300


@pytest.mark.slow
def test_a_move_is_measured(opened, record_property):
    """Milliseconds of computing and drawing at depth 100, width 16; measured, not asserted."""
    page = settled(opened("#depth=100&width=16"))
    times = []
    for k in range(20):
        page.evaluate(f"explorer.times = null; explorer.set({{w2: {1.5 + 0.02 * k}}})")
        page.wait_for_function("explorer.times && explorer.times.correlations")
        times.append(page.evaluate("explorer.times"))
    for name in times[0]:
        record_property(name, sorted(row[name] for row in times)[10])
