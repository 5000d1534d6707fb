"""The catalogue in memory: built from the database, published to the bus, followed on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from llm_manager.core.errors import LlmManagerError, StoreUnavailable
from llm_manager.gateway.catalogue.records import AnyRecord, kind_of, kv_key
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.catalogue.store import RECORD_KINDS, RecordKind, Stamp, load, stamps
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import Bus, BusState
from llm_manager.kit.bus.names import BUCKET_CONFIG
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

# Repairs what a publish could not do, and picks up the database when it was away at the start.
_SYNC_SECONDS = 30.0
_PUBLISH_SECONDS = 2.0
_PUTS_AT_ONCE = 50


class Catalogue:
    """Holds the current snapshot. Requests read it and never wait for a store."""

    def __init__(self, bus: Bus, database: Database, *, prepare: Callable[[], Awaitable[None]]) -> None:
        """`prepare` migrates and fills the database; it runs once, before the first read that succeeds."""
        self._bus = bus
        self._database = database
        self._prepare = prepare
        self._is_prepared = False
        self._is_read = False
        self._records: dict[str, AnyRecord] = {}
        # By key: what the database said of the row when it was last read whole; absent when it must be read again.
        self._versions: dict[str, int] = {}
        # Keys that the bus has, and those of which it does not have what is held here.
        self._on_bus: set[str] = set()
        self._behind: set[str] = set()
        self._snapshot = Snapshot()
        self._syncing = asyncio.Lock()
        self._wanted = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """The catalogue now; the same object until something changes."""
        return self._snapshot

    @property
    def is_current(self) -> bool:
        """Whether what is not in the snapshot is nowhere: the database was read, and other gateways' changes come in.

        What the bus has is enough to serve, but it may lack what could not be told yet when the database went away.
        """
        return self._is_read and self._bus.state is BusState.CONNECTED

    def not_ready(self) -> str | None:
        """Say why requests cannot be served, None when they can."""
        return (
            None if self._snapshot.is_complete else "the catalogue was read neither from the database nor from the bus"
        )

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Follow the bus while the body runs, and keep database and bus in agreement.

        Raises:
            StoreUnavailable: neither the database nor the bus knows the catalogue.
        """
        async with kv.watch(self._bus, BUCKET_CONFIG, self.on_change):
            self._snapshot = replace(self._snapshot, is_complete=bool(self._records))
            try:
                await self.sync()
            except StoreUnavailable as error:
                if not self._snapshot.is_complete:
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
            self._on_bus.discard(key)
            self._forget(key)
            return
        self._on_bus.add(key)
        try:
            record = msgspec.json.decode(value, type=kind)
        except msgspec.DecodeError as error:
            log.warning("catalogue_record_refused", key=key, reason=str(error))
            self._behind.add(key)
            return
        if self._take(key, record):
            # whether the database says the same is not known before the row is read again
            self._versions.pop(key, None)
        if self._records[key] == record:
            self._behind.discard(key)
        else:
            self._behind.add(key)

    async def publish(self, records: Iterable[AnyRecord]) -> None:
        """Apply what was just committed here at once, and tell the others; what cannot be told now is told later."""
        changed = {kv_key(record): record for record in records}
        for key, record in changed.items():
            if self._take(key, record):
                self._behind.add(key)
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._tell(changed)
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
        """Make memory and bus agree with the database, which is the truth. Only rows that changed are read whole.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        async with self._syncing:
            if not self._is_prepared:
                await self._prepare()
                self._is_prepared = True
            # The bus is looked at before the database: whatever is on the bus by then was committed before, so a key
            # of the bus that the database does not know belongs to a database that is gone.
            known = self._on_bus | self._versions.keys()
            for kind in RECORD_KINDS:
                async for page in stamps(self._database, kind):
                    await self._read(kind, page)
                    known.difference_update(page)
                    self._behind.update(page.keys() - self._on_bus)
            self._snapshot = replace(self._snapshot, is_complete=True)
            self._is_read = True
            for key in known:
                self._forget(key)
            await self._tell(self._behind)
            for key in known & self._on_bus:
                await kv.delete(self._bus, BUCKET_CONFIG, key)
                self._on_bus.discard(key)

    async def _read(self, kind: RecordKind[Any], page: Mapping[str, Stamp]) -> None:
        """Take over the rows of a page that are not as they were when they were last read."""
        changed = {
            stamp.row_id: (key, stamp.version)
            for key, stamp in page.items()
            if self._versions.get(key) != stamp.version
        }
        async for records in load(self._database, kind, list(changed)):
            for row_id, record in records.items():
                key, version = changed[row_id]
                if record is not None:
                    if kv_key(record) != key:
                        continue  # renamed since the page was read; the next sync finds it
                    if self._take(key, record):
                        self._behind.add(key)
                self._versions[key] = version

    def _take(self, key: str, record: AnyRecord) -> bool:
        """Hold a record unless a newer one is held; return whether anything changed."""
        held = self._records.get(key)
        if held is not None and (held == record or (held.id == record.id and held.revision > record.revision)):
            return False
        self._records[key] = record
        self._snapshot = self._snapshot.changed(record)
        return True

    def _forget(self, key: str) -> None:
        self._behind.discard(key)
        self._versions.pop(key, None)
        record = self._records.pop(key, None)
        if record is not None:
            self._snapshot = self._snapshot.without(record)

    async def _tell(self, keys: Iterable[str]) -> None:
        """Put on the bus what it does not have of these keys, some at once."""
        behind = [(key, record) for key in keys if key in self._behind and (record := self._records.get(key))]
        for start in range(0, len(behind), _PUTS_AT_ONCE):
            puts = (self._put(key, record) for key, record in behind[start : start + _PUTS_AT_ONCE])
            for outcome in await asyncio.gather(*puts, return_exceptions=True):
                if outcome is not None:
                    raise outcome

    async def _put(self, key: str, record: AnyRecord) -> None:
        await kv.put(self._bus, BUCKET_CONFIG, key, msgspec.json.encode(record))
        self._on_bus.add(key)
        if self._records.get(key) is record:
            self._behind.discard(key)

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
