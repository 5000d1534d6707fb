from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from typer.testing import CliRunner

from llm_manager.cli.exit_codes import MEANING, ExitCode
from llm_manager.cli.main import app


def test_help_names_every_command_and_every_exit_code() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    commands = ["up", "down", "status", "serve", "doctor", "chat", "migrate", "openapi", "version", "keys", "usage"]
    assert [command for command in commands if f" {command} " not in text] == []
    assert [code for code, meaning in MEANING.items() if f"{code.value} {meaning}"[:20] not in text] == []
    assert set(MEANING) == set(ExitCode)


def test_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(app, ["version"]).stdout.strip()
    assert json.loads(CliRunner().invoke(app, ["version", "--json"]).stdout) == {"version": shown}


def test_a_wrong_command_line_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["usage", "top", "--by", "colour"]).exit_code == ExitCode.USAGE


def test_serve_runs_the_entry_point_of_a_service_and_returns_its_exit_code(cli: Any) -> None:
    done = cli.spawn("serve", "usage", FAKE_FAULT_USAGE="settings", LLM_MANAGER_USAGE_OPS_PORT="1")
    assert (done.returncode, "COLOUR is unknown" in done.stderr) == (ExitCode.SETTINGS, True)


def test_serve_of_an_unknown_service_names_the_known_ones(cli: Any) -> None:
    done = cli.spawn("serve", "billing")
    assert done.returncode == ExitCode.USAGE
    assert "gateway, providers, usage" in done.stderr


def test_the_supervisor_and_the_children_load_no_terminal_or_http_library() -> None:
    heavy = "{'typer', 'rich', 'httpx2', 'psutil', 'click'} & set(sys.modules)"
    code = f"import sys, llm_manager.cli.stack.run, llm_manager.cli.commands.serve; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_migrate_runs_what_services_bring_and_says_when_there_is_nothing(cli: Any) -> None:
    site = cli.data_dir.parent / "site" / "fake-1.0.dist-info" / "entry_points.txt"
    site.write_text("[llm_manager.migrations]\nzz = builtins:int\n[llm_manager.openapi]\nzz = builtins:dict\n")
    done = json.loads(cli.spawn("migrate", "--json").stdout)
    assert "zz" in done["migrated"]
    site.write_text("[llm_manager.migrations]\nzz = os:getpid\n")
    failed = cli.spawn("migrate")
    assert (failed.returncode, "zz ended with exit code" in failed.stderr) == (ExitCode.FAILED, True)
