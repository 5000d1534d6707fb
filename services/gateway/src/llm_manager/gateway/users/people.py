"""Users as a resource: making and changing people, and what they may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.core.errors import AuthenticationFailed, Conflict, InvalidRequest
from llm_manager.gateway.access.rules import Role, Subject
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.audit.tables import AuditHead
from llm_manager.gateway.resources.rules import Page, RepeatedError, values_of
from llm_manager.gateway.resources.store import Declaration, ResourceStore
from llm_manager.gateway.tables import ADMIN, User
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.grants import in_order, require_reach
from llm_manager.gateway.users.passwords import check_password
from llm_manager.gateway.users.rules import Room
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_store import SessionStore
from llm_manager.gateway.users.store import ADMIN_NAME

# The state of a row in memory, never its hash: that is how the audit learns that a password is another one.
_FIELD = "password"
_NEW = "new_password"


def _told(row: User) -> Json:
    return {
        "name": row.name,
        "title": row.title,
        "roles": row.roles,
        "language": row.language,
        "is_enabled": row.is_enabled,
        "password": inspect(row).info.get(_FIELD, "(secret)"),
    }


USERS = Declaration(
    name="users",
    singular="user",
    table=User,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    cleared={"title": "", "roles": [], "language": ""},
)


class UserService:
    """People. What is changed of one holds at once, also at other gateways: each request reads who may what."""

    def __init__(
        self, store: ResourceStore[User], sessions: SessionStore, door: AdminDoor, checks: PasswordChecks
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._door = door
        self._checks = checks

    async def page(self, page: Page) -> tuple[list[User], str]:
        """Return users, and the cursor of the next page. Raises InvalidRequest: see `ResourceStore.page`."""
        return await self._store.page(page)

    async def find(self, handle: str) -> User:
        """Return a user by id or name. Raises NotFound."""
        return await self._store.find(handle)

    # Any: fields that were sent, checked by their model
    async def create(self, subject: Subject, said: Mapping[str, Any]) -> User:
        """Make a user.

        Raises:
            Conflict: there is one of this name.
            InvalidRequest: the password will not do.
            PermissionRefused: a role may more than who grants it.
            GatewayRateLimited: too many passwords are checked at once.
        """
        values = values_of(said, USERS.cleared)
        password: str = values.pop(_FIELD)
        values["roles"] = in_order(values["roles"])
        check_password(password, name=values["name"])
        require_reach(subject, values["roles"], param="roles")
        hashed = await self._checks.hashed(password, room=Room.KNOWN)
        try:
            async with self._store.creating(subject, lambda: User(password_hash=hashed, **values)) as (_, row):
                pass
        except RepeatedError as repeated:
            return await self._store.find(repeated.resource_id)
        return row

    # Any: fields that were sent, checked by their model
    async def change(self, subject: Subject, handle: str, said: Mapping[str, Any], *, revision: int | None) -> User:
        """Change the fields that are said; None takes one away. A user who is switched off, has another password or
        other roles is logged out everywhere.

        Raises:
            NotFound, PreconditionFailed.
            Conflict: the name is taken, the last super-admin would go, or somebody would lock out oneself.
            InvalidRequest: the password will not do, or a field cannot be taken away.
            PermissionRefused: the user, or a new role, may more than who changes it.
            GatewayRateLimited: too many passwords are checked at once.
        """
        values = values_of(said, USERS.cleared)
        password: str | None = values.pop(_FIELD, None)
        if "roles" in values:
            values["roles"] = in_order(values["roles"])
        # before the row is locked: it takes 20 ms
        hashed = await self._checks.hashed(password, room=Room.KNOWN) if password is not None else None
        async with self._store.changing(subject, handle, revision=revision) as (session, row):
            before = row.name
            if values or hashed is not None:
                await self._require_allowed(session, subject, row, values)
            if password is not None:
                check_password(password, name=values.get("name", row.name))
            is_out = hashed is not None or not values.get("is_enabled", True)
            is_out = is_out or _roles_of(values, row) != set(row.roles)
            for field, value in values.items():
                setattr(row, field, value)
            if hashed is not None:
                _put_password(row, hashed)
            if "is_enabled" in values:
                row.managed_by = ADMIN  # see _put_password
            if is_out:
                await self._sessions.end_all(session, subject, row)
        self._door.forget(before, row.name)
        return row

    async def change_own_password(self, subject: Subject, *, current: str, new: str, session_id: str | None) -> None:
        """Change the password of the user who asks, and log that user out everywhere else.

        Args:
            session_id: of the session that asks, which goes on; None for HTTP Basic.

        Raises:
            AuthenticationFailed: the current password is wrong, or another change of it was faster.
            GatewayRateLimited, StoreUnavailable: see `AdminDoor.check`.
            InvalidRequest: the new password will not do.
        """
        # both look only at what was sent, so they tell nothing of what is right and cost no try
        check_password(new, name=subject.name, param=_NEW)
        if new == current:
            raise InvalidRequest("The new password is the current one; choose another one.", param=_NEW)
        account = await self._door.check(subject.name, current, address=subject.address, request_id=subject.request_id)
        hashed = await self._checks.hashed(new, room=Room.KNOWN)
        async with self._store.changing(subject, subject.id) as (session, row):
            # hashes are salted: this one is of the same user and of the password that was checked, or it was changed
            if row.password_hash != account.password_hash or not row.is_enabled:
                raise AuthenticationFailed("The user was changed at this moment; log in again.")
            _put_password(row, hashed)
            await self._sessions.end_all(session, subject, row, but=session_id)
        self._door.forget(row.name)

    async def end_sessions(self, subject: Subject, handle: str) -> None:
        """Log a user out everywhere. Raises NotFound."""
        async with self._store.changing(subject, handle) as (session, row):
            await self._sessions.end_all(session, subject, row)

    # Any: see `change`
    async def _require_allowed(
        self, session: AsyncSession, subject: Subject, row: User, values: Mapping[str, Any]
    ) -> None:
        roles, is_enabled = _roles_of(values, row), values.get("is_enabled", row.is_enabled)
        param = "roles" if roles != set(row.roles) else "is_enabled"
        require_reach(subject, row.roles)
        require_reach(subject, in_order(roles), param="roles")
        is_oneself = subject.kind == "user" and subject.id == row.id
        if is_oneself and (not is_enabled or set(row.roles) - roles):
            raise Conflict(
                "Nobody switches off oneself or takes roles from oneself; ask another super-admin to do it.",
                param=param,
            )
        if row.name == ADMIN_NAME and values.get("name", ADMIN_NAME) != ADMIN_NAME:
            raise Conflict(
                "The user admin keeps its name: a start would make another one. Switch it off instead.", param="name"
            )
        was_super_admin = row.is_enabled and Role.SUPER_ADMIN in row.roles
        if was_super_admin and not (is_enabled and Role.SUPER_ADMIN in roles):
            others = await _enabled_roles(session, without=row.id)
            if not any(Role.SUPER_ADMIN in theirs for theirs in others):
                raise Conflict(
                    f"{row.name!r} is the last super-admin who can log in; make another one first.", param=param
                )


def _put_password(row: User, hashed: str) -> None:
    row.password_hash = hashed
    inspect(row).info[_FIELD] = "changed"
    # a person decided, so the environment leaves it as it is at the next start
    row.managed_by = ADMIN


# Any: see `UserService.change`
def _roles_of(values: Mapping[str, Any], row: User) -> set[str]:
    return set(values.get("roles", row.roles))


async def _enabled_roles(session: AsyncSession, *, without: str) -> Sequence[list[str]]:
    # Two who take the role from each other would each see the other one still hold it. Whoever changes anything waits
    # for the end of the audit's chain, so holding that first makes one of them see what the other one did.
    await session.execute(select(AuditHead.id).with_for_update())
    return list(await session.scalars(select(User.roles).where(User.is_enabled, User.id != without)))
