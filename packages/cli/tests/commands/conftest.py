"""The command line run inside the test, against a fake gateway and a prepared data directory."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.main import app
from llm_manager.cli.stack.variables import COMMAND_KEYS

sys.path.insert(0, str(Path(__file__).parent))

Invoke = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    for key in (*COMMAND_KEYS, "LLM_MANAGER_PORT"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("LLM_MANAGER_DATA_DIR", str(tmp_path))
    directory = DataDir(tmp_path)
    directory.prepare()
    return directory


@pytest.fixture
def invoke(data: DataDir) -> Invoke:
    def call(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=text)

    return call


@pytest.fixture
def admin_header(data: DataDir) -> str:
    return "Basic " + base64.b64encode(f"admin:{data.read_secret('admin-password')}".encode()).decode()
