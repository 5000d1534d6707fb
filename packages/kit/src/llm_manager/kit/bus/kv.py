"""Settings in JetStream KV: written by one service, watched by all."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import structlog
from nats import errors
from nats.js import api
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NoStreamResponseError

from llm_manager.core.errors import BodyTooLarge, BusUnavailable, StoreUnavailable
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.pull import Pull

_WRITE_SECONDS = 5.0
_INITIAL_SECONDS = 15.0
_RETRY_SECONDS = 0.3
_OPERATION: Final = "KV-Operation"
# Headers of a message that says that a key is gone: by a client, or by the server when its time was over.
_GONE: Final = frozenset({_OPERATION, "Nats-Marker-Reason"})
# Values asked for at a time: a few milliseconds of the event loop.
_AT_ONCE = 64
# Longer than a standing request of Pull, shorter than it would take consumers of dead processes to pile up.
_FORGOTTEN_SECONDS = 60.0

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
    """Follows some keys of one bucket, and starts over after every reconnect.

    The watch of nats-py 2.16 is not used: the server pushes a large bucket as fast as it can, which keeps the event
    loop for 100 ms and more at a time, and its mark of the end of the current values may come too early.
    """

    def __init__(self, bus: Bus, bucket: str, keys: str, on_change: OnChange) -> None:
        self._bus = bus
        self._bucket = bucket
        self._keys = keys
        self._prefix = f"$KV.{bucket}."
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
            following = asyncio.create_task(self._follow(), name=f"bus-watch-{self._bucket}")
            restarting = asyncio.create_task(self._restart.wait())
            try:
                await asyncio.wait({following, restarting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                following.cancel()
                restarting.cancel()
                await asyncio.gather(following, restarting, return_exceptions=True)
            if not following.cancelled():
                self.first_error = following.result()
                log.debug("bus_watch_failed", bucket=self._bucket, error=str(self.first_error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> Exception:
        """Follow until that fails, and return why."""
        try:
            info = await self._consumer()
            pull = Pull(self._bus, stream=info.stream_name, durable=info.name)
            await pull.open()
            try:
                await self._read(pull, is_empty=not info.num_pending)
            finally:
                await pull.close()
        except (errors.Error, JetStreamError, BusUnavailable, TimeoutError) as error:
            return error

    async def _consumer(self) -> api.ConsumerInfo:
        """Make a consumer of the current values and all later ones; the server forgets it when nobody asks it."""
        config = api.ConsumerConfig(
            # with a name the filter is a part of the request's subject, so that the server can judge who follows what
            name=secrets.token_hex(16),
            deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=api.AckPolicy.NONE,
            filter_subject=self._prefix + self._keys,
            inactive_threshold=_FORGOTTEN_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        return await self._bus.jetstream.add_consumer(f"KV_{self._bucket}", config)  # pyright: ignore[reportUnknownMemberType]  # its **params are untyped

    async def _read(self, pull: Pull, *, is_empty: bool) -> NoReturn:
        seen: set[str] | None = set()
        while True:
            messages = [] if is_empty else await pull.batch(_AT_ONCE, 0.0)
            is_empty = False
            for message in messages:
                key, headers = message.subject.removeprefix(self._prefix), message.headers or {}
                if seen is not None:
                    seen.add(key)
                self._tell(key, None if _GONE & headers.keys() else message.data)
            if seen is not None and (not messages or not messages[-1].delivery.pending):
                # The end of the current values. What was known and is not among them went while nobody looked.
                for key in self._known - seen:
                    self._tell(key, None)
                seen = None
                self.is_current.set()
            # a large bucket must not keep the loop from others, although its next values may be here already
            await asyncio.sleep(0)

    def _tell(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._known.discard(key)
        else:
            self._known.add(key)
        try:
            self._on_change(key, value)
        except Exception:  # one value that its reader cannot take must not end the watch of all others
            log.exception("bus_watch_reader_failed", bucket=self._bucket, key=key)


@asynccontextmanager
async def watch(bus: Bus, bucket: str, on_change: OnChange, *, keys: str = ">") -> AsyncGenerator[None]:
    """Follow keys of a bucket while entered; nothing else of it is sent here.

    Entering returns after `on_change` has had all current values; then it gets every change, None for a deleted key.
    After a reconnect all current values come again, so `on_change` must be idempotent. It is called in the event loop
    and must not block.

    Args:
        keys: a key, or a pattern of NATS such as `app.*`; all of them unless told otherwise.

    Raises:
        StoreUnavailable: the current values did not come within 15 s.
    """
    follower = _Watch(bus, bucket, keys, on_change)
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
