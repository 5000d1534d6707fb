"""Ends that need no signal, so no process of their own either."""

import json
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import structlog
from pydantic_settings import SettingsConfigDict

from llm_manager.kit.service import Ops, run, run_from_environment
from llm_manager.kit.settings import ServiceSettings, SettingsError


class SampleSettings(ServiceSettings):
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="LLM_MANAGER_SAMPLE_")


@pytest.fixture(autouse=True)
def _restored_logging() -> Generator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_failure_in_the_background_drains_and_exits_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    drained: list[bool] = []

    @asynccontextmanager
    async def lifespan(ops: Ops) -> AsyncGenerator[None]:
        ops.fail(RuntimeError("the consumer broke"))
        yield
        drained.append(ops.is_draining)

    assert run("sample", SampleSettings(), lifespan) == 1
    assert drained == [True]
    events = logged(capsys)
    assert [event["event"] for event in events] == [
        "service_starting",
        "service_failed",
        "service_ready",
        "service_draining",
        "service_stopped",
    ]
    assert "the consumer broke" in events[1]["exception"]


def test_a_failed_start_exits_with_one_and_the_log_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def lifespan(_: Ops) -> AsyncGenerator[None]:
        raise RuntimeError("no database, password=hunter22")
        yield

    assert run("sample", SampleSettings(), lifespan) == 1
    text = json.dumps(logged(capsys))
    assert "no database" in text
    assert "hunter22" not in text


def test_a_failure_while_leaving_exits_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def lifespan(ops: Ops) -> AsyncGenerator[None]:
        ops.drain()
        yield
        raise RuntimeError("the last batch was not stored")

    assert run("sample", SampleSettings(), lifespan) == 1
    assert "the last batch was not stored" in json.dumps(logged(capsys))


def test_settings_found_wrong_while_starting_exit_with_78(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def lifespan(_: Ops) -> AsyncGenerator[None]:
        raise SettingsError("KINDS names a provider that does not exist")
        yield

    assert run("sample", SampleSettings(), lifespan) == 78
    assert "KINDS names a provider that does not exist" in json.dumps(logged(capsys))


@asynccontextmanager
async def ends_at_once(settings: SampleSettings, ops: Ops) -> AsyncGenerator[None]:
    ops.drain()
    yield


@pytest.mark.requirement("S204")
def test_an_unknown_setting_exits_with_78_and_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_MANAGER_SAMPLE_DRAIN_SECOND", "3")

    assert run_from_environment("sample", SampleSettings, ends_at_once) == 78
    assert "DRAIN_SECOND is not a setting. Did you mean LLM_MANAGER_SAMPLE_DRAIN_SECONDS?" in capsys.readouterr().err


def test_a_lifespan_that_asks_for_its_end_exits_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_from_environment("sample", SampleSettings, ends_at_once) == 0
    assert logged(capsys)[-1]["exit_code"] == 0


def test_a_taken_ops_port_exits_with_one_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]

        code = run("sample", SampleSettings(ops_port=port), lambda ops: ends_at_once(SampleSettings(), ops))

    assert code == 1
    [event] = logged(capsys)
    assert (event["event"], event["port"]) == ("ops_server_failed", port)
