"""Alembic's entry point."""

from llm_manager.gateway.audit import tables as audit
from llm_manager.gateway.tables import Base
from llm_manager.kit.sql_migrations import run_env

# Features with tables of their own: to import them is to make them known.
FEATURES = (audit,)

run_env(Base.metadata)
