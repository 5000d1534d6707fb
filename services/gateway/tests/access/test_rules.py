from __future__ import annotations

import pytest

from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway.access.rules import ROLES, Permission, Role, Subject

# as features.md promises them
TWELVE = (
    "base:view", "base:create", "models:manage", "providers:manage", "connections:test", "conversations:view",
    "prompts:manage", "tools:manage", "workflows:manage", "knowledge:manage", "metrics:view", "stats:view",
)  # fmt: skip
BEYOND = ("keys:manage", "budgets:manage", "users:manage", "audit:view")


@pytest.mark.requirement("S43")
def test_permissions_have_the_promised_names() -> None:
    assert [permission.value for permission in Permission] == [f"llm-manager:{name}" for name in (*TWELVE, *BEYOND)]


@pytest.mark.parametrize(
    ("role", "of_twelve"),
    [(Role.SUPER_ADMIN, 12), (Role.MASTER_DEVELOPER, 12), (Role.ADMINISTRATOR, 5), (Role.DEVELOPER, 8)],
)
def test_roles_hold_what_is_promised(role: Role, of_twelve: int) -> None:
    promised = {Permission(f"llm-manager:{name}") for name in TWELVE}
    assert len(ROLES[role] & promised) == of_twelve
    beyond = {Permission(f"llm-manager:{name}") for name in BEYOND}
    assert ROLES[role] & beyond == (beyond if of_twelve == 12 else set())


def test_a_subject_without_the_permission_is_refused_by_its_name() -> None:
    somebody = Subject("user", "u1", "ann", ROLES[Role.DEVELOPER])
    somebody.require(Permission.STATS_VIEW)
    with pytest.raises(PermissionRefused, match=r"'ann' may not .* llm-manager:users:manage") as raised:
        somebody.require(Permission.USERS_MANAGE)
    assert raised.value.http_status == 403
