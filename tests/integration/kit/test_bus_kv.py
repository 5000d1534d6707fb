from __future__ import annotations

import asyncio

import pytest

from llm_manager.core.errors import BodyTooLarge, BusUnavailable, StoreUnavailable
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.testing.nats import NatsServer


@pytest.fixture
async def bucket(bus: Bus) -> str:
    name = f"test-{uuid7()}"
    await bus.jetstream.create_key_value(bucket=name)  # pyright: ignore[reportUnknownMemberType]  # the library leaves types open
    return name


class Changes:
    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes | None]] = []
        self._event = asyncio.Event()

    def __call__(self, key: str, value: bytes | None) -> None:
        self.seen.append((key, value))
        self._event.set()
        if value == b"bad":
            raise ValueError("cannot read that")

    async def until(self, change: tuple[str, bytes | None]) -> None:
        async with asyncio.timeout(5):
            while change not in self.seen:
                self._event.clear()
                await self._event.wait()


async def test_current_values_come_before_entering_returns_and_changes_after(bus: Bus, bucket: str) -> None:
    await kv.put(bus, bucket, "a", b"1")
    await kv.put(bus, bucket, "a", b"2")
    await kv.put(bus, bucket, "gone", b"x")
    await kv.delete(bus, bucket, "gone")
    changes = Changes()

    async with kv.watch(bus, bucket, changes):
        assert dict(changes.seen) == {"a": b"2", "gone": None}
        await kv.put(bus, bucket, "b.c", b"")
        await changes.until(("b.c", b""))
        await kv.delete(bus, bucket, "a")
        await changes.until(("a", None))

    await kv.put(bus, bucket, "after", b"1")
    await bus.client.flush()
    assert "after" not in dict(changes.seen)


async def test_an_empty_bucket_can_be_watched(bus: Bus, bucket: str) -> None:
    changes = Changes()
    async with kv.watch(bus, bucket, changes):
        assert changes.seen == []
        await kv.put(bus, bucket, "first", b"1")
        await changes.until(("first", b"1"))


async def test_a_reader_that_fails_on_one_value_gets_the_next(bus: Bus, bucket: str) -> None:
    await kv.put(bus, bucket, "a", b"bad")
    changes = Changes()
    async with kv.watch(bus, bucket, changes):
        await kv.put(bus, bucket, "b", b"good")
        await changes.until(("b", b"good"))
    assert changes.seen == [("a", b"bad"), ("b", b"good")]


async def test_a_thousand_keys_are_complete_when_entering_returns(bus: Bus, bucket: str) -> None:
    for start in range(0, 1000, 100):
        await asyncio.gather(*(kv.put(bus, bucket, f"k{start + index}", b"v") for index in range(100)))
    changes = Changes()
    async with kv.watch(bus, bucket, changes):
        assert len(changes.seen) == 1000


async def test_only_the_keys_that_are_asked_for_come(bus: Bus, bucket: str) -> None:
    await kv.put(bus, bucket, "key.1", b"secret")
    await kv.put(bus, bucket, "book", b"1")
    await kv.put(bus, bucket, "app.1", b"1")
    one, some = Changes(), Changes()
    async with kv.watch(bus, bucket, one, keys="book"), kv.watch(bus, bucket, some, keys="app.*"):
        await kv.put(bus, bucket, "key.2", b"secret")
        await kv.put(bus, bucket, "app.2", b"2")
        await kv.put(bus, bucket, "book", b"2")
        await one.until(("book", b"2"))
        await some.until(("app.2", b"2"))
    assert (one.seen, some.seen) == ([("book", b"1"), ("book", b"2")], [("app.1", b"1"), ("app.2", b"2")])


async def test_no_value_of_a_pattern_that_nothing_matches_is_waited_for(bus: Bus, bucket: str) -> None:
    await kv.put(bus, bucket, "key.1", b"1")
    changes = Changes()
    async with kv.watch(bus, bucket, changes, keys="book"):
        assert changes.seen == []


async def test_a_bucket_that_is_not_there_is_named(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv, "_INITIAL_SECONDS", 0.1)
    with pytest.raises(StoreUnavailable, match="nothing-here"):
        async with kv.watch(bus, "nothing-here", Changes()):
            pass
    with pytest.raises(StoreUnavailable, match="nothing-here"):
        await kv.put(bus, "nothing-here", "a", b"")


async def test_writes_that_cannot_succeed_say_why(nats_server: NatsServer, bus: Bus) -> None:
    with pytest.raises(BodyTooLarge):
        await kv.put(bus, "config", "a", bytes(bus.max_payload))
    async with connect(nats_server.url, name="closed") as other:
        pass
    with pytest.raises(BusUnavailable):
        await kv.put(other, "config", "a", b"")
