"""Nothing cuts a drain: neither a second wish to stop, nor a supervisor that died, nor an output that is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_manager.testing.stack import wait_until

DRAINED = ["gateway drained", "providers drained", "usage drained"]


@pytest.fixture
def held(cli: Any, tmp_path: Path) -> dict[str, str]:
    """A gateway that drains until the test lets it go."""
    files = {"FAKE_DRAINING": str(tmp_path / "draining"), "FAKE_FINISH": str(tmp_path / "finish")}
    cli.environ |= {"FAKE_FAULT_GATEWAY": "drains_until_told", **files}
    return files


def _up(cli: Any) -> dict[str, Any]:
    done = cli.run("up", "--detach", "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _drains(held: dict[str, str]) -> None:
    wait_until(Path(held["FAKE_DRAINING"]).exists, timeout_seconds=20, what="the drain of the gateway")


@contextmanager
def _beside(cli: Any, *arguments: str) -> Generator[subprocess.Popen[str]]:
    """Run a command beside the test and wait for its end."""
    command = [sys.executable, "-m", "llm_manager.cli.main", *arguments]
    with subprocess.Popen(
        command, env=cli.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_up_after_a_killed_supervisor_lets_its_orphans_finish(cli: Any, held: dict[str, str]) -> None:
    os.kill(_up(cli)["pids"]["supervisor"], signal.SIGKILL)
    _drains(held)
    with _beside(cli, "up", "--detach", "--json") as up:
        assert up.stderr is not None
        assert "until it has drained: " in up.stderr.readline()
        Path(held["FAKE_FINISH"]).touch()
        out, said = up.communicate(timeout=60)
    assert up.returncode == 0, said
    assert json.loads(out)["already_running"] is False
    assert sorted(cli.journal.read_text().splitlines()) == DRAINED


def test_down_after_a_killed_supervisor_lets_its_orphans_finish(cli: Any, held: dict[str, str]) -> None:
    os.kill(_up(cli)["pids"]["supervisor"], signal.SIGKILL)
    _drains(held)
    finish = threading.Timer(0.3, Path(held["FAKE_FINISH"]).touch)
    finish.start()
    assert cli.run("down").returncode == 0
    finish.join()
    assert sorted(cli.journal.read_text().splitlines()) == DRAINED


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_wish_to_stop_is_no_wish_to_kill(cli: Any, held: dict[str, str], again: signal.Signals) -> None:
    supervisor = _up(cli)["pids"]["supervisor"]
    os.kill(supervisor, signal.SIGTERM)
    _drains(held)
    os.kill(supervisor, again)
    finish = threading.Timer(0.3, Path(held["FAKE_FINISH"]).touch)
    finish.start()
    assert cli.run("down").returncode == 0
    finish.join()
    assert cli.journal.read_text().splitlines() == DRAINED


def test_down_kill_does_not_wait_for_a_drain(cli: Any, held: dict[str, str]) -> None:
    supervisor = _up(cli)["pids"]["supervisor"]
    os.kill(supervisor, signal.SIGTERM)
    _drains(held)
    assert "supervisor" in cli.run("down", "--kill").stdout
    assert not cli.journal.exists()


def test_down_drains_an_up_whose_output_nobody_reads_any_more(cli: Any) -> None:
    process = cli.foreground()
    line = ""
    while not line.startswith("{"):
        line = process.stdout.readline()
        assert line
    process.stdout.close()
    assert cli.run("down").returncode == 0
    assert process.wait(timeout=30) == 0
    assert cli.journal.read_text().splitlines() == DRAINED


def test_up_and_down_work_while_the_output_is_full(cli: Any) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    command = [sys.executable, "-m", "llm_manager.cli.main", "up", "--json"]
    with subprocess.Popen(command, env=cli.environ, stdout=write, stderr=write) as process:
        wait_until(lambda: cli.run("status").returncode == 0, timeout_seconds=30, what="readiness")
        assert cli.run("down").returncode == 0
        assert process.wait(timeout=30) == 0
    os.close(read)
    os.close(write)
    assert cli.journal.read_text().splitlines() == DRAINED
