"""The explorer in a browser, opened from a file; skipped where there is no browser."""

import pytest
from studies import explorer


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    return explorer.write_page(tmp_path_factory.mktemp("explorer")).as_uri()


@pytest.fixture(scope="session")
def shared_page(browser, address):
    """One page for what computes only."""
    page = browser.new_page()
    page.goto(address)
    page.wait_for_function("window.explorer.times")
    yield page
    page.close()


@pytest.fixture
def opened(browser, address):
    """A function that opens the page; nothing may stand in its console, no other host be asked."""
    said, asked, contexts = [], [], []

    def open_page(fragment="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    folder = address.rpartition("/")[0]
    own = (folder, "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []
