"""A stack of real processes that costs nothing: the real nats-server, and services as small as can be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.main import app

FAKE_SERVICE = Path(__file__).with_name("fake_service.py")
_ENTRY_POINTS = """[llm_manager.services]
usage = fake_service:usage
providers = fake_service:providers
gateway = fake_service:gateway
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Cli:
    """The command, with a data directory of its own and the fake services before the real ones."""

    data_dir: Path
    journal: Path
    environ: dict[str, str] = field(repr=False)

    def run(self, *arguments: str, **extra: str) -> Done:
        """Run a command inside the test; its children are real. `up` without --detach would replace the test."""
        with pytest.MonkeyPatch.context() as patch:
            for key, value in (self.environ | extra).items():
                patch.setenv(key, value)
            result = CliRunner().invoke(app, list(arguments))
        if isinstance(result.exception, CommandError):
            return Done(result.exception.exit_code, result.stdout, result.stderr + result.exception.message)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    def spawn(self, *arguments: str, **extra: str) -> Done:
        """Run a command as a process."""
        command = [sys.executable, "-m", "llm_manager.cli.main", *arguments]
        done = subprocess.run(
            command, env=self.environ | extra, capture_output=True, text=True, timeout=60, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def foreground(self, **extra: str) -> subprocess.Popen[str]:
        """Start `up --json` in the foreground, stdout and stderr in one."""
        command = [sys.executable, "-m", "llm_manager.cli.main", "up", "--json"]
        return subprocess.Popen(
            command, env=self.environ | extra, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    site = tmp_path / "site"
    (site / "fake-1.0.dist-info").mkdir(parents=True)
    (site / "fake-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (site / "fake-1.0.dist-info" / "entry_points.txt").write_text(_ENTRY_POINTS)
    (site / "fake_service.py").write_text(FAKE_SERVICE.read_text())
    environ = {k: v for k, v in os.environ.items() if not k.startswith("LLM_MANAGER_")}
    environ |= {
        "PYTHONPATH": str(site),
        "LLM_MANAGER_DATA_DIR": str(tmp_path / "data"),
        "LLM_MANAGER_PORT": "0",
        "FAKE_JOURNAL": str(tmp_path / "journal"),
    }
    command = Cli(tmp_path / "data", tmp_path / "journal", environ)
    yield command
    command.run("down", "--kill")
