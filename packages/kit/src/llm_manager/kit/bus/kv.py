"""Settings in JetStream KV: written by one service, watched by all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from nats import errors
from nats.js.client import JetStreamContext
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NoStreamResponseError
from nats.js.kv import KeyValue

from llm_manager.core.errors import BodyTooLarge, BusUnavailable, StoreUnavailable
from llm_manager.kit.bus.connection import Bus

_WRITE_SECONDS = 5.0
_INITIAL_SECONDS = 15.0
_RETRY_SECONDS = 0.3
_OPERATION: Final = "KV-Operation"

OnChange = Callable[[str, bytes | None], None]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def put(bus: Bus, bucket: str, key: str, value: bytes) -> None:
    """Store the value of a key and return when it is on disk.

    Raises:
        BusUnavailable: there is no connection, or no answer in time; the value may have been stored.
        StoreUnavailable: the bucket does not exist or refuses.
        BodyTooLarge: the value is above the server's limit of a message.
    """
    await _write(bus, bucket, key, value)


async def delete(bus: Bus, bucket: str, key: str) -> None:
    """Delete a key; watchers get None. Deleting what is not there is fine. Raises as `put`."""
    await _write(bus, bucket, key, b"", headers={_OPERATION: "DEL"})


async def _write(bus: Bus, bucket: str, key: str, value: bytes, *, headers: dict[str, str] | None = None) -> None:
    if len(value) + 256 > bus.max_payload:
        raise BodyTooLarge(f"The value of {key!r} has {len(value)} bytes; bucket {bucket!r} takes {bus.max_payload}.")
    if not bus.client.is_connected:
        raise bus.unavailable()
    try:
        await bus.jetstream.publish(f"$KV.{bucket}.{key}", value, timeout=_WRITE_SECONDS, headers=headers)
    except NoStreamResponseError as error:
        raise StoreUnavailable(
            f"Bucket {bucket!r} does not exist on the bus; create it with ensure_streams."
        ) from error
    except JetStreamError as error:
        raise StoreUnavailable(f"Bucket {bucket!r} did not take {key!r}: {error}.") from error
    except (errors.Error, TimeoutError) as error:
        raise BusUnavailable(f"NATS did not confirm {key!r} in bucket {bucket!r}: {error}; retry.") from error


class _Watch:
    """Follows one bucket, and starts over after every reconnect."""

    def __init__(self, bus: Bus, bucket: str, on_change: OnChange) -> None:
        self._bus = bus
        self._bucket = bucket
        self._on_change = on_change
        self._known: set[str] = set()
        self._restart = asyncio.Event()
        self.is_current = asyncio.Event()
        self.first_error: Exception | None = None

    def restart(self) -> None:
        self._restart.set()

    async def run(self) -> None:
        while True:
            self._restart.clear()
            try:
                watcher = await self._open()
            except (errors.Error, JetStreamError, TimeoutError) as error:
                self.first_error = error
                log.debug("bus_watch_failed", bucket=self._bucket, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            following = asyncio.create_task(self._follow(watcher), name=f"bus-watch-{self._bucket}")
            restarting = asyncio.create_task(self._restart.wait())
            try:
                await asyncio.wait({following, restarting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                following.cancel()
                restarting.cancel()
                await asyncio.gather(following, restarting, return_exceptions=True)
                with suppress(errors.Error, JetStreamError):
                    await watcher.stop()

    async def _open(self) -> KeyValue.KeyWatcher:
        store = await self._bus.jetstream.key_value(self._bucket)
        # the library leaves the types of its parameters open
        return await store.watch(">")  # pyright: ignore[reportUnknownMemberType]

    async def _follow(self, watcher: KeyValue.KeyWatcher) -> None:
        seen: set[str] | None = set()
        async for entry in watcher:
            if entry is None:
                is_end = seen is not None and not await _has_delivered(watcher)
            else:
                if seen is not None:
                    seen.add(entry.key)
                self._tell(entry.key, entry.value or b"" if entry.operation is None else None)
                is_end = seen is not None and entry.delta == 0
            if is_end:
                # The end of the current values. What was known and is not among them went while nobody looked.
                for key in self._known - (seen or set()):
                    self._tell(key, None)
                seen = None
                self.is_current.set()

    def _tell(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._known.discard(key)
        else:
            self._known.add(key)
        try:
            self._on_change(key, value)
        except Exception:  # one value that its reader cannot take must not end the watch of all others
            log.exception("bus_watch_reader_failed", bucket=self._bucket, key=key)


async def _has_delivered(watcher: KeyValue.KeyWatcher) -> bool:
    """Say whether values are on their way.

    nats-py 2.16 marks the end of the current values too early when the server has sent them all before the client has
    handled the first, so its mark is believed only for a bucket without values; else the count in the last value is.
    """
    # the library offers no other way to it, and leaves its type open
    subscription: JetStreamContext.PushSubscription = watcher._sub  # pyright: ignore[reportPrivateUsage, reportAssignmentType]
    info = await subscription.consumer_info()
    return info.delivered is not None and info.delivered.consumer_seq > 0


@asynccontextmanager
async def watch(bus: Bus, bucket: str, on_change: OnChange) -> AsyncGenerator[None]:
    """Follow all keys of a bucket while entered.

    Entering returns after `on_change` has had all current values; then it gets every change, None for a deleted key.
    After a reconnect all current values come again, so `on_change` must be idempotent. It is called in the event loop
    and must not block.

    Raises:
        StoreUnavailable: the current values did not come within 15 s.
    """
    follower = _Watch(bus, bucket, on_change)
    task = asyncio.create_task(follower.run(), name=f"bus-watch-{bucket}")
    remove = bus.on_reconnect(follower.restart)
    try:
        try:
            async with asyncio.timeout(_INITIAL_SECONDS):
                await follower.is_current.wait()
        except TimeoutError as error:
            raise StoreUnavailable(
                f"Bucket {bucket!r} could not be read within {_INITIAL_SECONDS:g} s ({follower.first_error}); "
                "check that ensure_streams has run."
            ) from error
        yield
    finally:
        remove()
        task.cancel()
        await asyncio.wait({task})
