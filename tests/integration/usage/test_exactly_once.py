"""kill -9 at every point between the stream and the acknowledgement, with real processes and a real nats-server."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.kit.bus.connection import connect
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.nats import NatsServer

MakeEvent = Callable[..., event_pb2.UsageRecorded]
CHILD = Path(__file__).with_name("dying_consumer.py")


@pytest.fixture
def own_nats_server() -> NatsServer:
    """A server whose stream holds this test's events and no others."""
    return NatsServer()


async def test_a_killed_process_loses_nothing_and_counts_nothing_twice(
    own_nats_server: NatsServer, make_event: MakeEvent, tmp_path: Path
) -> None:
    events = [make_event(at=datetime.now(UTC), seed=number) for number in range(400)]
    with own_nats_server as server:
        async with connect(server.url, name="test") as bus:
            await ensure_streams(bus)
            for event in events:
                subject = f"llm.v1.usage.recorded.{event.app_id}"
                data, message_id = event.SerializeToString(), event.event_id
                await publish_durable(bus, subject, data, message_id=message_id, deadline_seconds=5)

        def run(point: str) -> subprocess.CompletedProcess[str]:
            arguments = [sys.executable, str(CHILD), server.url, f"chdb://{tmp_path / 'ledger'}", point]
            return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)

        killed = [run(point).returncode for point in ("before", "between", "after")]
        finished = run("finish")

    assert killed == [-signal.SIGKILL] * 3
    cost = sum(event.cost.total_picousd for event in events)
    assert finished.stdout.splitlines()[-1:] == [f"400 {7 * 400} 0.{cost:012d}"], finished.stderr
