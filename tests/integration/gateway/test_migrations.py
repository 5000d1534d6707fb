"""The control-plane database goes up and down with what is in it, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from llm_manager.gateway import tables
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.catalogue.store import provider_record, sealed_keys
from llm_manager.kit.sql import open_database
from llm_manager.kit.sql_migrations import migrate

pytest_plugins = ["llm_manager.testing.postgresql"]

_ROW = "revision, is_enabled, managed_by, created_at, updated_at"
_SAID = "1, true, 'admin', '2026-01-02 03:04:05+00:00', '2026-01-02 03:04:05+00:00'"
BEFORE = (
    f"INSERT INTO apps (id, {_ROW}, name, description) VALUES ('a1', {_SAID}, 'shop', '')",
    f"INSERT INTO api_keys (id, {_ROW}, app_id, name, hash) VALUES ('k1', {_SAID}, 'a1', 'web', 'h')",
    f"INSERT INTO providers (id, {_ROW}, name, kind, base_url) VALUES ('p1', {_SAID}, 'local', 'ollama', '')",
    f"INSERT INTO users (id, {_ROW}, name, password_hash) VALUES ('u1', {_SAID}, 'admin', 'h')",
    f"INSERT INTO configurations (id, {_ROW}, name, provider_id, upstream_model, tags, adapts_parameters)"
    f" VALUES ('c1', {_SAID}, 'fast', 'p1', 'llama', '{{}}', false)",
)


async def test_they_make_what_the_tables_say(url: str) -> None:
    await migrate(url, MIGRATIONS)
    async with open_database(url) as database, database.engine.connect() as connection:
        found = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), tables.Base.metadata)
        )
    assert found == []


@pytest.mark.requirement("S212")
async def test_what_was_there_before_the_control_plane_is_there_after_it_and_back(url: str) -> None:
    await migrate(url, MIGRATIONS, revision="0006")
    sealed = (
        "INSERT INTO providers (id, {}, name, kind, base_url, credential) VALUES ('p2', {}, 'mine', 'openai', '', :c)"
    )
    async with open_database(url) as database, database.session() as session:
        for statement in BEFORE:
            await session.execute(text(statement))
        await session.execute(text(sealed.format(_ROW, _SAID)), {"c": b"\x01sealed"})
    await migrate(url, MIGRATIONS)
    async with open_database(url) as database, database.session(read_only=True) as session:
        key = (await session.scalars(select(tables.Key))).one()
        assert (key.scopes, key.expires_at, key.allowed_models) == (["inference"], None, None)
        rows = {row.name: row for row in await session.scalars(select(tables.Provider))}
        assert (rows["local"].credentials, rows["local"].paths) == ([], {})
        assert [(one.name, one.envelope) for one in sealed_keys(rows["mine"])] == [("default", b"\x01sealed")]
        assert provider_record(rows["mine"]).credentials == (b"\x01sealed",)
        assert (await session.scalars(select(tables.User))).one().roles == ["super-admin"]
        configuration = (await session.scalars(select(tables.Configuration))).one()
        assert (configuration.app_id, configuration.is_default, configuration.use_cases) == (None, False, [])
    await migrate(url, MIGRATIONS, revision="0006", direction="down")
    async with open_database(url) as database, database.session(read_only=True) as session:
        credentials = dict((await session.execute(text("SELECT name, credential FROM providers"))).all())
        assert credentials == {"local": None, "mine": b"\x01sealed"}
    await migrate(url, MIGRATIONS, direction="down")
