"""A data directory that was damaged, in the whole product: said before or at the start, and gone on from."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from llm_manager.testing.stack import clean_environment, command, running_stack

_OWN = {"LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS": "false"}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that has been in use."""
    folder = tmp_path_factory.mktemp("used") / "data"
    with running_stack(folder, environment=_OWN):
        pass
    return folder


def test_only_the_owner_can_read_what_is_in_the_data_directory(used: Path) -> None:
    modes = {path: path.lstat().st_mode for path in (used, *used.rglob("*"))}
    assert [str(path) for path, mode in modes.items() if mode & 0o077 and not stat.S_ISLNK(mode)] == []


@pytest.mark.parametrize(
    ("pattern", "check", "lost"),
    [
        ("control-plane.db", "Control-plane database", "stored responses are lost"),
        ("nats/jetstream/*/streams/*/meta.inf", "Bus store", "events on their way to the ledger are lost"),
        ("clickhouse/**/*.sql", "Ledger", "usage and cost of the past are lost"),
    ],
)
def test_damage_is_said_in_one_paragraph_with_the_command_to_go_on(
    used: Path, tmp_path: Path, pattern: str, check: str, lost: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(used, folder, symlinks=True)
    for file in folder.glob(pattern):
        file.write_bytes(b"garbage" * 100)
    environ = clean_environment({"LLM_MANAGER_DATA_DIR": str(folder), "LLM_MANAGER_PORT": "0", **_OWN})

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        full = [*command(), *arguments]
        return subprocess.run(full, env=environ, capture_output=True, text=True, timeout=120, check=False)

    found = {one["name"]: one for one in json.loads(run("doctor", "--json").stdout)}
    assert (found[check]["state"], lost in found[check]["remedy"]) == ("failed", True)
    up = run("up", "--detach")
    said = [line for line in up.stderr.splitlines() if lost in line]
    assert (up.returncode, len(said), "Traceback" in up.stderr) == (1, 1, False), up.stderr
    aside = said[0].split("): ", 1)[1].split(" && llm-manager up")[0]
    subprocess.run(["/bin/sh", "-c", aside], check=True, timeout=10)
    with running_stack(folder, environment=_OWN) as stack:
        assert stack.status()["is_ready"]
