"""The life of a process, in real processes with real signals."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

PREFIX = "LLM_MANAGER_SAMPLE_"
HEAD = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from pathlib import Path
from pydantic_settings import SettingsConfigDict
from llm_manager.kit.service import Ops, run_from_environment
from llm_manager.kit.settings import ServiceSettings, SettingsError

gate = Path(sys.argv[1])

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LLM_MANAGER_SAMPLE_")

async def opened():
    while not gate.exists():
        await asyncio.sleep(0.01)

def say(text):
    print(text, flush=True)

@asynccontextmanager
async def lifespan(settings, ops):
"""
TAIL = "\nsys.exit(run_from_environment('sample', Settings, lifespan))\n"
DEADLINE_SECONDS = 10.0


class Process:
    def __init__(self, body: str, gate: Path, settings: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(settings.setdefault("OPS_PORT", str(probe.getsockname()[1])))
        self.gate = gate
        self.popen = subprocess.Popen(
            [sys.executable, "-c", HEAD + body + TAIL, str(gate)],
            env={**os.environ, **{PREFIX + key: value for key, value in settings.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, status: int, *, reason: str = "") -> dict[str, Any]:
        until = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < until:
            code, body = self.ask("/readyz")
            if code == status and reason in body:
                return json.loads(body)
            time.sleep(0.01)
        raise AssertionError(f"/readyz was not {status} {reason} in time: {self.popen.poll()}")

    def end(self) -> tuple[int, str, str]:
        stdout, stderr = self.popen.communicate(timeout=DEADLINE_SECONDS)
        return self.popen.returncode, stdout, stderr


@contextlib.contextmanager
def process(body: str, tmp_path: Path, **settings: str) -> Generator[Process]:
    started = Process(body, tmp_path / "gate", settings)
    try:
        yield started
    finally:
        if started.popen.poll() is None:
            started.popen.kill()
            started.popen.communicate()


def events(stderr: str) -> list[str]:
    return [json.loads(line)["event"] for line in stderr.splitlines() if line.startswith("{")]


def test_a_stop_fails_readiness_first_then_drains_then_exits_with_zero(tmp_path: Path) -> None:
    body = """
    try:
        await opened()
        gate.unlink()
        ops.add_check("bus", lambda: None)
        yield
    finally:
        await opened()
        say("drained")
"""
    with process(body, tmp_path) as sample:
        assert sample.wait_ready(503) == {"is_ready": False, "reasons": {"lifecycle": "starting"}}
        assert sample.ask("/healthz")[0] == 200
        sample.gate.touch()
        assert sample.wait_ready(200) == {"is_ready": True, "reasons": {}}
        status, metrics = sample.ask("/metrics")
        assert status == 200
        assert "llm_manager_requests_in_flight" in metrics

        sample.popen.send_signal(signal.SIGTERM)
        assert sample.wait_ready(503, reason="draining")["reasons"] == {"lifecycle": "draining"}
        assert sample.ask("/healthz")[0] == 200
        sample.gate.touch()
        code, stdout, stderr = sample.end()

    assert (code, stdout) == (0, "drained\n")
    assert events(stderr) == [
        "service_starting",
        "service_ready",
        "signal_received",
        "service_draining",
        "service_stopped",
    ]


def test_a_failing_check_makes_the_process_unready_and_names_why(tmp_path: Path) -> None:
    body = """
    ops.add_check("bus", lambda: None if gate.exists() else "reconnecting")
    yield
"""
    with process(body, tmp_path) as sample:
        assert sample.wait_ready(503, reason="bus")["reasons"] == {"bus": "reconnecting"}
        sample.gate.touch()
        assert sample.wait_ready(200)["is_ready"]


def test_a_drain_that_takes_too_long_is_cancelled_and_the_exit_code_says_so(tmp_path: Path) -> None:
    body = """
    yield
    try:
        await asyncio.sleep(60)
    finally:
        say("cancelled")
"""
    with process(body, tmp_path, DRAIN_SECONDS="0.1") as sample:
        sample.wait_ready(200)
        sample.popen.send_signal(signal.SIGTERM)
        code, stdout, stderr = sample.end()

    assert (code, stdout) == (1, "cancelled\n")
    assert "drain_timed_out" in events(stderr)


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    body = """
    yield
    say("draining")
    await asyncio.sleep(60)
"""
    with process(body, tmp_path) as sample:
        sample.wait_ready(200)
        sample.popen.send_signal(signal.SIGTERM)
        sample.wait_ready(503, reason="draining")
        sample.popen.send_signal(signal.SIGTERM)
        code, _, stderr = sample.end()

    assert code == 1
    assert events(stderr)[-1] == "stopped_at_once"


def test_ctrl_c_of_a_terminal_and_the_signal_of_its_supervisor_are_one_wish(tmp_path: Path) -> None:
    body = """
    yield
    await opened()
    say("drained")
"""
    with process(body, tmp_path) as sample:
        sample.wait_ready(200)
        sample.popen.send_signal(signal.SIGINT)
        sample.wait_ready(503, reason="draining")
        sample.popen.send_signal(signal.SIGTERM)
        sample.gate.touch()
        code, stdout, _ = sample.end()

    assert (code, stdout) == (0, "drained\n")


def test_a_signal_while_starting_ends_the_start(tmp_path: Path) -> None:
    body = """
    await asyncio.sleep(60)
    yield
"""
    with process(body, tmp_path) as sample:
        sample.wait_ready(503)
        sample.popen.send_signal(signal.SIGTERM)
        code, _, stderr = sample.end()

    assert code == 0
    assert "service_ready" not in events(stderr)
