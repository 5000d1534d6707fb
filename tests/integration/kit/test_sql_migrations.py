import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from llm_manager.kit.sql import open_database
from llm_manager.kit.sql_migrations import migrate

pytest_plugins = ["llm_manager.testing.postgresql"]

ENV = """
from sqlalchemy import MetaData
from llm_manager.kit.sql_migrations import run_env
run_env(MetaData())
"""
FIRST = """
import time
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    time.sleep(0.05)
    op.create_table("apps", sa.Column("id", sa.Integer, primary_key=True))
    op.bulk_insert(sa.table("apps", sa.column("id", sa.Integer)), [{"id": 1}])
def downgrade():
    op.drop_table("apps")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("apps") as table:
        table.add_column(sa.Column("name", sa.String(20), nullable=False, server_default="default"))
def downgrade():
    with op.batch_alter_table("apps") as table:
        table.drop_column("name")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'control.db'}"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "0001_apps.py").write_text(FIRST)
    (folder / "versions" / "0002_name.py").write_text(SECOND)
    return folder


async def rows(url: str) -> list[tuple[object, ...]]:
    async with open_database(url) as database, database.session(read_only=True) as session:
        return [tuple(row) for row in (await session.execute(text("SELECT * FROM apps"))).all()]


@pytest.mark.requirement("S212")
async def test_up_and_down_keep_the_data(url: str, scripts: Path) -> None:
    await migrate(url, scripts, revision="0001")
    assert await rows(url) == [(1,)]

    await migrate(url, scripts)
    assert await rows(url) == [(1, "default")]

    await migrate(url, scripts, revision="0001", direction="down")
    assert await rows(url) == [(1,)]


async def test_migrating_again_changes_nothing(url: str, scripts: Path) -> None:
    await migrate(url, scripts)
    await migrate(url, scripts)

    assert await rows(url) == [(1, "default")]


async def test_down_without_a_revision_leaves_nothing_of_ours(url: str, scripts: Path) -> None:
    await migrate(url, scripts)
    await migrate(url, scripts, direction="down")
    await migrate(url, scripts)

    assert await rows(url) == [(1, "default")]


async def test_two_replicas_that_start_at_once_migrate_once(url: str, scripts: Path) -> None:
    # each call has its own connection and its own lock file descriptor, as a process of its own would
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(migrate(url, scripts))

    assert await rows(url) == [(1, "default")]


async def test_a_failed_migration_leaves_the_database_as_it_was(url: str, scripts: Path) -> None:
    broken = SECOND.replace("with op.batch", "op.execute('nonsense')\n    with op.batch")
    (scripts / "versions" / "0002_name.py").write_text(broken)

    with pytest.raises(DBAPIError, match="nonsense"):
        await migrate(url, scripts)

    (scripts / "versions" / "0002_name.py").write_text(SECOND)
    await migrate(url, scripts)
    assert await rows(url) == [(1, "default")]
