"""Starts a peer in an environment of its own, waits until it answers, and stops its whole tree."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers import NotInstallable, Peer
from bench.peers.install import cause
from bench.processes import tree

# all that a peer inherits: a DATABASE_URL or a proxy of this shell would change what is measured
_INHERITED = ("PATH", "LANG", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a peer; `environ` comes on top of PATH, LANG and a HOME in its folder."""

    command: Sequence[str | Path]
    environ: Mapping[str, str]
    deadline_seconds: float


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def answering(peer: Peer, start: Start, folder: Path) -> Generator[Peer]:
    """Start a peer and yield it, with its process, when a chat completion gets through; at the end its tree is stopped.

    Raises:
        NotInstallable: it ended, or did not answer before the deadline.
    """
    began = time.monotonic()
    with started(start, folder) as process:
        peer = replace(peer, pids=(process.pid,))
        _wait_until_answering(peer, start, folder)
        yield replace(peer, start_seconds=time.monotonic() - began)


@contextmanager
def started(start: Start, folder: Path) -> Generator[subprocess.Popen[bytes]]:
    """Start a program in the folder with its output in peer.log; at the end its tree is stopped.

    Raises:
        NotInstallable: this system cannot run it.
    """
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environ |= {"HOME": str(folder), **start.environ}
    command = [str(word) for word in start.command]
    with (folder / "peer.log").open("wb") as log:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise NotInstallable(f"{command[0]} cannot be started: {error.strerror}.") from error
    try:
        yield process
    finally:
        stop(process)


def _wait_until_answering(peer: Peer, start: Start, folder: Path) -> None:
    deadline = time.monotonic() + start.deadline_seconds
    log = folder / "peer.log"
    while (refusal := _refusal(peer, timeout=max(0.1, deadline - time.monotonic()))) is not None:
        if not _alive(peer.pids):
            refusal = f"it ended: {cause(log.read_text(errors='replace'))}"
        elif time.monotonic() > deadline:
            refusal = f"no answer within {start.deadline_seconds:.0f} s: {refusal}"
        else:
            time.sleep(0.02)
            continue
        raise NotInstallable(f"{peer.name} {peer.version} does not start: {refusal}.")


def _refusal(peer: Peer, *, timeout: float) -> str | None:
    """Try one chat completion; return why it did not get through, or None."""
    parts = urlsplit(peer.base_url)
    body = json.dumps({"model": peer.model, "messages": [{"role": "user", "content": "Hello"}]})
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        headers = {"content-type": "application/json", **peer.headers}
        connection.request("POST", f"{parts.path}/chat/completions", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return None if answer.status == 200 and '"choices"' in text else f"status {answer.status}, {text[:200]}"


def stop(process: subprocess.Popen[bytes], *, grace_seconds: float = 5.0) -> None:
    """End a process that leads its session, and all its descendants: TERM, then KILL when the grace is over."""
    members = tree([process.pid])
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while _alive(members) and time.monotonic() < deadline:
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        # the leader is not reaped yet, so the group is still this one
        os.killpg(process.pid, signal.SIGKILL)
    for pid in _alive(members):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=5)


def _alive(pids: Iterable[int]) -> list[int]:
    """Return those that run: a zombie has only its exit code left."""
    found: list[int] = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state not in {"Z", "X"}:
                found.append(pid)
    return found
