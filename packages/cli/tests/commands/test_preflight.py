"""What would keep a start from working is found before anything is started, and said in one paragraph."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from llm_manager.cli.commands import preflight, settings, stores
from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("LLM_MANAGER_PROT", "write LLM_MANAGER_PORT for LLM_MANAGER_PROT"),
        ("LLM_MANAGER_GATEWY_PORT", "write LLM_MANAGER_GATEWAY_PORT for LLM_MANAGER_GATEWY_PORT"),
        ("LLM_MANAGER_USAGE_LOG_LEVLE", "write LLM_MANAGER_USAGE_LOG_LEVEL for LLM_MANAGER_USAGE_LOG_LEVLE"),
        ("LLM_MANAGER_XQZV", "unset LLM_MANAGER_XQZV"),
    ],
)
def test_a_variable_that_nobody_reads_ends_the_start_and_the_near_one_is_named(
    variable: str, said: str, data: DataDir
) -> None:
    with pytest.raises(CommandError) as failure:
        preflight.refuse(data, {variable: "sk-canary"}, port=0)
    assert failure.value.exit_code is ExitCode.SETTINGS
    assert failure.value.message == f"Settings: nobody reads {variable}. What to do: {said}."


def test_known_variables_are_fine(data: DataDir) -> None:
    environ = {"LLM_MANAGER_DATA_DIR": "/x", "LLM_MANAGER_GATEWAY_MASTER_KEY_FILE": "/y", "LLM_MANAGER_TEST_X": "1"}
    assert settings.names(data, environ).state == "ok"


@pytest.mark.parametrize(
    "text", ["localhost:11434", "htp://x", "http://", "http://x:port", "http://a b", "http://[::1", "sk-canary", "//x"]
)
def test_a_base_url_that_is_none_ends_the_start(text: str, data: DataDir) -> None:
    with pytest.raises(CommandError, match="Base URLs: OPENAI_BASE_URL is no URL: ") as failure:
        preflight.refuse(data, {"OPENAI_BASE_URL": text}, port=0)
    assert failure.value.exit_code is ExitCode.SETTINGS
    assert "sk-canary" not in failure.value.message


def test_base_urls_are_fine(data: DataDir) -> None:
    environ = {"OPENAI_BASE_URL": "https://x.example/v1?a=b", "OLLAMA_BASE_URL": "http://[::1]:11434"}
    assert settings.addresses(data, environ).state == "ok"


def test_a_disk_that_is_too_small_for_the_bus_ends_the_start(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def nearly(_folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=stores.LEAST_FREE_BYTES - 1)

    monkeypatch.setattr(shutil, "disk_usage", nearly)
    with pytest.raises(
        CommandError, match=r"Disk: 1\.43 GB free .* need 1\.43 GB .*What to do: free at least 1\.43 GB"
    ):
        preflight.refuse(data, {}, port=0)


def _database(data: DataDir) -> Path:
    file = data.path / "control-plane.db"
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("CREATE TABLE apps (id TEXT, name TEXT)")
        opened.executemany("INSERT INTO apps VALUES (?, ?)", ((str(i), "x" * 200) for i in range(500)))
        opened.commit()
    return file


def test_a_damaged_database_ends_the_start_with_what_is_lost_and_the_command(data: DataDir) -> None:
    file = _database(data)
    assert stores.database(data, {}).state == "ok"
    whole = file.read_bytes()
    for damaged in (b"garbage" * 1000, whole[:8192] + b"\xff" * 8192 + whole[16384:], whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(CommandError) as failure:
            preflight.refuse(data, {}, port=0)
        said = failure.value.message
        wanted = [f"Control-plane database: {file} is damaged", "stored responses are lost", f"mv {file}* "]
        assert [part for part in wanted if part not in said] == []
        assert "\n" not in said


def test_a_damaged_stream_ends_the_start(data: DataDir) -> None:
    stream = data.nats / "jetstream" / "$G" / "streams" / "USAGE"
    stream.mkdir(parents=True)
    assert stores.bus(data, {}).state == "ok"
    (stream / "meta.inf").write_text('{"name": "USAGE"}')
    (stream / "meta.sum").write_text("abc")
    assert stores.bus(data, {}).state == "ok"
    for damaged in (b"garbage", b"\xff\xfe", b"[]", b""):
        (stream / "meta.inf").write_bytes(damaged)
        with pytest.raises(CommandError, match=r"Bus store: .* is damaged \(stream USAGE: .*events on their way"):
            preflight.refuse(data, {}, port=0)
