from __future__ import annotations

import json
import os
import signal
import socket
import time
from typing import Any

import psutil

from llm_manager.cli.stack.reporter import Report, Reporter, parse_report


def _up(cli: Any) -> dict[str, Any]:
    done = cli.run("up", "--detach", "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _ended(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(timeout=10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_up_starts_everything_and_down_drains_in_order(cli: Any) -> None:
    said = _up(cli)
    assert sorted(said["pids"]) == ["gateway", "nats", "providers", "supervisor", "usage"]
    status = json.loads(cli.run("status", "--json").stdout)
    assert (status["is_ready"], status["pids"]) == (True, said["pids"])
    assert cli.run("down").stdout.startswith("Stopped ")
    assert cli.journal.read_text() == "gateway drained\nproviders drained\nusage drained\n"
    assert all(_ended(pid) for pid in said["pids"].values())
    assert cli.run("status").returncode == 3
    assert cli.run("down").stdout == "Nothing was running.\n"


def test_a_second_up_says_that_it_is_running_and_where(cli: Any) -> None:
    said = _up(cli)
    again = _up(cli)
    assert again == {**said, "already_running": True}
    assert "runs already" in cli.run("up").stdout


def test_killed_children_come_back_and_status_counts_it(cli: Any) -> None:
    said = _up(cli)
    for name in ("gateway", "nats"):
        os.kill(said["pids"][name], signal.SIGKILL)
    services: dict[str, Any] = {}
    for _ in range(200):
        time.sleep(0.02)
        services = json.loads(cli.run("status", "--json").stdout)["services"]
        if all(services[name]["restarts"] == 1 and services[name]["is_ready"] for name in ("gateway", "nats")):
            break
    assert {name: service["restarts"] for name, service in services.items()} == {
        "nats": 1,
        "usage": 0,
        "providers": 0,
        "gateway": 1,
    }
    log = (cli.data_dir / "logs" / "supervisor.log").read_text()
    assert "gateway was ended by SIGKILL; starting it again at once" in log


def test_children_drain_and_end_when_the_supervisor_is_killed(cli: Any) -> None:
    pids = _up(cli)["pids"]
    os.kill(pids["supervisor"], signal.SIGKILL)
    assert all(_ended(pid) for pid in pids.values())
    assert sorted(cli.journal.read_text().splitlines()) == ["gateway drained", "providers drained", "usage drained"]
    assert cli.run("status").returncode == 3
    assert _up(cli)["already_running"] is False


def test_ctrl_c_in_the_foreground_drains_and_ends_with_0(cli: Any) -> None:
    process = cli.foreground()
    lines: list[str] = []
    while not lines or not lines[-1].startswith("{"):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest.endswith("stopped\n")
    assert cli.journal.read_text() == "gateway drained\nproviders drained\nusage drained\n"


def test_a_second_ctrl_c_kills(cli: Any) -> None:
    process = cli.foreground(FAKE_FAULT_GATEWAY="slow_drain")
    line = ""
    while not line.startswith("{"):
        line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    while "draining" not in line:
        line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert "killing everything" in process.communicate(timeout=30)[0]
    assert not cli.journal.exists()


def test_wrong_settings_of_a_service_end_with_78_and_are_named(cli: Any) -> None:
    done = cli.run("up", "--detach", FAKE_FAULT_USAGE="settings")
    assert done.returncode == 78
    assert "LLM_MANAGER_USAGE_COLOUR is unknown" in done.stderr
    assert cli.run("status").returncode == 3


def test_a_service_that_cannot_start_is_named_with_its_log_and_the_remedy(cli: Any) -> None:
    done = cli.spawn("up", FAKE_FAULT_GATEWAY="crash")
    assert done.returncode == 1
    wanted = ["gateway ended with exit code 3", "gateway: no such table", "What to do:"]
    assert [part for part in wanted if part not in done.stderr] == []


def test_a_port_that_was_asked_for_and_is_taken_ends_the_start(cli: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = cli.run("up", "--detach", "--json", "--port", port)
    assert done.returncode == 1
    assert f"Port: {port} is in use. What to do: stop that program" in done.stderr
    assert cli.run("status").returncode == 3


def test_the_supervisor_stays_under_40_megabytes(cli: Any) -> None:
    resident = psutil.Process(_up(cli)["pids"]["supervisor"]).memory_info().rss
    # coverage, when it measures, is not the supervisor's memory
    assert resident < (40_000_000 if "COVERAGE_PROCESS_CONFIG" not in os.environ else 80_000_000)


def test_reports_travel_over_the_channel_and_a_closed_one_is_no_failure() -> None:
    read, write = os.pipe()
    reporter = Reporter(channel=write)
    reporter.send(Report("failed", "no port", 4))
    with os.fdopen(read) as channel:
        assert parse_report(channel.readline()) == Report("failed", "no port", 4)
    reporter.send(Report("progress", "nobody listens"))
    reporter.send(Report("ready"))
    reporter.close()
    assert parse_report('{"kind": "ready", "text": "", "exit_code": 0}') == Report("ready")
