"""A contestant in a process of its own: neither threads nor caches of one disturb another."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1]


class Process:
    """A module of this package, run by itself, which answers a line with a line of JSON."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,
            env=os.environ | dict(environment) | search_path(),
        )

    def ask(self, line: str, limit: float | None = None) -> dict[str, Any]:
        """Its answer to a line.

        Raises:
          TimeoutError: it takes longer than `limit` seconds; the process is ended.
          RuntimeError: it failed; the message is the last line that it wrote to standard error.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: the answer says why
            self.process.stdin.write(f"{line}\n".encode())
        return self.answer(limit)

    def answer(self, limit: float | None = None) -> dict[str, Any]:
        """What it says next; raises as `ask` does."""
        output = self.process.stdout
        assert output is not None
        if not select.select([output], [], [], limit)[0]:
            self.stop()
            raise TimeoutError(f"did not finish in {limit} s")
        if line := output.readline():
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"failed: {lines[-1:]}")

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def search_path() -> dict[str, str]:
    """What a process must be told to find this package, beside what this one was told."""
    paths = (str(SCRIPTS), os.environ.get("PYTHONPATH", ""))
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
