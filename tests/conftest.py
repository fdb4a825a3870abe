"""What the tests share: the lecture's numbers, double precision, and a package without the hook of the tests."""

import json
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
