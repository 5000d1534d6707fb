"""What is compared: the mock upstream asked directly, the peers in front of it, and this product as `up` starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from bench.client import Target
from bench.peers import Peer

ROOT = Path(__file__).resolve().parents[1]
MODEL = "mock-model"
OURS = "LLM Manager"
PEERS = ("nginx", "litellm", "portkey")


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that answers.

    Args:
        roots: processes by their part (`gateway`, `providers`, …); descendants count to their part.
        start_seconds: from the command to the first answer of a model; None where nothing was started.
    """

    name: str
    version: str
    target: Target
    roots: Mapping[str, int] = field(default_factory=dict[str, int])
    start_seconds: float | None = None


def stop_on_sigterm() -> None:
    """Have SIGTERM end this program like Ctrl-C, so that nothing that it started stays behind."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _: object) -> None:
    sys.exit(128 + number)


@contextmanager
def upstream() -> Generator[str]:
    """Run the mock upstream as a process of its own; yield its origin."""
    program = [sys.executable, "-m", "bench.upstream"]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline() if process.stdout else '')}"
        finally:
            process.terminate()


def direct(origin: str) -> Subject:
    """Return the upstream without anything before it."""
    return Subject("direct", "", Target(f"{origin}/v1", {}, MODEL))


@contextmanager
def peer(name: str, origin: str, folder: Path) -> Generator[Subject]:
    """Install a peer where needed and start it before the upstream.

    Raises:
        NotInstallable: this machine cannot have it; the message says why.
    """
    folder.mkdir()
    with import_module(f"bench.peers.{name}").running(origin, folder) as running:
        peer: Peer = running
        roots = {"main" if number == 0 else f"part-{number}": pid for number, pid in enumerate(peer.pids)}
        target = Target(peer.base_url, peer.headers, peer.model)
        yield Subject(peer.name, peer.version, target, roots, peer.start_seconds)


@contextmanager
def product(origin: str, folder: Path, *, checkout: Path = ROOT, name: str = OURS) -> Generator[Subject]:
    """Start the product of a checkout as `make up` does, keys and ledger on, with the upstream as OpenAI.

    Raises:
        RuntimeError: it did not start; the message is what `up` printed.
    """
    command = str(checkout / ".venv" / "bin" / "llm-manager")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("LLM_MANAGER_")},
        "LLM_MANAGER_DATA_DIR": str(folder),
        "OPENAI_API_KEY": "sk-mock-000000000000000000000000",
        "OPENAI_BASE_URL": f"{origin}/v1",
    }
    began = time.monotonic()
    up = subprocess.run(
        [command, "up", "--detach", "--json", "--port", "0"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    started = time.monotonic() - began
    if up.returncode != 0:
        raise RuntimeError(f"`llm-manager up` ended with {up.returncode}: {up.stdout}{up.stderr}")
    said = json.loads(up.stdout)
    revision = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    version = subprocess.run(revision, capture_output=True, text=True, check=False).stdout.strip()
    try:
        target = Target(said["base_url"], {"authorization": f"Bearer {said['api_key']}"}, f"openai/{MODEL}")
        yield Subject(name, version, target, {part: int(pid) for part, pid in said["pids"].items()}, started)
    finally:
        subprocess.run([command, "down"], env=environment, capture_output=True, timeout=60, check=False)
