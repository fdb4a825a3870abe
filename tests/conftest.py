"""What the tests share: the lecture's numbers, double precision, and a package without the hook of the tests."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jaxtyping
import pytest


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
    """The package without the tests' shape checks, which would otherwise refuse wrong input before jnn itself does."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


# Long tables: one row in three of a test is run as a rule, the others are left to `scripts/test --exhaustive`.
TABLES = {
    "test_any_layer",
    "test_choice",
    "test_crosscheck",
    "test_diagnose",
    "test_diagnostics",
    "test_dropout",
    "test_initializers",
    "test_laboratory",
    "test_network",
    "test_newton",
    "test_parallel",
    "test_second_order",
    "test_streams",
    "test_theory_finite_width",
    "test_theory_isometry",
    "test_theory_kernels",
    "test_theory_mean_field",
    "test_training",
    "test_triangular",
}


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rows: Counter[str] = Counter()
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.module.__name__ in TABLES:
            test = item.nodeid.partition("[")[0]
            if rows[test] % 3:
                item.add_marker("exhaustive")
            rows[test] += 1
