from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.peers import NotInstallable, Peer, install, litellm, portkey
from bench.peers.process import Start, answering, free_port, started, stop
from bench.processes import tree

# a parent and a child in a session of its own, both deaf to TERM
_STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], start_new_session=True)
else:
    print("ready", flush=True)
signal.pause()
"""


def test_every_package_of_litellm_is_pinned_by_hash() -> None:
    packages = re.split(r"\n(?=\S)", litellm.LOCK.read_text().strip())
    assert [
        package for package in packages if not re.match(r"[\w.-]+==\S+[^\n]* \\\n    --hash=sha256:", package)
    ] == []
    assert re.fullmatch(r"[\d.]+", litellm.locked_version())


def test_every_package_of_portkey_is_pinned_by_hash_and_hono_is_the_one_that_works() -> None:
    wanted = json.loads((portkey.LOCKED / "package.json").read_text())
    packages = json.loads((portkey.LOCKED / "package-lock.json").read_text())["packages"]
    pins = {**wanted["dependencies"], **wanted["overrides"]}
    assert {name: packages[f"node_modules/{name}"]["version"] for name in pins} == pins
    assert [path for path, package in packages.items() if path and not package.get("integrity")] == []


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("Resolving\nerror: Failed to fetch the index\n  cause: dns\n", "error: Failed to fetch the index"),
        ("npm error code ENOTFOUND\nnpm error A complete log is in /x\n", "npm error code ENOTFOUND"),
        ("Reading lists\nE: Unable to locate package nginx\n", "E: Unable to locate package nginx"),
        ("first\nlast.\n\n", "last"),
        ("", "it said nothing"),
    ],
)
def test_the_line_that_names_the_cause_is_shown(said: str, line: str) -> None:
    assert install.cause(said) == line


def test_a_peer_is_installed_once_for_each_pin_and_again_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "BUILD", tmp_path / "build")
    made: list[list[str]] = []

    def make(home: Path) -> None:
        made.append([file.name for file in home.iterdir()])
        (home / "left").touch()
        if len(made) == 1:
            install.run([sys.executable, "-c", "raise SystemExit('error: no registry')"], folder=home)

    with pytest.raises(NotInstallable, match="error: no registry"):
        install.installed("peer", "1", make)
    for pin in ("1", "1", "2"):
        assert (install.installed("peer", pin, make) / "left").exists()
    # each time in an empty folder: what a failure leaves is never used
    assert made == [[], [], []]


def test_a_missing_program_makes_the_peer_not_installable(tmp_path: Path) -> None:
    with pytest.raises(NotInstallable, match=r"no-such-program cannot be run: No such file"):
        install.run([tmp_path / "no-such-program"], folder=tmp_path)
    start = Start([tmp_path / "no-such-program"], {}, deadline_seconds=1)
    with (
        pytest.raises(NotInstallable, match=r"no-such-program cannot be started: No such file"),
        started(start, tmp_path),
    ):
        pass


def test_the_whole_tree_of_a_peer_is_stopped_even_when_it_does_not_heed(tmp_path: Path) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(_STUBBORN)
    command = [sys.executable, str(program)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        members = tree([process.pid])
        assert len(members) == 2
        stop(process, grace_seconds=0.1)
        # the end of the output comes when the last writer is gone
        assert process.stdout.read() == b""
    assert process.returncode == -9


def test_a_peer_that_ends_at_its_start_tells_why(tmp_path: Path) -> None:
    start = Start([sys.executable, "-c", "raise SystemExit('error: bad config')"], {}, deadline_seconds=30)
    peer = Peer("Peer", "1.0", f"http://127.0.0.1:{free_port()}/v1", {}, "mock-model")
    with (
        pytest.raises(NotInstallable, match=r"Peer 1\.0 does not start: it ended: error: bad config"),
        answering(peer, start, tmp_path),
    ):
        pass


def test_a_peer_inherits_no_setting_of_this_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody")
    program = "import os, json; print(json.dumps(dict(os.environ)), flush=True); raise SystemExit"
    start = Start([sys.executable, "-I", "-c", program], {"OWN": "1"}, deadline_seconds=30)
    with started(start, tmp_path) as process:
        process.wait(timeout=30)
    environ = json.loads((tmp_path / "peer.log").read_text())
    assert environ["OWN"] == "1"
    assert environ["HOME"] == str(tmp_path)
    assert set(environ) <= {"PATH", "LANG", "LD_LIBRARY_PATH", "HOME", "OWN", "LC_CTYPE"}
