"""What the tests share: the lecture, double precision, a package without the shape checks."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jax
import jaxtyping
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell's background ignores Ctrl-C, and every process that the tests start would
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def lecture() -> dict[str, Any]:
    """The lecture's parameters, states, D, single step and ten runs."""
    return json.loads((Path(__file__).parent / "reference" / "lecture.json").read_text())


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def as_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package without the shape checks, which would refuse wrong input before jnn does."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; what needs it is skipped where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from studies.book import assets, printing

    try:
        path = printing.browser()
    except assets.MissingError as missing:
        pytest.skip(str(missing))
    with playwright.sync_playwright() as started:
        # without a sandbox, which containers do not allow: the pages are our own
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def _optimized_where_it_pays(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Studies and notebooks run for minutes: the optimisations that scripts/test leaves out pay."""
    left_out = "JAX_DISABLE_MOST_OPTIMIZATIONS" in os.environ
    if not left_out or request.path.parent.name not in ("studies", "notebooks"):
        yield
        return
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


_MAPPINGS = Path("/proc/self/maps")  # of memory, on Linux
_MANY = 20_000  # where the kernel's limit is 65,530; every program takes three and more

_tests = count()


@pytest.fixture(autouse=True)
def _programs_let_go() -> Iterator[None]:
    """Thousands of compiled programs end a process, by a crash: it may map no more memory."""
    yield
    counted = next(_tests) % 25 == 0 and _MAPPINGS.exists()  # reading takes up to 0.05 s
    if counted and _MAPPINGS.read_bytes().count(b"\n") > _MANY:
        jax.clear_caches()


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a long table one row in seven is run as a rule; `--all` adds one in three, CI's rows."""
    rows: Counter[str] = Counter()
    for item in items:
        if hasattr(item, "callspec") and item.get_closest_marker("table"):
            test = item.nodeid.partition("[")[0]
            if rows[test] % 7:
                item.add_marker("exhaustive" if rows[test] % 3 else "slow")
            rows[test] += 1


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, as_a_user: None) -> None:
    """Wrong input must be refused before anything is computed."""

    def run(*_: Any, **__: Any) -> None:
        raise AssertionError("the run started")

    from jnn.training import compiled  # late: most tests train nothing

    monkeypatch.setattr(compiled, "run", run)
