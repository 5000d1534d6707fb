"""Admin API: which permissions and roles there are, in the reader's language."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Header, Query, Response
from pydantic import BaseModel, Field

from llm_manager.gateway.access import words
from llm_manager.gateway.access.endpoints import SIGNED_IN, admin_router
from llm_manager.gateway.access.rules import ROLES, Permission, Role, SignedIn

router = admin_router("permissions", "Users")
roles_router = admin_router("roles", "Users")
Somebody = Annotated[SignedIn, Depends(SIGNED_IN)]


def _language(
    *,
    language: Annotated[Literal["", "en", "es", "fr", "de"], Query(description="Counts before the header.")] = "",
    accept_language: Annotated[str, Header(max_length=200)] = "",
) -> str:
    return language or words.language_of(accept_language)


Language = Annotated[str, Depends(_language)]


class PermissionView(BaseModel):
    """A permission."""

    name: Permission
    title: str
    description: str


class PermissionList(BaseModel):
    """Every permission, in the order in which people read them."""

    data: list[PermissionView]


class RoleView(BaseModel):
    """A role."""

    name: Role
    title: str
    description: str
    permissions: list[Permission] = Field(description="What it holds.")


class RoleList(BaseModel):
    """Every role."""

    data: list[RoleView]


@router.get("")
async def list_permissions(response: Response, _: Somebody, language: Language) -> PermissionList:
    """List what somebody may be allowed to do, in English, Spanish, French or German."""
    response.headers["content-language"] = language
    said = ((one, words.PERMISSIONS[one][language]) for one in Permission)
    return PermissionList(
        data=[PermissionView(name=one, title=text.title, description=text.description) for one, text in said]
    )


@roles_router.get("")
async def list_roles(response: Response, _: Somebody, language: Language) -> RoleList:
    """List the roles that a user may have, each with its permissions."""
    response.headers["content-language"] = language
    return RoleList(
        data=[
            RoleView(
                name=role,
                title=words.ROLES[role][language].title,
                description=words.ROLES[role][language].description,
                permissions=[one for one in Permission if one in held],
            )
            for role, held in ROLES.items()
        ]
    )
