from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_manager.cli.stack.child import Backoff, Child, ChildSpec, StartError
from llm_manager.cli.stack.ports import PortKeeper
from llm_manager.cli.stack.probes import http_ready

FAKE_SERVICE = Path(__file__).with_name("fake_service.py")


@dataclass
class Fixture:
    child: Child
    said: list[str] = field(default_factory=list[str])


Make = Callable[..., Fixture]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    port = PortKeeper(tmp_path).take_internal(str(tmp_path))

    def build(*, fault: str = "", busy: str = "", start_seconds: float = 10.0, drain_seconds: float = 5.0) -> Fixture:
        spec = ChildSpec(
            name="fake",
            command=(sys.executable, str(FAKE_SERVICE), "fake", str(port)),
            environ={**os.environ, "FAKE_FAULT_FAKE": fault, "FAKE_BUSY": busy},
            log=tmp_path / "fake.log",
            probe=http_ready(port),
            start_seconds=start_seconds,
            drain_seconds=drain_seconds,
            remedy="turn it on.",
        )
        said: list[str] = []
        return Fixture(Child(spec, said.append, backoff=Backoff(0.05, 0.1)), said)

    return build


async def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a process of its own ends; nobody can set an event
            await asyncio.sleep(0.02)


async def test_a_child_is_started_watched_and_stopped(make: Make) -> None:
    fixture = make()
    await fixture.child.start()
    assert fixture.child.is_ready
    await fixture.child.stop()
    assert fixture.child.spec.log.read_text().startswith("fake listens on")
    assert fixture.said == []


async def test_a_child_that_dies_is_started_again_at_once_and_says_so(make: Make) -> None:
    fixture = make()
    child = fixture.child
    await child.start()
    keeper = asyncio.create_task(child.keep_alive())
    first = child.process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    await _until(lambda: child.restarts == 1 and child.is_ready)
    assert child.process is not None
    assert child.process != first
    await child.stop()
    await keeper
    assert fixture.said == [
        f"fake was ended by SIGKILL; starting it again at once (log: {child.spec.log})",
        "fake is ready again (restart 1)",
    ]


async def test_a_frozen_child_is_killed_and_started_again(make: Make) -> None:
    fixture = make()
    child = fixture.child
    await child.start()
    keeper = asyncio.create_task(child.keep_alive())
    first = child.process
    assert first is not None
    os.kill(first.pid, signal.SIGSTOP)
    await _until(lambda: child.why_not_ready == "does not answer within 2 s", seconds=60)
    await _until(lambda: child.restarts == 1 and child.is_ready, seconds=60)
    assert child.process != first
    await child.stop()
    await keeper
    assert fixture.said == [
        "fake does not answer within 2 s, 3 times in a row; killing it",
        f"fake was ended by SIGKILL; starting it again at once (log: {child.spec.log})",
        "fake is ready again (restart 1)",
    ]


async def test_a_child_that_answers_and_is_not_ready_is_left_alone(make: Make, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    fixture = make(busy=str(busy))
    child = fixture.child
    await child.start()
    keeper = asyncio.create_task(child.keep_alive())
    busy.write_text("the disk is full")
    await _until(lambda: child.why_not_ready == "the disk is full")
    busy.unlink()
    await _until(lambda: child.is_ready)
    await child.stop()
    await keeper
    assert (child.restarts, fixture.said) == (0, [])


async def test_a_child_that_keeps_dying_is_given_more_time_each_time(make: Make) -> None:
    fixture = make()
    child = fixture.child
    await child.start()
    keeper = asyncio.create_task(child.keep_alive())
    for restart in (1, 2):
        assert child.process is not None
        os.kill(child.process.pid, signal.SIGKILL)
        await _until(lambda restart=restart: child.restarts == restart and child.is_ready)
    await child.stop()
    await keeper
    assert [line for line in fixture.said if "again in 0.05 s" in line]


def test_waits_between_starts_double_up_to_ten_seconds() -> None:
    assert [Backoff().before(restart) for restart in range(1, 9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_wrong_settings_are_not_tried_again(make: Make) -> None:
    fixture = make(fault="settings")
    with pytest.raises(StartError, match="LLM_MANAGER_FAKE_COLOUR is unknown") as failure:
        await fixture.child.start()
    assert failure.value.is_settings
    assert fixture.said == []


async def test_a_child_that_cannot_start_is_tried_three_times_then_explained(make: Make) -> None:
    fixture = make(fault="crash")
    with pytest.raises(StartError) as failure:
        await fixture.child.start()
    assert str(failure.value) == (
        f"fake ended with exit code 3.\n  Last lines of {fixture.child.spec.log}:\n    fake: no such table\n"
        "  What to do: turn it on."
    )
    assert fixture.said == ["fake ended with exit code 3 before it was ready; trying again"] * 2


async def test_a_child_that_is_never_ready_is_named_with_what_it_said(make: Make) -> None:
    fixture = make(start_seconds=0.2)
    silent = ChildSpec(
        name="silent",
        command=(sys.executable, "-c", "import time; time.sleep(60)"),
        environ=dict(os.environ),
        log=fixture.child.spec.log,
        probe=fixture.child.spec.probe,
        start_seconds=0.2,
    )
    child = Child(silent, fixture.said.append)
    with pytest.raises(StartError, match=r"silent was not ready within 0.2 s: does not listen yet"):
        await child.start()
    child.kill()
    await child.stop()


async def test_a_program_that_does_not_exist_is_named(make: Make, tmp_path: Path) -> None:
    probe = make().child.spec.probe
    spec = ChildSpec(name="none", command=("/nowhere/none",), environ={}, log=tmp_path / "none.log", probe=probe)
    with pytest.raises(StartError, match="none cannot be started"):
        await Child(spec, lambda _: None).start()


async def test_a_child_that_does_not_drain_in_time_is_killed(make: Make) -> None:
    fixture = make(fault="slow_drain", drain_seconds=0.1)
    await fixture.child.start()
    await fixture.child.stop()
    assert fixture.said == ["fake did not stop within 0.1 s and was killed"]
