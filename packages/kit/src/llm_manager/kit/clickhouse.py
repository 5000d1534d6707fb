"""ClickHouse from asyncio: embedded (`chdb:///path`) or a server (`clickhouse://user:password@host:8123/db`).

The client library is synchronous, so every client owns one thread with a bounded queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from clickhouse_connect.driver.exceptions import InterfaceError, OperationalError

from llm_manager.core.errors import DeadlineExceeded, InternalError, LlmManagerError, StoreUnavailable
from llm_manager.kit.clickhouse_client import EngineClient, open_client
from llm_manager.kit.dedicated_thread import DedicatedThread

T = TypeVar("T")
Row = tuple[Any, ...]  # a row's types are the columns'; whoever asks knows them
Parameters = Mapping[str, Any]
Settings = Mapping[str, Any]

_DEADLINE_SECONDS = 30.0
_MAX_QUEUE = 256
# Codes of ClickHouse after which the same call may work: it is busy, full or away. Everything else is our mistake.
# Source: ClickHouse src/Common/ErrorCodes.cpp, 2026-11.
_TRANSIENT_CODES = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        319,  # UNKNOWN_STATUS_OF_INSERT
        425,  # SYSTEM_ERROR
        999,  # KEEPER_EXCEPTION
    }
)


class ClickHouse:
    """One client; use it as an async context manager. Calls run one after another, in the order they were made.

    Two clients of one `chdb://` path share the engine, so that a slow query need not hold up inserts.
    """

    def __init__(self, dsn: str, *, deadline_seconds: float = _DEADLINE_SECONDS, max_queue: int = _MAX_QUEUE) -> None:
        self._dsn = dsn
        self._deadline_seconds = deadline_seconds
        self._thread = DedicatedThread("clickhouse", max_queue=max_queue)
        self._client: EngineClient | None = None  # touched by the thread only

    async def __aenter__(self) -> ClickHouse:
        """Open the client.

        Raises:
            StoreUnavailable: the server does not answer, or another process holds the embedded folder.
        """
        self._thread.start()
        try:
            await self._run(lambda _: None, None)
        except BaseException:
            await self._thread.stop(last=self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let queued calls finish, then close."""
        await self._thread.stop(last=self._close)

    async def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        settings: Settings | None = None,
        deadline_seconds: float | None = None,
    ) -> list[Row]:
        """Return the rows of a query. Decimals are exact; times are aware and in UTC.

        Args:
            parameters: bound by name on the server side: `{app_id:String}` in the SQL.

        Raises:
            StoreUnavailable: no answer within the deadline, or ClickHouse is busy, full or away.
            InternalError: the statement is wrong.
        """
        bounded = self._bounded(settings, deadline_seconds)

        def call(client: EngineClient) -> list[Row]:
            result = client.query(sql, parameters=dict(parameters or {}), settings=bounded)
            return [tuple(row) for row in result.result_rows]

        return await self._run(call, deadline_seconds)

    async def command(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        settings: Settings | None = None,
        deadline_seconds: float | None = None,
    ) -> None:
        """Run one statement that returns no rows. Raises as `query`."""
        bounded = self._bounded(settings, deadline_seconds)
        bound = dict(parameters or {})
        await self._run(lambda client: client.command(sql, parameters=bound, settings=bounded), deadline_seconds)

    async def insert(
        self,
        table: str,
        rows: Sequence[Sequence[Any]],
        columns: Sequence[str],
        *,
        settings: Settings | None = None,
        deadline_seconds: float | None = None,
    ) -> None:
        """Store rows as one block: all of them or none. Raises as `query`.

        Args:
            table: with its database, for example `usage.events`.
        """
        if not rows:
            return
        bounded = self._bounded(settings, deadline_seconds)
        await self._run(
            lambda client: client.insert(table, rows, column_names=list(columns), settings=bounded), deadline_seconds
        )

    def _bounded(self, settings: Settings | None, deadline_seconds: float | None) -> dict[str, Any]:
        # the engine gives up too: a thread cannot be interrupted, so without this one slow query blocks the rest
        seconds = self._deadline_seconds if deadline_seconds is None else deadline_seconds
        return {"max_execution_time": seconds, **(settings or {})}

    async def _run(self, call: Callable[[EngineClient], T], deadline_seconds: float | None) -> T:
        seconds = self._deadline_seconds if deadline_seconds is None else deadline_seconds
        try:
            return await self._thread.run(lambda: self._on_thread(call), deadline_seconds=seconds)
        except DeadlineExceeded as error:
            raise StoreUnavailable(f"ClickHouse did not answer within {seconds:g} s.") from error
        except (ClickHouseError, OSError, ImportError) as error:
            raise _typed(error) from error

    def _on_thread(self, call: Callable[[EngineClient], T]) -> T:
        if self._client is None:
            self._client = open_client(self._dsn)
        try:
            return call(self._client)
        except BaseException:
            # chDB 26.9 keeps the rows that a query had produced before it failed and gives them to the next query
            # of the same connection, whoever asks (measured 2026-11; test_clickhouse.py shows it). A connection that
            # saw a failure is therefore never used again.
            self._close()
            raise

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _typed(error: ClickHouseError | OSError | ImportError) -> LlmManagerError:
    """Say what kind of failure it is. ClickHouse's own text can quote values, so only its code and name go on."""
    if isinstance(error, ImportError):
        return InternalError("The embedded ClickHouse is not installed; install llm-manager-usage[embedded].")
    code: int | None = getattr(error, "code", None)
    name: str = getattr(error, "name", None) or type(error).__name__
    is_away = isinstance(error, OSError | OperationalError | InterfaceError)
    if code in _TRANSIENT_CODES or (code is None and is_away):
        return StoreUnavailable(f"ClickHouse does not answer ({name}); retry in a moment.")
    return InternalError(f"ClickHouse refused a statement or its values ({name}, code {code}).")
