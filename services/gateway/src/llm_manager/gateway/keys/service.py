"""Making, listing, changing, rotating and revoking API keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.core.errors import Conflict, InvalidRequest, NotFound, PermissionRefused
from llm_manager.core.ids import ApiKey, hash_api_key, new_api_key
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.catalogue.store import key_record
from llm_manager.gateway.keys.rules import INFERENCE
from llm_manager.gateway.resources.filters import Filter, naming
from llm_manager.gateway.resources.rules import Page, RepeatedError, values_of
from llm_manager.gateway.resources.store import Declaration, ResourceStore, referred
from llm_manager.gateway.tables import ADMIN, ENVIRONMENT, App, Key

# What a rotated key hands on, beside its app.
_INHERITED = ("name", "scopes", "expires_at", "allowed_addresses", "allowed_models")


def _now() -> datetime:
    return datetime.now(UTC)


def _told(row: Key) -> Json:
    return {
        "name": row.name,
        "app": row.app.name,
        "is_revoked": row.revoked_at is not None,
        "scopes": row.scopes,
        "expires_at": None if row.expires_at is None else row.expires_at.isoformat(),
        "allowed_addresses": row.allowed_addresses,
        "allowed_models": row.allowed_models,
        "replaced_by": row.replaced_by,
    }


KEYS = Declaration(
    name="keys",
    singular="key",
    table=Key,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    filters={
        "app": Filter("Id or name of the app whose keys are wanted.", naming(Key.app_id, App)),
    },
    cleared={"expires_at": None, "allowed_addresses": None, "allowed_models": None},
    # a name may be taken again once its key is revoked or was rotated
    is_found_by_key=False,
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; the only moment at which its token is known."""

    row: Key
    token: str


class KeyService:
    """Keys of all apps. A change holds here at once and at other gateways within a second.

    Nobody gets further by a key than they could go themselves: whoever gives scopes, or changes or rotates a key that
    has them, must hold them. `inference` is given by whoever manages keys.
    """

    def __init__(
        self,
        store: ResourceStore[Key],
        catalogue: Catalogue,
        *,
        pepper: bytes,
        make: Callable[[], ApiKey] = new_api_key,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._pepper = pepper
        self._make = make
        self._clock = clock

    async def page(self, page: Page) -> tuple[list[Key], str]:
        """Return keys, revoked ones included, and the cursor of the next page."""
        return await self._store.page(page)

    async def find(self, key_id: str) -> Key:
        """Return a key by its id. Raises NotFound."""
        return await self._store.find(key_id)

    # Any: fields that were sent, checked by their model
    async def create(self, subject: Subject, said: Mapping[str, Any]) -> NewKey:
        """Make a key.

        Args:
            said: `app`, by its id or its name, and the columns of the new row.

        Raises:
            NotFound: there is no such app.
            Conflict: a live key of the app has this name.
            InvalidRequest: it would have expired already.
            PermissionRefused: a scope is not the subject's own.
        """
        columns = dict(said)
        app = columns.pop("app")
        _require(subject, columns.get("scopes", ()))
        self._check_expiry(columns)
        new, row = self._new()
        try:
            async with self._store.creating(subject, lambda: row) as (session, _):
                row.app = await referred(session, App, app, param="app")
                _fill(row, columns)
        except RepeatedError as repeated:
            raise Conflict(
                f"This request made the key {repeated.resource_id} before, and its secret is shown once: rotate or "
                "revoke it if the answer was lost."
            ) from repeated
        await self._catalogue.publish([key_record(row)])
        return new

    # Any: fields that were sent, checked by their model
    async def change(self, subject: Subject, key_id: str, said: Mapping[str, Any], *, revision: int | None) -> Key:
        """Change the fields that are said; None takes one away.

        Raises:
            NotFound, PreconditionFailed.
            Conflict: the key is revoked, or a live key of the app has this name.
            InvalidRequest: a field cannot be taken away, or it would have expired already.
            PermissionRefused: a scope that it has or gets is not the subject's own.
        """
        values = values_of(said, KEYS.cleared)
        self._check_expiry(values)
        async with self._store.changing(subject, key_id, revision=revision) as (_, row):
            if row.revoked_at is not None:
                raise Conflict(f"The key {row.id} is revoked, and stays so; make another one.")
            _require(subject, (*row.scopes, *values.get("scopes", ())))
            # the environment keeps what it gave: it sets none of these, and revokes the key when its variable changes
            _fill(row, values)
        await self._catalogue.publish([key_record(row)])
        return row

    async def rotate(self, subject: Subject, key_id: str, *, overlap_seconds: int) -> NewKey:
        """Make a key like another one, which is good for some more time; 0 revokes it at once.

        Raises:
            NotFound: there is no such key.
            Conflict: it is revoked, has expired, was rotated before, or is the environment's.
            PermissionRefused: a scope of it is not the subject's own.
        """
        new, row = self._new()
        # a key is rotated once, whatever the request says of being sent again
        once = replace(subject, repeatable=None)
        async with self._store.creating(once, lambda: row) as (session, _):
            old = await self._held(session, key_id)
            _require(subject, old.scopes)
            now = self._clock()
            _check_rotation(old, now)
            self._store.note(session, old)
            _fill(row, {field: getattr(old, field) for field in _INHERITED})
            row.app = old.app
            old.replaced_by = row.id
            if overlap_seconds == 0:
                old.revoked_at, old.is_enabled = now, False
            else:
                end = now + timedelta(seconds=overlap_seconds)
                old.expires_at = end if old.expires_at is None else min(old.expires_at, end)
            # the name is free for the new row only once the old one says so
            await session.flush()
        await self._catalogue.publish([key_record(row), key_record(old)])
        return new

    async def revoke(self, subject: Subject, key_id: str) -> None:
        """Revoke a key; revoking it again changes nothing.

        Raises:
            NotFound: there is no such key.
        """
        async with self._store.changing(subject, key_id, is_end=True) as (_, row):
            if row.revoked_at is None:
                # a person decided, so the environment does not bring it back at the next start
                row.revoked_at, row.is_enabled, row.managed_by = self._clock(), False, ADMIN
        await self._catalogue.publish([key_record(row)])

    def _new(self) -> tuple[NewKey, Key]:
        key = self._make()
        row = Key(id=key.id, hash=hash_api_key(key.token, pepper=self._pepper))
        return NewKey(row, key.token), row

    def _check_expiry(self, values: Mapping[str, Any]) -> None:
        expires_at: datetime | None = values.get("expires_at")
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidRequest(
                "expires_at is over already; give a time to come, or null for never.", param="expires_at"
            )

    @staticmethod
    async def _held(session: AsyncSession, key_id: str) -> Key:
        row = await session.scalar(select(Key).where(Key.id == key_id).with_for_update(of=Key))
        if row is None:
            raise NotFound(f"There is no key {key_id[:100]!r}; GET /api/v1/keys lists them.")
        return row


def _fill(row: Key, values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        setattr(row, field, value)


def _require(subject: Subject, scopes: Iterable[str]) -> None:
    held = {INFERENCE, *subject.permissions}
    missing = [scope for scope in dict.fromkeys(scopes) if scope not in held]
    if missing:
        refused = PermissionRefused(
            f"{subject.name!r} does not hold {', '.join(missing)}, and cannot hand on what is not their own; "
            "ask somebody who does.",
            param="scopes",
        )
        refused.permission = missing[0]
        raise refused


def _check_rotation(old: Key, now: datetime) -> None:
    if old.revoked_at is not None:
        raise Conflict(f"The key {old.id} is revoked; make another one.")
    if old.replaced_by is not None:
        raise Conflict(f"The key {old.id} was rotated to {old.replaced_by} already; rotate that one.")
    if old.expires_at is not None and old.expires_at <= now:
        raise Conflict(f"The key {old.id} has expired; make another one, or give this one a later expires_at first.")
    if old.managed_by == ENVIRONMENT:
        # it would come back at the next start, and its successor would hold the name that the variable's next key needs
        raise Conflict(
            f"The key {old.id} is given by LLM_MANAGER_GATEWAY_BOOTSTRAP_API_KEY; change that and start again, or make "
            "another key and revoke this one."
        )
