"""The control-plane database: SQLite on one machine, PostgreSQL in a cluster, the same code for both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from llm_manager.core.errors import StoreUnavailable

__all__ = ["Database", "open_database"]

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # in WAL mode a crash of the machine may lose the last commits, never corrupt
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",  # a writer waits this long for another; longer than any transaction of ours takes
)
_CONNECT_SECONDS, _STATEMENT_SECONDS, _POOL_WAIT_SECONDS = 5, 30, 10
_RECYCLE_SECONDS = 1_800
# While a database says nothing, one attempt each this many seconds finds out whether it is back.
_PROBE_SECONDS = 1.0
_READ_ONLY = "llm_manager_read_only"
# Sources: sqlite.org/rescode.html; PostgreSQL 17, appendix A: connection, resources, operator, system, lock timeout.
_SQLITE_OUTAGES = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_READONLY")
_POSTGRESQL_OUTAGES = ("08", "53", "57", "58", "55P03")


class Database:
    """Sessions on one engine. Close it by leaving `open_database`."""

    def __init__(self, engine: AsyncEngine, *, most: int) -> None:
        self.engine = engine
        # The pool's own queue is woken by connections that are given back, not by those that could not be made: whoever
        # waited there while all attempts failed would wait to the end.
        self._places = asyncio.Semaphore(most)
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def session(self, *, read_only: bool = False) -> AsyncGenerator[AsyncSession]:
        """Run the body in one transaction: committed when it ends, rolled back when it raises.

        A read-only session never waits for writers (SQLite in WAL mode) and must not write.

        Raises:
            StoreUnavailable: the database does not answer, or a lock was not free in time.
        """
        try:
            async with self._place(), self._sessions() as session, session.begin():
                options: dict[str, Any] = {_READ_ONLY: read_only}  # options are untyped in SQLAlchemy
                if read_only and not self.is_sqlite:
                    options["postgresql_readonly"] = True
                await session.connection(execution_options=options)
                yield session
        except (DBAPIError, PoolTimeout, OSError) as error:
            if is_outage(error):
                raise unavailable(error) from error
            raise

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        async with asyncio.timeout(_POOL_WAIT_SECONDS):
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()


class Connecting:
    """Makes connections. While a database says nothing, one attempt each second waits for it, and others fail at once.

    A refusal that comes at once costs nobody time, so after it everybody tries. What is in the pool already is not
    asked. Probes do not wait for each other: one may hang until its time is up while the database is back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failure = ""
        self._next = 0.0
        self._successes = 0

    def __call__(
        self, dialect: Dialect, _: object, arguments: list[Any], options: dict[str, Any]
    ) -> DBAPIConnection:  # Any: SQLAlchemy's own type
        """Return a new connection. Raises NotTriedError, and what the driver raises."""
        now, successes = self._clock(), self._successes
        if self._failure:
            if now < self._next:
                raise NotTriedError(self._failure)
            self._next = now + _PROBE_SECONDS
        try:
            made = dialect.connect(*arguments, **options)
        except OSError as error:
            ended = self._clock()
            # one that began before another one succeeded knows only how it was
            if ended - now >= _PROBE_SECONDS and successes == self._successes:
                if not self._failure:
                    self._next = ended + _PROBE_SECONDS
                self._failure = type(error).__name__
            raise
        self._failure, self._successes = "", successes + 1
        return made


class NotTriedError(OSError):
    """No connection was tried, because the last attempt waited in vain; holds the name of what that one raised."""


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 5) -> AsyncGenerator[Database]:
    """Open a database (`sqlite+aiosqlite:///path` or `postgresql+asyncpg://…`) while the body runs."""
    engine = make_engine(make_url(url), pool_size=pool_size)
    event.listen(engine.sync_engine, "do_connect", Connecting())
    try:
        yield Database(engine, most=pool_size if engine.dialect.name == "sqlite" else 2 * pool_size)
    finally:
        await engine.dispose()


def make_engine(url: URL, *, pool_size: int = 5) -> AsyncEngine:
    """Make an engine with the settings that every service wants. The caller disposes of it."""
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=_POOL_WAIT_SECONDS)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_recycle=_RECYCLE_SECONDS,
        pool_pre_ping=True,
        connect_args={"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS},
    )


def is_outage(error: Exception) -> bool:
    """Whether a failure says that the database is away, full or busy, and not that our statement is wrong."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout | OSError)
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    name: str = getattr(error.orig, "sqlite_errorname", None) or ""
    state: str = getattr(error.orig, "sqlstate", None) or ""
    return name.startswith(_SQLITE_OUTAGES) or state.startswith(_POSTGRESQL_OUTAGES)


def unavailable(error: Exception) -> StoreUnavailable:
    """Say what happened without the statement's parameters, which SQLAlchemy's own text repeats."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    why = str(cause) if isinstance(cause, NotTriedError) else type(cause).__name__
    return StoreUnavailable(f"The control-plane database does not answer ({why}); retry in a moment.")


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    # The driver's own BEGIN comes late and is always deferred; `_begin_sqlite` issues it instead.
    # Source: SQLAlchemy 2.1, "Enabling Non-Legacy SQLite Transactional Modes with the sqlite3 or aiosqlite driver".
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails at once when another one wrote in between,
    # whatever busy_timeout says; IMMEDIATE waits for its turn.
    is_read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if is_read_only else "BEGIN IMMEDIATE")
