"""API keys on the admin API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.keys.rules import Conditions, proven

_PERMISSIONS = {permission.value: permission for permission in Permission}


class Keys(Protocol):
    """Where keys are known: the catalogue."""

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether changes reach this process."""
        ...


class KeyDoor:
    """Lets programs into the admin API by an API key whose scopes are permissions.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, catalogue: Keys, *, pepper: bytes, clock: Callable[[], float] = time.time) -> None:
        self._catalogue = catalogue
        self._pepper = pepper
        self._clock = clock

    def enter(
        self, authorization: str | None, *, address: str, request_id: str, known: Callable[[Subject], None]
    ) -> Subject:
        """Check a bearer token and return who came in; waits for nothing.

        Args:
            address: of the connection.
            known: is told whose key it is as soon as that is proven, also if it may not come in.

        Raises:
            AuthenticationFailed: no key, one that is not good, or one that has expired.
            PermissionRefused: it may not come from there, or none of its scopes is a permission.
            StoreUnavailable: the key may be good, and nobody can tell now.
        """
        catalogue = self._catalogue
        record = proven(authorization, catalogue.snapshot, pepper=self._pepper, is_current=catalogue.is_current)
        permissions = frozenset(_PERMISSIONS[scope] for scope in record.scopes if scope in _PERMISSIONS)
        subject = Subject(
            "api_key",
            record.id,
            record.name,
            permissions,
            address=address,
            request_id=request_id,
            app_id=record.app_id,
        )
        known(subject)
        Conditions.of(record).check(address=address, now=self._clock())
        if not permissions:
            raise PermissionRefused(
                f"The API key {record.id} may not use the admin API: none of its scopes is a permission such as "
                f"{Permission.BASE_VIEW.value}; give it those that it needs (PATCH /api/v1/keys/{record.id}), or ask "
                "who manages keys."
            )
        return subject
