"""Numbered SQL files, applied once each, on the embedded engine and on servers alike."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import structlog

from llm_manager.core.errors import InternalError
from llm_manager.kit.clickhouse import ClickHouse

log = structlog.stdlib.get_logger("kit")

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TABLE = "default.llm_manager_migrations"
_APPLIED = "SELECT name, argMax(checksum, applied_at) FROM default.llm_manager_migrations GROUP BY name"
_CREATE = """
CREATE TABLE IF NOT EXISTS default.llm_manager_migrations (
    name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""
# quoted texts and comments are skipped as a whole, so that a semicolon inside them ends nothing
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`[^`]*`|--[^\n]*|/\*.*?\*/|;""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `0001_create_events.sql`."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        return split_statements(self.sql)


async def migrate(clickhouse: ClickHouse, folder: Path | Traversable) -> list[str]:
    """Apply what is new in a folder, in the order of the numbers; return the names of what was applied.

    ClickHouse has no transactions around DDL and no locks: every statement must be repeatable (IF NOT EXISTS …),
    because a crash in the middle, or two replicas at once, run it twice.

    Raises:
        InternalError: a number twice, or a file changed after it was applied.
        StoreUnavailable: ClickHouse does not answer.
    """
    migrations = read_migrations(folder)
    await clickhouse.command(_CREATE)
    rows = await clickhouse.query(_APPLIED)
    applied: dict[str, str] = dict(rows)
    done: list[str] = []
    for migration in migrations:
        known = applied.get(migration.name)
        if known is None:
            for statement in migration.statements:
                await clickhouse.command(statement)
            await clickhouse.insert(_TABLE, [(migration.name, migration.checksum)], ("name", "checksum"))
            log.info("clickhouse_migration_applied", migration=migration.name)
            done.append(migration.name)
        elif known != migration.checksum:
            raise InternalError(f"{migration.name} was changed after it was applied; write a new migration instead.")
    return done


def read_migrations(folder: Path | Traversable) -> list[Migration]:
    """Return the migrations of a folder by number. Files with other names are refused, not skipped."""
    found: dict[str, Migration] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise InternalError(f"{file.name} is not named like 0001_create_events.sql.")
        if match[1] in found:
            raise InternalError(f"{file.name} and {found[match[1]].name} have one number.")
        found[match[1]] = Migration(file.name, file.read_text(encoding="utf-8"))
    return [found[number] for number in sorted(found)]


def split_statements(sql: str) -> list[str]:
    """Split at semicolons outside of quotes and comments; drop comments and what is empty."""
    statements: list[str] = []
    current: list[str] = []
    position = 0
    for token in _TOKEN.finditer(sql):
        current.append(sql[position : token.start()])
        position = token.end()
        if token[0] == ";":
            statements.append("".join(current))
            current = []
        elif not token[0].startswith(("--", "/*")):
            current.append(token[0])
    statements.append("".join([*current, sql[position:]]))
    return [stripped for statement in statements if (stripped := statement.strip())]
