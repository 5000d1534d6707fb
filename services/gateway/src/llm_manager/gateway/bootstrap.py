"""Fills the control-plane database with what a first start needs; running it again changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.exc import IntegrityError

from llm_manager.core.facts import Facts
from llm_manager.core.ids import hash_api_key, parse_api_key
from llm_manager.gateway.catalogue.environment import Wanted, local_addresses, wanted
from llm_manager.gateway.catalogue.store import EnvironmentStore, ensure_app, ensure_bootstrap_key, kept_by_environment
from llm_manager.gateway.secrets.rules import Purpose
from llm_manager.gateway.secrets.store import ensure_hash_secrets
from llm_manager.gateway.settings import GatewaySettings
from llm_manager.gateway.users.store import ensure_admin
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database
from llm_manager.kit.sql_migrations import migrate

log = structlog.stdlib.get_logger("gateway")

MIGRATIONS = Path(__file__).parent / "migrations"
_PROBE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What a start brings into the database.

    Args:
        environ: where the variables that the facts name are looked up.
    """

    settings: GatewaySettings
    database: Database
    box: SecretBox
    facts: Mapping[str, Facts]
    environ: Mapping[str, str]

    async def run(self) -> None:
        """Migrate, then make app, key, admin and the environment's providers.

        Raises:
            StoreUnavailable: the database does not answer.
            SettingsError: the database was sealed under another master key.
        """
        await migrate(self.settings.database_url, MIGRATIONS)
        asked = await self.asked()
        try:
            await self._apply(asked)
        except IntegrityError:
            # another gateway started at the same moment and made the same rows; now they are there
            await self._apply(asked)
        log.info("catalogue_bootstrapped", providers=[item.kind for item in asked.providers])

    async def asked(self, *, without: str = "") -> Wanted:
        """Return the rows that the environment asks for, now or at an earlier start.

        Args:
            without: kind whose earlier values are to be forgotten.
        """
        async with self.database.session(read_only=True) as session:
            kept = await kept_by_environment(session)
        kept.pop(without, None)
        is_looking = self.settings.detect_local_providers
        found = await answering(local_addresses(self.facts, self.environ, kept) if is_looking else {})
        return wanted(self.facts, self.environ, answering=found, kept=kept)

    async def _apply(self, asked: Wanted) -> None:
        secret = self.settings.bootstrap_api_key
        key = parse_api_key(secret.reveal()) if secret else None
        password = self.settings.admin_password
        async with self.database.session() as session:
            hashes = await ensure_hash_secrets(session, self.box)
            key_hash = hash_api_key(key.token, pepper=hashes[Purpose.API_KEY]) if key else ""
            app = await ensure_app(session)
            await ensure_bootstrap_key(session, app, key, key_hash=key_hash)
            await ensure_admin(session, password.reveal() if password else None)
            await EnvironmentStore(self.box).apply(session, asked)


async def answering(addresses: Mapping[str, tuple[str, int]]) -> frozenset[str]:
    """Return the kinds whose port takes a connection within 300 ms."""
    kinds = list(addresses)
    answers = await asyncio.gather(*(_answers(*addresses[kind]) for kind in kinds))
    return frozenset(kind for kind, is_there in zip(kinds, answers, strict=True) if is_there)


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
