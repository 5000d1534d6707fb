"""Permissions by name, roles by the permissions that they hold, and who acts; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from llm_manager.core.errors import PermissionRefused


class Permission(StrEnum):
    """What somebody may be allowed to do. The names are promised: people grant them, and programs ask for them."""

    BASE_VIEW = "llm-manager:base:view"
    BASE_CREATE = "llm-manager:base:create"
    MODELS_MANAGE = "llm-manager:models:manage"
    PROVIDERS_MANAGE = "llm-manager:providers:manage"
    CONNECTIONS_TEST = "llm-manager:connections:test"
    CONVERSATIONS_VIEW = "llm-manager:conversations:view"
    PROMPTS_MANAGE = "llm-manager:prompts:manage"
    TOOLS_MANAGE = "llm-manager:tools:manage"
    WORKFLOWS_MANAGE = "llm-manager:workflows:manage"
    KNOWLEDGE_MANAGE = "llm-manager:knowledge:manage"
    METRICS_VIEW = "llm-manager:metrics:view"
    STATS_VIEW = "llm-manager:stats:view"
    KEYS_MANAGE = "llm-manager:keys:manage"
    BUDGETS_MANAGE = "llm-manager:budgets:manage"
    USERS_MANAGE = "llm-manager:users:manage"
    AUDIT_VIEW = "llm-manager:audit:view"


class Role(StrEnum):
    """A set of permissions under a name that people know."""

    SUPER_ADMIN = "super-admin"
    MASTER_DEVELOPER = "master-developer"
    ADMINISTRATOR = "administrator"
    DEVELOPER = "developer"


_P = Permission
ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.SUPER_ADMIN: frozenset(Permission),
        Role.MASTER_DEVELOPER: frozenset(Permission),
        Role.ADMINISTRATOR: frozenset(
            {_P.BASE_VIEW, _P.BASE_CREATE, _P.CONVERSATIONS_VIEW, _P.PROMPTS_MANAGE, _P.STATS_VIEW}
        ),
        Role.DEVELOPER: frozenset(
            {
                *(_P.BASE_VIEW, _P.CONVERSATIONS_VIEW, _P.PROMPTS_MANAGE, _P.TOOLS_MANAGE, _P.WORKFLOWS_MANAGE),
                *(_P.KNOWLEDGE_MANAGE, _P.METRICS_VIEW, _P.STATS_VIEW),
            }
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """What tells a request that is sent again from another one: keyed hashes of who and its key, and of all it says."""

    id: str
    request: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Who acts. The first argument of every admin use case, so that none can be called by nobody.

    Args:
        id: of the user or of the API key.
        address: where the request came from, empty where it did not come over a network.
        request_id: of the request that this is, for the audit.
        repeatable: set where the request says an Idempotency-Key.
        app_id: of the app that an API key belongs to; empty for a user.
    """

    kind: Literal["user", "api_key"]
    id: str
    name: str
    permissions: frozenset[Permission]
    address: str = ""
    request_id: str = ""
    repeatable: Repeatable | None = None
    app_id: str = ""

    def require(self, permission: Permission) -> None:
        """Go on only if this is allowed.

        Raises:
            PermissionRefused.
        """
        if permission not in self.permissions:
            refused = PermissionRefused(
                f"{self.name!r} may not do this: it needs the permission {permission.value}; ask who manages users."
            )
            refused.permission = permission.value
            raise refused


# `__Host-`: browsers take it only with Secure, Path=/ and without Domain, so no neighbouring host can plant one.
# Source: RFC 6265bis, 4.1.3. Browsers treat http://localhost as secure.
COOKIE = "__Host-llm-manager-session"
CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from.

    Args:
        agent: what the browser calls itself.
    """

    address: str
    request_id: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class SignedInSession:
    """A session that is open.

    Args:
        id: how the table knows it; no cookie can be made of it.
        ends_at: if nobody uses it any more.
    """

    id: str
    subject: Subject
    csrf_token: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who sends a request; `session` is None for HTTP Basic and for API keys."""

    subject: Subject
    session: SignedInSession | None
