"""How often a door may be tried."""

from __future__ import annotations

from llm_manager.gateway.users.rules import Throttle


def test_the_wait_doubles_after_five_failures_and_ends_with_a_success() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    waits: list[float] = []
    for _ in range(8):
        waits.append(throttle.wait_seconds("a"))
        throttle.failed("a")
    assert waits == [0, 0, 0, 0, 0, 5, 10, 20]
    assert throttle.wait_seconds("b") == 0
    for _ in range(20):
        throttle.failed("a")
    assert throttle.wait_seconds("a") == 300
    now[0] = 901
    assert throttle.wait_seconds("a") == 0
    throttle.succeeded("a")
    assert throttle.wait_seconds("a") == 0


def test_addresses_are_forgotten_when_there_are_too_many() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(6):
        throttle.failed("first")
    for number in range(10_000):
        throttle.failed(str(number))
    assert throttle.wait_seconds("first") == 0
