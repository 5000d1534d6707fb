"""What roles let people do, and who may hand them out; pure."""

from __future__ import annotations

from collections.abc import Iterable

from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway.access.rules import ROLES, Permission, Role, Subject

_OF_NAME = {role.value: permissions for role, permissions in ROLES.items()}


def granted(roles: Iterable[str]) -> frozenset[Permission]:
    """Return the permissions of all of a user's roles. One that is not known, as of a newer version, holds none."""
    return frozenset(permission for role in roles for permission in _OF_NAME.get(role, ()))


def in_order(roles: Iterable[str]) -> list[str]:
    """Return roles without repetitions, in the order in which they are declared."""
    wanted = set(roles)
    return [role.value for role in Role if role in wanted]


def require_reach(subject: Subject, roles: Iterable[str], *, param: str | None = None) -> None:
    """Go on only if somebody holds all that these roles hold.

    It is asked of roles that are to be granted, and of those of a user who is changed: with the password of somebody
    who may more, one may more.

    Raises:
        PermissionRefused: the message names a role, and a permission that is missing for it.
    """
    for role in roles:
        missing = sorted(granted([role]) - subject.permissions)
        if missing:
            refused = PermissionRefused(
                f"{subject.name!r} may not grant the role {str(role)!r}, nor change who has it: that needs "
                f"{missing[0]}; ask somebody who holds it.",
                param=param,
            )
            refused.permission = missing[0].value
            raise refused
