"""Composition of the admin API: who is let in, and each resource's store, service and routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from llm_manager.core.facts import Facts
from llm_manager.gateway.access import catalogue_endpoints as permissions
from llm_manager.gateway.access.endpoints import DOOR
from llm_manager.gateway.aliases import endpoints as aliases
from llm_manager.gateway.aliases.service import ALIASES, AliasService
from llm_manager.gateway.apps import endpoints as apps
from llm_manager.gateway.apps.service import APPS
from llm_manager.gateway.audit import endpoints as audit
from llm_manager.gateway.audit.service import Audit
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.bootstrap import Bootstrap
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.catalogue.store import alias_record, app_record, configuration_record, override_record
from llm_manager.gateway.configurations import endpoints as configurations
from llm_manager.gateway.configurations.service import CONFIGURATIONS, ConfigurationService
from llm_manager.gateway.http.bounded import REFUSALS
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.ingress.responses.store import SEALED as RESPONSES_SEALED
from llm_manager.gateway.keys import endpoints as keys
from llm_manager.gateway.keys.door import KeyDoor
from llm_manager.gateway.keys.service import KEYS, KeyService
from llm_manager.gateway.overrides import endpoints as overrides
from llm_manager.gateway.overrides.service import OVERRIDES, OverrideService
from llm_manager.gateway.packages import endpoints as packages
from llm_manager.gateway.packages.service import PACKAGES, PackageService
from llm_manager.gateway.providers import connection_endpoints as connections
from llm_manager.gateway.providers import endpoints as providers
from llm_manager.gateway.providers.connections import ProviderConnections
from llm_manager.gateway.providers.service import PROVIDERS, ProviderService
from llm_manager.gateway.providers.store import SEALED as PROVIDERS_SEALED
from llm_manager.gateway.providers.store import ProviderStore
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.resources.store import ResourceStore
from llm_manager.gateway.secrets import endpoints as secrets
from llm_manager.gateway.secrets.rules import HashSecrets, Purpose
from llm_manager.gateway.secrets.sealed import HASH_SECRETS
from llm_manager.gateway.secrets.service import SECRETS, SecretRotation
from llm_manager.gateway.settings import GatewaySettings
from llm_manager.gateway.users import people_endpoints as users
from llm_manager.gateway.users import session_endpoints as sessions
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.doors import IDEMPOTENCY_PARAMETER, Doors
from llm_manager.gateway.users.people import USERS, UserService
from llm_manager.gateway.users.refusals import Refusals, RefusedRequests
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_store import SessionStore
from llm_manager.gateway.users.sessions import Sessions
from llm_manager.gateway.users.trail import LogInTrail
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database

ADMIN_ROUTERS = (
    *(
        apps.router,
        configurations.router,
        aliases.router,
        overrides.router,
        keys.router,
        providers.router,
        connections.router,
        packages.router,
    ),
    *(users.router, sessions.router, audit.router, secrets.router, permissions.router, permissions.roles_router),
)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What the admin API stands on."""

    database: Database
    box: SecretBox
    catalogue: Catalogue
    bootstrap: Bootstrap
    facts: Mapping[str, Facts]
    environ: Mapping[str, str]
    hashes: HashSecrets
    client: WorkerClient
    models: ModelDirectory


def describe_repeatable(paths: dict[str, Any]) -> None:
    """Say in an OpenAPI document which requests may be sent again with a key: those of the admin API that make a row.

    The door reads the header (`users.doors.Doors`), before it is known which route there is.
    """
    for path, item in paths.items():
        operation = item.get("post", {})
        if path.startswith("/api/v1/") and "{" not in path and "201" in operation.get("responses", {}):
            operation.setdefault("parameters", []).append(IDEMPOTENCY_PARAMETER)


def build_admin(app: FastAPI, settings: GatewaySettings, plane: ControlPlane) -> Sessions:
    """Give the endpoints their services; return the sessions, which are purged while the gateway runs."""
    trail = AuditStore(plane.database)
    audit.AUDIT.put(app, Audit(trail))
    REFUSALS.put(app, RefusedRequests(Refusals(plane.database, trail)))
    _put_resources(app, plane, trail)
    sealed = (HASH_SECRETS, PROVIDERS_SEALED, RESPONSES_SEALED)
    SECRETS.put(app, SecretRotation(plane.database, plane.box, plane.catalogue, tables=sealed, trail=trail))
    return _put_people(app, settings, plane, trail)


def _put_resources(app: FastAPI, plane: ControlPlane, trail: AuditStore) -> None:
    database, catalogue = plane.database, plane.catalogue
    of_apps = ResourceService(ResourceStore(database, trail, APPS), catalogue, app_record)
    of_models = ConfigurationService(ResourceStore(database, trail, CONFIGURATIONS), catalogue, configuration_record)
    of_aliases = AliasService(ResourceStore(database, trail, ALIASES), catalogue, alias_record)
    of_overrides = OverrideService(ResourceStore(database, trail, OVERRIDES), catalogue, override_record)
    of_providers = _put_providers(app, plane, trail)
    apps.APPS.put(app, of_apps)
    configurations.CONFIGURATIONS.put(app, of_models)
    aliases.ALIASES.put(app, of_aliases)
    overrides.OVERRIDES.put(app, of_overrides)
    services: Mapping[str, ResourceService[Any]] = {
        service.name: service for service in (of_providers, of_apps, of_models, of_aliases, of_overrides)
    }
    PACKAGES.put(app, PackageService(database, catalogue, trail=trail, services=services, facts=plane.facts))
    keys.KEYS.put(
        app, KeyService(ResourceStore(database, trail, KEYS), catalogue, pepper=plane.hashes[Purpose.API_KEY])
    )


def _put_providers(app: FastAPI, plane: ControlPlane, trail: AuditStore) -> ProviderService:
    known = ProviderService(
        ResourceStore(plane.database, trail, PROVIDERS),
        plane.catalogue,
        ProviderStore(plane.database, plane.box, trail),
        box=plane.box,
        asked=plane.bootstrap.asked,
        facts=plane.facts,
        environ=plane.environ,
    )
    providers.PROVIDERS.put(app, known)
    connections.CONNECTIONS.put(app, ProviderConnections(plane.client, plane.models, facts=plane.facts.get))
    return known


def _put_people(app: FastAPI, settings: GatewaySettings, plane: ControlPlane, entries: AuditStore) -> Sessions:
    trail, checks, password = LogInTrail(plane.database, entries), PasswordChecks(), settings.admin_password
    door = AdminDoor(plane.database, trail=trail, checks=checks, password=password.reveal() if password else None)
    store = SessionStore(plane.database, trail)
    people = Sessions(store, door, plane.hashes)
    programs = KeyDoor(plane.catalogue, pepper=plane.hashes[Purpose.API_KEY])
    DOOR.put(app, Doors(door, people, programs, mark_key=plane.hashes[Purpose.IDEMPOTENCY]))
    users.SESSIONS.put(app, people)
    users.USERS.put(app, UserService(ResourceStore(plane.database, entries, USERS), store, door, checks))
    return people
