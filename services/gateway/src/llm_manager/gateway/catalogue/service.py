"""The catalogue in memory: built from the database, published to the bus, followed on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec
import structlog

from llm_manager.core.errors import LlmManagerError, StoreUnavailable
from llm_manager.gateway.catalogue.rules import AnyRecord, Snapshot, kind_of, kv_key
from llm_manager.gateway.catalogue.store import load_records
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import Bus, BusState
from llm_manager.kit.bus.names import BUCKET_CONFIG
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

# Repairs what a publish could not do, and picks up the database when it was away at the start.
_SYNC_SECONDS = 30.0
_PUBLISH_SECONDS = 2.0


class Catalogue:
    """Holds the current snapshot. Requests read it and never wait for a store."""

    def __init__(self, bus: Bus, database: Database, *, prepare: Callable[[], Awaitable[None]]) -> None:
        """`prepare` migrates and fills the database; it runs once, before the first read that succeeds."""
        self._bus = bus
        self._database = database
        self._prepare = prepare
        self._is_prepared = False
        self._records: dict[str, AnyRecord] = {}
        self._on_bus: dict[str, bytes] = {}
        self._is_complete = False
        self._snapshot: Snapshot | None = None
        self._wanted = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """The catalogue now; the same object until something changes."""
        if self._snapshot is None:
            self._snapshot = Snapshot.of(self._records.values(), is_complete=self._is_complete)
        return self._snapshot

    @property
    def is_current(self) -> bool:
        """Whether changes that other gateways make reach this one."""
        return self._bus.state is BusState.CONNECTED

    def not_ready(self) -> str | None:
        """Say why requests cannot be served, None when they can."""
        return None if self._is_complete else "the catalogue was read neither from the database nor from the bus"

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Follow the bus while the body runs, and keep database and bus in agreement.

        Raises:
            StoreUnavailable: neither the database nor the bus knows the catalogue.
        """
        async with kv.watch(self._bus, BUCKET_CONFIG, self.on_change):
            self._is_complete = bool(self._records)
            self._snapshot = None
            try:
                await self.sync()
            except StoreUnavailable as error:
                if not self._is_complete:
                    raise
                log.warning("catalogue_served_from_bus", reason=error.message, records=len(self._records))
            keeper = asyncio.create_task(self._keep(), name="catalogue")
            try:
                yield
            finally:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)

    def on_change(self, key: str, value: bytes | None) -> None:
        """Apply one change from the bus. Old news, and records of a form that is newer than this process, are left."""
        kind = kind_of(key)
        if kind is None:
            return
        if value is None:
            self._on_bus.pop(key, None)
            if self._records.pop(key, None) is not None:
                self._snapshot = None
            return
        self._on_bus[key] = value
        try:
            record = msgspec.json.decode(value, type=kind)
        except msgspec.DecodeError as error:
            log.warning("catalogue_record_refused", key=key, reason=str(error))
            return
        self._take(key, record)

    async def publish(self, records: Iterable[AnyRecord]) -> None:
        """Apply what was just committed here at once, and tell the others; what cannot be told now is told later."""
        changed = {kv_key(record): record for record in records}
        for key, record in changed.items():
            self._take(key, record)
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                for key, record in changed.items():
                    await self._put(key, msgspec.json.encode(record))
        except (LlmManagerError, TimeoutError) as error:
            log.warning("catalogue_publish_postponed", reason=str(error) or "timeout", records=len(changed))
            self._wanted.set()

    async def refresh(self) -> None:
        """Take over what was just committed here; what the bus cannot be told now is told later."""
        try:
            await self.sync()
        except LlmManagerError as error:
            log.warning("catalogue_publish_postponed", reason=error.message)
            self._wanted.set()

    async def sync(self) -> None:
        """Make memory and bus agree with the database, which is the truth.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if not self._is_prepared:
            await self._prepare()
            self._is_prepared = True
        # The bus is looked at before the database: whatever is on the bus by then was committed before, so a key of
        # the bus that the database does not know belongs to a database that is gone.
        on_bus = dict(self._on_bus)
        records = {kv_key(record): record for record in await load_records(self._database)}
        for key in [key for key in on_bus if key not in records]:
            self._records.pop(key, None)
        for key, record in records.items():
            held = self._records.get(key)
            if held is None or held.id != record.id or held.revision <= record.revision:
                self._records[key] = record
        self._is_complete, self._snapshot = True, None
        for key, record in records.items():
            value = msgspec.json.encode(record)
            if self._on_bus.get(key) != value and self._records[key] is record:
                await self._put(key, value)
        for key in on_bus:
            if key not in records:
                await kv.delete(self._bus, BUCKET_CONFIG, key)
                self._on_bus.pop(key, None)

    def _take(self, key: str, record: AnyRecord) -> None:
        held = self._records.get(key)
        if held is not None and held.id == record.id and held.revision > record.revision:
            return
        self._records[key] = record
        self._snapshot = None

    async def _put(self, key: str, value: bytes) -> None:
        await kv.put(self._bus, BUCKET_CONFIG, key, value)
        self._on_bus[key] = value

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_SYNC_SECONDS):
                    await self._wanted.wait()
                # a store that is away is asked again after a breath, not in a busy loop
                await asyncio.sleep(1.0)
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self.sync()
            except LlmManagerError as error:
                log.warning("catalogue_sync_failed", code=error.code, reason=error.message)
            except Exception:
                # the process must go on serving from memory, whatever the database holds
                log.exception("catalogue_sync_failed")
