from pathlib import Path

import pytest

from llm_manager.core.errors import InternalError
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.kit.clickhouse_migrations import migrate, read_migrations, split_statements
from llm_manager.testing.clickhouse import clickhouse, clickhouse_dsn

__all__ = ["clickhouse", "clickhouse_dsn"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_create_events.sql").write_text(
        "-- the ledger; immutable\nCREATE DATABASE IF NOT EXISTS usage;\n"
        "CREATE TABLE IF NOT EXISTS usage.events (id String) ENGINE = MergeTree ORDER BY id;\n"
    )
    (made / "notes.md").write_text("not a migration")
    return made


@pytest.mark.requirement("S212")
async def test_migrations_run_once_each_and_in_order(clickhouse: ClickHouse, folder: Path) -> None:
    assert await migrate(clickhouse, folder) == ["0001_create_events.sql"]
    assert await migrate(clickhouse, folder) == []

    await clickhouse.insert("usage.events", [("kept",)], ["id"])
    (folder / "0002_add_state.sql").write_text(
        "ALTER TABLE usage.events ADD COLUMN IF NOT EXISTS state String DEFAULT 'a;b'"
    )

    assert await migrate(clickhouse, folder) == ["0002_add_state.sql"]
    assert await clickhouse.query("SELECT id, state FROM usage.events") == [("kept", "a;b")]


async def test_a_crash_in_the_middle_is_finished_by_the_next_start(clickhouse: ClickHouse, folder: Path) -> None:
    file = folder / "0001_create_events.sql"
    whole = file.read_text()
    file.write_text(whole + "nonsense;")
    with pytest.raises(InternalError):
        await migrate(clickhouse, folder)

    file.write_text(whole)

    assert await migrate(clickhouse, folder) == ["0001_create_events.sql"]


async def test_a_file_changed_afterwards_is_refused(clickhouse: ClickHouse, folder: Path) -> None:
    await migrate(clickhouse, folder)
    with (folder / "0001_create_events.sql").open("a") as file:
        file.write("-- a second thought\n")

    with pytest.raises(InternalError, match=r"0001_create_events\.sql was changed after it was applied"):
        await migrate(clickhouse, folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [("2_x.sql", "is not named like 0001_create_events.sql"), ("0001_other.sql", "have one number")],
)
def test_wrong_file_names_are_refused(folder: Path, name: str, message: str) -> None:
    (folder / name).write_text("SELECT 1")

    with pytest.raises(InternalError, match=message):
        read_migrations(folder)


def test_statements_end_at_semicolons_outside_of_quotes_and_comments() -> None:
    sql = """
    SELECT 'a;b', "c;d", `e;f`, 'it''s;', 'it\\'s;' -- no; end
    /* nor; here */ FROM t;
    ;
    SELECT 2"""

    assert [" ".join(statement.split()) for statement in split_statements(sql)] == [
        """SELECT 'a;b', "c;d", `e;f`, 'it''s;', 'it\\'s;' FROM t""",
        "SELECT 2",
    ]
