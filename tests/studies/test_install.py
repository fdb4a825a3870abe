"""The cells in front of a copy: they follow the project's address, and install nothing twice."""

import importlib.util
import shutil
import subprocess
from typing import Any

import pytest
from studies import install

PROJECT = {"name": "of-a-test", "urls": {"Repository": "https://github.com/a/b"}}
PLACE = "notebooks/01_name.ipynb"


def cell(project: dict[str, Any] = PROJECT) -> str:
    return dict(install.front(PLACE, project))["code"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What a cell would run, without running it."""
    called: list[list[str]] = []
    monkeypatch.setattr(subprocess, "check_call", called.append)
    return called


@pytest.mark.parametrize("project", [{"name": "a"}, {"name": "a", "urls": {"Issues": "b"}}])
def test_without_an_address_there_is_neither_link_nor_cell(project: dict[str, Any]) -> None:
    assert install.front(PLACE, project) == []


def test_the_link_opens_the_copy() -> None:
    link = dict(install.front(PLACE, PROJECT))["markdown"]
    assert link.endswith("/github/a/b/blob/main/notebooks/01_name.ipynb)")


def test_elsewhere_than_on_github_there_is_a_cell_and_no_link() -> None:
    project = {"name": "a", "urls": {"Repository": "https://example.org/b"}}
    assert [kind for kind, _ in install.front(PLACE, project)] == ["code"]


def test_where_jnn_is_there_nothing_is_installed(commands: list[list[str]]) -> None:
    exec(cell(), {})
    assert commands == []


@pytest.mark.parametrize(
    ("driver", "extra"), [(None, ""), ("550.54.15\n", "[cuda12]"), ("580.65.06\n", "[cuda13]")]
)
def test_elsewhere_the_extra_is_that_of_the_driver(
    driver: str | None,
    extra: str,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: driver and "/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "check_output", lambda *args, **kwargs: driver)
    exec(cell(), {})
    [command] = commands
    assert command[-1] == f"of-a-test{extra} @ git+https://github.com/a/b"


def test_no_line_of_the_cell_is_longer_than_a_notebooks() -> None:
    assert max(len(line) for line in cell().splitlines()) <= 80
