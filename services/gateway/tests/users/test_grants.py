"""What roles let people do, and who may hand them out."""

from __future__ import annotations

import pytest

from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway.access.rules import ROLES, Permission, Role, Subject
from llm_manager.gateway.users.grants import granted, in_order, require_reach


def test_a_user_has_the_union_of_the_roles_and_without_one_nothing() -> None:
    assert granted([]) == frozenset()
    assert granted(["developer", "administrator"]) == ROLES[Role.DEVELOPER] | ROLES[Role.ADMINISTRATOR]


def test_a_role_that_is_not_known_here_holds_nothing() -> None:
    assert granted(["of-a-newer-version", ""]) == frozenset()
    assert granted(["of-a-newer-version", "developer"]) == ROLES[Role.DEVELOPER]


def test_roles_are_kept_once_and_in_one_order() -> None:
    assert in_order([Role.DEVELOPER, Role.SUPER_ADMIN, Role.DEVELOPER]) == ["super-admin", "developer"]


@pytest.mark.parametrize("held", Role)
@pytest.mark.parametrize("wanted", Role)
def test_nobody_grants_more_than_one_may(held: Role, wanted: Role) -> None:
    somebody = Subject("user", "u1", "ann", ROLES[held] | {Permission.USERS_MANAGE})
    if ROLES[wanted] <= somebody.permissions:
        require_reach(somebody, [wanted])
    else:
        with pytest.raises(PermissionRefused, match=f"the role '{wanted}', nor .* llm-manager:"):
            require_reach(somebody, [Role(held), wanted])
