"""The suite for workers of third parties: our own worker and the sample in examples/ pass it, a wrong one does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_manager.contracts.bus.v1.frame_pb2 import Frame
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.testing.conformance.checks import CHECKS, Check
from llm_manager.testing.conformance.conversation import Conversation
from llm_manager.testing.nats import NatsServer
from llm_manager.testing.scripted_worker import scripted_worker

ROOT = Path(__file__).parents[3]


@contextmanager
def sample_worker(server: NatsServer) -> Generator[None]:
    """The program in examples/worker, as its author would start it."""
    command = [sys.executable, str(ROOT / "examples/worker/worker.py"), "--nats-url", server.url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        assert "serves reverse" in child.stdout.readline()
        yield
        child.terminate()
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait(10)
        if child.stdout is not None:
            child.stdout.close()


def conformance(server: NatsServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("llm-manager-conformance")
    command = [str(program), "--nats-url", server.url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.requirement("S30")
async def test_sample_worker_passes_by_one_command(nats_server: NatsServer, bus: Bus) -> None:
    del bus  # its streams are what the worker publishes to
    with sample_worker(nats_server):
        done = await asyncio.to_thread(conformance, nats_server, "--kind", "reverse")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CHECKS)} of {len(CHECKS)} passed" in done.stdout


@pytest.mark.requirement("S22", "S30")
@pytest.mark.usefixtures("echo_worker")
async def test_our_own_worker_passes(nats_server: NatsServer) -> None:
    done = await asyncio.to_thread(conformance, nats_server, "--kind", "echo", "--model", "echo")
    assert done.returncode == 0, done.stdout + done.stderr


async def test_missing_worker_is_said_so(nats_server: NatsServer, bus: Bus) -> None:
    del bus
    done = await asyncio.to_thread(conformance, nats_server, "--kind", "nobody")
    assert done.returncode == 1
    assert "no worker listens on this subject" in done.stdout


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("frames", "what"),
    [
        ([Frame(sequence=1, message=b""), Frame(sequence=3, done=b"")], "numbered"),
        ([Frame(sequence=1, done=b""), Frame(sequence=2, done=b"")], "after the terminal one"),
    ],
)
async def test_worker_that_breaks_the_rules_of_frames_is_found(
    bus: Bus, check: Check, frames: list[Frame], what: str
) -> None:
    kind = f"wrong-{uuid7()}"
    async with scripted_worker(bus, f"llm.v1.infer.{kind}", frames), Conversation(bus, kind, "m").listening() as talk:
        talk.event_seconds = 0.1
        problems = await check(talk)
    assert any(what in problem for problem in problems), problems


async def test_worker_that_records_nothing_and_says_nothing_is_found(bus: Bus) -> None:
    kind = f"wrong-{uuid7()}"
    frames = [Frame(sequence=1, done=b"")]
    async with scripted_worker(bus, f"llm.v1.infer.{kind}", frames), Conversation(bus, kind, "m").listening() as talk:
        talk.event_seconds = 0.1
        problems = await CHECKS[0](talk)
    assert problems == [
        "the first chunk must carry info with the model that answered",
        "no text came",
        "exactly one finish with one of ('stop', 'length', 'tool_calls', 'content_filter') is due; there were []",
        "0 events were recorded for the attempt instead of one",
    ]
