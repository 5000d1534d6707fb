from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

from llm_manager.cli.stack import processes


def _sleeper(code: str = "import time; time.sleep(60)") -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", f"print('up', flush=True); {code}"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return child


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    child = _sleeper()
    process = processes.identify(child.pid)
    assert process is not None
    assert processes.is_alive(process)
    assert not processes.is_alive(replace(process, started="another boot:1"))
    child.kill()
    child.communicate()
    assert not processes.is_alive(process)


def test_a_zombie_is_not_alive() -> None:
    child = _sleeper()
    process = processes.identify(child.pid)
    assert process is not None
    os.kill(child.pid, signal.SIGKILL)
    assert processes.end([process], grace_seconds=5) == []
    assert processes.identify(child.pid) is None
    child.communicate()


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    child = _sleeper(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"deaf\n"
    process = processes.identify(child.pid)
    assert process is not None
    assert processes.end([process], grace_seconds=0.1) == [process]
    child.communicate()
    assert child.returncode == -signal.SIGKILL


def test_a_signal_to_a_process_that_is_gone_does_nothing() -> None:
    child = _sleeper("pass")
    process = processes.identify(child.pid) or processes.Process(child.pid, "gone")
    child.communicate()
    processes.send(process, signal.SIGTERM)
    assert not processes.is_alive(process)
