"""The whole product, started as a person starts it: `llm-manager up --detach --json` in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

# what a person's shell may hold and a test must not see: real provider keys, settings of another instance
_FOREIGN = (
    *("LLM_MANAGER_", "OPENAI_", "ANTHROPIC_", "GROQ_", "MISTRAL_", "TOGETHER_", "OPENROUTER_", "DEEPSEEK_"),
    *("GEMINI_", "GOOGLE_", "COHERE_", "OLLAMA_", "CUSTOM_", "OTEL_"),
)
_KEPT = ("LLM_MANAGER_TEST_", "LLM_MANAGER_RECORDINGS", "LLM_MANAGER_REQUIRE_")


def command() -> list[str]:
    """The installed `llm-manager` of this environment."""
    return [str(Path(sys.executable).with_name("llm-manager"))]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without provider keys and settings of other instances, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN) or k.startswith(_KEPT)}
    return {**kept, **(extra or {})}


@dataclass
class Stack:
    """A running product.

    Args:
        base_url: of the OpenAI-compatible API, with /v1.
        api_key: the first key.
        admin: name and password for /api/v1.
        pids: of every child by service name, as `up` reported them at the start.
    """

    base_url: str
    api_key: str
    admin: tuple[str, str]
    grpc: str
    data_dir: Path
    pids: dict[str, int]
    environment: dict[str, str] = field(repr=False)

    @property
    def origin(self) -> str:
        """The address without /v1."""
        return self.base_url.removesuffix("/v1")

    def run(self, *arguments: str, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `llm-manager` with arguments against this instance."""
        return subprocess.run(
            [*command(), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """What `llm-manager status --json` says."""
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout or "{}")
        return answer

    def pid_of(self, service: str) -> int:
        """The service's process now; it changes when the supervisor restarts it."""
        return int(self.status()["pids"][service])

    def kill(self, service: str, number: int = signal.SIGKILL) -> int:
        """Send one service a signal and return the pid that it had."""
        pid = self.pid_of(service)
        os.kill(pid, number)
        return pid

    def log_of(self, service: str) -> str:
        """Everything that a service has logged."""
        return "".join(p.read_text(errors="replace") for p in sorted((self.data_dir / "logs").glob(f"{service}*")))


@contextmanager
def running_stack(data_dir: Path, *, environment: Mapping[str, str] | None = None) -> Generator[Stack]:
    """Start the product in `data_dir` on free ports, stop it at the end.

    Raises:
        AssertionError: it did not start; the message holds what `up` printed.
    """
    full = clean_environment({"LLM_MANAGER_DATA_DIR": str(data_dir), **(environment or {})})
    up = subprocess.run(
        [*command(), "up", "--detach", "--json", "--port", "0"],
        env=full,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if up.returncode != 0:
        raise AssertionError(f"`up` ended with {up.returncode}:\n{up.stdout}\n{up.stderr}")
    said = json.loads(up.stdout)
    stack = Stack(
        base_url=said["base_url"],
        api_key=said["api_key"],
        admin=(said["admin"]["user"], said["admin"]["password"]),
        grpc=said["grpc"],
        data_dir=Path(said["data_dir"]),
        pids={name: int(pid) for name, pid in said["pids"].items()},
        environment=full,
    )
    try:
        yield stack
    finally:
        stack.run("down", timeout_seconds=60)
        for pid in stack.pids.values():
            if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                os.kill(pid, signal.SIGKILL)


def wait_until(
    condition: Callable[[], bool], *, timeout_seconds: float, what: str, every_seconds: float = 0.05
) -> float:
    """Return the seconds until the condition held.

    Raises:
        AssertionError: it never did; the message says `what` was waited for.
    """
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_seconds:
            raise AssertionError(f"{what} did not happen within {timeout_seconds} s")
        time.sleep(every_seconds)
    return time.monotonic() - start
