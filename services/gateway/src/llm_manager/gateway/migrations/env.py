"""Alembic's entry point."""

from llm_manager.gateway.tables import Table
from llm_manager.kit.sql_migrations import run_env

run_env(Table.metadata)
