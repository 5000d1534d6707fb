"""Admin API of configurations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.configurations.schemas import ConfigurationBody, ConfigurationChange, ConfigurationView
from llm_manager.gateway.configurations.service import CONFIGURATIONS as RESOURCE
from llm_manager.gateway.configurations.service import ConfigurationService
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.resources.endpoints import Revision, listed, paged, shown
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.schemas import ListOf

CONFIGURATIONS: Built[ConfigurationService] = Built("configurations")
router = admin_router("configurations", "Configurations")
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Paged = Annotated[Page, Depends(paged(RESOURCE))]
Manager = Annotated[Subject, Depends(Requires(Permission.MODELS_MANAGE))]


@router.get("")
async def list_configurations(request: Request, _: Viewer, page: Paged) -> ListOf[ConfigurationView]:
    """List configurations page by page, sorted by `name` or `created`."""
    return listed(await CONFIGURATIONS.of(request).page(page), ConfigurationView)


@router.post("", status_code=201)
async def create_configuration(
    request: Request, response: Response, subject: Manager, body: ConfigurationBody
) -> ConfigurationView:
    """Make a configuration; the next request may name it in `model`."""
    return shown(response, await CONFIGURATIONS.of(request).create(subject, body.said()), ConfigurationView)


# Names hold slashes, as models of Hugging Face do.
@router.get("/{configuration:path}")
async def get_configuration(request: Request, response: Response, _: Viewer, configuration: str) -> ConfigurationView:
    """Return a configuration by its id or its name."""
    return shown(response, await CONFIGURATIONS.of(request).find(configuration), ConfigurationView)


@router.patch("/{configuration:path}")
async def change_configuration(
    request: Request,
    response: Response,
    subject: Manager,
    *,
    configuration: str,
    body: ConfigurationChange,
    revision: Revision,
) -> ConfigurationView:
    """Change the fields that are sent; the next request obeys, within a second on every gateway."""
    row = await CONFIGURATIONS.of(request).change(subject, configuration, body.said(), revision=revision)
    return shown(response, row, ConfigurationView)


@router.delete("/{configuration:path}", status_code=204)
async def delete_configuration(
    request: Request, subject: Manager, *, configuration: str, revision: Revision
) -> Response:
    """Delete a configuration; the ledger keeps its name."""
    await CONFIGURATIONS.of(request).delete(subject, configuration, revision=revision)
    return Response(status_code=204)
