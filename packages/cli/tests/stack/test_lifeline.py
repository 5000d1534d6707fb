from __future__ import annotations

import os
import signal
import subprocess
import sys

from llm_manager.cli.stack import lifeline
from llm_manager.cli.stack.guard import NatsGuard

_CHILD = r"""
import os, signal, sys, time
from llm_manager.cli.stack import lifeline
def drained(number, frame):
    os.write(1, b"drained\n")  # print is not safe here: the signal may have interrupted one
    if sys.argv[1] == "polite":
        sys.exit(0)
signal.signal(signal.SIGTERM, drained)
assert lifeline.watch(os.environ, hard_limit_seconds=0.1 if sys.argv[1] == "stubborn" else 30)
os.write(1, b"up\n")
while True:
    time.sleep(0.05)
"""


def _child(manners: str) -> tuple[subprocess.Popen[str], int]:
    read, write = os.pipe()
    environ = {**os.environ, lifeline.ENVIRONMENT_KEY: str(read)}
    command = [sys.executable, "-c", _CHILD, manners]
    child = subprocess.Popen(command, env=environ, pass_fds=(read,), stdout=subprocess.PIPE, text=True)
    os.close(read)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child, write


def test_a_service_drains_when_its_supervisor_is_gone() -> None:
    child, write = _child("polite")
    os.close(write)
    assert child.communicate(timeout=10)[0] == "drained\n"
    assert child.returncode == 0


def test_a_service_that_does_not_drain_ends_at_the_hard_limit() -> None:
    child, write = _child("stubborn")
    os.close(write)
    assert child.communicate(timeout=10)[0] == "drained\n"
    assert child.returncode == 1


def test_a_service_without_a_supervisor_watches_nothing() -> None:
    assert not lifeline.watch({})


def test_the_bus_ends_only_after_everybody_who_needs_it() -> None:
    guard = NatsGuard()
    bus = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    service = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(guard.held_open,)
    )
    guard.watch(bus.pid)
    os.close(guard.held_open)  # as the system does when the supervisor is killed
    assert bus.poll() is None
    service.communicate(timeout=10)
    assert bus.wait(timeout=10) == -signal.SIGTERM
    guard.held_open = os.open(os.devnull, os.O_RDONLY)
    guard.close()


def test_a_bus_that_was_started_again_is_the_one_that_is_guarded() -> None:
    guard = NatsGuard()
    old, new = (subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2))
    guard.watch(old.pid)
    guard.watch(new.pid)
    guard.close()
    assert (old.poll(), new.poll()) == (None, None)
    for process in (old, new):
        process.kill()
        process.wait()
