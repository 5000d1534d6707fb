"""Alembic from an async start-up, safe when two replicas start at once."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from alembic import command, context
from alembic.config import Config
from sqlalchemy import URL, Connection, MetaData, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_manager.core.errors import StoreUnavailable
from llm_manager.kit.sql import is_outage, make_engine, unavailable

# "lm_migra" as a number; one lock for all services, because they may share a server
_ADVISORY_LOCK = 0x6C6D5F6D69677261
_LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.05


async def migrate(
    url: str,
    script_location: str | Path,
    *,
    revision: str | None = None,
    direction: Literal["up", "down"] = "up",
) -> None:
    """Bring a database to a revision; running it again changes nothing.

    Args:
        script_location: folder with `env.py` and `versions/`; `env.py` calls `run_env(metadata)`.
        revision: newest when None and going up; nothing at all ("base") when None and going down.

    Raises:
        StoreUnavailable: no answer, or another replica held the lock for a minute.
    """
    parsed = make_url(url)
    engine = make_engine(parsed, pool_size=1)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _let_tables_be_copied)
    try:
        async with _only_one(parsed), engine.connect() as connection:
            if not is_sqlite:
                await _lock_postgresql(connection)
            await connection.run_sync(_run, str(script_location), direction, revision)
            if is_sqlite:
                await _check_foreign_keys(connection)
            await connection.commit()
    except (DBAPIError, OSError) as error:
        if is_outage(error):
            raise unavailable(error) from error
        raise
    finally:
        await engine.dispose()


def run_env(metadata: MetaData) -> None:
    """The whole body of a service's `env.py`: migrate over the connection that `migrate` opened."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
        compare_type=True,
    )
    context.run_migrations()


def _run(connection: Connection, script_location: str, direction: str, revision: str | None) -> None:
    config = Config()
    config.set_main_option("script_location", script_location.replace("%", "%%"))
    config.attributes["connection"] = connection
    if direction == "up":
        command.upgrade(config, revision or "head")
    else:
        command.downgrade(config, revision or "base")


def _let_tables_be_copied(connection: DBAPIConnection, _: object) -> None:
    # SQLite alters a table by copying it, and does not drop the old one while others refer to it; inside a transaction
    # it cannot be told. Source: sqlite.org/lang_altertable.html, section 7, read 2026-11.
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


async def _check_foreign_keys(connection: AsyncConnection) -> None:
    broken = (await connection.execute(text("PRAGMA foreign_key_check"))).all()
    if broken:
        raise RuntimeError(f"the migration left rows that refer to nothing, so it was undone: {broken[:5]}")


async def _lock_postgresql(connection: AsyncConnection) -> None:
    # held until the transaction ends; a replica that waits sees the finished schema and has nothing to do
    await connection.execute(
        text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": f"{_LOCK_SECONDS:.0f}s"}
    )
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


@asynccontextmanager
async def _only_one(url: URL) -> AsyncGenerator[None]:
    """Hold a lock file beside a SQLite database; PostgreSQL has locks of its own."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        yield
        return
    path = Path(f"{url.database}.migrate.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as file:  # noqa: ASYNC230 (opening a local file takes microseconds)
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise StoreUnavailable(f"Another process migrates {url.database}; it holds {path}.") from error
                await asyncio.sleep(_POLL_SECONDS)
        yield
